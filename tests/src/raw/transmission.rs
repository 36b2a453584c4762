// SPDX-License-Identifier: BSD-3-Clause
//! The transmission phase in bytes: requests of both lengths, and replies of all three kinds.

use std::io;

use super::{Client, Style, broken, chunk, cmd, flag};

const REQUEST_MAGIC: u32 = 0x2560_9513;
const EXTENDED_REQUEST_MAGIC: u32 = 0x21e4_1c71;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const STRUCTURED_REPLY_MAGIC: u32 = 0x668e_33ef;
const EXTENDED_REPLY_MAGIC: u32 = 0x6e8a_278c;

/// More than this in one chunk is the server's mistake: the largest read, its offset, and some slack.
const LARGEST_CHUNK: u64 = (64 << 20) + 4096;

/// One chunk of a structured or extended reply.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// Bit 0: the last one.
    pub flags: u16,
    /// One of [`chunk`].
    pub kind: u16,
    /// Of which request.
    pub cookie: u64,
    /// All after the head.
    pub payload: Vec<u8>,
}

/// A reply, or a piece of one.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The head of a simple reply; the data of a read still waits in the socket.
    Simple {
        /// Of which request.
        cookie: u64,
        /// 0 or one of [`super::err`].
        error: u32,
    },
    /// A chunk, complete.
    Chunk(Chunk),
}

impl Reply {
    /// Of which request.
    pub fn cookie(&self) -> u64 {
        match self {
            Reply::Simple { cookie, .. } => *cookie,
            Reply::Chunk(chunk) => chunk.cookie,
        }
    }

    /// The error it carries, if any. Panics at an error chunk too short to have one.
    pub fn error(&self) -> Option<u32> {
        match self {
            Reply::Simple { error: 0, .. } => None,
            Reply::Simple { error, .. } => Some(*error),
            Reply::Chunk(chunk) if chunk.kind & chunk::ERROR == 0 => None,
            Reply::Chunk(chunk) => Some(u32::from_be_bytes(chunk.payload[..4].try_into().unwrap())),
        }
    }

    fn is_last(&self) -> bool {
        match self {
            Reply::Simple { .. } => true,
            Reply::Chunk(chunk) => chunk.flags & 1 != 0,
        }
    }
}

/// One entry of a block status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// In bytes.
    pub len: u64,
    /// Bit 0 hole, bit 1 reads as zero.
    pub flags: u64,
}

/// A request of 28 bytes, without payload.
pub fn simple(flags: u16, command: u16, cookie: u64, offset: u64, len: u32) -> Vec<u8> {
    let mut bytes = head(REQUEST_MAGIC, flags, command, cookie, offset);
    bytes.extend(len.to_be_bytes());
    bytes
}

/// A request of 32 bytes, without payload.
pub fn extended(flags: u16, command: u16, cookie: u64, offset: u64, len: u64) -> Vec<u8> {
    let mut bytes = head(EXTENDED_REQUEST_MAGIC, flags, command, cookie, offset);
    bytes.extend(len.to_be_bytes());
    bytes
}

fn head(magic: u32, flags: u16, command: u16, cookie: u64, offset: u64) -> Vec<u8> {
    let (magic, flags, command) = (magic.to_be_bytes(), flags.to_be_bytes(), command.to_be_bytes());
    [&magic[..], &flags, &command, &cookie.to_be_bytes(), &offset.to_be_bytes()].concat()
}

impl Client {
    /// Sends a request in the negotiated style and returns its cookie. Lengths over 32 bits need extended headers.
    pub fn request(&mut self, command: u16, flags: u16, offset: u64, len: u64) -> io::Result<u64> {
        self.cookie += 1;
        let bytes = match self.style {
            Style::Extended => extended(flags, command, self.cookie, offset, len),
            Style::Simple | Style::Structured => {
                simple(flags, command, self.cookie, offset, u32::try_from(len).expect("a length of 32 bits"))
            }
        };
        self.send(&bytes)?;
        Ok(self.cookie)
    }

