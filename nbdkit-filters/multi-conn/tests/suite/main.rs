// SPDX-License-Identifier: BSD-3-Clause
//! What one connection writes and flushes, all see; and no flush is done that nobody needs.
#![allow(clippy::unwrap_used)]

mod behind;
mod concurrent;

use behind::{Chain, Client};
use nbdkit_filter::{testing::Bench, *};
use nbdkit_multi_conn_filter::MultiConn;
use nbdkit_plugin::conformance::{Content, Kit};

const EMULATE: (&str, &str) = ("multi-conn-mode", "emulate");
const FAST: (&str, &str) = ("multi-conn-track-dirty", "fast");
const OFF: (&str, &str) = ("multi-conn-track-dirty", "off");
const BY_NAME: (&str, &str) = ("multi-conn-exportname", "true");

#[test]
fn a_flush_on_any_connection_shows_the_writes_of_all() {
    for track in ["connection", "conn", "fast", "off"] {
        let chain = Chain::new(&[EMULATE, ("multi-conn-track-dirty", track)]);
        let [one, two, three] = [1, 2, 3].map(|number| chain.connect(number, ""));
        assert_eq!([one.read(0), two.read(0), three.read(0)], [0; 3], "in all caches now");
        one.write(0, 7);
        assert_eq!([one.read(0), two.read(0), chain.stored(0)], [7, 0, 0], "each has its own cache");
        three.flush().unwrap();
        assert_eq!(chain.stored(0), 7, "durable");
        assert_eq!([one.read(0), two.read(0), three.read(0)], [7; 3], "{track}: visible");
    }
    // The same without emulation: the plugin really is as bad as that.
    let chain = Chain::new(&[("multi-conn-mode", "unsafe"), OFF]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    one.write(0, 7);
    two.flush().unwrap();
    assert_eq!((chain.stored(0), two.read(0)), (0, 0));
}

#[test]
fn forced_unit_access_shows_a_write_to_all() {
    for fua in [Support::Native, Support::Emulate] {
        let chain = Chain::with(&[EMULATE], |info| info.fua = fua);
        let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
        assert_eq!((two.read(9), one.disk.info().fua), (0, Support::Emulated));
        let flags = Flags { fua: true, ..Flags::default() };
        chain.bench.run(async { one.disk.pwrite(Buf::from(vec![5]), 9, flags).await }).unwrap();
        assert_eq!((chain.stored(9), two.read(9)), (5, 5));
    }
    let chain = Chain::new(&[EMULATE]);
    assert_eq!(chain.connect(1, "").disk.info().fua, Support::None, "what there is not is not made up");
}

#[test]
fn what_clients_are_promised() {
    let promised = |mode, behind: bool, model| {
        let chain = Chain::custom(&[("multi-conn-mode", mode)], model, |info| info.multi_conn = behind);
        chain.connect(1, "").disk.info().multi_conn
    };
    let parallel = |mode, behind| promised(mode, behind, ThreadModel::Parallel);
    assert_eq!(
        ["auto", "emulate", "plugin", "disable", "unsafe"].map(|m| parallel(m, true)),
        [true, true, true, false, true]
    );
    assert_eq!(
        ["auto", "emulate", "plugin", "disable", "unsafe"].map(|m| parallel(m, false)),
        [true, true, false, false, true]
    );
    for behind in [true, false] {
        assert!(!promised("auto", behind, ThreadModel::SerializeConnections));
    }
}

#[test]
fn emulation_needs_flush() {
    for mode in ["emulate", "auto"] {
        let chain = Chain::with(&[("multi-conn-mode", mode)], |info| info.flush = false);
        let Err(error) = chain.bench.open(&chain.next) else { panic!("{mode} should be refused") };
        assert_eq!(error.to_string(), "emulating multi-conn requires working flush");
    }
    for mode in ["plugin", "disable", "unsafe"] {
        let chain = Chain::with(&[("multi-conn-mode", mode)], |info| info.flush = false);
        assert!(chain.bench.open(&chain.next).is_ok(), "{mode}");
    }
}

/// Which connections are flushed when `who` is.
fn flushed(chain: &Chain, who: &Client) -> Vec<u64> {
    chain.flushes();
    who.flush().unwrap();
    chain.flushes()
}

#[test]
fn emulation_flushes_who_has_something_to_flush() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two, three] = [1, 2, 3].map(|number| chain.connect(number, ""));
    assert_eq!(flushed(&chain, &one), [0; 0], "nothing was done yet");
    two.write(0, 1);
    assert_eq!(flushed(&chain, &one), [2], "only who wrote");
    assert_eq!(flushed(&chain, &two), [0; 0], "once");
    three.read(0);
    assert_eq!(flushed(&chain, &one), [0; 0], "reads alone leave nothing behind");
    two.write(0, 2);
    assert_eq!(flushed(&chain, &two), [2, 3], "who has read what has changed");
    three.trim(0);
    assert_eq!(flushed(&chain, &one), [3]);
    three.zero(0);
    assert_eq!(flushed(&chain, &one), [3]);
    let late = chain.connect(4, "");
    late.read(0);
    assert_eq!(flushed(&chain, &late), [0; 0], "it has seen nothing old");
}

