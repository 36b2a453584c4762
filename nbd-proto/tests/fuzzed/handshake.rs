// SPDX-License-Identifier: BSD-3-Clause
//! Any client against the server half of the handshake.

use nbd_proto::server::{Config, Handshake, Step, Style, Tls};
use nbd_proto::wire::{HandshakeFlags, Opt, Rep};

use super::Seen;
use super::pump::Answers;

/// The first byte: bits 0-1 TLS, 2 oldstyle, 3 mask the handshake flags, 4 no structured replies, 5 no meta
/// contexts, 6 no extended headers, 7 refuse every question. The second: how many bytes are fed at a time, 0
/// for all. The rest is what the client says.
pub fn handshake(data: &[u8], seen: &mut Seen) {
    let [bits, chunk, input @ ..] = data else { return };
    let whole = run(*bits, usize::MAX, input, seen);
    let chunk = if *chunk == 0 { usize::MAX } else { usize::from(*chunk) };
    let pieces = run(*bits, chunk, input, seen);
    assert_eq!(whole, pieces, "how the input is cut must not matter");
    replies(&whole.1, seen);
}

fn config(bits: u8) -> Config {
    let off = |bit: u8| bits >> bit & 1 == 0;
    let mut config = Config::default()
        .tls([Tls::Off, Tls::Unsupported, Tls::Allowed, Tls::Required][usize::from(bits & 3)])
        .structured_replies(off(4))
        .meta_contexts(off(5))
        .extended_headers(off(6));
    if !off(2) {
        config = config.style(Style::Oldstyle);
    }
    if !off(3) {
        config = config.handshake_flags(HandshakeFlags::NONE);
    }
    config
}

/// How it ended, all that the server said, and how much of the input it took.
fn run(bits: u8, chunk: usize, input: &[u8], seen: &mut Seen) -> (Step, Vec<u8>, usize) {
    let mut answers = Answers::everything();
    if bits >> 7 != 0 {
        answers.refuse = Some((Rep::ERR_POLICY, "no"));
    }
    let mut server = Handshake::new(config(bits));
    let (mut said, mut fed) = (Vec::new(), 0);
    loop {
        let step = server.step();
        assert_eq!(step, server.step(), "asking twice changes nothing");
        seen.note("step", &step);
        match &step {
            Step::NeedInput if fed == input.len() => server.eof(),
            Step::NeedInput => {
                let taken = server.feed(&input[fed..input.len().min(fed.saturating_add(chunk))]);
                assert!(taken > 0, "input that is needed is taken");
                fed += taken;
            }
            Step::Send => said.extend(server.take_output()),
            Step::StartTls => server.tls_started(),
            Step::Ask(ask) => {
                seen.note("ask", ask);
                answers.answer(&mut server, ask);
            }
            Step::Done(session) => {
                seen.note("mode", &session.mode());
                assert_eq!(server.feed(&[0]), 0, "what comes after belongs to the session");
                return (step, said, fed);
            }
            Step::Abort(why) => {
                seen.note("abort", why);
                return (step, said, fed);
            }
        }
        assert!(said.len() <= 1 << 20 || said.len() <= 64 * input.len(), "answers stay in proportion");
    }
}

/// Notes the option replies among what the server said; stops where something else begins.
fn replies(said: &[u8], seen: &mut Seen) {
    let mut rest = said.get(18..).unwrap_or_default();
    while rest.len() >= 20 && rest[..8] == nbd_proto::wire::OPTION_REPLY.to_be_bytes() {
        let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
        seen.note("reply", &Rep(word(12)));
        seen.note("option", &Opt(word(8)));
        rest = &rest[20 + word(16) as usize..];
    }
}
