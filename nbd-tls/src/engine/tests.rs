// SPDX-License-Identifier: BSD-3-Clause
use super::*;

/// Answers every byte by one, as OpenSSL answers each update of keys.
struct Answers;

impl Library for Answers {
    fn advance(&mut self, wire: &mut Wire, _: &mut [u8], _: &mut usize) -> Result<State, Error> {
        wire.output.append(wire.input.filled());
        wire.input.clear();
        Ok(State::Open)
    }

    fn encrypt(&mut self, wire: &mut Wire, plain: &[u8]) -> Result<(), Error> {
        wire.output.append(plain);
        Ok(())
    }

    fn close(&mut self, _: &mut Wire) {}

    fn session(&self) -> Session {
        Session { version: "TLS1.3", cipher: String::new(), certificate: None, psk_identity: None }
    }

    fn rest(&mut self) {}
}

#[test]
fn answers_that_nobody_reads_are_bounded() {
    let mut engine = Engine::new(Answers).unwrap();
    let error = (0..1000).find_map(|_| engine.feed(&[0; 4096]).err()).expect("it is answered without end");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(engine.output().len() <= MOST_ANSWERS + MOST_INPUT, "{}", engine.output().len());
}

#[test]
fn whoever_reads_gets_them_all() {
    let mut engine = Engine::new(Answers).unwrap();
    for _ in 0..1000 {
        assert_eq!(engine.feed(&[0; 4096]).unwrap(), 4096);
        engine.sent(4096);
        assert!(engine.output().is_empty());
    }
    // Nor is it a fault of the peer that we have much to say.
    while engine.write(&[IoSlice::new(&[1; 100_000])]).unwrap() > 0 {}
    assert_eq!(engine.feed(&[0; 4096]).unwrap(), 4096);
}
