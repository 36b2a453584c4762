// SPDX-License-Identifier: BSD-3-Clause
//! Requests against the server half: which error each fault gets, and which fault comes first.

use nbd_proto::server::{Config, Decoded, Fatal, Session};
use nbd_proto::wire::{Cmd, CommandFlags as F, ErrorCode as E, MAX_DISCARD, TransmissionFlags as T};
use nbd_proto::{Command, ContextSet, Mode, client};

use crate::fuzzed::pump::{Answers, sessions};

const SIZE: u64 = 1 << 33;

fn session(mode: Mode, flags: T) -> Session {
    let mut answers = Answers::everything();
    answers.export.flags = flags;
    answers.export.size = SIZE;
    let wanted = client::Config::new("disk")
        .structured_replies(mode != Mode::Simple)
        .extended_headers(mode == Mode::Extended)
        .context("base:allocation")
        .context("x-test:y");
    sessions(Config::default(), wanted, &answers).0
}

fn everything(mode: Mode) -> Session {
    session(mode, T::ALL.without(T::READ_ONLY))
}

/// A compact request.
fn compact(flags: F, command: Cmd, offset: u64, len: u32) -> Vec<u8> {
    let magic = 0x2560_9513u32.to_be_bytes();
    let head = [&magic[..], &flags.0.to_be_bytes(), &command.0.to_be_bytes(), &77u64.to_be_bytes()].concat();
    [head, offset.to_be_bytes().to_vec(), len.to_be_bytes().to_vec()].concat()
}

/// An extended request.
fn extended(flags: F, command: Cmd, offset: u64, len: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = compact(flags, command, offset, 0);
    bytes[..4].copy_from_slice(&0x21e4_1c71u32.to_be_bytes());
    bytes.truncate(24);
    [bytes, len.to_be_bytes().to_vec(), payload.to_vec()].concat()
}

/// The error and the payload to skip.
fn refused(session: &Session, bytes: &[u8]) -> (E, u32) {
    match session.decode(bytes) {
        Decoded::Refuse { refusal, .. } => (refusal.error, refusal.payload_to_skip),
        other => panic!("not refused: {other:?}"),
    }
}

fn accepted(session: &Session, bytes: &[u8]) -> nbd_proto::Request {
    match session.decode(bytes) {
        Decoded::Request { request, consumed } => {
            assert_eq!(consumed, bytes.len());
            request
        }
        other => panic!("refused: {other:?}"),
    }
}

#[test]
fn every_command_arrives() {
    for mode in [Mode::Structured, Mode::Extended] {
        let session = everything(mode);
        for command in Command::ALL {
            let (offset, len) = if command == Command::Flush { (0, 0) } else { (4096, 512) };
            let cmd = command.to_wire();
            let bytes = match mode {
                Mode::Extended if command == Command::Write => {
                    extended(F::PAYLOAD_LEN, cmd, offset, len, &[])
                }
                Mode::Extended => extended(F::NONE, cmd, offset, len, &[]),
                _ => compact(F::NONE, cmd, offset, len as u32),
            };
            let request = accepted(&session, &bytes);
            assert_eq!((request.command, request.cookie), (command, 77));
            assert_eq!((request.offset, request.len, request.flags), (offset, len, F::NONE));
            assert_eq!(request.payload(), if command == Command::Write { 512 } else { 0 });
            for short in 0..bytes.len() {
                assert_eq!(session.decode(&bytes[..short]), Decoded::NeedInput(session.request_size()));
            }
        }
    }
}

#[test]
fn read_only_comes_first() {
    let session = session(Mode::Structured, T::ALL);
    for cmd in [Cmd::WRITE, Cmd::TRIM, Cmd::WRITE_ZEROES] {
        let skip = if cmd == Cmd::WRITE { 9 } else { 0 };
        assert_eq!(refused(&session, &compact(F(0xff00), cmd, u64::MAX, 9)), (E::EPERM, skip), "{cmd}");
    }
    accepted(&session, &compact(F::NONE, Cmd::READ, 0, 1));
    accepted(&session, &compact(F::NONE, Cmd::FLUSH, 0, 0));
    accepted(&session, &compact(F::NONE, Cmd::CACHE, 0, 1));
}

#[test]
fn the_range_comes_next() {
    let session = everything(Mode::Structured);
    let ranges = [(0, 0), (SIZE, 1), (SIZE - 1, 2), (SIZE + 1, 1), (u64::MAX, 1), (u64::MAX, u32::MAX)];
    for (offset, len) in ranges {
        for cmd in [Cmd::READ, Cmd::TRIM, Cmd::CACHE, Cmd::BLOCK_STATUS] {
            assert_eq!(
                refused(&session, &compact(F(0xff00), cmd, offset, len)).0,
                E::EINVAL,
                "{cmd} {offset} {len}"
            );
        }
        assert_eq!(refused(&session, &compact(F(0xff00), Cmd::WRITE_ZEROES, offset, len)).0, E::ENOSPC);
        if len != u32::MAX {
            assert_eq!(refused(&session, &compact(F(0xff00), Cmd::WRITE, offset, len)), (E::ENOSPC, len));
        }
    }
    accepted(&session, &compact(F::NONE, Cmd::READ, SIZE - 1, 1));
    assert_eq!(
        refused(&session, &compact(F::NONE, Cmd::READ, SIZE - 1, u32::MAX)).0,
        E::EINVAL,
        "before the size"
    );
    for (offset, len) in [(1, 0), (0, 1)] {
        assert_eq!(refused(&session, &compact(F::NONE, Cmd::FLUSH, offset, len)).0, E::EINVAL);
    }
}

