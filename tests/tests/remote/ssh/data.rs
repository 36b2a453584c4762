// SPDX-License-Identifier: BSD-3-Clause
//! Bytes: read, written, made permanent, and files that are made.

use super::*;
use nbdkit_tests::data::{assert_bytes, assert_same, random};
use nbdkit_tests::raw::{cmd, err};
use nbdkit_tests::{Launch, needs, until};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

const SIZE: usize = (40 << 20) + 123;

#[test]
fn copies_come_through_and_back() {
    let sshd = Sshd::start();
    let (image, copy) = (sshd.path("disk.img"), sshd.path("copy"));
    fs::write(&image, random(1, SIZE)).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    run(tool("nbdcopy").arg(server.uri()).arg(&copy)).ok();
    assert_same(&image, &copy);
    fs::write(&copy, random(2, SIZE)).unwrap();
    run(tool("nbdcopy").arg("--flush").arg(&copy).arg(server.uri())).ok();
    assert_same(&image, &copy);
    run(tool("qemu-img").args(["compare", "-f", "raw", "-F", "raw"]).arg(server.uri()).arg(&copy)).ok();
}

#[test]
fn random_writes_and_reads_while_keys_change() {
    // OpenSSH wants new keys after each GiB, at any moment: here a thousand times as often.
    let sshd = Sshd::with("RekeyLimit 1M");
    File::create(sshd.path("disk.img")).unwrap().set_len(32 << 20).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    let job = "--name=job --ioengine=nbd --rw=randrw --bsrange=512-512k --iodepth=16 --size=32m --io_size=64m \
               --verify=crc32c --verify_backlog=64 --verify_state_save=0";
    run(tool("fio").args(job.split_whitespace()).arg(format!("--uri={}", server.uri()))).ok();
    let keys = sshd.log().matches("SSH2_MSG_NEWKEYS sent\r\n").count();
    assert!(keys > 20, "{keys} times");
}

#[test]
fn any_name_of_a_file() {
    let sshd = Sshd::start();
    for name in ["-oProxyCommand=x", "a b 'c' \"d\" $e", "ä*?[", "%h", "x=y"] {
        fs::write(sshd.path(name), name).unwrap();
        let server = Server::start(beside(&sshd, name));
        let mut client = server.connect();
        client.structured("");
        assert_bytes(name, &client.read(0, name.len() as u32).unwrap(), name.as_bytes());
    }
}

#[test]
fn a_relative_path_starts_at_home() {
    // It may well begin with a dash.
    let sshd = Sshd::with("Subsystem sftp internal-sftp -d /usr");
    let server =
        Launch::new(["-r", "ssh"].into_iter().map(str::to_owned).chain(sshd.params("bin/env"))).start();
    let mut client = server.connect();
    assert_eq!(client.structured("").size, fs::metadata("/usr/bin/env").unwrap().len());
    let sshd = Sshd::with(&format!("Subsystem sftp internal-sftp -d {}", std::env::temp_dir().display()));
    let file = tempfile::Builder::new().prefix("-r").tempfile_in(std::env::temp_dir()).unwrap();
    file.as_file().set_len(4096).unwrap();
    opens(&Server::start(at(&sshd, file.path().file_name().unwrap().to_str().unwrap())));
}

#[test]
fn a_flush_reaches_the_disk_of_the_server() {
    // The separate program is what can be traced.
    let trace = tempfile::NamedTempFile::new().unwrap();
    let program = "/usr/lib/openssh/sftp-server";
    let subsystem =
        format!("Subsystem sftp strace -f -o {} -e trace=fsync {program}", trace.path().display());
    let sshd = Sshd::with(&subsystem);
    fs::write(sshd.path("disk.img"), random(1, 4096)).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    let syncs = || fs::read_to_string(trace.path()).unwrap().matches("fsync(").count();
    let mut client = server.connect();
    client.structured("");
    client.write(0, &[7; 512], 0).unwrap();
    assert_eq!(syncs(), 0);
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    assert_eq!(syncs(), 1);
    const FUA: u16 = 1;
    client.write(512, &[8; 512], FUA).unwrap();
    assert_eq!(syncs(), 2);
    assert_bytes("file", &fs::read(sshd.path("disk.img")).unwrap()[..1024], &[[7; 512], [8; 512]].concat());
}

#[test]
fn a_server_that_cannot_sync_is_not_asked_to() {
    let sshd = Sshd::with("Subsystem sftp internal-sftp -P fsync");
    fs::write(sshd.path("disk.img"), random(1, 4096)).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    for (question, answer) in [("flush", 2), ("fua", 2), ("write", 0), ("multi-conn", 0)] {
        run(tool("nbdinfo").args(["--can", question]).arg(server.uri())).exits(answer);
    }
}

