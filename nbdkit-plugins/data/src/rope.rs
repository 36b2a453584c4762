// SPDX-License-Identifier: BSD-3-Clause
//! [`Rope`]: bytes that are described and not held, so that a petabyte of a pattern costs nothing until it is read.

use crate::text::MOST;
use nbdkit_plugin::{EFBIG, Error, Result};
use std::rc::Rc;

/// How deep ropes may be made of ropes. It bounds the stack.
const DEEPEST: u16 = 500;

/// A sequence of bytes, at most [`MOST`] of them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rope {
    len: u64,
    /// Where the first byte is that is no hole; `len` if all is hole.
    first: u64,
    depth: u16,
    node: Node,
}

#[derive(Clone)]
enum Node {
    Hole,
    Bytes(Rc<[u8]>),
    /// Ropes that are no holes, each with where it starts: in order, not overlapping, holes between them.
    Join(Rc<[(u64, Rope)]>),
    /// This one until the length is reached, which is a multiple of its own.
    Repeat(Rc<Rope>),
    /// Of this one the part that starts there.
    Slice(Rc<Rope>, u64),
}

impl Rope {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_hole(&self) -> bool {
        self.first == self.len
    }

    pub(crate) fn hole(len: u64) -> Rope {
        Rope { len, first: len, depth: 0, node: Node::Hole }
    }

    /// Zeroes are a hole if there is nothing else.
    pub(crate) fn bytes(bytes: Rc<[u8]>) -> Rope {
        let len = bytes.len() as u64;
        match bytes.iter().all(|byte| *byte == 0) {
            true => Rope::hole(len),
            false => Rope { len, first: 0, depth: 0, node: Node::Bytes(bytes) },
        }
    }

    /// `pieces` are in order, do not overlap, and end within `len`.
    ///
    /// # Errors
    /// When they are nested too deep already.
    pub(crate) fn join(mut pieces: Vec<(u64, Rope)>, len: u64) -> Result<Rope> {
        pieces.retain(|(_, piece)| !piece.is_hole());
        match &pieces[..] {
            [] => Ok(Rope::hole(len)),
            [(0, piece)] if piece.len == len => Ok(piece.clone()),
            [(start, piece), ..] => {
                let first = start + piece.first;
                let below = pieces.iter().map(|(_, piece)| piece.depth).max().unwrap_or_default();
                Rope::above(below, len, first, Node::Join(pieces.into()))
            }
        }
    }

    /// `count` times the same.
    ///
    /// # Errors
    /// When it becomes too long, or too deep.
    pub(crate) fn repeat(&self, count: u64) -> Result<Rope> {
        let len = self.len.checked_mul(count).filter(|len| *len <= MOST).ok_or_else(too_large)?;
        match &self.node {
            _ if count == 1 => Ok(self.clone()),
            _ if len == 0 || self.is_hole() => Ok(Rope::hole(len)),
            Node::Repeat(_) => Ok(Rope { len, ..self.clone() }),
            _ => Rope::above(self.depth, len, self.first, Node::Repeat(Rc::new(self.clone()))),
        }
    }

    /// The part from `start` to `end`, where `start <= end <= self.len()`.
    ///
    /// # Errors
    /// When it becomes too deep.
    pub(crate) fn slice(&self, start: u64, end: u64) -> Result<Rope> {
        let len = end - start;
        let Some(first) = self.data(start, end) else { return Ok(Rope::hole(len)) };
        let first = first - start;
        match &self.node {
            _ if len == self.len => Ok(self.clone()),
            Node::Slice(whole, skipped) => {
                Ok(Rope { len, first, depth: self.depth, node: Node::Slice(whole.clone(), skipped + start) })
            }
            _ => Rope::above(self.depth, len, first, Node::Slice(Rc::new(self.clone()), start)),
        }
    }

    fn above(below: u16, len: u64, first: u64, node: Node) -> Result<Rope> {
        if below >= DEEPEST {
            return Err(Error::invalid(format!(
                "data parameter: groups, *N and [N:M] are nested {DEEPEST} deep, should be less"
            )));
        }
        Ok(Rope { len, first, depth: below + 1, node })
    }

    /// The first byte at or after `from` that is in no hole, if there is one before `end`, which is within the rope.
    ///
    /// Follows one path: of the ropes that a range touches only the first can hold nothing of it and yet not be a
    /// hole.
    pub(crate) fn data(&self, from: u64, end: u64) -> Option<u64> {
        if from <= self.first {
            return Some(self.first).filter(|first| *first < end);
        }
        if from >= end {
            return None;
        }
        match &self.node {
            Node::Hole => None,
            Node::Bytes(_) => Some(from),
            Node::Join(pieces) => {
                let index = pieces.partition_point(|(start, piece)| start + piece.len <= from);
                let (start, piece) = pieces.get(index)?;
                // It may start after `from`.
                let here = piece.data(from.saturating_sub(*start), piece.len.min(end.saturating_sub(*start)));
                here.map(|at| start + at).or_else(|| {
                    pieces.get(index + 1).map(|(start, piece)| start + piece.first).filter(|at| *at < end)
                })
            }
            Node::Repeat(one) => {
                let base = from - from % one.len;
                let here = one.data(from - base, one.len.min(end - base));
                here.map(|at| base + at).or_else(|| {
                    Some(base.saturating_add(one.len).saturating_add(one.first)).filter(|at| *at < end)
                })
            }
            Node::Slice(whole, skipped) => whole.data(skipped + from, skipped + end).map(|at| at - skipped),
        }
    }

    /// Fills `buf` with the bytes from `at` on, all of them within the rope.
    pub(crate) fn read(&self, at: u64, buf: &mut [u8]) {
        match &self.node {
            Node::Hole => buf.fill(0),
            Node::Bytes(bytes) => buf.copy_from_slice(&bytes[at as usize..][..buf.len()]),
            Node::Join(pieces) => {
                buf.fill(0);
                let end = at + buf.len() as u64;
                let index = pieces.partition_point(|(start, piece)| start + piece.len <= at);
                for (start, piece) in pieces[index..].iter().take_while(|(start, _)| *start < end) {
                    let from = at.max(*start);
                    let to = end.min(start + piece.len);
                    piece.read(from - start, &mut buf[(from - at) as usize..(to - at) as usize]);
                }
            }
            Node::Repeat(one) => {
                // Once, in two parts if it starts in the middle; then copies of what is there.
                let phase = at % one.len;
                let tail = buf.len().min(usize::try_from(one.len - phase).unwrap_or(usize::MAX));
                one.read(phase, &mut buf[..tail]);
                let head = (buf.len() - tail).min(usize::try_from(phase).unwrap_or(usize::MAX));
                one.read(0, &mut buf[tail..tail + head]);
                let mut done = tail + head;
                while done < buf.len() {
                    let more = done.min(buf.len() - done);
                    buf.copy_within(..more, done);
                    done += more;
                }
            }
            Node::Slice(whole, skipped) => whole.read(skipped + at, buf),
        }
    }
}

pub(crate) fn too_large() -> Error {
    Error::new(EFBIG, "data parameter: the data would be larger than 9223372036854775807 bytes")
}