#[test]
fn then_the_size_of_reads_and_writes() {
    let max = 64 << 20;
    for mode in [Mode::Simple, Mode::Structured] {
        let session = everything(mode);
        assert_eq!(refused(&session, &compact(F::NONE, Cmd::READ, 0, max + 1)), (E::ENOMEM, 0));
        assert_eq!(refused(&session, &compact(F::NONE, Cmd::WRITE, 0, max + 1)), (E::ENOMEM, max + 1));
        accepted(&session, &compact(F::NONE, Cmd::READ, 0, max));
        accepted(&session, &compact(F::NONE, Cmd::WRITE, 0, max));
        for cmd in [Cmd::TRIM, Cmd::WRITE_ZEROES, Cmd::CACHE] {
            assert_eq!(accepted(&session, &compact(F::NONE, cmd, 0, u32::MAX)).len, u64::from(u32::MAX));
        }
    }
    let both = compact(F::REQ_ONE, Cmd::READ, 0, max + 1);
    assert_eq!(
        refused(&everything(Mode::Structured), &both).0,
        E::EINVAL,
        "but the flags come before the size"
    );
    let session = everything(Mode::Extended);
    assert_eq!(refused(&session, &extended(F::NONE, Cmd::READ, 0, SIZE, &[])), (E::EOVERFLOW, 0));
    for cmd in [Cmd::TRIM, Cmd::WRITE_ZEROES, Cmd::CACHE, Cmd::BLOCK_STATUS] {
        assert_eq!(accepted(&session, &extended(F::NONE, cmd, 0, SIZE, &[])).len, SIZE);
    }
}

#[test]
fn payload_that_nobody_wants_to_discard() {
    let session = everything(Mode::Simple);
    assert_eq!(refused(&session, &compact(F::NONE, Cmd::WRITE, 0, MAX_DISCARD)), (E::ENOMEM, MAX_DISCARD));
    let too_long = |len| Decoded::Fatal(Fatal::PayloadTooLong { command: Cmd::WRITE, len });
    let len = MAX_DISCARD + 1;
    assert_eq!(session.decode(&compact(F::NONE, Cmd::WRITE, 0, len)), too_long(len.into()));
    let session = everything(Mode::Extended);
    for len in [u64::from(len), 1 << 32, u64::MAX] {
        assert_eq!(session.decode(&extended(F::PAYLOAD_LEN, Cmd::WRITE, 0, len, &[])), too_long(len));
    }
}

#[test]
fn flags_belong_to_their_commands() {
    let all = everything(Mode::Structured);
    for cmd in [Cmd::READ, Cmd::WRITE, Cmd::TRIM, Cmd::CACHE, Cmd::WRITE_ZEROES, Cmd::BLOCK_STATUS] {
        for (flag, owner) in [
            (F::NO_HOLE, Cmd::WRITE_ZEROES),
            (F::FAST_ZERO, Cmd::WRITE_ZEROES),
            (F::DF, Cmd::READ),
            (F::REQ_ONE, Cmd::BLOCK_STATUS),
        ] {
            let bytes = compact(flag, cmd, 0, 512);
            if cmd == owner {
                assert_eq!(accepted(&all, &bytes).flags, flag);
            } else {
                assert_eq!(refused(&all, &bytes).0, E::EINVAL, "{flag} on {cmd}");
            }
        }
        assert_eq!(accepted(&all, &compact(F::FUA, cmd, 0, 512)).flags, F::FUA);
        for flag in [F::PAYLOAD_LEN, F(64), F(0x8000)] {
            assert_eq!(refused(&all, &compact(flag, cmd, 0, 512)).0, E::EINVAL, "{flag} on {cmd}");
        }
    }
    assert_eq!(refused(&everything(Mode::Simple), &compact(F::DF, Cmd::READ, 0, 512)).0, E::EINVAL);
    let no_fua = session(Mode::Structured, T::ALL.without(T::READ_ONLY | T::SEND_FUA | T::SEND_FAST_ZERO));
    assert_eq!(refused(&no_fua, &compact(F::FUA, Cmd::READ, 0, 512)).0, E::EINVAL);
    assert_eq!(refused(&no_fua, &compact(F::FUA, Cmd::WRITE, 0, 512)), (E::EINVAL, 512));
    assert_eq!(refused(&no_fua, &compact(F::FAST_ZERO, Cmd::WRITE_ZEROES, 0, 512)).0, E::EINVAL);
}

