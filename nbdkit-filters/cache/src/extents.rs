// SPDX-License-Identifier: BSD-3-Clause
//! Extents: those of the disk behind, except that what is dirty is data, whatever is behind.

use crate::layer::Cached;
use nbdkit_filter::*;

/// How many dirty stretches are looked at for one answer.
const MOST: usize = 1000;

impl Cached {
    pub(crate) fn extents_with_dirty(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        if !self.next.info().extents {
            return Op::ok(Extents::data(span.len));
        }
        // Asked before the disk behind is: what is written there in between is told twice, and not missed.
        let dirty = self.dirty_within(span);
        // Behind the span, and behind the last stretch that was looked at, something may be dirty.
        let known = match dirty.last() {
            Some(last) if dirty.len() == MOST => last.end() - span.offset,
            _ => span.len,
        };
        self.next.extents(span, flags).map(move |mut behind| {
            behind.truncate(known);
            Ok(if dirty.is_empty() { behind } else { overlay(span.offset, behind, &dirty) })
        })
    }

    /// Stretches in order, each within `span`.
    fn dirty_within(&self, span: Span) -> Vec<Span> {
        let table = self.storage.table();
        let mut rest = self.export.around(span);
        let next = || {
            let run = table.first_dirty(rest, self.storage.batch())?;
            rest.first = run.end;
            Some(self.export.part(run, span))
        };
        std::iter::from_fn(next).take(MOST).collect()
    }
}

/// `extents` from `start` on, with `dirty` as data.
fn overlay(start: u64, extents: Extents, dirty: &[Span]) -> Extents {
    let (mut at, mut dirty) = (start, dirty.iter().peekable());
    let mut out = Extents::new();
    for extent in extents {
        let end = at.saturating_add(extent.len);
        while at < end {
            while dirty.next_if(|span| span.end() <= at).is_some() {}
            let (to, data) = match dirty.peek() {
                Some(span) if span.offset <= at => (span.end().min(end), true),
                Some(span) => (span.offset.min(end), false),
                None => (end, false),
            };
            out.push(if data { Extent::data(to - at) } else { Extent { len: to - at, ..extent } });
            at = to;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirty_is_data() {
        let behind: Extents = [Extent::hole(100), Extent::data(50), Extent::hole(50)].into_iter().collect();
        let dirty = [Span::new(1000, 10), Span::new(1050, 100), Span::new(1180, 20)];
        let expected =
            [Extent::data(10), Extent::hole(40), Extent::data(100), Extent::hole(30), Extent::data(20)];
        assert_eq!(overlay(1000, behind.clone(), &dirty), expected.into_iter().collect());
        assert_eq!(overlay(1000, behind.clone(), &[]), behind);
    }
}
