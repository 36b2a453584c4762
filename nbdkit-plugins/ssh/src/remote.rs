// SPDX-License-Identifier: BSD-3-Clause
//! [`Remote`]: the file, opened on a session of its own. Blocks; afterwards a [`Pump`] moves the bytes.

use crate::{
    chatter::Chatter,
    lane::{Lane, Limits},
    link::Link,
    login::login,
    pump::Pump,
    target::Target,
    traffic::{Traffic, refused},
    wire::{self, Attributes, Reply, Request, Status, access, code},
};
use nbdkit_plugin::{Connection, EACCES, EINVAL, EIO, Error, Log, Result};
use std::io::{self, Read, Write};

/// What every server takes, in bytes (draft-ietf-secsh-filexfer-02, section 3).
const LEAST: usize = 32 << 10;
/// How much one request asks for at most, in bytes. Larger ones do not make it faster, and smaller ones fill the gaps.
const MOST: usize = 128 << 10;
/// How much may be on its way to us before we have taken any of it, in bytes: what a fast and distant server needs.
const WINDOW: u32 = 8 << 20;
/// Bits of the mode that say what a file is, as in `stat(2)`.
const KIND: u32 = 0o170000;
const REGULAR: u32 = 0o100000;
const BLOCK_DEVICE: u32 = 0o060000;

/// How to open the file.
#[derive(Clone, Copy)]
pub(crate) enum How {
    Read,
    Write,
    /// Makes it, empty if it was there, of `size` bytes.
    Create {
        mode: u32,
        size: u64,
    },
}

/// An open file.
pub(crate) struct Remote {
    link: Link,
    handle: Vec<u8>,
    next_id: u32,
    limits: Limits,
    pub attributes: Attributes,
    /// In bytes.
    pub size: u64,
    /// Knows how to make data permanent.
    pub sync: bool,
    /// The server is OpenSSH, of which much is known.
    pub openssh: bool,
}

impl Remote {
    /// Logs in, and opens the file.
    pub(crate) fn open(target: &Target, how: How, log: &Log) -> Result<Remote> {
        let (session, socket) = login(target, log)?;
        let no_sftp = |why: &str| Error::new(EIO, format!("{}: failed to start SFTP: {why}", target.host));
        let channel = session.channel_open("session", WINDOW, LEAST as u32, None);
        let channel = channel.map_err(|error| no_sftp(error.message()))?;
        let openssh = session.banner_bytes().is_some_and(|banner| banner.windows(7).any(|w| w == b"OpenSSH"));
        let mut remote = Remote {
            link: Link { session, channel, socket },
            handle: Vec::new(),
            next_id: 1,
            limits: Limits { read: LEAST, write: LEAST },
            attributes: Attributes::default(),
            size: 0,
            sync: false,
            openssh,
        };
        remote.link.channel.subsystem("sftp").map_err(|error| no_sftp(error.message()))?;
        remote.greet(target, log).map_err(|error| no_sftp(&error.to_string()))?;
        remote.open_file(&target.path, how).map_err(|error| {
            let purpose = match how {
                How::Read => "reading",
                How::Write | How::Create { .. } => "writing",
            };
            let hint = match (how, error.errno()) {
                (How::Write, EACCES) => " (-r opens it for reading only)",
                _ => "",
            };
            let path = target.shown_path();
            Error::new(error.errno(), format!("cannot open file for {purpose}: {path}: {error}{hint}"))
        })?;
        let (path, size, attributes) = (target.shown_path(), remote.size, &remote.attributes);
        target.chatter.say(
            Chatter::Steps,
            log,
            format_args!("SFTP: {path} is open: {size} bytes, {attributes:?}"),
        );
        Ok(remote)
    }

    /// The lane to the file, and what moves its bytes.
    pub(crate) fn start(self, target: &Target, connection: &Connection, log: &Log) -> (Lane, Pump) {
        self.link.session.set_blocking(false);
        let (lane, shared) = Lane::new(self.limits);
        let pump = Pump {
            link: self.link,
            timeout: target.timeout,
            host: target.host.clone(),
            connection: connection.clone(),
            log: log.clone(),
            traffic: Traffic::new(shared, self.handle, self.next_id),
        };
        (lane, pump)
    }

