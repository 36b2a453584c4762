// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the client half.

use nbd_proto::client::{Config, Decoded, Goal, Handshake, MAX_REPLY, Reply, Session, Step, Tls};
use nbd_proto::{Command, Request};

use super::Seen;

/// The first byte: bits 0-2 goal, 3-4 TLS, 5 no extended headers, 6 no structured replies, 7 no meta
/// contexts. The second: how many bytes are fed at a time, 0 for all. The rest is what the server says.
pub fn client(data: &[u8], seen: &mut Seen) {
    let [bits, chunk, input @ ..] = data else { return };
    let whole = run(*bits, usize::MAX, input, seen);
    let chunk = if *chunk == 0 { usize::MAX } else { usize::from(*chunk) };
    let pieces = run(*bits, chunk, input, seen);
    assert_eq!(whole, pieces, "how the input is cut must not matter");
    if let (Step::Done(session), _, taken) = whole {
        replies(&session, &input[taken..], seen);
    }
}

/// What the first byte means.
pub fn config(bits: u8) -> Config {
    let goals = [Goal::Go, Goal::ExportName, Goal::Info, Goal::List, Goal::ListContexts];
    let config = Config::new("disk")
        .goal(goals[usize::from(bits & 7) % goals.len()])
        .tls([Tls::Off, Tls::Preferred, Tls::Required][usize::from(bits >> 3 & 3) % 3])
        .extended_headers(bits & 32 == 0)
        .structured_replies(bits & 64 == 0);
    if bits & 128 == 0 { config.context("base:allocation") } else { config }
}

/// How it ended, all that the client said, and how much of the input it took.
fn run(bits: u8, chunk: usize, input: &[u8], seen: &mut Seen) -> (Step, Vec<u8>, usize) {
    let mut client = Handshake::new(config(bits));
    let (mut said, mut fed) = (Vec::new(), 0);
    loop {
        let step = client.step();
        seen.note("step", &step);
        match &step {
            Step::NeedInput if fed == input.len() => client.eof(),
            Step::NeedInput => {
                let taken = client.feed(&input[fed..input.len().min(fed.saturating_add(chunk))]);
                assert!(taken > 0, "input that is needed is taken");
                fed += taken;
            }
            Step::Send => said.extend(client.take_output()),
            Step::StartTls => client.tls_started(),
            Step::Event(event) => seen.note("event", event),
            Step::Failed(why) => {
                seen.note("failure", why);
                return (step, said, fed);
            }
            Step::Done(session) => {
                seen.note("mode", &session.mode());
                return (step, said, fed);
            }
            Step::Finished => return (step, said, fed),
        }
        assert!(said.len() <= 1 << 16, "a client has little to say");
    }
}

/// Requests of every kind are in flight: the cookie's low byte is the command.
pub fn lookup(cookie: u64) -> Option<Request> {
    let command = *Command::ALL.get((cookie & 0xff) as usize)?;
    (command != Command::Flush)
        .then(|| Request::new(cookie, command, 4096, 65536))
        .or(Some(Request::new(cookie, command, 0, 0)))
}

fn replies(session: &Session, mut rest: &[u8], seen: &mut Seen) {
    loop {
        match session.decode(rest, lookup) {
            Decoded::NeedInput(bytes) => {
                assert!(bytes > rest.len() && bytes <= MAX_REPLY, "needs {bytes} of {}", rest.len());
                return;
            }
            Decoded::Fatal(why) => {
                seen.note("fatal", &why);
                return;
            }
            Decoded::Reply { cookie, reply, consumed, .. } => {
                seen.note_text("received", &format!("{:?}_{reply:?}", session.mode()));
                let request = lookup(cookie).expect("only requests in flight are answered");
                let mut data = 0;
                match reply {
                    Reply::Data { offset, len } | Reply::Hole { offset, len } => {
                        assert!(len > 0 && offset >= request.offset);
                        assert!(offset + u64::from(len) <= request.offset + request.len);
                        data = if matches!(reply, Reply::Data { .. }) { len as usize } else { 0 };
                    }
                    Reply::Status { context, extents } => {
                        assert!(session.contexts().iter().any(|known| known.id == context));
                        assert!(extents.len() > 0 && extents.clone().all(|(len, _)| len > 0));
                    }
                    Reply::Error { code, message, .. } => assert!(code.0 != 0 && message.len() <= 4096),
                    Reply::Done => {}
                }
                assert!(consumed > 0, "decoding goes on");
                rest = &rest[rest.len().min(consumed + data)..];
            }
        }
    }
}
