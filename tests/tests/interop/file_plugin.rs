// SPDX-License-Identifier: BSD-3-Clause
//! The many ways to name what the `file` plugin serves, and to ask how.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::{read_at, scratch, sparse};
use nbdkit_tests::raw::{err, opt};
use nbdkit_tests::{Feature, Launch, Server, run, supports, tool};

const LEN: usize = 1_000_000;

fn image(path: &Path, seed: u64) -> PathBuf {
    sparse(path, LEN as u64, &[(0, &random(seed, LEN))]);
    path.to_owned()
}

/// The export holds what [`image`] made of `seed`, and takes a write.
#[track_caller]
fn assert_serves_image(server: &Server, export: &str, path: &Path, seed: u64) {
    let mut client = server.connect();
    assert_eq!(client.structured(export).size, LEN as u64);
    assert_bytes("export", &client.read(0, LEN as u32).unwrap(), &random(seed, LEN));
    client.write(77, b"changed", 0).unwrap();
    client.disconnect();
    assert_eq!(read_at(path, 77, 7), b"changed");
}

fn joined(key: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(key);
    arg.push("=");
    arg.push(path);
    arg
}

#[test]
fn a_file_by_relative_name_is_found_after_the_server_moved_away() {
    // In the background the server works from the root folder: the name must have been resolved before.
    let dir = scratch();
    let path = image(&dir.path().join("relative"), 1);
    let shell = ["sh", "-c", r#"cd "$0" && exec "$@""#, dir.path().to_str().unwrap()];
    let server = Launch::new(["file", "relative"]).under(shell).start();
    assert_serves_image(&server, "", &path, 1);
    let server = Launch::new(["file", "file=./relative"]).under(shell).start();
    server.assert_serves();
}

#[test]
fn a_folder_serves_its_files_by_export_name() {
    let dir = scratch();
    let tree = dir.path().join("tree");
    fs::create_dir_all(tree.join("folder")).unwrap();
    image(&dir.path().join("outside"), 9);
    image(&tree.join("folder/inner"), 9);
    let (one, two) = (image(&tree.join("one"), 1), image(&tree.join("two"), 2));
    std::os::unix::fs::symlink(&one, tree.join("link")).unwrap();
    let server = Server::start(["file".into(), joined("dir", &tree)]);
    assert_serves_image(&server, "two", &two, 2);
    assert_serves_image(&server, "link", &one, 1);

    for name in ["", "..", ".", "../outside", "folder/inner", "folder", "missing", "/etc/passwd", "one/"] {
        let mut client = server.connect();
        client.hello().unwrap();
        let reply = client.go(name.as_bytes()).unwrap().expect_err(&format!("export {name:?} was served"));
        assert!(reply.is_error());
        // The connection is not lost by a wrong name.
        assert_eq!(client.go(b"two").unwrap().unwrap().size, LEN as u64, "after {name:?}");
    }
}

#[test]
fn a_file_that_appears_later_is_served_and_a_grown_one_has_its_new_size() {
    let dir = scratch();
    let server = Server::start(["file".into(), joined("dir", dir.path())]);
    let path = image(&dir.path().join("late"), 3);
    assert_serves_image(&server, "late", &path, 3);
    File::options().write(true).open(&path).unwrap().set_len(2 * LEN as u64).unwrap();
    assert_eq!(server.connect().structured("late").size, 2 * LEN as u64);
}

#[test]
fn an_open_descriptor_is_served() {
    if !supports(Feature::FileDescriptors) {
        return;
    }
    let dir = scratch();
    let path = image(&dir.path().join("image"), 4);
    let shell = ["sh", "-c", r#"exec 5<>"$0" && exec "$@""#, path.to_str().unwrap()];
    let server = Launch::new(["file", "fd=5"]).under(shell).start();
    // The name may be gone by now, and there is more than one connection.
    let second = dir.path().join("second");
    fs::rename(&path, &second).unwrap();
    server.assert_serves();
    assert_serves_image(&server, "", &second, 4);
}

#[test]
fn an_open_folder_is_served() {
    if !supports(Feature::FileDescriptors) {
        return;
    }
    let dir = scratch();
    let path = image(&dir.path().join("image"), 5);
    let shell = ["sh", "-c", r#"exec 6<"$0" && exec "$@""#, dir.path().to_str().unwrap()];
    let server = Launch::new(["file", "dirfd=6"]).under(shell).start();
    assert_serves_image(&server, "image", &path, 5);
    let list = run(tool("nbdinfo").args(["--list", "--json"]).arg(server.uri())).ok().json();
    assert_eq!(list["exports"][0]["export-name"], "image");
}

#[test]
fn a_name_that_is_not_utf8_is_served() {
    let dir = scratch();
    // "café" in Latin-1.
    let path = image(&dir.path().join(OsStr::from_bytes(b"caf\xe9.img")), 6);
    let server = Server::start([OsString::from("file"), path.clone().into()]);
    assert_serves_image(&server, "", &path, 6);
    let server = Server::start([OsString::from("file"), joined("file", &path)]);
    server.assert_serves();
}

#[test]
fn a_name_that_is_not_utf8_does_not_hide_its_neighbours() {
    let dir = scratch();
    image(&dir.path().join(OsStr::from_bytes(b"caf\xe9.img")), 6);
    let plain = image(&dir.path().join("plain"), 7);
    let server = Server::start([OsString::from("file"), joined("dir", dir.path())]);
    assert_serves_image(&server, "plain", &plain, 7);
    let mut client = server.connect();
    client.hello().unwrap();
    let list = client.ask(opt::LIST, &[]).unwrap();
    assert!(list.iter().any(|reply| reply.data.ends_with(b"plain")), "{list:?}");
}

#[test]
fn a_file_we_may_only_read_is_served_read_only() {
    let dir = scratch();
    let path = image(&dir.path().join("image"), 8);
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let mut launch = Launch::new(["file".as_ref(), path.as_os_str()]);
    if nix::unistd::geteuid().is_root() {
        // Root without the capability to ignore permissions.
        launch = launch.under(["setpriv", "--bounding-set", "-dac_override"]);
    }
    let server = launch.start();
    let mut client = server.connect();
    let export = client.structured("");
    assert_eq!(export.flags & 2, 2, "not marked read-only: {:#x}", export.flags);
    assert_bytes("export", &client.read(0, LEN as u32).unwrap(), &random(8, LEN));
    assert_eq!(client.write(0, b"x", 0), Err(err::EPERM));
}

#[test]
fn fadvise_reaches_the_kernel() {
    for (value, advice) in [("sequential", "POSIX_FADV_SEQUENTIAL"), ("random", "POSIX_FADV_RANDOM")] {
        let dir = scratch();
        let (path, trace) = (image(&dir.path().join("image"), 9), dir.path().join("trace"));
        let strace = ["strace", "-f", "-qq", "-e", "trace=fadvise64", "-o", trace.to_str().unwrap()];
        let args = ["file".to_owned(), path.to_str().unwrap().to_owned(), format!("fadvise={value}")];
        let server = Launch::new(args).under(strace).start();
        assert_serves_image(&server, "", &path, 9);
        drop(server);
        let trace = fs::read_to_string(trace).unwrap();
        assert!(trace.contains(advice), "fadvise={value} calls no {advice}:\n{trace}");
    }
    // The third word changes nothing, and must be taken.
    let dir = scratch();
    let path = image(&dir.path().join("image"), 9);
    Server::start(["file".as_ref(), path.as_os_str(), "fadvise=normal".as_ref()]).assert_serves();
}

#[test]
fn memory_pressure_is_reduced_on_request() {
    let len = 128 << 20;
    let resident_after_reading = |arg: &str| {
        let dir = scratch();
        let path = dir.path().join("image");
        sparse(&path, len, &[(0, &random(1, len as usize))]);
        let advice = nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED;
        nix::fcntl::posix_fadvise(File::open(&path).unwrap(), 0, 0, advice).unwrap();
        let server = Server::start(["file".as_ref(), path.as_os_str(), arg.as_ref()]);
        let mut client = server.connect();
        client.structured("");
        for i in 0..len >> 20 {
            client.read(i << 20, 1 << 20).unwrap();
        }
        let output = run(tool("fincore").args(["-b", "-n", "-o", "RES"]).arg(&path)).ok();
        output.text().trim().parse::<u64>().unwrap()
    };
    let resident = resident_after_reading("cache=default");
    assert!(resident > len / 20 * 19, "reading leaves only {resident} of {len} bytes: nothing to reduce");
    let arg =
        if supports(Feature::ReduceMemoryPressure) { "reduce-memory-pressure=true" } else { "cache=none" };
    let resident = resident_after_reading(arg);
    // The kernel reads ahead, and drops only whole folios: some will stay.
    assert!(resident < len / 10 * 9, "{arg} leaves {resident} of {len} bytes in the page cache");
}

#[test]
fn contents_are_right_under_reduced_memory_pressure() {
    let dir = scratch();
    let path = image(&dir.path().join("image"), 10);
    let server = Server::start(["file".as_ref(), path.as_os_str(), "cache=none".as_ref()]);
    assert_serves_image(&server, "", &path, 10);
    let server = Server::start(["file".as_ref(), path.as_os_str(), "cache=none".as_ref()]);
    let mut client = server.connect();
    client.structured("");
    for i in 0..9 {
        client.write(i * 111_111, &random(50 + i, 111_111), 0).unwrap();
    }
    for i in 0..9 {
        assert_bytes("written", &client.read(i * 111_111, 111_111).unwrap(), &random(50 + i, 111_111));
        assert_bytes("in the file", &read_at(&path, i * 111_111, 111_111), &random(50 + i, 111_111));
    }
}

#[test]
fn an_empty_file_is_an_empty_disk() {
    let dir = scratch();
    let path = dir.path().join("empty");
    File::create(&path).unwrap();
    let server = Server::start(["file".as_ref(), path.as_os_str()]);
    let mut client = server.connect();
    assert_eq!(client.structured("").size, 0);
    assert_eq!(client.read(0, 1), Err(err::EINVAL));
    server.assert_serves();
}

#[test]
fn a_file_that_is_cut_short_while_served_gives_an_error_and_no_crash() {
    let dir = scratch();
    let path = image(&dir.path().join("image"), 11);
    let server = Server::start(["file".as_ref(), path.as_os_str()]);
    let mut client = server.connect();
    client.structured("");
    client.read(0, 4096).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(4096).unwrap();
    assert_eq!(client.read(8192, 4096), Err(err::EIO), "a read of what is gone");
    client.read(0, 4096).expect("a read of what is still there");
    server.assert_serves();
}
