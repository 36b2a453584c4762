// SPDX-License-Identifier: BSD-3-Clause
//! [`Gather`]: a read whose data comes in pieces, in any order.

use nbdkit_plugin::{BufMut, Data, Run};

/// Gaps that a server may leave for later; more would cost memory and time without bound.
const MOST_GAPS: usize = 1024;
/// Shorter holes are not worth a piece of their own when the reply is sent on.
const SHORTEST_HOLE: u32 = 4096;

/// What has come of one read. Positions are bytes from its start.
pub(crate) struct Gather {
    buf: BufMut,
    /// All has come up to here.
    prefix: u32,
    /// And these parts behind it: in order, apart from each other.
    parts: Vec<(u32, u32)>,
    /// Holes of some length.
    holes: Vec<(u32, u32)>,
}

impl Gather {
    /// Nothing yet, of a read as long as `buf`.
    pub(crate) fn new(buf: BufMut) -> Gather {
        Gather { buf, prefix: 0, parts: Vec::new(), holes: Vec::new() }
    }

    /// Where the bytes from `at` on go. Both ends have been claimed.
    pub(crate) fn room(&mut self, at: usize, len: usize) -> &mut [u8] {
        self.buf.get_mut(at..at + len).unwrap_or_default()
    }

    /// `len` bytes at `at` come now.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(crate) fn claim(&mut self, at: u32, len: u32) -> Result<(), &'static str> {
        // The decoder has checked that it is within the read.
        let end = at.saturating_add(len);
        if at < self.prefix {
            return Err("it overlaps with another");
        }
        if at == self.prefix {
            if self.parts.first().is_some_and(|(next, _)| *next < end) {
                return Err("it overlaps with another");
            }
            self.prefix = end;
            let joined = self.parts.iter().take_while(|(start, part)| {
                let joins = *start == self.prefix;
                if joins {
                    self.prefix = *part;
                }
                joins
            });
            let joined = joined.count();
            self.parts.drain(..joined);
            return Ok(());
        }
        let place = self.parts.partition_point(|(start, _)| *start < at);
        let before = place.checked_sub(1).and_then(|place| self.parts.get(place)).copied();
        let after = self.parts.get(place).copied();
        if before.is_some_and(|(_, part)| part > at) || after.is_some_and(|(start, _)| start < end) {
            return Err("it overlaps with another");
        }
        let (joins_before, joins_after) =
            (before.is_some_and(|(_, part)| part == at), after.is_some_and(|(start, _)| start == end));
        match (joins_before, joins_after) {
            (true, true) => {
                let (_, part) = self.parts.remove(place);
                self.parts[place - 1].1 = part;
            }
            (true, false) => self.parts[place - 1].1 = end,
            (false, true) => self.parts[place].0 = at,
            (false, false) if self.parts.len() == MOST_GAPS => return Err("too many gaps before it"),
            (false, false) => self.parts.insert(place, (at, end)),
        }
        Ok(())
    }

    /// `len` zeroes at `at`.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(crate) fn hole(&mut self, at: u32, len: u32) -> Result<(), &'static str> {
        self.claim(at, len)?;
        if len >= SHORTEST_HOLE {
            self.holes.push((at, len));
        } else {
            self.room(at as usize, len as usize).fill(0);
        }
        Ok(())
    }

    /// All of it, once it has come.
    ///
    /// # Errors
    /// How many bytes have come, not counting those behind the first gap.
    pub(crate) fn finish(mut self) -> Result<Data, u32> {
        if (self.prefix as usize) < self.buf.len() {
            return Err(self.prefix);
        }
        let buf = self.buf.freeze();
        if self.holes.is_empty() {
            return Ok(buf.into());
        }
        self.holes.sort_unstable();
        let mut runs = Vec::with_capacity(2 * self.holes.len() + 1);
        let mut done = 0;
        for (at, len) in self.holes {
            let at = at as usize;
            if done < at {
                runs.push(Run::Bytes(buf.slice(done..at)));
            }
            match runs.last_mut() {
                Some(Run::Zero(before)) => *before += u64::from(len),
                _ => runs.push(Run::Zero(len.into())),
            }
            done = at + len as usize;
        }
        if done < buf.len() {
            runs.push(Run::Bytes(buf.slice(done..buf.len())));
        }
        Ok(runs.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbdkit_plugin::Pool;

    fn gather(len: usize) -> Gather {
        Gather::new(Pool::new().get(len))
    }

    /// Every order in which four pieces may come, and what is left when each is missing.
    #[test]
    fn pieces_come_in_any_order() {
        let pieces = [(0, 10), (10, 5), (15, 30), (45, 19)];
        for order in 0..256usize {
            let order: Vec<usize> = (0..4).map(|n| order >> (2 * n) & 3).collect();
            let mut all = gather(64);
            let mut seen = [false; 4];
            for piece in order {
                let (at, len) = pieces[piece];
                assert_eq!(all.claim(at, len).is_err(), seen[piece], "twice");
                seen[piece] = true;
            }
            let prefix =
                pieces.iter().zip(seen).take_while(|(_, seen)| *seen).map(|((at, len), _)| at + len).last();
            match all.finish() {
                Ok(data) => assert!(data.len() == 64 && seen == [true; 4]),
                Err(came) => assert_eq!((came, seen == [true; 4]), (prefix.unwrap_or(0), false)),
            }
        }
    }

    #[test]
    fn overlaps_are_refused_wherever_they_are() {
        for (at, len) in [(0, 11), (5, 1), (10, 1), (19, 2), (20, 1), (29, 5), (15, 20), (25, 2)] {
            let mut some = gather(64);
            some.claim(0, 5).unwrap();
            some.claim(10, 10).unwrap();
            some.claim(20, 10).unwrap();
            let overlaps = [(0, 5), (10, 10), (20, 10)]
                .iter()
                .any(|(start, long)| at < start + long && *start < at + len);
            assert_eq!(some.claim(at, len).is_err(), overlaps, "{at}+{len}");
        }
    }

    #[test]
    fn gaps_without_end_are_refused() {
        let mut many = gather(1 << 20);
        let refused = (1..1 << 19).map(|n| many.claim(2 * n, 1)).position(|result| result.is_err());
        assert_eq!(refused, Some(MOST_GAPS));
    }

    #[test]
    fn holes_stay_holes_unless_they_are_short() {
        let mut whole = gather(1 << 20);
        whole.hole(0, 1 << 20).unwrap();
        assert!(matches!(whole.finish().unwrap().runs(), [Run::Zero(0x10_0000)]));

        let mut mixed = gather(20_000);
        mixed.hole(10_000, 5000).unwrap();
        mixed.claim(15_000, 5000).unwrap();
        mixed.room(15_000, 5000).fill(2);
        mixed.hole(4900, 100).unwrap();
        mixed.hole(5000, 5000).unwrap();
        mixed.claim(0, 4900).unwrap();
        mixed.room(0, 4900).fill(1);
        let data = mixed.finish().unwrap();
        let [Run::Bytes(first), Run::Zero(10_000), Run::Bytes(last)] = data.runs() else {
            panic!("{data:?}")
        };
        assert!(first.len() == 5000 && first[..4900].iter().all(|byte| *byte == 1));
        assert!(first[4900..].iter().all(|byte| *byte == 0));
        assert!(last.len() == 5000 && last.iter().all(|byte| *byte == 2));
    }
}
