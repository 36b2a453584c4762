// SPDX-License-Identifier: BSD-3-Clause
//! Peers that send garbage, forge, mutilate or vanish: an error, never a panic, and nothing without a bound.

use crate::{
    pipe::{Pair, carry_once, read_all},
    pki::{LEAF, Pki},
};
use nbd_tls::{Acceptor, Connector, Engine, ErrorKind, Read};
use proptest::{prelude::*, test_runner::Config};
use std::{io::IoSlice, sync::LazyLock};

/// Made once: the cases are many.
static HALVES: LazyLock<Vec<(Acceptor, Connector)>> = LazyLock::new(|| {
    let pki = Pki::new("CA");
    let certificates = ["NORMAL:-VERS-TLS1.3", "NORMAL:-VERS-TLS1.2"]
        .map(|priority| (pki.acceptor(&LEAF, true, priority), pki.connector(Some(&LEAF), true, priority)))
        .into_iter();
    #[cfg(feature = "psk")]
    let certificates = certificates.chain(crate::psk::halves());
    certificates.collect()
});

fn engines() -> Vec<Engine> {
    HALVES
        .iter()
        .flat_map(|(acceptor, connector)| {
            [acceptor.accept().unwrap(), connector.connect("localhost").unwrap()]
        })
        .collect()
}

#[test]
fn what_is_not_tls() {
    for mut engine in engines() {
        engine.sent(usize::MAX);
        let error = engine.feed(b"IHAVEOPT\0\0\0\x03\0\0\0\0").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains("sent what is not TLS"), "{error}");
        // It stays so, and says so each time.
        assert_eq!(engine.feed(b"x").unwrap_err(), error);
        assert_eq!(engine.read(&mut [0; 9]).unwrap_err(), error);
        assert_eq!(engine.write(&[IoSlice::new(b"x")]).unwrap_err(), error);
        assert_eq!(engine.eof().unwrap_err(), error);
        engine.close();
        assert!(engine.is_handshaking() && engine.session().is_none());
    }
}

/// The transport ends at every byte of the handshake.
#[test]
fn vanishing_peers() {
    for (acceptor, connector) in HALVES.iter() {
        for after in (0..).step_by(41) {
            let (mut server, mut client) =
                (acceptor.accept().unwrap(), connector.connect("localhost").unwrap());
            let (mut left, mut failed) = (after, None);
            while left > 0 {
                let n = carry_once(&mut client, &mut server, left, &mut failed);
                let m = carry_once(&mut server, &mut client, left - n, &mut failed);
                if n + m == 0 {
                    break;
                }
                left -= n + m;
            }
            assert_eq!(failed, None);
            if left > 0 {
                assert!(after > 300);
                break; // all of it went through
            }
            for engine in [&mut server, &mut client] {
                match engine.is_handshaking() {
                    true => {
                        let error = engine.eof().unwrap_err();
                        assert_eq!(error.kind(), ErrorKind::Cut);
                        assert_eq!(error.to_string(), "connection closed during the TLS handshake");
                    }
                    false => {
                        engine.eof().unwrap();
                        assert_eq!(engine.read(&mut [0; 9]).unwrap(), Read::Cut);
                    }
                }
            }
        }
    }
}

