// SPDX-License-Identifier: BSD-3-Clause
//! Naming what to serve, rightly and wrongly.

use crate::bench::{Bench, directory, make, said};
use nbdkit_plugin::{ENOENT, EPERM};
use nix::{
    mount::{MsFlags, mount, umount},
    sys::stat::Mode,
    unistd::{geteuid, mkfifo},
};
use std::{
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::{
        fd::AsRawFd,
        unix::{
            ffi::OsStrExt,
            fs::{PermissionsExt, symlink},
        },
    },
    path::Path,
};

#[test]
fn exactly_one_source() {
    assert_eq!(
        Bench::refusal::<&str>(&[]),
        "you must supply [file=]<FILENAME>, dir=<DIRNAME>, fd=<FD> or dirfd=<FD> parameter \
         after the plugin name on the command line"
    );
    for first in ["file", "dir", "fd", "dirfd"] {
        for second in ["file", "dir", "fd", "dirfd"] {
            assert_eq!(
                Bench::refusal(&[(first, "7"), (second, "8")]),
                "file|dir|fd|dirfd parameter can only appear once on the command line"
            );
        }
    }
}

#[test]
fn bad_values_are_named() {
    let dir = directory();
    let file = make(&dir, "disk.img", b"x");
    let fifo = dir.path().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    let missing = dir.path().join("missing");

    let refusal = |key, path: &Path| Bench::refusal(&[(key, path)]);
    assert_eq!(refusal("file", dir.path()), said("use dir= to serve files within ", dir.path(), ""));
    assert_eq!(refusal("file", &fifo), said("file is not regular or block device: ", &fifo, ""));
    assert_eq!(refusal("file", &missing), said("file=", &missing, ": No such file or directory"));
    assert_eq!(refusal("dir", &missing), said("dir=", &missing, ": No such file or directory"));
    assert_eq!(refusal("dir", &file), said("dir=", &file, ": Not a directory"));
    for key in ["rdelay", "wdelay"] {
        assert_eq!(Bench::refusal(&[(key, "1")]), format!("{key}: add --filter=delay on the command line"));
    }
    assert_eq!(
        Bench::refusal(&[("fadvise", "often")]),
        "fadvise: unknown value 'often', should be normal, random, sequential"
    );
    assert_eq!(Bench::refusal(&[("cache", "all")]), "cache: unknown value 'all', should be default, none");
}

#[test]
fn bad_descriptors_are_named() {
    let dir = directory();
    let path = make(&dir, "disk.img", b"x");
    let refusal = |key, file: &File| {
        let number = file.as_raw_fd().to_string();
        Bench::refusal(&[(key, &number)]).replace(&format!("={number}"), "=N")
    };
    let open = File::options;
    assert_eq!(refusal("fd", &File::open(&dir).unwrap()), "use dirfd= to serve files within fd=N");
    assert_eq!(refusal("dirfd", &File::open(&path).unwrap()), "dirfd=N is not a directory");
    assert_eq!(
        refusal("fd", &open().write(true).open(&path).unwrap()),
        "fd=N cannot be read, should be opened for reading"
    );
    assert_eq!(
        refusal("fd", &open().read(true).append(true).open(&path).unwrap()),
        "fd=N was opened for appending, should be without O_APPEND"
    );
    assert_eq!(refusal("fd", &File::open("/dev/null").unwrap()), "file is not regular or block device: fd=N");
    for key in ["fd", "dirfd"] {
        assert_eq!(Bench::refusal(&[(key, "99999")]), format!("{key}=99999: Bad file descriptor"));
        assert!(Bench::refusal(&[(key, "2")]).contains("should be 3 or more"));
        for bad in ["-1", "-2147483648", "3x", "", "99999999999"] {
            assert!(Bench::refusal(&[(key, bad)]).starts_with(&format!("{key}: ")), "{bad}");
        }
    }
}

#[test]
fn names_are_bytes() {
    let dir = directory();
    let name = OsStr::from_bytes(b"caf\xe9.img");
    let path = make(&dir, name, b"latin");
    let client = Bench::of_file(&path).open("ignored").unwrap();
    assert_eq!(client.read(5, 0).unwrap(), b"latin");
}

