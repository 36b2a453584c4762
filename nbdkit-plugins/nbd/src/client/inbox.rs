// SPDX-License-Identifier: BSD-3-Clause
//! [`Inbox`]: bytes of replies that have come and were not understood yet.

use super::table::{Body, Table};
use crate::transport::{Received, Transport};
use std::io::{self, IoSliceMut};

/// One system call takes up to this much: fifteen replies of 4 KiB.
const CAPACITY: usize = 64 << 10;
/// With large reads in flight, only this much beside the data that goes where it belongs: what is behind it is mostly
/// data again, which would be copied.
const GLANCE: usize = 1 << 10;

/// Buffers heads; data of reads goes straight to where it belongs as far as it has not come with the heads.
pub(crate) struct Inbox {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// How many bytes the next reply needs before it can be understood.
    wanted: usize,
    /// The data that comes next.
    pub body: Option<Body>,
}

impl Inbox {
    /// `early` has come already.
    pub(crate) fn new(early: &[u8]) -> Inbox {
        let mut buf = early.to_vec();
        buf.resize(CAPACITY.max(early.len()), 0);
        Inbox { buf, start: 0, end: early.len(), wanted: 0, body: None }
    }

    /// What has come.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` bytes have been understood.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start + count);
    }

    /// Nothing is understood before so many bytes have come.
    pub(crate) fn want(&mut self, bytes: usize) {
        self.wanted = bytes;
    }

    /// Reads once: what is missing of the data goes where it belongs, what follows into the buffer.
    pub(crate) fn fill(&mut self, transport: &mut Transport, table: &mut Table) -> io::Result<Received> {
        self.make_room();
        let most = if table.expects_much() { GLANCE.max(self.wanted) } else { self.buf.len() };
        let most = self.buf.len().min(self.end + most);
        let room = self.buf.get_mut(self.end..most).unwrap_or_default();
        let direct = match &self.body {
            Some(body) => table.room(body),
            None => &mut [],
        };
        let expected = direct.len();
        let received = transport.try_read(&mut [IoSliceMut::new(direct), IoSliceMut::new(room)])?;
        if let Received::Some(count) | Received::Last(count) = received {
            let direct = count.min(expected);
            if let Some(body) = &mut self.body {
                body.at += direct;
                body.left -= direct;
            }
            self.end += count - direct;
        }
        Ok(received)
    }

    /// Moves what has come of the data to where it belongs; the data, if that was all of it.
    pub(crate) fn settle(&mut self, table: &mut Table) -> Option<Body> {
        let body = self.body.as_mut()?;
        let ready = self.buf.get(self.start..self.end).unwrap_or_default();
        let count = ready.len().min(body.left);
        if let (Some(to), Some(from)) = (table.room(body).get_mut(..count), ready.get(..count)) {
            to.copy_from_slice(from);
        }
        body.at += count;
        body.left -= count;
        self.start += count;
        if body.left > 0 {
            return None;
        }
        self.body.take()
    }

    /// Brings what waits, which is mostly part of a head, to the front of a buffer that is long enough.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let needed = CAPACITY.max(self.wanted);
        if self.buf.len() < needed {
            self.buf.resize(needed, 0);
        } else if self.buf.len() > needed && self.end <= CAPACITY {
            self.buf.truncate(needed);
            self.buf.shrink_to_fit();
        }
    }
}
