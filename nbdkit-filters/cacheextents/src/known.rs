// SPDX-License-Identifier: BSD-3-Clause
//! [`Known`]: an answer about extents, of which any part can be told again.

use nbdkit_filter::{Extent, Extents, Flags, Span};

/// Extents that follow each other.
pub(crate) struct Known {
    /// Where each begins.
    extents: Vec<(u64, Extent)>,
    end: u64,
}

impl Known {
    /// `extents`, from `start` on.
    pub(crate) fn new(start: u64, extents: Extents) -> Known {
        let mut end = start;
        let place = |extent: Extent| {
            let at = end;
            end = end.saturating_add(extent.len);
            (at, extent)
        };
        let extents = extents.into_iter().map(place).collect();
        Known { extents, end }
    }

    /// What is known of the start of `span`, and of as much of it as possible. `None`: nothing.
    pub(crate) fn within(&self, span: Span, flags: Flags) -> Option<Extents> {
        // The one that begins at the offset or before it; a map of a disk may have millions.
        let first = self.extents.partition_point(|(at, _)| *at <= span.offset).checked_sub(1)?;
        if span.offset >= self.end {
            return None;
        }
        let most = if flags.req_one { 1 } else { usize::MAX };
        let touched = self.extents.iter().skip(first).take_while(|(at, _)| *at < span.end()).take(most);
        let rest = touched
            .map(|(at, extent)| Extent { len: extent.len - span.offset.saturating_sub(*at), ..*extent });
        Some(rest.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_every_part_of_what_it_knows() {
        let extents = [Extent::data(10), Extent::hole(20), Extent::data(30)];
        let known = Known::new(100, extents.into_iter().collect());
        let within = |offset, len, req_one| {
            let extents = known.within(Span::new(offset, len), Flags { req_one, ..Flags::default() })?;
            Some(extents.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(within(100, 1000, false), Some(extents.to_vec()));
        assert_eq!(within(105, 20, false), Some(vec![Extent::data(5), Extent::hole(20)]));
        assert_eq!(within(110, 1, false), Some(vec![Extent::hole(20)]));
        assert_eq!(within(111, 500, true), Some(vec![Extent::hole(19)]));
        assert_eq!(within(159, 9, false), Some(vec![Extent::data(1)]));
        for offset in [0, 99, 160, 500] {
            assert_eq!(within(offset, 200, false), None, "{offset}");
        }
        assert!(Known::new(5, Extents::new()).within(Span::new(5, 1), Flags::default()).is_none());
    }
}