    /// Reads the next reply or chunk, of whichever request.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let magic = self.u32()?;
        match (magic, self.style) {
            (SIMPLE_REPLY_MAGIC, Style::Simple | Style::Structured) => {
                let error = self.u32()?;
                Ok(Reply::Simple { error, cookie: self.u64()? })
            }
            (STRUCTURED_REPLY_MAGIC, Style::Structured) => {
                let (flags, kind, cookie, len) = (self.u16()?, self.u16()?, self.u64()?, self.u32()?);
                Ok(Reply::Chunk(Chunk { flags, kind, cookie, payload: self.payload(u64::from(len))? }))
            }
            (EXTENDED_REPLY_MAGIC, Style::Extended) => {
                let (flags, kind, cookie) = (self.u16()?, self.u16()?, self.u64()?);
                let (_offset, len) = (self.u64()?, self.u64()?);
                Ok(Reply::Chunk(Chunk { flags, kind, cookie, payload: self.payload(len)? }))
            }
            _ => Err(broken(format!("magic {magic:#x} in place of a {:?} reply", self.style))),
        }
    }

    fn payload(&mut self, len: u64) -> io::Result<Vec<u8>> {
        if len > LARGEST_CHUNK {
            return Err(broken(format!("a chunk of {len} bytes")));
        }
        self.recv(len as usize)
    }

    /// Waits for the end of the reply to a request without data: `Err` is the error of the server.
    ///
    /// Panics when the connection breaks, as do all the calls below.
    #[track_caller]
    pub fn done(&mut self, cookie: u64) -> Result<(), u32> {
        let mut result = Ok(());
        loop {
            let reply = self.reply().unwrap_or_else(|error| panic!("waiting for a reply: {error}"));
            assert_eq!(reply.cookie(), cookie, "a reply to another request");
            if let Some(error) = reply.error() {
                result = Err(error);
            }
            if reply.is_last() {
                return result;
            }
        }
    }

    /// Reads `len` bytes at `offset`; a hole becomes zeroes. Panics when chunks overlap or leave gaps.
    #[track_caller]
    pub fn read(&mut self, offset: u64, len: u32) -> Result<Vec<u8>, u32> {
        let cookie = self.request(cmd::READ, 0, offset, u64::from(len)).expect("sending a read");
        self.read_reply(cookie, offset, len)
    }

    /// Collects the reply to a read that was sent.
    #[track_caller]
    pub fn read_reply(&mut self, cookie: u64, offset: u64, len: u32) -> Result<Vec<u8>, u32> {
        let mut bytes = vec![0; len as usize];
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let mut error = None;
        loop {
            let reply = self.reply().unwrap_or_else(|error| panic!("waiting for a read: {error}"));
            assert_eq!(reply.cookie(), cookie, "a reply to another request");
            error = error.or(reply.error());
            match &reply {
                Reply::Simple { error: 0, .. } => {
                    return Ok(self.recv(len as usize).expect("data of a read"));
                }
                Reply::Chunk(Chunk { kind: chunk::OFFSET_DATA, payload, .. }) => {
                    let (at, data) = payload.split_at(8);
                    let at = (u64::from_be_bytes(at.try_into().unwrap()) - offset) as usize;
                    bytes[at..at + data.len()].copy_from_slice(data);
                    pieces.push((at, data.len()));
                }
                Reply::Chunk(Chunk { kind: chunk::OFFSET_HOLE, payload, .. }) => {
                    let at = (u64::from_be_bytes(payload[..8].try_into().unwrap()) - offset) as usize;
                    pieces.push((at, u32::from_be_bytes(payload[8..].try_into().unwrap()) as usize));
                }
                _ => {}
            }
            if reply.is_last() {
                break;
            }
        }
        if let Some(error) = error {
            return Err(error);
        }
        pieces.sort_unstable();
        let end = pieces.iter().fold(0, |end, (at, len)| {
            assert_eq!(end, *at, "a gap or an overlap in the chunks of a read: {pieces:?}");
            at + len
        });
        assert_eq!(end, len as usize, "the chunks of a read end early: {pieces:?}");
        Ok(bytes)
    }

    /// Writes `bytes` at `offset`.
    #[track_caller]
    pub fn write(&mut self, offset: u64, bytes: &[u8], flags: u16) -> Result<(), u32> {
        let flags = if self.style == Style::Extended { flags | flag::PAYLOAD_LEN } else { flags };
        let cookie = self.request(cmd::WRITE, flags, offset, bytes.len() as u64).expect("sending a write");
        self.send(bytes).expect("sending the payload of a write");
        self.done(cookie)
    }

    /// A request without payload: flush, trim, write zeroes, cache.
    #[track_caller]
    pub fn call(&mut self, command: u16, flags: u16, offset: u64, len: u64) -> Result<(), u32> {
        let cookie = self.request(command, flags, offset, len).expect("sending a request");
        self.done(cookie)
    }

    /// The status of the blocks from `offset` on.
    #[track_caller]
    pub fn block_status(&mut self, offset: u64, len: u64) -> Result<Vec<Block>, u32> {
        let cookie = self.request(cmd::BLOCK_STATUS, 0, offset, len).expect("sending a block status request");
        let mut blocks = Vec::new();
        let mut error = None;
        loop {
            let reply = self.reply().unwrap_or_else(|error| panic!("waiting for a block status: {error}"));
            assert_eq!(reply.cookie(), cookie, "a reply to another request");
            error = error.or(reply.error());
            match &reply {
                Reply::Chunk(Chunk { kind: chunk::BLOCK_STATUS, payload, .. }) => {
                    blocks.extend(payload[4..].chunks_exact(8).map(|entry| {
                        let word =
                            |i: usize| u64::from(u32::from_be_bytes(entry[i..i + 4].try_into().unwrap()));
                        Block { len: word(0), flags: word(4) }
                    }));
                }
                Reply::Chunk(Chunk { kind: chunk::BLOCK_STATUS_EXT, payload, .. }) => {
                    let count = u32::from_be_bytes(payload[4..8].try_into().unwrap()) as usize;
                    assert_eq!(payload.len(), 8 + 16 * count, "the count of an extended block status");
                    blocks.extend(payload[8..].chunks_exact(16).map(|entry| {
                        let word = |i: usize| u64::from_be_bytes(entry[i..i + 8].try_into().unwrap());
                        Block { len: word(0), flags: word(8) }
                    }));
                }
                _ => {}
            }
            if reply.is_last() {
                return error.map_or(Ok(blocks), Err);
            }
        }
    }

    /// Says goodbye with `NBD_CMD_DISC` and waits for the server to close.
    #[track_caller]
    pub fn disconnect(mut self) {
        self.request(cmd::DISC, 0, 0, 0).expect("sending NBD_CMD_DISC");
        // Some servers close only when both sides have said that they are done.
        self.finish_sending();
        self.assert_closed("after NBD_CMD_DISC");
    }
}
