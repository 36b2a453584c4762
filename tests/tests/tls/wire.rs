// SPDX-License-Identifier: BSD-3-Clause
//! The server's end of a connection keeps the promises of a pipe, also when everything goes through TLS.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll, Waker};

use nbd_tls::{Acceptor, Directory, Priority};
use nbdkit::wire::{Ending, Handshake, Wire};
use nbdkit_tests::data::{assert_bytes, random};
use nbdkit_tests::raw::Client;
use nbdkit_tests::{eventually, until};

use crate::client::{Tls, connector};
use crate::credentials::Folder;

/// Both ends after the handshake.
fn ends() -> (Wire, Tls) {
    let (folder, _) = Folder::complete();
    let directory = Directory::load(folder.path()).unwrap();
    let acceptor = Acceptor::certificates(&directory, false, &Priority::default()).unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut wire = Wire::socket(ours).unwrap();
    wire.secure(acceptor.accept().unwrap());
    let mut tls = Tls::over(Client::over(theirs).unwrap(), &connector(&folder, "TLS1.3"));
    let client = std::thread::spawn(move || tls.handshake().map(|()| tls));
    until("the handshake", || wire.try_handshake().unwrap() == Handshake::Done);
    (wire, client.join().unwrap().unwrap())
}

fn read(wire: &Wire, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let read = wire.try_read(&mut [IoSliceMut::new(&mut bytes)]).unwrap()?;
    bytes.truncate(read);
    Some(bytes)
}

fn is_readable(wire: &Wire) -> bool {
    wire.poll_readable(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

#[test]
fn who_left_something_is_woken_for_it() {
    let (wire, mut tls) = ends();
    assert_eq!(read(&wire, 10), None);
    tls.write_all(b"0123456789").unwrap();
    assert_eq!(eventually(|| read(&wire, 4)).unwrap(), b"0123");
    // Nothing more is in the socket: only who knows what is in the engine can tell.
    assert!(is_readable(&wire));
    assert_eq!(read(&wire, 100).unwrap(), b"456789");
    assert_eq!(read(&wire, 100), None);
    assert!(!is_readable(&wire));
    tls.goodbye();
    assert_eq!(eventually(|| read(&wire, 100)).unwrap(), b"");
    assert_eq!(wire.ending(), Some(Ending::Orderly));
}

#[test]
fn several_buffers_are_filled_one_after_the_other() {
    let (wire, mut tls) = ends();
    let bytes = random(1, 100_000);
    let sent = bytes.clone();
    let client = std::thread::spawn(move || tls.write_all(&sent).map(|()| tls));
    let (mut front, mut back) = (vec![0; 70_000], vec![0; 70_000]);
    let mut got = 0;
    until("all of it", || {
        let (front_at, back_at) = (got.min(front.len()), got.saturating_sub(70_000));
        let mut bufs = [IoSliceMut::new(&mut front[front_at..]), IoSliceMut::new(&mut back[back_at..])];
        got += wire.try_read(&mut bufs).unwrap().unwrap_or(0);
        got == bytes.len()
    });
    front.extend_from_slice(&back[..30_000]);
    assert_bytes("what came", &front, &bytes);
    drop(client.join().unwrap().unwrap());
    assert_eq!(eventually(|| read(&wire, 1)).unwrap(), b"");
    assert_eq!(wire.ending(), Some(Ending::Cut));
}

#[test]
fn what_has_not_left_does_not_count_as_written() {
    let (wire, mut tls) = ends();
    let bytes = random(2, 8 << 20);
    let mut written = 0;
    let mut write = |wire: &Wire| {
        let some = wire.try_write(&[IoSlice::new(&bytes[written..])], false).unwrap();
        written += some.unwrap_or(0);
        (some, written)
    };
    // Nobody reads: sooner or later the socket is full.
    let full = loop {
        if let (None, written) = write(&wire) {
            break written;
        }
    };
    assert!(full < 4 << 20, "{full} bytes are in a socket");
    assert_eq!(write(&wire), (None, full), "still");
    // All that counts can be read by somebody to whom nothing more is sent.
    let mut got = vec![0; full];
    tls.read_exact(&mut got).unwrap();
    assert_bytes("what was counted", &got, &bytes[..full]);
    let client = std::thread::spawn(move || {
        let mut rest = Vec::new();
        let end = tls.read_to_end(&mut rest);
        (end, rest)
    });
    until("the rest", || write(&wire).1 == bytes.len());
    wire.shutdown();
    let (end, rest) = client.join().unwrap();
    end.unwrap();
    assert_bytes("the rest", &rest, &bytes[full..]);
}

#[test]
fn what_came_before_a_failure_is_given_out_before_it() {
    let (wire, mut tls) = ends();
    tls.engine.write(&[IoSlice::new(b"good")]).unwrap();
    let mut records = tls.engine.output().to_vec();
    records.extend_from_slice(b"\x17\x03\x03\x00\x20 and thirty-two bytes of nonsense");
    tls.socket.write_all(&records).unwrap();
    assert_eq!(eventually(|| read(&wire, 100)).unwrap(), b"good");
    let error = loop {
        match wire.try_read(&mut [IoSliceMut::new(&mut [0; 100])]) {
            Ok(None) => {}
            Ok(Some(len)) => panic!("{len} bytes of nonsense"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