#[test]
fn fast_and_off_do_not_look_so_closely() {
    let chain = Chain::new(&[EMULATE, FAST]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    assert_eq!(flushed(&chain, &one), [0; 0]);
    two.write(0, 1);
    assert_eq!(flushed(&chain, &one), [1, 2]);
    assert_eq!(flushed(&chain, &two), [0; 0]);

    let chain = Chain::new(&[EMULATE, OFF]);
    let [one, _two] = [1, 2].map(|number| chain.connect(number, ""));
    assert_eq!(flushed(&chain, &one), [1, 2]);
    assert_eq!(flushed(&chain, &one), [1, 2]);
}

#[test]
fn without_emulation_flushes_are_left_out_where_that_is_safe() {
    for mode in ["plugin", "disable", "unsafe"] {
        let mode = ("multi-conn-mode", mode);
        for (params, multi_conn, first, second) in [
            // A flush on one connection says nothing about the other, unless the plugin or the user says so.
            (&[mode][..], false, vec![1], vec![2]),
            (&[mode], true, vec![1], vec![]),
            (&[mode, FAST], false, vec![1], vec![]),
            (&[mode, FAST], true, vec![1], vec![]),
            (&[mode, OFF], true, vec![1], vec![2]),
        ] {
            let chain = Chain::with(params, |info| info.multi_conn = multi_conn);
            let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
            if params.last() != Some(&OFF) {
                assert_eq!(flushed(&chain, &one), [0; 0], "{params:?}: nothing was written yet");
            }
            two.write(0, 1);
            assert_eq!(flushed(&chain, &one), first, "{params:?} {multi_conn}");
            assert_eq!(flushed(&chain, &two), second, "{params:?} {multi_conn}");
        }
    }
}

#[test]
fn exports_are_one_group_or_several() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two] = [(1, "a"), (2, "b")].map(|(number, export)| chain.connect(number, export));
    two.write(0, 1);
    assert_eq!(flushed(&chain, &one), [2]);

    let chain = Chain::new(&[EMULATE, BY_NAME]);
    let [one, two, three] = [(1, "a"), (2, "b"), (3, "a")].map(|(n, export)| chain.connect(n, export));
    two.write(0, 1);
    three.write(1, 1);
    assert_eq!(flushed(&chain, &one), [3]);
    assert_eq!(flushed(&chain, &two), [2]);
}

#[test]
fn a_flush_of_one_export_does_not_do_for_another() {
    let params = [("multi-conn-mode", "plugin"), FAST];
    let chain = Chain::with(&params, |info| info.multi_conn = true);
    let [one, two] = [(1, "a"), (2, "b")].map(|(number, export)| chain.connect(number, export));
    one.write(0, 1);
    two.write(1, 1);
    assert_eq!(flushed(&chain, &one), [1]);
    assert_eq!(flushed(&chain, &two), [2], "the data of b may be elsewhere");
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    one.write(0, 7);
    one.close().unwrap();
    assert_eq!((chain.stored(0), chain.flushes()), (7, vec![1]));
    two.write(1, 8);
    two.flush().unwrap();
    assert_eq!(chain.flushes(), [2], "the one that has left is not touched any more");
    two.close().unwrap();
    assert_eq!(chain.flushes(), [0; 0]);

    for by_name in ["true", "false"] {
        let params = [("multi-conn-mode", "plugin"), ("multi-conn-export-name", by_name)];
        let chain = Chain::with(&params, |info| info.multi_conn = true);
        let one = chain.connect(1, "a");
        one.write(0, 7);
        one.close().unwrap();
        drop(one);
        assert_eq!(flushed(&chain, &chain.connect(2, "a")), [2], "what it wrote was not flushed yet");
    }
}

#[test]
fn a_flush_that_fails_is_tried_again() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    two.write(0, 7);
    chain.behind.fail(ENOSPC);
    assert_eq!(one.flush().unwrap_err().errno(), ENOSPC);
    chain.behind.fail(0);
    chain.flushes();
    assert_eq!(flushed(&chain, &one), [2]);

    let chain = Chain::new(&[("multi-conn-mode", "plugin")]);
    let one = chain.connect(1, "");
    one.write(0, 7);
    chain.behind.fail(EIO);
    assert_eq!(one.flush().unwrap_err().errno(), EIO);
    chain.behind.fail(0);
    assert_eq!(flushed(&chain, &one), [1]);
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for track in ["connection", "fast", "off"] {
        let Chain { bench, next, .. } = Chain::new(&[EMULATE, ("multi-conn-track-dirty", track)]);
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        // With more at once the kit looks before it flushes; `concurrent::many_clients` flushes.
        .thread_model(ThreadModel::SerializeRequests)
        .size(behind::SIZE)
        .content(Content::Zeroes)
        .operations(300)
        .run();
    }
    for mode in ["auto", "plugin", "disable"] {
        let bench = Bench::default();
        let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
        memory.config("size", "100001".as_ref()).unwrap();
        memory.get_ready().unwrap();
        let memory = Next::plugin("memory", memory.into());
        let next = bench.filter::<MultiConn>("multi-conn", &[("multi-conn-mode", mode)], memory).unwrap();
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .size(100_001)
        .content(Content::Zeroes)
        .run();
    }
}

#[test]
fn bad_parameters() {
    let refusal =
        |key, value: &str| MultiConn::default().config(key, value.as_ref()).unwrap_err().to_string();
    assert_eq!(
        refusal("multi-conn-mode", "on"),
        "multi-conn-mode: unknown value 'on', should be auto, emulate, plugin, disable, unsafe"
    );
    assert!(refusal("multi-conn-track-dirty", "all").contains("should be connection, conn, fast, off"));
    assert!(
        refusal("multi-conn-exportname", "a")
            .starts_with("multi-conn-exportname: could not decipher boolean")
    );
}
