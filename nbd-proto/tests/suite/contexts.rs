// SPDX-License-Identifier: BSD-3-Clause
//! The two options about meta contexts, against the server half.

use nbd_proto::server::{Config, Step};
use nbd_proto::wire::{Opt, Rep};

use crate::raw::{Raw, contexts, info, message};

#[test]
fn contexts_need_chunks_to_be_set() {
    let mut raw = Raw::new(Config::default());
    let query = contexts(b"disk", &[b"base:allocation"]);
    assert_eq!(raw.one(Opt::SET_META_CONTEXT, &query), Rep::ERR_INVALID);
    let listed = raw.option(Opt::LIST_META_CONTEXT, &query);
    assert_eq!(listed[0], (Rep::META_CONTEXT, b"\0\0\0\0base:allocation".to_vec()));
    let mut raw = Raw::new(Config::default().meta_contexts(false));
    assert_eq!(raw.one(Opt::LIST_META_CONTEXT, &query), Rep::ERR_UNSUP);
    assert_eq!(raw.one(Opt::SET_META_CONTEXT, &query), Rep::ERR_UNSUP);
}

#[test]
fn contexts_are_for_one_export_and_the_last_selection() {
    let session = |options: &[(Opt, Vec<u8>)], name: &[u8]| {
        let mut raw = Raw::new(Config::default());
        raw.one(Opt::STRUCTURED_REPLY, &[]);
        options.iter().for_each(|(option, payload)| drop(raw.option(*option, payload)));
        match raw.say(&message(Opt::GO, &info(name, &[]))).0 {
            Step::Done(session) => session.contexts().iter().map(|context| context.id).collect::<Vec<_>>(),
            step => panic!("{step:?}"),
        }
    };
    let set = |queries: &[&[u8]]| (Opt::SET_META_CONTEXT, contexts(b"disk", queries));
    let both = set(&[b"x-test:y", b"base:allocation", b"x-test:y"]);
    assert_eq!(session(std::slice::from_ref(&both), b"disk"), [1, 3]);
    assert!(session(std::slice::from_ref(&both), b"other").is_empty());
    assert!(session(&[both.clone(), set(&[])], b"disk").is_empty());
    assert!(session(&[set(&[b"base:", b"x-test:"])], b"disk").is_empty(), "no wildcards in a selection");
    let broken = (Opt::SET_META_CONTEXT, b"broken".to_vec());
    assert!(session(&[both.clone(), broken], b"disk").is_empty(), "one that fails also replaces");
    let huge = (Opt::SET_META_CONTEXT, vec![0; 20_000]);
    assert!(session(&[both.clone(), huge], b"disk").is_empty());
    let list = (Opt::LIST_META_CONTEXT, contexts(b"other", &[]));
    assert_eq!(session(&[both, list], b"disk"), [1, 3], "listing changes nothing");
}

#[test]
fn malformed_contexts() {
    let good = contexts(b"disk", &[b"base:allocation", b"x:"]);
    for option in [Opt::LIST_META_CONTEXT, Opt::SET_META_CONTEXT] {
        for bad in (0..good.len()).map(|len| good[..len].to_vec()).chain([[&good[..], b"x"].concat()]) {
            let mut raw = Raw::new(Config::default());
            raw.one(Opt::STRUCTURED_REPLY, &[]);
            assert_eq!(raw.one(option, &bad), Rep::ERR_INVALID, "{bad:?}");
        }
        let mut raw = Raw::new(Config::default());
        raw.one(Opt::STRUCTURED_REPLY, &[]);
        assert_eq!(raw.one(option, &contexts(b"a\0b", &[])), Rep::ERR_INVALID);
        assert_eq!(raw.one(option, &[0; 20_000]), Rep::ERR_TOO_BIG);
    }
}

#[test]
fn at_most_32_contexts() {
    let mut raw = Raw::new(Config::default());
    raw.answers.contexts = (0..40).map(|n| &*Box::leak(format!("x-many:{n}").into_boxed_str())).collect();
    assert_eq!(raw.option(Opt::LIST_META_CONTEXT, &contexts(b"", &[])).len(), 33);
}
