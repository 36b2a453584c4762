// SPDX-License-Identifier: BSD-3-Clause
//! Plaintext: whole and in order, however the bytes come; bounded; with the right end.

use crate::{
    pipe::{Pair, carry_once, read_all, send},
    pki::{LEAF, Pki},
};
use nbd_tls::{Engine, Read};
use proptest::{prelude::*, test_runner::Config};
use std::io::IoSlice;

/// Versions and ciphers between them; and pre-shared keys, if they are there.
fn pairs() -> Vec<Pair> {
    let pki = Pki::new("CA");
    let mut pairs: Vec<Pair> = ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"]
        .iter()
        .map(|priority| {
            Pair::new(
                &pki.acceptor(&LEAF, false, priority),
                &pki.connector(None, true, priority),
                "localhost",
            )
        })
        .map(Pair::expect)
        .collect();
    #[cfg(feature = "psk")]
    pairs.extend(crate::psk::pairs());
    pairs.iter_mut().for_each(|pair| assert!(!pair.client.readable() && !pair.server.readable()));
    pairs
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

#[test]
fn a_byte_at_a_time() {
    for mut pair in pairs() {
        let plain = pattern(40_000);
        assert_eq!(pair.client.write(&[IoSlice::new(&plain)]).unwrap(), plain.len());
        let (mut got, mut failed) = (Vec::new(), None);
        while carry_once(&mut pair.client, &mut pair.server, 1, &mut failed) > 0 {
            let mut byte = [0];
            while let Read::Some(n) = pair.server.read(&mut byte).unwrap() {
                got.extend_from_slice(&byte[..n]);
            }
        }
        assert_eq!((got == plain, failed), (true, None));
    }
}

#[test]
fn the_handshake_a_byte_at_a_time() {
    let pki = Pki::new("CA");
    for priority in ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"] {
        let acceptor = pki.acceptor(&LEAF, true, priority);
        let connector = pki.connector(Some(&LEAF), true, priority);
        let (mut server, mut client) = (acceptor.accept().unwrap(), connector.connect("localhost").unwrap());
        let mut failed = None;
        while carry_once(&mut client, &mut server, 1, &mut failed)
            + carry_once(&mut server, &mut client, 1, &mut failed)
            > 0
        {}
        assert_eq!(failed, None);
        assert!(!server.is_handshaking() && !client.is_handshaking());
        assert_eq!(send(&mut client, &mut server, b"hello"), b"hello");
    }
}

#[test]
fn huge_pieces() {
    for mut pair in pairs() {
        let plain = pattern(5_000_000);
        assert!(send(&mut pair.server, &mut pair.client, &plain) == plain);
        assert!(send(&mut pair.client, &mut pair.server, &plain) == plain);
    }
}

/// While the reader does not read and the sender cannot send, neither takes more than its bound.
#[test]
fn both_directions_are_bounded() {
    for mut pair in pairs() {
        let plain = pattern(1 << 20);
        let mut taken = 0;
        loop {
            match pair.server.write(&[IoSlice::new(&plain[taken..])]).unwrap() {
                0 => break,
                n => taken += n,
            }
            assert!(pair.server.output().len() < 300 << 10);
        }
        assert!((256 << 10..300 << 10).contains(&taken), "{taken}");
        let mut sent = 0;
        let mut failed = None;
        loop {
            match carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed) {
                0 => break,
                n => sent += n,
            }
            taken += pair.server.write(&[IoSlice::new(&plain[taken..])]).unwrap();
        }
        assert!(
            failed.is_none() && sent < 400 << 10,
            "{sent} bytes were taken by a reader that does not read"
        );
        assert!(pair.client.room().is_empty() && pair.client.readable());

        // A side that has plaintext waiting may write all the same.
        assert_eq!(send(&mut pair.client, &mut pair.server, b"in between"), b"in between");
        let mut got = read_all(&mut pair.client).0;
        while taken < plain.len() || !pair.server.output().is_empty() {
            taken += pair.server.write(&[IoSlice::new(&plain[taken..])]).unwrap();
            carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed);
            got.extend(read_all(&mut pair.client).0);
        }
        assert!(got == plain);
    }
}

/// How many wait.
fn records(engine: &Engine) -> usize {
    let (mut records, mut rest) = (0, engine.output());
    while let [_, _, _, high, low, ..] = rest {
        rest = &rest[5 + usize::from(u16::from_be_bytes([*high, *low]))..];
        records += 1;
    }
    records
}

#[test]
fn a_batch_of_small_replies_shares_a_record() {
    for mut pair in pairs() {
        let (head, body) = ([7; 16], pattern(1000));
        let batch = [IoSlice::new(&head), IoSlice::new(&body)].repeat(16);
        pair.server.write(&batch).unwrap();
        assert_eq!(records(&pair.server), 1, "{:?}", pair.server.session());
        pair.server.write(&batch).unwrap();
        let mut failed = None;
        carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed);
        assert!(read_all(&mut pair.client).0 == [&head[..], &body].concat().repeat(32));
    }
}

#[test]
fn a_reply_of_256_kib_goes_at_once_in_full_records() {
    for mut pair in pairs() {
        let (head, body) = ([7; 16], pattern(256 << 10));
        let whole = head.len() + body.len();
        let taken = pair.server.write(&[IoSlice::new(&head), IoSlice::new(&body)]).unwrap();
        assert_eq!(taken, whole);
        assert_eq!(records(&pair.server), 17, "{:?}", pair.server.session());
        let mut failed = None;
        let mut got = Vec::new();
        while carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed) > 0 {
            got.extend(read_all(&mut pair.client).0);
        }
        assert!(got == [&head[..], &body].concat());
    }
}

