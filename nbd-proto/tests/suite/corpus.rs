// SPDX-License-Identifier: BSD-3-Clause
//! The corpus.
use crate::fuzzed::{Seen, client, handshake, transmission};
#[test]
fn nothing() {
    let mut seen = Seen::default();
    client(&[], &mut seen);
    handshake(&[], &mut seen);
    transmission(&[], &mut seen);
}
