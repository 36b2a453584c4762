// SPDX-License-Identifier: BSD-3-Clause
//! [`Secured`]: a TLS engine between the plain bytes of a connection and its sockets.
//!
//! To its caller it is a pipe like any other. What was encrypted counts as written when its ciphertext has left, so that
//! whoever counts bytes that wait, to slow a client down, counts all of them.

use super::now;
use crate::tls::engine::{Engine, Error, Read};
use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    os::fd::BorrowedFd,
};

/// How the client has ended its side.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It has said that nothing more comes.
    Orderly,
    /// The transport has ended: what came may not be all that was sent.
    Cut,
}

/// What a handshake waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Handshake {
    /// Nothing: it is done.
    Done,
    /// More from the client.
    Reading,
    /// Room in the socket.
    Writing,
}

/// An engine, and what is on its way through it.
pub struct Secured {
    engine: Engine,
    /// The last call has emptied the socket: another would only say so.
    emptied: bool,
    /// Plaintext that the engine has taken, and that the caller still has to ask for.
    owed: usize,
    ending: Option<Ending>,
    /// What went wrong behind bytes that had to be given out first.
    failed: Option<io::Error>,
}

impl Secured {
    /// At the beginning.
    pub fn new(engine: Engine) -> Secured {
        Secured { engine, emptied: false, owed: 0, ending: None, failed: None }
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How the client has ended its side, if it has.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Goes on with the handshake as far as that is possible now.
    ///
    /// # Errors
    /// Why it has failed. An alert may wait to be [`flush`](Secured::flush)ed.
    pub fn handshake(&mut self, input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> io::Result<Handshake> {
        loop {
            if let Err(error) = self.flush(output) {
                // Who does not like our certificate says so, and hangs up: why is still to be read.
                self.receive(input)?;
                return Err(error);
            }
            if !self.engine.is_handshaking() {
                return Ok(Handshake::Done);
            }
            if !self.engine.output().is_empty() {
                return Ok(Handshake::Writing);
            }
            match self.receive(input) {
                Ok(true) => {}
                Ok(false) => return Ok(Handshake::Reading),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                    self.engine.eof().map_err(broken)?;
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What there is, now. `None`: nothing yet. 0: the client has ended its side.
    pub fn try_read(
        &mut self,
        input: BorrowedFd<'_>,
        output: BorrowedFd<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> io::Result<Option<usize>> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.emptied = false;
        let mut total = 0;
        let end = bufs.iter_mut().try_for_each(|buf| self.fill(input, buf, &mut total)).err();
        // What the engine has to say by itself. That it cannot be said shows at the next write.
        let _ = self.flush(output);
        match end {
            Some(Stop::Failed(error)) if total == 0 => Err(error),
            Some(Stop::Failed(error)) => {
                self.failed = Some(error);
                Ok(Some(total))
            }
            Some(Stop::Nothing) if total == 0 => Ok(None),
            _ => Ok(Some(total)),
        }
    }

    /// Fills `buf`, and adds to `total` how much that was.
    fn fill(&mut self, input: BorrowedFd<'_>, buf: &mut [u8], total: &mut usize) -> Result<(), Stop> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.engine.read(&mut buf[filled..]) {
                Ok(Read::Some(len)) => {
                    filled += len;
                    *total += len;
                }
                Ok(Read::End) => return Err(self.ended(Ending::Orderly)),
                Ok(Read::Cut) => return Err(self.ended(Ending::Cut)),
                Ok(Read::Nothing) if self.emptied => return Err(Stop::Nothing),
                Ok(Read::Nothing) => match self.receive(input) {
                    Ok(true) => {}
                    Ok(false) => return Err(Stop::Nothing),
                    Err(error) => return Err(Stop::Failed(error)),
                },
                Err(error) => return Err(Stop::Failed(broken(error))),
            }
        }
        Ok(())
    }

    fn ended(&mut self, how: Ending) -> Stop {
        self.ending = Some(how);
        Stop::End
    }

    /// Gives the engine what there is, now; whether there was anything.
    fn receive(&mut self, input: BorrowedFd<'_>) -> io::Result<bool> {
        let room = self.engine.room();
        let asked = room.len();
        match now(rustix::io::read(input, room))? {
            None => Ok(false),
            Some(0) => self.engine.eof().map_err(broken).map(|()| true),
            Some(len) => {
                self.emptied = len < asked;
                self.engine.arrived(len).map_err(broken).map(|()| true)
            }
        }
    }

    /// Encrypts, and sends. `None`: come again with the same bytes, and perhaps more behind them.
    pub fn try_write(&mut self, output: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        if self.owed == 0 {
            self.owed = self.engine.write(bufs).map_err(broken)?;
        }
        self.flush(output)?;
        match std::mem::take(&mut self.owed) {
            owed if !self.engine.output().is_empty() => {
                self.owed = owed;
                Ok(None)
            }
            // As write(2) never does: who got this would only ask again.
            0 => Err(ErrorKind::WriteZero.into()),
            owed => Ok(Some(owed)),
        }
    }

    /// Sends of what the engine has to say as much as goes, now.
    pub fn flush(&mut self, output: BorrowedFd<'_>) -> io::Result<()> {
        while !self.engine.output().is_empty() {
            let asked = self.engine.output().len();
            let Some(sent) = now(rustix::io::write(output, self.engine.output()))? else { break };
            self.engine.sent(sent);
            if sent < asked {
                // The socket is full: another call would only say so.
                break;
            }
        }
        Ok(())
    }

    /// Whether reading finds something without looking at the socket.
    pub fn readable(&self) -> bool {
        self.failed.is_some() || self.engine.readable()
    }

    /// Whether something waits to be sent that nobody will come again for.
    pub fn restless(&self) -> bool {
        self.owed == 0 && !self.engine.output().is_empty()
    }

    /// Gives back the memory of buffers that are empty.
    pub fn rest(&mut self) {
        self.engine.rest();
    }

    /// Says goodbye, if there is room for it now.
    pub fn close(&mut self, output: BorrowedFd<'_>) {
        self.engine.close();
        // To somebody who does not listen nothing can be said.
        let _ = self.flush(output);
    }
}

/// Why no more is read.
enum Stop {
    Nothing,
    End,
    Failed(io::Error),
}

fn broken(error: Error) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error)
}
