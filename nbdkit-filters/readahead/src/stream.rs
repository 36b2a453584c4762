// SPDX-License-Identifier: BSD-3-Clause
//! [`Stream`]: finds out that reads are sequential, and says what to prefetch.

use nbdkit_filter::Span;

/// How far ahead it looks at first, in bytes ...
const LEAST: u64 = 32 << 10;
/// ... and at most.
const MOST: u64 = 4 << 20;

/// The reads of one client.
pub(crate) struct Stream {
    /// Of the disk, in bytes.
    size: u64,
    least: u64,
    /// Where the last read ended. `None` before the first.
    end: Option<u64>,
    /// Up to here all was read or prefetched; not less than `end`.
    ahead: u64,
    /// How far ahead it looks.
    window: u64,
}

impl Stream {
    /// On a disk of `size` bytes that wants requests in units of `minimum` bytes, a power of two.
    pub(crate) fn new(size: u64, minimum: u64) -> Stream {
        let least = LEAST.max(minimum);
        Stream { size, least, end: None, ahead: 0, window: least }
    }

    /// `read` begins. What is to be prefetched, if anything.
    pub(crate) fn advance(&mut self, read: Span) -> Option<Span> {
        let Some(end) = self.end else {
            self.restart(read);
            return None;
        };
        match read.offset {
            // Requests of one client may overtake each other.
            late if late < end
                && read.end() > end.saturating_sub(self.window)
                && self.window > self.least =>
            {
                None
            }
            // What was skipped was prefetched already: a reader who leaves out holes.
            on if (end..=self.ahead).contains(&on) => {
                self.end = Some(read.end());
                self.ahead = self.ahead.max(read.end());
                // No less than the next read, whole.
                self.window = self.window.max(read.len * 2).min(MOST.max(self.least));
                self.extend(read.end())
            }
            _ => {
                self.restart(read);
                None
            }
        }
    }

    fn restart(&mut self, read: Span) {
        (self.end, self.ahead, self.window) = (Some(read.end()), read.end(), self.least);
    }

    /// Up to a window from `end` on, unless half of that is there already: few large requests, not many small ones.
    fn extend(&mut self, end: u64) -> Option<Span> {
        let to = end.saturating_add(self.window).min(self.size);
        if self.ahead - end > self.window / 2 || to <= self.ahead {
            return None;
        }
        let prefetch = Span::new(self.ahead, to - self.ahead);
        self.ahead = to;
        self.window = (self.window * 2).min(MOST.max(self.least));
        Some(prefetch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 64 << 20;

    fn prefetched(reads: impl IntoIterator<Item = (u64, u64)>) -> Vec<Span> {
        let mut stream = Stream::new(SIZE, 1);
        reads.into_iter().filter_map(|(offset, len)| stream.advance(Span::new(offset, len))).collect()
    }

    #[test]
    fn sequential_reads_are_prefetched_once_in_larger_and_larger_pieces_to_the_end() {
        for len in [512, 4096, 65536, 1 << 20, 3 << 20] {
            let reads = (0..SIZE.div_ceil(len)).map(|n| (n * len, len.min(SIZE - n * len)));
            let spans = prefetched(reads);
            assert!(spans.windows(2).all(|pair| pair[0].end() <= pair[1].offset), "{len}: twice: {spans:?}");
            assert!(spans.iter().all(|span| span.len <= MOST && span.len > 0));
            let all: u64 = spans.iter().map(|span| span.len).sum();
            assert_eq!(spans.last().unwrap().end(), SIZE);
            if len <= 65536 {
                assert_eq!(all, SIZE - 2 * len, "{len}: all but the first two reads");
                assert!(spans.len() < 45, "{len}: {} pieces", spans.len());
            }
            assert_eq!(spans[0], Span::new(2 * len, LEAST.max(2 * len).min(MOST)));
        }
    }

    #[test]
    fn random_reads_are_not() {
        let mut seed = 1u64;
        let random = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((seed >> 20) % (SIZE / 4096) * 4096, 4096)
        });
        let mut reads: Vec<_> = random.take(10_000).collect();
        // By chance some follow each other.
        reads.dedup_by(|next, read| next.0 == read.0 + 4096);
        assert_eq!(prefetched(reads), []);
        // Backwards is not sequential either, nor is the same over and over.
        assert_eq!(prefetched((0..1000).rev().map(|n| (n * 4096, 4096))), []);
        assert_eq!(prefetched((0..1000).map(|_| (4096, 4096))), []);
        // Nor are strides.
        assert_eq!(prefetched((0..1000).map(|n| (n * 8192, 4096))), []);
    }

    #[test]
    fn late_reads_and_skipped_ones_do_not_end_a_stream() {
        let in_order = (0..100).map(|n| (n * 65536, 65536));
        let mut late: Vec<_> = in_order.clone().collect();
        (10..99).step_by(7).for_each(|n| late.swap(n, n + 1));
        let holes = in_order.filter(|(offset, _)| offset % (10 * 65536) != 0 || *offset < 65536 * 20);
        for spans in [prefetched(late), prefetched(holes)] {
            assert!(spans.windows(2).all(|pair| pair[0].end() == pair[1].offset), "no new start: {spans:?}");
            assert!(spans.last().unwrap().end() >= 100 * 65536);
            assert!(spans.len() < 12, "{spans:?}");
        }
    }

    #[test]
    fn keeps_to_the_unit_of_the_disk() {
        let mut stream = Stream::new(SIZE, 65536);
        stream.advance(Span::new(0, 65536));
        assert_eq!(stream.advance(Span::new(65536, 65536)), Some(Span::new(131_072, 131_072)));
    }

    #[test]
    fn a_new_place_starts_anew() {
        let mut reads: Vec<_> = (0..50).map(|n| (n * 4096, 4096)).collect();
        let far = 32 << 20;
        reads.extend([(far, 4096), (far + 4096, 4096)]);
        assert_eq!(prefetched(reads).last(), Some(&Span::new(far + 8192, LEAST)));
    }
}
