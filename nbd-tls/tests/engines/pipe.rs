// SPDX-License-Identifier: BSD-3-Clause
//! Carries bytes between two engines.

use nbd_tls::{Acceptor, Connector, Engine, Error, Read};
use std::io::IoSlice;

/// A connection whose handshake is over, for good or ill.
pub struct Pair {
    pub server: Engine,
    pub client: Engine,
    /// The first failure of each.
    pub failed: (Option<Error>, Option<Error>),
}

impl Pair {
    pub fn new(acceptor: &Acceptor, connector: &Connector, host: &str) -> Pair {
        let (server, client) = (acceptor.accept().unwrap(), connector.connect(host).unwrap());
        let mut pair = Pair { server, client, failed: (None, None) };
        pair.carry();
        pair
    }

    /// Until nobody has anything to say.
    pub fn carry(&mut self) {
        for _ in 0..1000 {
            let to_server = carry_once(&mut self.client, &mut self.server, usize::MAX, &mut self.failed.0);
            let to_client = carry_once(&mut self.server, &mut self.client, usize::MAX, &mut self.failed.1);
            if to_server + to_client == 0 {
                return;
            }
        }
        panic!("the engines do not stop talking");
    }

    /// A handshake that worked.
    pub fn expect(self) -> Pair {
        assert_eq!(self.failed, (None, None));
        assert!(!self.server.is_handshaking() && !self.client.is_handshaking());
        self
    }
}

/// Moves up to `most` bytes; how many. What goes to an engine that has failed is lost.
pub fn carry_once(from: &mut Engine, to: &mut Engine, most: usize, failed: &mut Option<Error>) -> usize {
    let n = from.output().len().min(most);
    let taken = match to.feed(&from.output()[..n]) {
        Ok(taken) => taken,
        Err(error) => {
            failed.get_or_insert(error);
            n
        }
    };
    from.sent(taken);
    taken
}

/// Everything that can be read now.
pub fn read_all(engine: &mut Engine) -> (Vec<u8>, Read) {
    let (mut all, mut buf) = (Vec::new(), vec![0; 10_000]);
    loop {
        match engine.read(&mut buf).unwrap() {
            Read::Some(n) => all.extend_from_slice(&buf[..n]),
            other => return (all, other),
        }
    }
}

/// Writes all of it, and carries it over.
pub fn send(from: &mut Engine, to: &mut Engine, mut plain: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    let mut failed = None;
    while !plain.is_empty() || !from.output().is_empty() {
        let n = from.write(&[IoSlice::new(plain)]).unwrap();
        plain = &plain[n..];
        carry_once(from, to, usize::MAX, &mut failed);
        assert_eq!(failed, None);
        got.extend(read_all(to).0);
    }
    got
}
