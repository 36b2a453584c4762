// SPDX-License-Identifier: BSD-3-Clause
//! Exit codes, and what they do to the client and to the server.

use crate::bench::Bench;
use nbdkit_plugin::*;

/// What becomes of a flush whose script does `end`: the errno, whether the client is sent away and the server ends.
fn flush(end: &str) -> (Option<Error>, bool, bool) {
    let body = format!("get_size) echo 1 ;; can_write|can_flush) ;; flush) {end} ;;");
    let bench = Bench::of(&body);
    let client = bench.open().unwrap();
    let error = crate::bench::wait(client.disk.flush()).err();
    let stopping = bench.server.stopping();
    (error, client.connection.is_gone() && !stopping, stopping)
}

#[test]
fn every_code() {
    for (code, errno, gone, stopping) in [
        (0, None, false, false),
        (1, Some(EIO), false, false),
        (2, None, false, false),
        (3, Some(EIO), false, false),
        (4, None, false, true),
        (5, Some(ESHUTDOWN), false, true),
        (6, Some(ESHUTDOWN), true, false),
        (7, None, true, false),
        (8, Some(ESHUTDOWN), true, false),
        (9, Some(EIO), false, false),
        (127, Some(EIO), false, false),
        (255, Some(EIO), false, false),
    ] {
        let (error, is_gone, is_stopping) = flush(&format!("exit {code}"));
        assert_eq!(error.map(|error| error.errno()), errno, "exit {code}");
        assert_eq!((is_gone, is_stopping), (gone, stopping), "exit {code}");
    }
}

#[test]
fn errors_say_why() {
    for (end, errno, message) in [
        ("exit 3", EIO, "flush method returned unexpected code (3/false)"),
        ("exit 9", EIO, "script exited with error, but did not print an error message on stderr"),
        ("kill -9 $$", EIO, "flush: script terminated by signal 9"),
        ("echo ENOSPC full >&2; exit 1", ENOSPC, ": full"),
        ("echo eperm go away >&2; echo really >&2; exit 5", EPERM, ": go away"),
        ("echo why >&2; exit 8", ESHUTDOWN, ": why"),
        ("yes EROFS all day | head -n 100000 >&2; exit 1", EROFS, ": all day"),
    ] {
        let error = flush(end).0.unwrap();
        assert_eq!(error.errno(), errno, "{end}");
        assert!(error.to_string().ends_with(message), "{end}: {error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    assert!(flush("echo ENOSPC full >&2").0.is_none(), "errors count only when it fails");
}

#[test]
fn questions_are_answered_with_codes() {
    for (code, yes) in [(0, true), (2, false), (3, false), (4, true), (7, true)] {
        let bench = Bench::of(&format!("get_size) echo 1 ;; can_write) exit {code} ;;"));
        assert_eq!(bench.open().unwrap().disk.info().write, yes, "exit {code}");
    }
    for code in [1, 5, 6, 8, 9] {
        let bench = Bench::of(&format!("get_size) echo 1 ;; can_write) exit {code} ;;"));
        assert!(bench.open().is_err(), "exit {code}");
    }
}

#[test]
fn a_wish_before_there_is_a_server() {
    for method in ["load", "config_complete", "get_ready", "after_fork"] {
        let bench = Bench::of(&format!("{method}) exit 4 ;;"));
        assert!(bench.server.stopping(), "{method}");
    }
    // There is nobody to disconnect.
    assert!(!Bench::of("load|get_ready) exit 7 ;;").server.stopping());
}