#[test]
fn what_was_not_advertised_is_refused() {
    let session = session(Mode::Simple, T::NONE);
    for cmd in [Cmd::TRIM, Cmd::CACHE, Cmd::WRITE_ZEROES, Cmd::BLOCK_STATUS] {
        assert_eq!(refused(&session, &compact(F::NONE, cmd, 0, 512)).0, E::EINVAL, "{cmd}");
    }
    assert_eq!(refused(&session, &compact(F::NONE, Cmd::FLUSH, 0, 0)).0, E::EINVAL);
    for cmd in [Cmd::RESIZE, Cmd(9), Cmd(0xffff)] {
        assert_eq!(refused(&session, &compact(F::NONE, cmd, 0, 512)), (E::EINVAL, 0), "{cmd}");
    }
    accepted(&session, &compact(F::NONE, Cmd::WRITE, 0, 512));
}

#[test]
fn disconnect_and_bad_magic() {
    for mode in [Mode::Simple, Mode::Extended] {
        let session = everything(mode);
        let len = session.request_size();
        let bytes = match mode {
            Mode::Extended => extended(F::NONE, Cmd::DISC, 0, 0, &[]),
            _ => compact(F::NONE, Cmd::DISC, 0, 0),
        };
        assert_eq!(session.decode(&bytes), Decoded::Disconnect { consumed: len });
        let other = if mode == Mode::Extended { 0x2560_9513u32 } else { 0x21e4_1c71 };
        let fatal = session.decode(&other.to_be_bytes());
        assert!(
            matches!(fatal, Decoded::Fatal(Fatal::BadMagic { found, .. }) if found == other),
            "{fatal:?}"
        );
    }
}

#[test]
fn extended_payloads_are_flagged() {
    let session = everything(Mode::Extended);
    let unflagged = accepted(&session, &extended(F::NONE, Cmd::WRITE, 0, 512, &[]));
    assert_eq!(unflagged.payload(), 512, "a write has a payload even where the client forgot the flag");
    assert_eq!(refused(&session, &extended(F::NONE, Cmd::WRITE, 1 << 40, 512, &[])), (E::ENOSPC, 512));
    for cmd in [Cmd::READ, Cmd::TRIM, Cmd::CACHE, Cmd::WRITE_ZEROES, Cmd::FLUSH, Cmd(99)] {
        assert_eq!(refused(&session, &extended(F::PAYLOAD_LEN, cmd, 0, 512, &[])), (E::EINVAL, 512), "{cmd}");
    }
    let write = extended(F::PAYLOAD_LEN | F::FUA, Cmd::WRITE, 0, 512, &[]);
    assert_eq!(accepted(&session, &write).flags, F::FUA);
}

#[test]
fn block_status_may_choose_contexts() {
    let session = everything(Mode::Extended);
    let status = |len: u64, ids: &[u32]| {
        let ids: Vec<u8> = ids.iter().flat_map(|id| id.to_be_bytes()).collect();
        let payload = [&len.to_be_bytes()[..], &ids].concat();
        extended(F::PAYLOAD_LEN | F::REQ_ONE, Cmd::BLOCK_STATUS, 512, payload.len() as u64, &payload)
    };
    let request = accepted(&session, &status(1 << 32, &[3]));
    assert_eq!((request.offset, request.len, request.flags), (512, 1 << 32, F::REQ_ONE));
    assert_eq!(session.contexts_of(&request).map(|context| context.id).collect::<Vec<_>>(), [3]);
    assert_eq!(accepted(&session, &status(1, &[3, 1])).contexts, ContextSet::NONE.with(0).with(1));
    let whole = status(1, &[3, 1]);
    for short in 32..whole.len() {
        assert_eq!(session.decode(&whole[..short]), Decoded::NeedInput(whole.len()));
    }
    // Read and refused.
    for bad in [status(1, &[2]), status(1, &[3, 3]), status(0, &[1]), status(SIZE, &[1])] {
        let Decoded::Refuse { refusal, consumed } = session.decode(&bad) else { panic!("accepted") };
        assert_eq!((refusal.error, refusal.payload_to_skip, consumed), (E::EINVAL, 0, bad.len()));
    }
    // Not even read: none, too many, odd, short.
    for len in [8, 8 + 4 * 3, 13, 7, 4, 1, 1000] {
        let bytes = extended(F::PAYLOAD_LEN, Cmd::BLOCK_STATUS, 512, len, &[0; 1000]);
        assert_eq!(refused(&session, &bytes), (E::EINVAL, len as u32), "{len}");
    }
    // A length of 0 with the flag is no payload, and no range either.
    assert_eq!(refused(&session, &extended(F::PAYLOAD_LEN, Cmd::BLOCK_STATUS, 512, 0, &[])), (E::EINVAL, 0));
}
