// SPDX-License-Identifier: BSD-3-Clause
//! A file that is cut, extended or replaced under a running server gives errors or what it holds, never a crash and
//! never what it did not hold.

use nbdkit_tests::data::random;
use nbdkit_tests::files::scratch;
use nbdkit_tests::raw::{cmd, err};
use nbdkit_tests::{Launch, Server, eventually};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

const SIZE: u64 = 8 << 20;

fn fill(file: &File, byte: u8) {
    file.write_all_at(&vec![byte; SIZE as usize], 0).unwrap();
}

fn served(path: &Path) -> Server {
    fill(&File::create(path).unwrap(), 1);
    Server::start(["file", path.to_str().unwrap()])
}

#[test]
fn cut_and_extended_all_the_time() {
    let dir = scratch();
    let path = dir.path().join("disk");
    let server = served(&path);
    // An export is as large as its file was when it was opened.
    let clients = [0, 1].map(|me| {
        let mut client = server.connect();
        client.structured("");
        (me, client)
    });
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let cutter = scope.spawn(|| {
            let file = File::options().write(true).open(&path).unwrap();
            while !done.load(SeqCst) {
                for size in [0, SIZE / 2 + 7, SIZE] {
                    file.set_len(size).unwrap();
                }
                fill(&file, 1);
            }
        });
        let readers: Vec<_> = clients
            .into_iter()
            .map(|(me, mut client)| {
                scope.spawn(move || {
                    let mut errors = 0;
                    for round in 0..400 {
                        // Longer ones are sent from the file itself: see below.
                        let len = [512, 4096, 16 << 10][round % 3];
                        let offset = (round as u64 * 77 + me * 13) * 4096 % (SIZE - len);
                        match client.read(offset, len as u32) {
                            // Data, or zeroes of a file that was cut and extended.
                            Ok(bytes) => assert!(bytes.iter().all(|byte| *byte <= 1)),
                            Err(error) => {
                                assert_eq!(error, err::EIO);
                                errors += 1;
                            }
                        }
                        // Any answer will do, but an answer.
                        let _ = client.block_status(offset, len);
                        let _ = client.write(offset, &[1; 512], 0);
                    }
                    errors
                })
            })
            .collect();
        let errors: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        // Also when one has failed: the cutter would go on for ever.
        done.store(true, SeqCst);
        cutter.join().unwrap();
        let errors: usize = errors.into_iter().map(Result::unwrap).sum();
        println!("{errors} reads met the file cut");
    });
    fill(&File::options().write(true).open(&path).unwrap(), 1);
    server.assert_serves();
}

/// Large replies go from the page cache to the socket. When one is cut in the middle, its head has promised more than
/// there is: then the connection ends.
#[test]
fn cut_while_replies_are_on_their_way() {
    let dir = scratch();
    let path = dir.path().join("disk");
    let server = served(&path);
    let file = File::options().write(true).open(&path).unwrap();
    let mut client = server.connect();
    client.simple("");
    let head = 16;
    for offset in (0..SIZE).step_by(1 << 20) {
        client.request(cmd::READ, 0, offset, 1 << 20).unwrap();
    }
    client.recv(head).unwrap();
    file.set_len(0).unwrap();
    client.finish_sending();
    let rest = client.drain().unwrap();
    assert!(rest < SIZE, "{rest} bytes: what was cut off was made up");
    fill(&file, 1);
    server.assert_serves();
}

/// What is sent from the file is what stands there, at any offset, also to a client that reads in crumbs.
#[test]
fn large_reads_at_odd_offsets() {
    let dir = scratch();
    let path = dir.path().join("disk");
    let bytes = random(3, SIZE as usize);
    fs::write(&path, &bytes).unwrap();
    let file = || Launch::new(["file", path.to_str().unwrap()]);
    for server in [file().start(), file().tcp().start()] {
        let mut client = server.connect();
        client.structured("");
        for (offset, len) in
            [(0, 3 << 20), (1, 32 << 10), (4095, 1 << 20), (SIZE - 70_001, 70_001), (777, 32 << 10)]
        {
            let read = client.read(offset, len as u32).unwrap();
            let wanted = &bytes[offset as usize..][..len as usize];
            assert!(read == wanted, "{len} bytes at {offset}");
        }
    }
}

#[test]
fn replaced_by_another() {
    let dir = scratch();
    let path = dir.path().join("disk");
    let server = served(&path);
    let mut client = server.connect();
    client.structured("");
    assert_eq!(client.read(0, 512).unwrap(), [1; 512]);
    let new = dir.path().join("new");
    fill(&File::create(&new).unwrap(), 2);
    fs::rename(&new, &path).unwrap();
    // Who has it open keeps the old one, who opens it gets the new one.
    assert_eq!(client.read(4096, 512).unwrap(), [1; 512]);
    let fresh = eventually(|| {
        let mut client = server.connect();
        client.structured("");
        client.read(4096, 512).ok().filter(|bytes| bytes[0] == 2)
    });
    assert_eq!(fresh.expect("the new file"), [2; 512]);
    fs::remove_file(&path).unwrap();
    assert_eq!(client.read(8192, 512).unwrap(), [1; 512]);
    // There is nothing to open any more, which the client is told.
    let mut late = server.connect();
    late.hello().unwrap();
    assert!(late.go(b"").unwrap().is_err());
    fill(&File::create(&path).unwrap(), 3);
    server.assert_serves();
}
