// SPDX-License-Identifier: BSD-3-Clause
//! Bytes that wait: filled at the back, taken from the front, always in one piece.

/// The least that a buffer allocates: a batch of small requests.
const LEAST: usize = 8 << 10;

/// Bytes that wait, in one piece.
#[derive(Default)]
pub(crate) struct Buffer {
    /// All of it initialised, so that room can be lent without clearing it each time.
    bytes: Vec<u8>,
    /// What waits is `start..end`; `start <= end <= bytes.len()`.
    start: usize,
    end: usize,
}

impl Buffer {
    /// What waits.
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// What waits, to be worked on in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// The first `n` bytes have been dealt with.
    pub fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room behind what waits, `least` bytes or more.
    ///
    /// What waits is only moved when at least as much has been taken since it was put there, or when the buffer doubles: the work
    /// stays linear, however small the pieces are.
    pub fn room(&mut self, least: usize) -> &mut [u8] {
        if self.bytes.len() - self.end < least {
            let len = self.len();
            if len <= self.start && self.bytes.len() - len >= least {
                self.bytes.copy_within(self.start..self.end, 0);
            } else {
                let mut larger = vec![0; (len + least).max(2 * self.bytes.len()).max(LEAST)];
                if let Some(front) = larger.get_mut(..len) {
                    front.copy_from_slice(self.filled());
                }
                self.bytes = larger;
            }
            (self.start, self.end) = (0, len);
        }
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// So many bytes of the room have been filled.
    pub fn filled_up(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end.saturating_add(n));
    }

    /// As much of `bytes` as there is.
    pub fn append(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()).get_mut(..bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled_up(bytes.len());
        }
    }

    /// Moves as many bytes as there are and fit; how many.
    pub fn take(&mut self, into: &mut [u8]) -> usize {
        let n = self.len().min(into.len());
        if let (Some(into), Some(from)) = (into.get_mut(..n), self.filled().get(..n)) {
            into.copy_from_slice(from);
        }
        self.consume(n);
        n
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Gives the memory back, if nothing waits.
    pub fn rest(&mut self) {
        if self.is_empty() {
            *self = Buffer::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Whatever is appended, filled and taken in whatever pieces comes out in order, and the memory stays in proportion.
        #[test]
        fn as_a_queue(steps in prop::collection::vec((0usize..3, 0usize..40_000), 1..200)) {
            let (mut buffer, mut model) = (Buffer::default(), VecDeque::new());
            let (mut next, mut most) = (0u8, 0);
            for (step, size) in steps {
                let mut bytes = vec![0; size];
                match step {
                    0 => {
                        bytes.fill_with(|| { next = next.wrapping_add(1); next });
                        buffer.append(&bytes);
                        model.extend(&bytes);
                    }
                    1 => {
                        let taken = buffer.take(&mut bytes);
                        prop_assert_eq!(&bytes[..taken], &model.drain(..size.min(model.len())).collect::<Vec<u8>>());
                    }
                    _ => prop_assert!(buffer.room(size).len() >= size),
                }
                most = most.max(model.len() + size);
                prop_assert_eq!(buffer.len(), model.len());
                prop_assert!(buffer.bytes.len() <= (4 * most).max(LEAST));
            }
            prop_assert!(buffer.filled().iter().eq(&model));
        }
    }

    #[test]
    fn rest_gives_back_what_is_empty_only() {
        let mut buffer = Buffer::default();
        buffer.append(b"x");
        buffer.rest();
        assert_eq!(buffer.filled(), b"x");
        buffer.consume(7);
        buffer.rest();
        assert_eq!((buffer.bytes.capacity(), buffer.filled()), (0, &b""[..]));
    }
}