/// Messages of the handshake in crumbs, that never end.
#[test]
fn crumbs_are_bounded() {
    for (i, mut engine) in engines().into_iter().enumerate() {
        engine.sent(usize::MAX);
        // Record: handshake, one byte each; first the head of a hello of 60000 bytes.
        let first = if i % 2 == 0 { 1 } else { 2 };
        let head = [first, 0, 0xea, 0x60];
        let mut fed = 0usize;
        let error = loop {
            let byte = head.get(fed).copied().unwrap_or(0);
            match engine.feed(&[22, 3, 3, 0, 1, byte]) {
                Ok(n) => assert_eq!(n, 6),
                Err(error) => break error,
            }
            fed += 1;
            assert!(fed < 100_000, "it is taken without end");
        };
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
}

/// Records that were valid, with one bit of them changed: no plaintext but what came before.
#[test]
fn forged_records() {
    for (acceptor, connector) in HALVES.iter() {
        // Not the type and the version in the head of the record, which say nothing in TLS 1.3.
        for bit in (3 * 8..40 * 8).step_by(7) {
            let mut pair = Pair::new(acceptor, connector, "localhost").expect();
            pair.client.write(&[IoSlice::new(b"good")]).unwrap();
            let good = pair.client.output().len();
            pair.client.write(&[IoSlice::new(b"forged record")]).unwrap();
            let mut bytes = pair.client.output().to_vec();
            let at = (good + bit / 8).min(bytes.len() - 1);
            bytes[at] ^= 1 << (bit % 8);
            // A length that grew needs bytes that never come.
            bytes.extend([0; 70_000]);
            let fed = pair.server.feed(&bytes);
            let mut buf = [0; 100];
            assert_eq!(pair.server.read(&mut buf), Ok(Read::Some(4)), "bit {bit}: {fed:?}");
            let error = pair.server.read(&mut buf).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
            // The peer is told why.
            let mut failed = None;
            assert!(carry_once(&mut pair.server, &mut pair.client, usize::MAX, &mut failed) > 0);
            assert_eq!(failed.unwrap().kind(), ErrorKind::Alert);
        }
    }
}

/// Two records that change places are as bad as forged ones; so is one that comes twice.
#[test]
fn replayed_records() {
    for (acceptor, connector) in HALVES.iter() {
        let mut pair = Pair::new(acceptor, connector, "localhost").expect();
        pair.client.write(&[IoSlice::new(b"once")]).unwrap();
        let record = pair.client.output().to_vec();
        assert_eq!(pair.server.feed(&record), Ok(record.len()));
        assert_eq!(read_all(&mut pair.server).0, b"once");
        assert_eq!(pair.server.feed(&record).unwrap_err().kind(), ErrorKind::Protocol);
    }
}

proptest! {
    #![proptest_config(Config { cases: 256, ..Config::default() })]

    /// Anything at all.
    #[test]
    fn garbage(which in 0usize..8, pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20)) {
        let mut engines = engines();
        let which = which % engines.len();
        let engine = &mut engines[which];
        // Half of them look like records of the handshake.
        for mut piece in pieces {
            if piece.len() > 5 && piece[0] % 2 == 0 {
                let len = u16::try_from(piece.len() - 5).unwrap().to_be_bytes();
                let kind = 20 + piece[0] % 4;
                piece[..5].copy_from_slice(&[kind, 3, 3, len[0], len[1]]);
            }
            if engine.feed(&piece).is_err() {
                break;
            }
        }
        prop_assert!(engine.is_handshaking());
        prop_assert!(engine.output().len() < 100_000);
        prop_assert!(engine.eof().is_err());
    }

    /// A handshake in which a few bytes are changed, lost or doubled: it works, or fails on both sides; nobody panics.
    #[test]
    fn mutilated_handshakes(which in 0usize..4, flight in 0usize..6, at in any::<prop::sample::Index>(), how in 0u8..4, value in any::<u8>()) {
        let (acceptor, connector) = &HALVES[which % HALVES.len()];
        let (mut server, mut client) = (acceptor.accept().unwrap(), connector.connect("localhost").unwrap());
        let mut broken = false;
        for round in 0..12 {
            let (from, to) = match round % 2 { 0 => (&mut client, &mut server), _ => (&mut server, &mut client) };
            let mut bytes = from.output().to_vec();
            from.sent(bytes.len());
            if round == flight && !bytes.is_empty() {
                let at = at.index(bytes.len());
                match how {
                    0 => bytes[at] ^= value,
                    1 => _ = bytes.remove(at),
                    2 => bytes.insert(at, value),
                    _ => bytes.truncate(at),
                }
            }
            broken |= to.feed(&bytes).is_err();
        }
        let (one, two) = (server.eof(), client.eof());
        prop_assert!(!broken || one.is_err() || two.is_err());
    }
}
