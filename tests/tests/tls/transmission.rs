// SPDX-License-Identifier: BSD-3-Clause
//! Data through TLS: whole, in any pieces, until one of the two ends it.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::files::scratch;
use nbdkit_tests::raw::{ACK, cmd, go_payload, opt, simple};
use nbdkit_tests::{Server, until};

use crate::client::Tls;
use crate::credentials::Folder;

fn serve(folder: &Folder, more: &[&str]) -> Server {
    let mut args = vec!["--tls=require".to_owned(), folder.option(), "-v".to_owned()];
    args.extend(more.iter().map(|&arg| arg.to_owned()));
    Server::start(args)
}

/// A client that has chosen the export.
fn chosen(server: &Server, folder: &Folder) -> Tls {
    let mut tls = Tls::connect(server, folder);
    assert_eq!(tls.ask(opt::GO, &go_payload(b"")).0, ACK);
    tls
}

/// Takes the simple reply to a request, with `len` bytes of data.
fn reply(tls: &mut Tls, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; 16 + len];
    tls.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes[..8], [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0]);
    bytes.split_off(16)
}

#[test]
fn requests_of_all_sizes_come_through() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["memory", "64M"]);
    let mut tls = chosen(&server, &folder);
    for len in [1, 511, 4096, 16_384, 16_385, 100_000, 1 << 20, 32 << 20] {
        let bytes = random(len, len as usize);
        tls.write_all(&simple(0, cmd::WRITE, 1, 12_345, len as u32)).unwrap();
        tls.write_all(&bytes).unwrap();
        reply(&mut tls, 0);
        tls.write_all(&simple(0, cmd::READ, 2, 12_345, len as u32)).unwrap();
        assert_bytes("what was written", &reply(&mut tls, len as usize), &bytes);
    }
}

#[test]
fn many_requests_in_one_record_and_one_in_many() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["pattern", "1M"]);
    let mut tls = chosen(&server, &folder);
    let requests: Vec<u8> = (0..500).flat_map(|i| simple(0, cmd::READ, i, i * 512, 512)).collect();
    tls.write_all(&requests).unwrap();
    let mut cookies = Vec::new();
    for _ in 0..500 {
        let mut head = [0; 16];
        tls.read_exact(&mut head).unwrap();
        let cookie = u64::from_be_bytes(head[8..].try_into().unwrap());
        let mut data = [0; 512];
        tls.read_exact(&mut data).unwrap();
        assert_eq!(data[..8], (cookie * 512).to_be_bytes());
        cookies.push(cookie);
    }
    cookies.sort_unstable();
    assert!(cookies.into_iter().eq(0..500));
    for byte in simple(0, cmd::READ, 1, 1024, 8) {
        tls.write_all(&[byte]).unwrap();
    }
    assert_eq!(reply(&mut tls, 8), 1024_u64.to_be_bytes());
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    let (folder, _) = Folder::complete();
    let dir = scratch();
    let disk = dir.path().join("disk");
    let bytes = random(1, 64 << 20);
    std::fs::write(&disk, &bytes).unwrap();
    let server = serve(&folder, &["file", disk.to_str().unwrap()]);
    let mut tls = chosen(&server, &folder);
    // More than sockets hold; nobody reads while they are sent, but the server takes them all the same.
    let requests: Vec<u8> = (0..64).flat_map(|i| simple(0, cmd::READ, i, i << 20, 1 << 20)).collect();
    tls.write_all(&requests).unwrap();
    let mut seen = vec![0; 64 << 20];
    for _ in 0..64 {
        let mut head = [0; 16];
        tls.read_exact(&mut head).unwrap();
        let at = (u64::from_be_bytes(head[8..].try_into().unwrap()) << 20) as usize;
        tls.read_exact(&mut seen[at..at + (1 << 20)]).unwrap();
    }
    assert_bytes("the disk", &seen, &bytes);
}

#[test]
fn an_orderly_end_and_a_cut_are_told_apart() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["memory", "1M"]);
    let (orderly, cut) = ("client ended TLS in good order", "client ended without close_notify");
    let ends = |line| server.stderr().matches(line).count();

    chosen(&server, &folder).goodbye();
    until("an orderly end", || ends(orderly) == 1);
    drop(chosen(&server, &folder));
    until("a cut", || ends(cut) == 1);
    // Also by a client that still listens: it is told goodbye.
    let mut tls = chosen(&server, &folder);
    tls.cut();
    assert_eq!(tls.read(&mut [0]).unwrap(), 0);
    until("a cut", || ends(cut) == 2);
    let mut tls = chosen(&server, &folder);
    tls.write_all(&simple(0, cmd::DISC, 1, 0, 0)).unwrap();
    assert_eq!(tls.read(&mut [0]).unwrap(), 0);
    assert_eq!(ends(orderly), 1, "it did not say so");
    // And in the options.
    drop(Tls::connect(&server, &folder));
    until("a cut", || ends(cut) == 3);
    assert!(!server.stderr().contains("error: "), "{}", server.stderr());
}

#[test]
fn a_cut_does_not_keep_a_cpu_busy() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["--filter=delay", "memory", "1M", "rdelay=2s"]);
    let mut tls = chosen(&server, &folder);
    tls.write_all(&simple(0, cmd::READ, 1, 0, 512)).unwrap();
    tls.cut();
    let (busy, since) = (server.process().cpu_time(), Instant::now());
    // The request that has begun is finished, and its reply still comes.
    reply(&mut tls, 512);
    let (busy, elapsed) = (server.process().cpu_time() - busy, since.elapsed());
    assert!(busy < elapsed / 2 + Duration::from_millis(100), "{busy:?} of {elapsed:?}");
    assert_eq!(tls.read(&mut [0]).unwrap(), 0);
}

#[test]
fn damaged_records_end_the_connection() {
    let (folder, _) = Folder::complete();
    let server = serve(&folder, &["memory", "1M"]);
    let mut tls = chosen(&server, &folder);
    tls.engine.write(&[std::io::IoSlice::new(&simple(0, cmd::READ, 1, 0, 512))]).unwrap();
    let mut record = tls.engine.output().to_vec();
    let last = record.len() - 1;
    record[last] ^= 1;
    tls.socket.write_all(&record).unwrap();
    let told = tls.read(&mut [0]).unwrap_err().to_string();
    assert!(told.contains("alert: bad record mac"), "{told}");
    until("the log line", || {
        server
            .stderr()
            .contains("error: read from client: client sent a TLS record that was damaged or forged")
    });
}