    fn greet(&mut self, target: &Target, log: &Log) -> Result<()> {
        self.link.channel.write_all(&wire::HELLO).map_err(Error::from)?;
        let packet = self.receive()?;
        let extensions = wire::hello(&packet).map_err(nonsense)?;
        let knows = |name: &str| extensions.contains(&name.as_bytes());
        self.sync = knows(wire::SYNC);
        for name in &extensions {
            let name = name.escape_ascii();
            target.chatter.say(Chatter::Steps, log, format_args!("SFTP: the server knows {name}"));
        }
        if knows(wire::LIMITS) {
            let packet = self.ask(&Request::Limits)?;
            if let Reply::Extended(body) = answer(&packet)?
                && let Some((read, write)) = wire::limits(body)
            {
                let within =
                    |limit: u64| if limit == 0 { MOST } else { limit.clamp(1, MOST as u64) as usize };
                self.limits = Limits { read: within(read), write: within(write) };
                target.chatter.say(
                    Chatter::Steps,
                    log,
                    format_args!("SFTP: the server reads {read} bytes at once, and writes {write}"),
                );
            }
        }
        Ok(())
    }

    fn open_file(&mut self, path: &[u8], how: How) -> Result<()> {
        let (access, mode) = match how {
            How::Read => (access::READ, None),
            How::Write => (access::READ | access::WRITE, None),
            How::Create { mode, .. } => {
                (access::READ | access::WRITE | access::CREATE | access::TRUNCATE, Some(mode))
            }
        };
        let packet = self.ask(&Request::Open { path, access, mode })?;
        self.handle = match answer(&packet)? {
            Reply::Handle(handle) if handle.len() <= 256 => handle.to_vec(),
            _ => return Err(nonsense("no handle".to_owned())),
        };
        if let How::Create { size, .. } = how {
            let packet = self.ask(&Request::SetSize { handle: &self.handle.clone(), size })?;
            match answer(&packet)? {
                Reply::Status(_) => {}
                _ => return Err(nonsense("no status".to_owned())),
            }
        }
        let packet = self.ask(&Request::Attributes { handle: &self.handle.clone() })?;
        self.attributes = match answer(&packet)? {
            Reply::Attributes(attributes) => attributes,
            _ => return Err(nonsense("no attributes".to_owned())),
        };
        self.size = match self.attributes.mode.map_or(REGULAR, |mode| mode & KIND) {
            REGULAR | 0 => self.attributes.size.ok_or_else(|| nonsense("no size".to_owned()))?,
            BLOCK_DEVICE => self.device_size()?,
            _ => return Err(Error::new(EINVAL, "it is neither a regular file nor a block device")),
        };
        match i64::try_from(self.size) {
            Ok(_) => Ok(()),
            Err(_) => Err(nonsense(format!("a size of {} bytes", self.size))),
        }
    }

    /// SFTP does not tell the size of a device: the first byte that cannot be read does.
    fn device_size(&mut self) -> Result<u64> {
        let (mut readable, mut beyond) = (0, 1 << 62);
        while readable < beyond {
            let middle = readable + (beyond - readable) / 2;
            let handle = self.handle.clone();
            let packet = self.ask(&Request::Read { handle: &handle, offset: middle, len: 1 })?;
            match wire::reply(&packet).map_err(nonsense)?.1 {
                Reply::Data(_) => readable = middle + 1,
                // Linux does not let anybody seek beyond the end of a device: EINVAL, which OpenSSH calls a bad message.
                Reply::Status(Status { code: code::EOF | code::BAD_MESSAGE, .. }) => beyond = middle,
                _ => return answer(&packet).and(Err(nonsense("no data".to_owned()))),
            }
        }
        Ok(readable)
    }

    /// Asks, and waits for the packet that answers.
    fn ask(&mut self, request: &Request) -> Result<Vec<u8>> {
        let id = self.next_id;
        self.next_id += 1;
        let mut packet = Vec::new();
        request.write(id, &mut packet);
        self.link.channel.write_all(&packet).map_err(Error::from)?;
        let packet = self.receive()?;
        match wire::reply(&packet).map_err(nonsense)? {
            (replied, _) if replied == id => Ok(packet),
            _ => Err(nonsense("a reply to nothing".to_owned())),
        }
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut packet = vec![0; 4];
        self.fill(&mut packet)?;
        let len = wire::length(&packet).map_err(nonsense)?.unwrap_or(4);
        packet.resize(len, 0);
        self.fill(&mut packet[4..])?;
        Ok(packet)
    }

    fn fill(&mut self, buf: &mut [u8]) -> Result<()> {
        self.link.channel.read_exact(buf).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::new(EIO, "the server has closed the session"),
            _ => Error::from(error),
        })
    }
}

/// What a packet says, unless it says no.
fn answer(packet: &[u8]) -> Result<Reply<'_>> {
    match wire::reply(packet).map_err(nonsense)?.1 {
        Reply::Status(status) if status.code != code::OK => Err(refused(status).unwrap_or_else(nonsense)),
        reply => Ok(reply),
    }
}

fn nonsense(what: String) -> Error {
    Error::new(EIO, format!("the server does not speak SFTP properly: {what}"))
}
