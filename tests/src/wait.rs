// SPDX-License-Identifier: BSD-3-Clause
//! Waiting for something that must happen, with the one time limit the tests have: the hang limit.

use std::time::{Duration, Instant};

/// After this long without the awaited event a thing counts as hung. Never a measure of speed.
pub const HANG: Duration = Duration::from_secs(60);

/// Polls until `probe` yields a value; `None` after [`HANG`].
pub fn eventually<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if start.elapsed() > HANG {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until `condition` holds and panics, naming `what`, when it does not within [`HANG`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    assert!(eventually(|| condition().then_some(())).is_some(), "{what}: not within {HANG:?}");
}