#[test]
fn ends_and_cuts() {
    for mut pair in pairs() {
        // An orderly end of one direction: the other goes on.
        pair.client.write(&[IoSlice::new(b"last words")]).unwrap();
        pair.client.close();
        pair.client.close();
        assert_eq!(pair.client.write(&[IoSlice::new(b"too late")]).unwrap(), 0);
        let mut failed = None;
        carry_once(&mut pair.client, &mut pair.server, usize::MAX, &mut failed);
        assert_eq!(read_all(&mut pair.server), (b"last words".to_vec(), Read::End));
        assert!(pair.server.readable());
        assert_eq!(pair.server.write(&[IoSlice::new(b"goes on")]).unwrap(), 7);
        pair.server.eof().unwrap();
        assert_eq!(read_all(&mut pair.server).1, Read::End);
        // What comes after close_notify is no business of ours.
        assert_eq!(pair.server.feed(b"garbage").unwrap(), 7);
        // The side that has closed is at the end; it hears nothing more.
        assert_eq!(pair.client.feed(pair.server.output()).unwrap(), pair.server.output().len());
        assert_eq!(read_all(&mut pair.client), (Vec::new(), Read::End));
    }
    for mut pair in pairs() {
        // The transport ends: between records, and within one.
        pair.client.write(&[IoSlice::new(b"whole")]).unwrap();
        let mut failed = None;
        carry_once(&mut pair.client, &mut pair.server, usize::MAX, &mut failed);
        assert_eq!(read_all(&mut pair.server), (b"whole".to_vec(), Read::Nothing));
        pair.client.write(&[IoSlice::new(b"half")]).unwrap();
        let half = pair.client.output().len() - 1;
        carry_once(&mut pair.client, &mut pair.server, half, &mut failed);
        assert_eq!(read_all(&mut pair.server), (Vec::new(), Read::Nothing));
        pair.server.eof().unwrap();
        assert!(pair.server.readable());
        assert_eq!(read_all(&mut pair.server), (Vec::new(), Read::Cut));
    }
}

#[test]
fn rest_gives_memory_back_and_changes_nothing() {
    for mut pair in pairs() {
        for round in 0..3 {
            let plain = pattern(100_000 + round);
            assert!(send(&mut pair.client, &mut pair.server, &plain) == plain);
            pair.client.write(&[IoSlice::new(b"kept")]).unwrap();
            pair.client.rest();
            pair.server.rest();
            let mut failed = None;
            carry_once(&mut pair.client, &mut pair.server, 9, &mut failed);
            pair.server.rest();
            carry_once(&mut pair.client, &mut pair.server, usize::MAX, &mut failed);
            pair.server.rest();
            assert_eq!(read_all(&mut pair.server).0, b"kept");
        }
    }
}

/// One thing that may happen on a connection.
#[derive(Debug, Clone)]
enum Step {
    Write(bool, Vec<usize>),
    Carry(bool, usize),
    Read(bool, usize),
    Rest(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let size = || prop_oneof![0usize..40, 0usize..70_000];
    prop_oneof![
        (any::<bool>(), prop::collection::vec(size(), 0..5)).prop_map(|(who, sizes)| Step::Write(who, sizes)),
        (any::<bool>(), size()).prop_map(|(who, most)| Step::Carry(who, most)),
        (any::<bool>(), size()).prop_map(|(who, most)| Step::Read(who, most)),
        any::<bool>().prop_map(Step::Rest),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 60, ..Config::default() })]
    /// Writes in pieces, reads while writing, halves of records: each side reads what the other wrote.
    #[test]
    fn in_any_order(which in 0usize..4, steps in prop::collection::vec(step(), 0..60)) {
        let mut pairs = pairs();
        let which = which % pairs.len();
        let mut pair = pairs.swap_remove(which);
        let mut written = [Vec::new(), Vec::new()];
        let mut read = [Vec::new(), Vec::new()];
        let mut failed = None;
        let mut byte = 0u8;
        for step in steps {
            let who = match step { Step::Write(who, _) | Step::Carry(who, _) | Step::Read(who, _) | Step::Rest(who) => who };
            let (engine, other): (&mut Engine, &mut Engine) = match who {
                true => (&mut pair.server, &mut pair.client),
                false => (&mut pair.client, &mut pair.server),
            };
            match step {
                Step::Write(_, sizes) => {
                    let pieces: Vec<Vec<u8>> = sizes.iter().map(|size| {
                        (0..*size).map(|_| { byte = byte.wrapping_mul(5).wrapping_add(1); byte }).collect()
                    }).collect();
                    let slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
                    let n = engine.write(&slices).unwrap();
                    let all = pieces.concat();
                    prop_assert!(n == all.len() || engine.output().len() >= 256 << 10);
                    written[usize::from(who)].extend_from_slice(&all[..n]);
                }
                Step::Carry(_, most) => _ = carry_once(engine, other, most, &mut failed),
                Step::Read(_, most) => {
                    let mut buf = vec![0; most];
                    if let Read::Some(n) = engine.read(&mut buf).unwrap() {
                        prop_assert!(n > 0);
                        read[usize::from(!who)].extend_from_slice(&buf[..n]);
                    }
                }
                Step::Rest(_) => engine.rest(),
            }
            prop_assert_eq!(&failed, &None);
        }
        loop {
            let carried = carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed)
                + carry_once(&mut pair.client, &mut pair.server, usize::MAX, &mut failed);
            let (to_client, to_server) = (read_all(&mut pair.client).0, read_all(&mut pair.server).0);
            read[1].extend(&to_client);
            read[0].extend(&to_server);
            if carried + to_client.len() + to_server.len() == 0 {
                break;
            }
        }
        prop_assert_eq!(failed, None);
        prop_assert!(read == written);
    }
}