#[test]
fn relative_paths_and_links_are_resolved_at_the_start() {
    let dir = directory();
    make(&dir, "one.img", b"one");
    make(&dir, "two.img", b"two");
    let link = dir.path().join("link");
    symlink("one.img", &link).unwrap();
    let back = std::env::current_dir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    let file = Bench::of_file(Path::new("link"));
    let directory = Bench::new(&[("dir", ".")]).unwrap();
    std::env::set_current_dir("/").unwrap();
    fs::remove_file(&link).unwrap();
    symlink("two.img", &link).unwrap();
    assert_eq!(file.open("").unwrap().read(3, 0).unwrap(), b"one");
    assert_eq!(directory.open("link").unwrap().read(3, 0).unwrap(), b"two");
    std::env::set_current_dir(back).unwrap();
}

#[test]
fn each_client_sees_the_size_at_its_time() {
    let dir = directory();
    let path = make(&dir, "disk.img", b"small");
    let file = Bench::of_file(&path);
    let first = file.open("").unwrap();
    fs::write(&path, b"much larger").unwrap();
    assert_eq!((first.info().size, file.open("").unwrap().info().size), (5, 11));
    fs::remove_file(&path).unwrap();
    let error = file.open("").err().unwrap();
    assert_eq!(error.errno(), ENOENT);
    assert_eq!(
        error.to_string(),
        said("open: ", &path.canonicalize().unwrap_or(path.clone()), ": No such file or directory")
    );
}

/// A file system in memory at `path`, gone when dropped.
struct Mount<'a>(&'a Path);

impl Mount<'_> {
    fn set(&self, flags: MsFlags) {
        mount(None::<&str>, self.0, Some("tmpfs"), flags, None::<&str>).unwrap();
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        umount(self.0).unwrap();
    }
}

#[test]
fn what_may_not_be_written_is_read_only() {
    let dir = directory();
    // Permissions do not stop root, but a read-only file system does.
    let mount = geteuid().is_root().then(|| Mount(dir.path()));
    mount.iter().for_each(|mount| mount.set(MsFlags::empty()));
    let path = make(&dir, "disk.img", b"x");
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    mount.iter().for_each(|mount| mount.set(MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY));

    assert!(File::options().write(true).open(&path).is_err(), "it can be written: this tests nothing");
    let client = Bench::of_file(&path).open("").unwrap();
    assert!(!client.info().write && !client.info().trim);
    assert_eq!(client.read(1, 0).unwrap(), b"x");
    let named = Bench::new(&[("dir", dir.path())]).unwrap();
    assert!(!named.open("disk.img").unwrap().info().write);
    drop(client);
    drop(mount);
}

#[test]
fn inherited_descriptors() {
    let dir = directory();
    let path = make(&dir, "disk.img", b"content");
    let bench = |file: File| Bench::new(&[("fd", file.as_raw_fd().to_string())]).unwrap();

    // A duplicate is served: the one that was given may be closed.
    let reader = bench(File::open(&path).unwrap()).open("any").unwrap();
    assert!(!reader.info().write);
    assert_eq!(reader.read(3, 2).unwrap(), b"nte");
    assert_eq!(reader.write(b"C", 0).unwrap_err().errno(), EPERM);

    let bench = bench(File::options().read(true).write(true).open(&path).unwrap());
    fs::remove_file(&path).unwrap();
    bench.open("").unwrap().write(b"C", 0).unwrap();
    let reader = bench.open_read_only("").unwrap();
    assert!(!reader.info().write);
    assert_eq!(reader.read(3, 0).unwrap(), b"Con");
    // The descriptor could be written: that it is not is up to us.
    assert_eq!(reader.write(b"X", 0).unwrap_err().errno(), EPERM);
    assert!(reader.zero(0, 1, true).is_err() && reader.trim(0, 1).is_err());
    assert_eq!(reader.read(3, 0).unwrap(), b"Con");
}
