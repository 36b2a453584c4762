// SPDX-License-Identifier: BSD-3-Clause
//! What the fuzz targets do with their input, in one place: the targets in `fuzz/` call these functions, and
//! so does an ordinary test that replays the corpus.
//!
//! Each takes bytes of which the first say how things are configured, asserts whatever must hold for any
//! input, and notes what it has seen.

pub mod client;
pub mod handshake;
pub mod pump;
pub mod transmission;

use std::collections::BTreeSet;
use std::fmt::Debug;

/// What has been reached, by name.
#[derive(Default)]
pub struct Seen(pub BTreeSet<String>);

impl Seen {
    /// Notes the variant of `value`, under a heading.
    pub fn note(&mut self, heading: &str, value: &impl Debug) {
        self.note_text(heading, &format!("{value:?}"));
    }

    /// Notes the first word of `text`, under a heading.
    pub fn note_text(&mut self, heading: &str, text: &str) {
        let name = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        self.0.insert(format!("{heading} {name}"));
    }
}
