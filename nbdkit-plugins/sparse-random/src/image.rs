// SPDX-License-Identifier: BSD-3-Clause
//! [`Image`]: the bytes of the disk, data and holes, and comparing to them.

use crate::{
    content::Content,
    layout::Layout,
    values::{Block, Percent, RunLength},
};
use nbdkit_computed_bytes::{Computed, SplitMix64};
use nbdkit_plugin::{Data, Extent, Extents, Pool, Result, Run, Span};

/// The bytes that belong to a seed and the other parameters are a promise: change them only with a new version that
/// says so.
#[derive(Clone, Copy)]
pub(crate) struct Image {
    layout: Layout,
    content: Content,
}

/// A shorter hole between data, in bytes, is read as zeroes like data.
const SHORT: u64 = 32 << 10;
/// The most slots that are looked at for one request: a client that wants more asks again.
const MOST: usize = 1 << 16;
/// What is compared at once, in bytes.
const PIECE: usize = 4096;

impl Image {
    pub(crate) fn new(
        size: u64,
        seed: u32,
        percent: Percent,
        run: RunLength,
        block: Block,
        random: bool,
    ) -> Image {
        // Two sequences that have nothing to do with each other.
        let [place, key] = [0, 1].map(|number| SplitMix64(SplitMix64(seed.into()).nth(number)));
        Image {
            layout: Layout::new(size, place, percent, run, block),
            content: Content { key, block: block.0, random },
        }
    }

    /// Whether all of `span` is seen to be a hole at one glance.
    pub(crate) fn is_hole(&self, span: Span) -> bool {
        let (data, end) = self.layout.at(span.offset);
        !data && span.end() <= end
    }

    /// What is in `span`, with long holes as such.
    pub(crate) fn read(&self, span: Span, pool: &Pool) -> Data {
        let mut pieces: Vec<(Span, bool)> = Vec::new();
        for (part, data) in self.layout.parts(span) {
            match pieces.last_mut() {
                Some((last, of_data)) if *of_data == data || *of_data && part.len < SHORT => {
                    last.len += part.len;
                }
                _ => pieces.push((part, data)),
            }
        }
        let mut runs = pieces.into_iter().map(|(piece, data)| match data {
            false => Run::Zero(piece.len),
            true => {
                // A piece is no longer than a request.
                let mut buf = pool.get(piece.len as usize);
                self.fill(&mut buf, piece.offset);
                Run::Bytes(buf.freeze())
            }
        });
        match (runs.next(), runs.len()) {
            (Some(run), 0) => run.into(),
            (first, _) => first.into_iter().chain(runs).collect::<Vec<_>>().into(),
        }
    }

    /// Where the holes are in `span`, or from its start on.
    pub(crate) fn extents(&self, span: Span, only_first: bool) -> Extents {
        let mut extents = Extents::new();
        for (part, data) in self.layout.parts(span).take(MOST) {
            if only_first && extents.iter().any(|extent| extent.hole == data) {
                break;
            }
            extents.push(if data { Extent::data(part.len) } else { Extent::hole(part.len) });
        }
        extents
    }
}

impl Computed for Image {
    /// Holes are zeroes.
    fn fill(&self, buf: &mut [u8], offset: u64) {
        let mut rest = buf;
        for (part, data) in self.layout.parts(Span::new(offset, rest.len() as u64)) {
            // The parts are as long as `buf` together.
            let (piece, after) = rest.split_at_mut(part.len as usize);
            match data {
                true => self.content.fill(piece, part.offset),
                false => piece.fill(0),
            }
            rest = after;
        }
    }

    /// It fails within the first few bytes of data.
    fn compare_zeroes(&self, span: Span) -> Result<()> {
        let mut data = self.layout.parts(span).filter(|(_, data)| *data).map(|(part, _)| part);
        data.try_for_each(|part| {
            (part.offset..part.end()).step_by(PIECE).try_for_each(|at| {
                let len = (part.end() - at).min(PIECE as u64);
                self.compare(&[0; PIECE][..len as usize], at)
            })
        })
    }
}
