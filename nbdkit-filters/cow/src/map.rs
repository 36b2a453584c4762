// SPDX-License-Identifier: BSD-3-Clause
//! [`Map`]: what has become of every stretch of a disk.

use nbdkit_filter::Span;
use std::collections::BTreeMap;

/// What has become of a byte. It only ever goes down this list, and a place is for ever: a read that was told of it may
/// be sent much later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// As it is behind.
    Untouched,
    /// Zeroed or trimmed, and kept nowhere.
    Zero,
    /// Kept in the overlay's file, at this offset.
    Placed(u64),
}

impl State {
    /// That of the byte `distance` further on in the same run.
    fn ahead(self, distance: u64) -> State {
        match self {
            State::Placed(at) => State::Placed(at + distance),
            other => other,
        }
    }
}

/// Runs of bytes in one state. Its size depends on how many there are, not on that of the disk.
#[derive(Default)]
pub(crate) struct Map {
    /// By where they start. They do not overlap; between them all is untouched.
    runs: BTreeMap<u64, Run>,
}

#[derive(Clone, Copy)]
struct Run {
    end: u64,
    /// Of its first byte.
    state: State,
}

impl Map {
    /// How many runs there are.
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// The state at the start of `span`, and for how many of its bytes that goes on.
    pub(crate) fn first(&self, span: Span) -> (u64, State) {
        if let Some((start, run)) = self.reaching(span.offset, ..=span.offset) {
            return (run.end.min(span.end()) - span.offset, run.state.ahead(span.offset - start));
        }
        let end = self.runs.range(span.offset..span.end()).next().map_or(span.end(), |(start, _)| *start);
        (end - span.offset, State::Untouched)
    }

    /// Puts `span` into `state`, whatever it was before.
    pub(crate) fn set(&mut self, span: Span, state: State) {
        self.clear(span);
        let (mut start, mut run) = (span.offset, Run { end: span.end(), state });
        if let Some((before, left)) = self.runs.range(..start).next_back()
            && left.end == start
            && left.state.ahead(start - before) == state
        {
            (start, run.state) = (*before, left.state);
        }
        if let Some(right) = self.runs.get(&run.end).copied()
            && run.state.ahead(run.end - start) == right.state
        {
            self.runs.remove(&run.end);
            run.end = right.end;
        }
        self.runs.insert(start, run);
    }

    /// Takes everything out of `span`.
    fn clear(&mut self, span: Span) {
        if let Some((start, run)) = self.reaching(span.offset, ..span.offset) {
            self.runs.insert(start, Run { end: span.offset, ..run });
            self.put_back(start, run, span.end());
        }
        while let Some((&start, &run)) = self.runs.range(span.offset..span.end()).next() {
            self.runs.remove(&start);
            self.put_back(start, run, span.end());
        }
    }

    /// What there is of `run` from `from` on.
    fn put_back(&mut self, start: u64, run: Run, from: u64) {
        if run.end > from {
            self.runs.insert(from, Run { state: run.state.ahead(from - start), ..run });
        }
    }

    /// The run that starts in `starts` and goes on at `offset`.
    fn reaching(&self, offset: u64, starts: impl std::ops::RangeBounds<u64>) -> Option<(u64, Run)> {
        let (start, run) = self.runs.range(starts).next_back()?;
        (run.end > offset).then_some((*start, *run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_plain_array_and_merges_all_it_can() {
        const SIZE: u64 = 64;
        let mut seed = 1u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut map, mut model) = (Map::default(), [State::Untouched; SIZE as usize]);
        for _ in 0..20_000 {
            let offset = random(SIZE);
            let span = Span::new(offset, 1 + random(SIZE - offset));
            // Few different distances, so that neighbours often fit.
            let state = match random(3) {
                0 => State::Zero,
                n => State::Placed(1000 * n + span.offset),
            };
            map.set(span, state);
            for at in span.offset..span.end() {
                model[at as usize] = state.ahead(at - span.offset);
            }

            let (mut at, mut runs, mut touched) = (0, Vec::new(), 0);
            while at < SIZE {
                let (len, state) = map.first(Span::new(at, SIZE - at));
                assert!(len > 0);
                for n in 0..len {
                    assert_eq!(state.ahead(n), model[(at + n) as usize], "byte {}", at + n);
                }
                runs.push((at, state));
                touched += usize::from(state != State::Untouched);
                at += len;
            }
            let merged = |pair: &[(u64, State)]| pair[0].1.ahead(pair[1].0 - pair[0].0) != pair[1].1;
            assert!(runs.windows(2).all(merged), "{runs:?}");
            assert_eq!(map.runs(), touched);
            let (len, state) = map.first(span);
            assert_eq!((len, state), (span.len, model[span.offset as usize]), "no more than was asked");
        }
    }
}
