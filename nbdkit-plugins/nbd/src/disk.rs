// SPDX-License-Identifier: BSD-3-Clause
//! [`NbdDisk`]: an export of the server as a disk.

use crate::{
    client::{Answer, Call, Client, Wish},
    info::largest_payload,
};
use nbd_proto::{Command, Mode, Request, wire::CommandFlags};
use nbdkit_plugin::*;

/// The longest request in bytes that has no payload, where messages have 32 bits for its length: a multiple of every
/// block size.
const LONGEST: u64 = 1 << 31;

/// An export of the server.
pub(crate) struct NbdDisk {
    client: Arc<Client>,
    info: Info,
    pool: Pool,
    /// Others use the connection too: it is not closed with this disk.
    shared: bool,
    /// The longest read or write, in bytes.
    payload: u32,
    /// The longest of all others, in bytes.
    longest: u64,
}

impl NbdDisk {
    pub(crate) fn new(client: Arc<Client>, info: Info, pool: Pool, shared: bool) -> NbdDisk {
        let payload = largest_payload(client.session());
        let longest = if client.session().mode() == Mode::Extended { u64::MAX } else { LONGEST };
        NbdDisk { client, info, pool, shared, payload, longest }
    }

    fn read(&self, len: u32, offset: u64) -> Call<'_> {
        let request = Request::new(0, Command::Read, offset, len.into());
        self.client.call(Wish { request, payload: Buf::default(), buf: Some(self.pool.get(len as usize)) })
    }

    fn write(&self, data: Buf, offset: u64, flags: CommandFlags) -> Call<'_> {
        let request = Request::new(0, Command::Write, offset, data.len() as u64).with_flags(flags);
        self.client.call(Wish { request, payload: data, buf: None })
    }

    fn ask(&self, command: Command, span: Span, flags: CommandFlags) -> Call<'_> {
        let request = Request::new(0, command, span.offset, span.len).with_flags(flags);
        self.client.call(Wish { request, payload: Buf::default(), buf: None })
    }

    /// What the server has not said that it knows is not sent to it, nor what would change a disk that is only read.
    fn check(&self, command: Command) -> Result<()> {
        let info = &self.info;
        let (known, name) = match command {
            Command::Write | Command::Trim | Command::WriteZeroes if !info.write => {
                return Err(Error::new(EROFS, "the disk is read-only"));
            }
            Command::Flush => (info.flush, "flush"),
            Command::Trim => (info.trim, "trim"),
            Command::WriteZeroes => (info.zero == Support::Native, "zero"),
            Command::Cache => (info.cache == Support::Native, "cache"),
            Command::Read | Command::Write | Command::BlockStatus => return Ok(()),
        };
        if known { Ok(()) } else { Err(Error::unsupported(name)) }
    }

    /// Asks for something that is done or not, in pieces if it is too long.
    fn done(&self, command: Command, span: Span, flags: CommandFlags) -> Op<'_, ()> {
        if let Err(error) = self.check(command) {
            return Op::err(error);
        }
        if span.len <= self.longest {
            let call = self.ask(command, span, flags);
            return Op::wait(async move { call.await.map(drop) });
        }
        Op::wait(async move {
            for (offset, len) in pieces(span.offset, span.len, self.longest) {
                self.ask(command, Span::new(offset, len), flags).await?;
            }
            Ok(())
        })
    }
}

impl Disk for NbdDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        if len <= self.payload {
            let call = self.read(len, offset);
            return Op::wait(async move { data(call.await?) });
        }
        Op::wait(async move {
            let mut all = Data::zero(0);
            for (offset, len) in pieces(offset, len.into(), self.payload.into()) {
                // Not longer than `len`.
                all.append(data(self.read(len as u32, offset).await?)?);
            }
            Ok(all)
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        if let Err(error) = self.check(Command::Write) {
            return Op::err(error);
        }
        let flags = fua(flags);
        if data.len() <= self.payload as usize {
            let call = self.write(data, offset, flags);
            return Op::wait(async move { call.await.map(drop) });
        }
        Op::wait(async move {
            for (start, len) in pieces(0, data.len() as u64, self.payload.into()) {
                let piece = data.slice(start as usize..(start + len) as usize);
                self.write(piece, offset + start, flags).await?;
            }
            Ok(())
        })
    }

    fn flush(&self) -> Op<'_, ()> {
        self.done(Command::Flush, Span::new(0, 0), CommandFlags::NONE)
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.done(Command::Trim, span, fua(flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        let wire = fua(flags)
            .set(CommandFlags::NO_HOLE, !flags.may_trim)
            .set(CommandFlags::FAST_ZERO, flags.fast_zero && self.info.fast_zero);
        self.done(Command::WriteZeroes, span, wire)
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.done(Command::Cache, span, CommandFlags::NONE)
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        // What comes of the rest is asked for again.
        let span = Span::new(span.offset, span.len.min(self.longest));
        let flags = CommandFlags::NONE.set(CommandFlags::REQ_ONE, flags.req_one);
        let call = self.ask(Command::BlockStatus, span, flags);
        Op::wait(async move {
            match call.await? {
                Answer::Extents(mut extents) => {
                    extents.truncate(self.info.size.saturating_sub(span.offset));
                    Ok(extents)
                }
                _ => Err(Error::new(EIO, "server did not say where the holes are")),
            }
        })
    }

    fn close(&self) -> Op<'_, ()> {
        if !self.shared {
            self.client.close();
        }
        Op::ok(())
    }
}

fn data(answer: Answer) -> Result<Data> {
    match answer {
        Answer::Data(data) => Ok(data),
        _ => Err(Error::new(EIO, "server answered a read without data")),
    }
}

fn fua(flags: Flags) -> CommandFlags {
    CommandFlags::NONE.set(CommandFlags::FUA, flags.fua)
}

/// Offsets and lengths of `len` bytes from `offset` in pieces of at most `most`.
fn pieces(offset: u64, len: u64, most: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..len.div_ceil(most)).map(move |piece| (offset + piece * most, most.min(len - piece * most)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_of_it() {
        for (len, expected) in [(1, vec![(7, 1)]), (4, vec![(7, 4)]), (5, vec![(7, 4), (11, 1)])] {
            assert_eq!(pieces(7, len, 4).collect::<Vec<_>>(), expected);
        }
    }
}
