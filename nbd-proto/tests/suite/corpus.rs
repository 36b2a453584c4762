// SPDX-License-Identifier: BSD-3-Clause
//! Replays the corpus of the fuzz targets, and proves that it reaches everything there is.
//!
//! `cargo test -p nbd-proto --test suite -- --ignored write_corpus` writes the [seeds](crate::seeds) to
//! `fuzz/corpus/`. Inputs that a fuzzer found may lie beside them under names of their own.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use nbd_proto::Command;
use nbd_proto::wire::{Cmd, Opt, Rep};

use crate::fuzzed::{self, Seen};
use crate::seeds;

fn folder(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn replay(target: &str, function: fn(&[u8], &mut Seen)) -> BTreeSet<String> {
    let mut seen = Seen::default();
    let folder = folder(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        function(&fs::read(entry.unwrap().path()).unwrap(), &mut seen);
    }
    seen.0
}

/// Everything under each heading.
fn everything(lists: &[(&str, &[&str])]) -> BTreeSet<String> {
    lists
        .iter()
        .flat_map(|(heading, names)| names.iter().map(move |name| format!("{heading} {name}")))
        .collect()
}

fn compare(seen: &BTreeSet<String>, wanted: &BTreeSet<String>) {
    let missing: Vec<_> = wanted.difference(seen).collect();
    let unknown: Vec<_> = seen.difference(wanted).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "not reached: {missing:?}; not listed: {unknown:?}");
}

#[test]
fn handshake_reaches_everything() {
    let mut wanted = everything(&[
        ("step", &["NeedInput", "Send", "StartTls", "Ask", "Done", "Abort"]),
        ("ask", &["List", "Info", "Go", "ExportName", "Contexts"]),
        ("mode", &["Simple", "Structured", "Extended"]),
        (
            "abort",
            &["Client", "Eof", "EofInMessage", "ClientFlags", "BadMagic", "OptionTooLong", "TooManyOptions"],
        ),
        ("abort", &["BadExportName", "TlsRequired", "ExportNameExtended", "Refused"]),
        ("option", &["unknown"]),
    ]);
    // NBD_OPT_EXPORT_NAME has no option reply.
    let options = Opt::ALL.iter().filter(|option| **option != Opt::EXPORT_NAME);
    wanted.extend(options.map(|option| format!("option {option}")));
    // These are the driver's to send.
    let drivers = [Rep::ERR_PLATFORM, Rep::ERR_UNKNOWN, Rep::ERR_SHUTDOWN, Rep::ERR_BLOCK_SIZE_REQD];
    let replies = Rep::ALL.iter().filter(|reply| !drivers.contains(reply));
    wanted.extend(replies.map(|reply| format!("reply {reply}")));
    compare(&replay("handshake", fuzzed::handshake::handshake), &wanted);
}

#[test]
fn transmission_reaches_everything() {
    let chunks = ["NONE", "OFFSET_DATA", "OFFSET_HOLE", "ERROR", "ERROR_OFFSET"];
    let mut wanted = everything(&[
        ("decoded", &["NeedInput", "Request", "Refuse", "Disconnect", "Fatal"]),
        ("fatal", &["BadMagic", "PayloadTooLong"]),
        ("refused", &["NBD_EPERM", "NBD_EINVAL", "NBD_ENOSPC", "NBD_ENOMEM", "NBD_EOVERFLOW"]),
        (
            "sent",
            &["SIMPLE", "Structured_NBD_REPLY_TYPE_BLOCK_STATUS", "Extended_NBD_REPLY_TYPE_BLOCK_STATUS_EXT"],
        ),
    ]);
    wanted.extend(Command::ALL.iter().map(|command| format!("command {command:?}")));
    let refused = Cmd::ALL.iter().filter(|command| **command != Cmd::DISC);
    wanted.extend(refused.map(|command| format!("refused {command}")));
    for mode in ["Structured", "Extended"] {
        wanted.extend(chunks.iter().map(|chunk| format!("sent {mode}_NBD_REPLY_TYPE_{chunk}")));
    }
    compare(&replay("transmission", fuzzed::transmission::transmission), &wanted);
}

#[test]
fn client_reaches_everything() {
    let wanted = everything(&[
        ("step", &["NeedInput", "Send", "StartTls", "Event", "Done", "Finished", "Failed"]),
        ("event", &["Export", "Context", "Info", "Refused"]),
        ("mode", &["Simple", "Structured", "Extended"]),
        ("failure", &["Eof", "NoSuchExport", "NotNbd", "UnknownStyle", "NoOptions", "Refused", "BadReply"]),
        ("received", &["Simple_Done", "Simple_Error", "Simple_Data"]),
        (
            "received",
            &[
                "Structured_Done",
                "Structured_Error",
                "Structured_Data",
                "Structured_Hole",
                "Structured_Status",
            ],
        ),
        (
            "received",
            &["Extended_Done", "Extended_Error", "Extended_Data", "Extended_Hole", "Extended_Status"],
        ),
        (
            "fatal",
            &["BadMagic", "UnknownCookie", "UnexpectedChunk", "UnexpectedSimple", "BadLength", "BadContent"],
        ),
    ]);
    compare(&replay("client", fuzzed::client::client), &wanted);
}

/// The seeds are what lies in the corpus.
#[test]
fn corpus_is_up_to_date() {
    for (target, seeds) in seeds::all() {
        for (name, bytes) in seeds {
            let path = folder(target).join(&name);
            assert!(fs::read(&path).ok().as_deref() == Some(&bytes), "{}: run write_corpus", path.display());
        }
    }
}

#[test]
#[ignore = "writes the corpus"]
fn write_corpus() {
    for (target, seeds) in seeds::all() {
        fs::create_dir_all(folder(target)).unwrap();
        seeds.iter().for_each(|(name, bytes)| fs::write(folder(target).join(name), bytes).unwrap());
    }
}