#[test]
fn a_file_that_may_not_be_written() {
    let sshd = Sshd::with("Subsystem sftp internal-sftp -R");
    fs::write(sshd.path("disk.img"), random(1, 4096)).unwrap();
    let why = refuses(&Server::start(beside(&sshd, "disk.img")));
    assert!(why.contains("cannot open file for writing") && why.contains("Permission denied (-r "), "{why}");
    let args = [vec!["-r".to_owned()], beside(&sshd, "disk.img")].concat();
    run(tool("nbdinfo").args(["--is", "read-only"]).arg(Server::start(args).uri())).ok();
}

#[test]
fn what_is_no_disk() {
    let sshd = Sshd::start();
    let why = refuses(&Server::start(beside(&sshd, "missing")));
    assert!(why.contains("cannot open file for writing") && why.contains("No such file"), "{why}");
    for args in [at(&sshd, "/"), at(&sshd, "/dev/null")] {
        let why = refuses(&Server::start([vec!["-r".to_owned()], args].concat()));
        assert!(why.contains("neither a regular file nor a block device"), "{why}");
    }
}

#[test]
fn a_block_device() {
    if !needs("loop") {
        return;
    }
    let sshd = Sshd::start();
    let image = random(1, (3 << 20) + 512);
    fs::write(sshd.path("disk.img"), &image).unwrap();
    let device = run(tool("losetup").args(["--find", "--show"]).arg(sshd.path("disk.img"))).ok();
    let device = device.text();
    let server = Server::start(at(&sshd, device));
    let mut client = server.connect();
    let size = client.structured("").size;
    let end = client.read(size - 512, 512);
    run(tool("losetup").arg("--detach").arg(device)).ok();
    assert_eq!(size, image.len() as u64);
    assert_bytes("the last sector", &end.unwrap(), &image[image.len() - 512..]);
}

#[test]
fn a_file_is_made_once() {
    let sshd = Sshd::start();
    let path = sshd.path("new.img");
    fs::write(&path, "what was there").unwrap();
    let more = ["create=true", "create-size=1M", "create-mode=0640"];
    let server = Server::start(but(beside(&sshd, "new.img"), "", &more));
    assert_eq!(fs::read(&path).unwrap(), b"what was there", "before the first client nothing is done");
    fs::remove_file(&path).unwrap();
    let mut client = server.connect();
    assert_eq!(client.structured("").size, 1 << 20);
    client.write(0, b"mine", 0).unwrap();
    client.disconnect();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (1 << 20, 0o640));
    let mut client = server.connect();
    client.structured("");
    assert_bytes("the second client", &client.read(0, 4).unwrap(), b"mine");
}

#[test]
fn a_file_that_became_shorter() {
    let sshd = Sshd::start();
    fs::write(sshd.path("disk.img"), random(1, 1 << 20)).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    let mut client = server.connect();
    client.structured("");
    File::options().write(true).open(sshd.path("disk.img")).unwrap().set_len(1000).unwrap();
    assert_eq!(client.read(512, 1024), Err(err::EIO));
    assert_eq!(client.read(4096, 1 << 19), Err(err::EIO));
    assert!(server.stderr().contains("is shorter now"), "{}", server.stderr());
    assert_eq!(client.read(0, 1000).unwrap().len(), 1000);
}

#[test]
fn many_requests_at_once_get_more_sessions() {
    let sshd = Sshd::start();
    let image = random(1, 8 << 20);
    fs::write(sshd.path("disk.img"), &image).unwrap();
    let server = Server::start(beside(&sshd, "disk.img"));
    let mut client = server.connect();
    client.structured("");
    assert_eq!(sshd.clients(), 1, "one until there is much to do");
    let read = |client: &mut nbdkit_tests::raw::Client| {
        for _ in 0..32 {
            client.request(cmd::READ, 0, 0, 1 << 18).unwrap();
        }
        for _ in 0..32 {
            let reply = client.reply().unwrap();
            assert_eq!(reply.error(), None);
        }
    };
    until("a second session", || {
        read(&mut client);
        sshd.clients() > 1
    });
    client.disconnect();
    until("all sessions end", || sshd.clients() == 0);
}

#[test]
fn another_file_under_the_same_name_is_not_mixed_in() {
    let sshd = Sshd::start();
    fs::write(sshd.path("disk.img"), vec![1; 8 << 20]).unwrap();
    let mut args = beside(&sshd, "disk.img");
    args.insert(0, "-v".to_owned());
    let server = Server::start(args);
    let mut client = server.connect();
    client.structured("");
    fs::write(sshd.path("other"), vec![2; 9 << 20]).unwrap();
    fs::rename(sshd.path("other"), sshd.path("disk.img")).unwrap();
    until("another session was tried", || {
        let cookies: Vec<_> =
            (0..32).map(|i| client.request(cmd::READ, 0, i << 18, 1 << 18).unwrap()).collect();
        for _ in &cookies {
            let nbdkit_tests::raw::Reply::Chunk(chunk) = client.reply().unwrap() else {
                panic!("a simple reply")
            };
            assert!(chunk.payload[8..].iter().all(|byte| *byte == 1));
        }
        server.stderr().contains("no further session: the file looks different there")
    });
}
