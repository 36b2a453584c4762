// SPDX-License-Identifier: BSD-3-Clause
//! [`Window`]: the part of a disk of which the kit knows every byte.

use super::{Check, Content, probe::At};
use crate::Span;

/// The most bytes that one window knows.
pub(super) const WINDOW: u64 = 1 << 20;

#[derive(Clone)]
pub(super) struct Window {
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

impl Window {
    pub(super) fn span(&self) -> Span {
        Span::new(self.start, self.bytes.len() as u64)
    }

    pub(super) fn contains(&self, span: Span) -> bool {
        self.start <= span.offset && span.end() <= self.span().end()
    }

    /// The bytes of `span`, which lies within.
    pub(super) fn at(&mut self, span: Span) -> &mut [u8] {
        &mut self.bytes[(span.offset - self.start) as usize..][..span.len as usize]
    }

    /// Compares what was read.
    pub(super) fn compare(&mut self, span: Span, read: &[u8]) -> Check {
        same(span, read, self.at(span))
    }
}

/// Where to look at a disk whose bytes up to `reach` can be asked for in units of `minimum`: all of it if it is
/// small; else both ends, the middle, and the places where numbers outgrow 31 and 32 bits.
pub(super) fn windows(reach: u64, minimum: u64) -> Vec<Span> {
    if reach == 0 {
        return Vec::new();
    }
    if reach <= 2 * WINDOW {
        return vec![Span::new(0, reach)];
    }
    // Not in the middle of the middle: large units of allocation shall have borders within.
    let middle = reach / 2 - WINDOW / 3;
    let mut wanted = [0, (1 << 31) - WINDOW / 2, (1 << 32) - WINDOW / 2, middle, reach - WINDOW];
    wanted.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for start in wanted.map(|start| start - start % minimum) {
        let after = spans.last().map_or(0, Span::end);
        if start >= after && start + WINDOW <= reach {
            spans.push(Span::new(start, WINDOW));
        }
    }
    spans
}

/// What `content` says of `span`; `None` if it says nothing.
pub(super) fn content(content: &Content, span: Span) -> Option<Vec<u8>> {
    match content {
        Content::Unknown => None,
        Content::Zeroes => Some(vec![0; span.len as usize]),
        Content::Bytes(bytes) => bytes.get(span.offset as usize..span.end() as usize).map(<[u8]>::to_vec),
        Content::Rule(rule) => Some((span.offset..span.end()).map(rule).collect()),
    }
}

/// Says where two stretches of the same span differ first.
pub(super) fn same(span: Span, read: &[u8], want: &[u8]) -> Check {
    match read.iter().zip(want).position(|(read, want)| read != want) {
        None => Ok(()),
        Some(first) => Err(format!(
            "read {}: the byte at {} is {:#04x}, should be {:#04x}",
            At(span),
            span.offset + first as u64,
            read[first],
            want[first],
        )),
    }
}
