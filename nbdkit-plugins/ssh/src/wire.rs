// SPDX-License-Identifier: BSD-3-Clause
//! The bytes of SFTP version 3 (draft-ietf-secsh-filexfer-02): requests to write, replies to read. No input or output
//! here, and nothing that a server sends makes it panic or allocate.

use std::borrow::Cow;

/// A longer packet is not taken, in bytes: what OpenSSH sends and takes at most (`SFTP_MAX_MSG_LENGTH`).
pub(crate) const LONGEST: usize = 256 << 10;

/// For opening: `SSH_FXF_*`.
pub(crate) mod access {
    pub(crate) const READ: u32 = 1;
    pub(crate) const WRITE: u32 = 2;
    pub(crate) const CREATE: u32 = 8;
    pub(crate) const TRUNCATE: u32 = 16;
}

/// `SSH_FX_*`.
pub(crate) mod code {
    pub(crate) const OK: u32 = 0;
    pub(crate) const EOF: u32 = 1;
    pub(crate) const NO_SUCH_FILE: u32 = 2;
    pub(crate) const PERMISSION_DENIED: u32 = 3;
    pub(crate) const BAD_MESSAGE: u32 = 5;
    pub(crate) const UNSUPPORTED: u32 = 8;
}

const ATTRIBUTE_SIZE: u32 = 1;
const ATTRIBUTE_OWNER: u32 = 2;
const ATTRIBUTE_MODE: u32 = 4;
const ATTRIBUTE_TIMES: u32 = 8;

/// What is asked of the server.
pub(crate) enum Request<'a> {
    /// `access` is of [`access`], `mode` the permissions of a file that is created.
    Open {
        path: &'a [u8],
        access: u32,
        mode: Option<u32>,
    },
    Read {
        handle: &'a [u8],
        offset: u64,
        len: u32,
    },
    Write {
        handle: &'a [u8],
        offset: u64,
        data: &'a [u8],
    },
    Attributes {
        handle: &'a [u8],
    },
    SetSize {
        handle: &'a [u8],
        size: u64,
    },
    /// An extension of OpenSSH, about a file.
    Sync {
        handle: &'a [u8],
    },
    /// An extension of OpenSSH: how long reads and writes may be.
    Limits,
}

/// The name of the extension that makes written data permanent.
pub(crate) const SYNC: &str = "fsync@openssh.com";
/// The name of the extension that tells limits.
pub(crate) const LIMITS: &str = "limits@openssh.com";

/// The first packet: we speak version 3.
pub(crate) const HELLO: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

impl Request<'_> {
    /// Puts the packet behind what is in `out`. `id` comes back with the reply.
    pub(crate) fn write(&self, id: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.push(self.kind());
        number(out, id);
        match self {
            Request::Open { path, access, mode } => {
                string(out, path);
                number(out, *access);
                number(out, if mode.is_some() { ATTRIBUTE_MODE } else { 0 });
                mode.iter().for_each(|mode| number(out, *mode));
            }
            Request::Read { handle, offset, len } => {
                string(out, handle);
                out.extend_from_slice(&offset.to_be_bytes());
                number(out, *len);
            }
            Request::Write { handle, offset, data } => {
                string(out, handle);
                out.extend_from_slice(&offset.to_be_bytes());
                string(out, data);
            }
            Request::Attributes { handle } => string(out, handle),
            Request::SetSize { handle, size } => {
                string(out, handle);
                number(out, ATTRIBUTE_SIZE);
                out.extend_from_slice(&size.to_be_bytes());
            }
            Request::Sync { handle } => {
                string(out, SYNC.as_bytes());
                string(out, handle);
            }
            Request::Limits => string(out, LIMITS.as_bytes()),
        }
        let len = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    fn kind(&self) -> u8 {
        match self {
            Request::Open { .. } => 3,
            Request::Read { .. } => 5,
            Request::Write { .. } => 6,
            Request::Attributes { .. } => 8,
            Request::SetSize { .. } => 10,
            Request::Sync { .. } | Request::Limits => 200,
        }
    }
}

fn number(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Paths and handles are short, and data is within [`LONGEST`].
fn string(out: &mut Vec<u8>, bytes: &[u8]) {
    number(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// What the server says.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply<'a> {
    Status(Status<'a>),
    Handle(&'a [u8]),
    Data(&'a [u8]),
    Attributes(Attributes),
    /// To an extension.
    Extended(&'a [u8]),
}

/// How something went.
#[derive(Debug, PartialEq)]
pub(crate) struct Status<'a> {
    /// One of [`code`], among others.
    pub code: u32,
    /// In the server's words, on one line.
    pub message: Cow<'a, str>,
}

/// What is known of a file. Times are in seconds since 1970.
#[derive(Debug, Default, PartialEq, Clone)]
pub(crate) struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    pub modified: Option<u32>,
}

/// How long the first packet in `bytes` is, its own length included; `None` if that is not known yet.
///
/// # Errors
/// When it is longer than any should be, or empty.
pub(crate) fn length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(length) = bytes.first_chunk() else { return Ok(None) };
    match u32::from_be_bytes(*length) as usize {
        length @ 1..=LONGEST => Ok(Some(length + 4)),
        length => Err(format!("a packet of {length} bytes, should be 1 to {LONGEST}")),
    }
}

/// Reads one whole packet: the id of the request, and the answer to it.
///
/// # Errors
/// When it is not a reply of SFTP.
pub(crate) fn reply(packet: &[u8]) -> Result<(u32, Reply<'_>), String> {
    let mut fields = Fields(packet);
    let wrong = || "a packet that is cut short".to_owned();
    let mut read = || {
        fields.number()?;
        let (kind, id) = (fields.byte()?, fields.number()?);
        Some((kind, id))
    };
    let (kind, id) = read().ok_or_else(wrong)?;
    let reply = match kind {
        101 => fields.status().map(Reply::Status),
        102 => fields.string().map(Reply::Handle),
        103 => fields.string().map(Reply::Data),
        105 => fields.attributes().map(Reply::Attributes),
        201 => Some(Reply::Extended(fields.0)),
        _ => return Err(format!("a packet of the unknown kind {kind}")),
    };
    Ok((id, reply.ok_or_else(wrong)?))
}

/// Reads the answer to [`HELLO`]: the names of the extensions.
///
/// # Errors
/// When the server speaks another version.
pub(crate) fn hello(packet: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut fields = Fields(packet);
    let head = (fields.number(), fields.byte(), fields.number());
    let (Some(_), Some(2), Some(3)) = head else {
        return Err("it does not answer with version 3 of SFTP".to_owned());
    };
    let mut names = Vec::new();
    while let (Some(name), Some(_)) = (fields.string(), fields.string()) {
        names.push(name);
    }
    Ok(names)
}

/// Reads the answer to [`Request::Limits`]: the longest read and the longest write in bytes; 0 is no limit.
pub(crate) fn limits(body: &[u8]) -> Option<(u64, u64)> {
    let mut fields = Fields(body);
    fields.long()?;
    Some((fields.long()?, fields.long()?))
}

/// What is left of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn string(&mut self) -> Option<&'a [u8]> {
        let len = self.number()? as usize;
        let (string, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(string)
    }

    fn status(&mut self) -> Option<Status<'a>> {
        let code = self.number()?;
        // Very old servers send no message.
        let message = String::from_utf8_lossy(self.string().unwrap_or_default());
        let message = match message.contains(|c: char| c.is_control()) {
            true => message.replace(|c: char| c.is_control(), " ").into(),
            false => message,
        };
        Some(Status { code, message })
    }

    fn attributes(&mut self) -> Option<Attributes> {
        let flags = self.number()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Attributes::default();
        if has(ATTRIBUTE_SIZE) {
            attributes.size = Some(self.long()?);
        }
        if has(ATTRIBUTE_OWNER) {
            attributes.owner = Some((self.number()?, self.number()?));
        }
        if has(ATTRIBUTE_MODE) {
            attributes.mode = Some(self.number()?);
        }
        if has(ATTRIBUTE_TIMES) {
            self.number()?;
            attributes.modified = Some(self.number()?);
        }
        Some(attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32).to_be_bytes(), body].concat()
    }

    #[test]
    fn requests_are_framed() {
        let mut out = vec![9];
        Request::Read { handle: b"ab", offset: 1 << 40, len: 0x0102 }.write(7, &mut out);
        let body = b"\x05\0\0\0\x07\0\0\0\x02ab\0\0\x01\0\0\0\0\0\0\0\x01\x02";
        assert_eq!(out[1..], packet(body));
        out.clear();
        Request::Open { path: b"-x", access: access::READ, mode: Some(0o600) }.write(1, &mut out);
        assert_eq!(out, packet(b"\x03\0\0\0\x01\0\0\0\x02-x\0\0\0\x01\0\0\0\x04\0\0\x01\x80"));
        assert_eq!(length(&out), Ok(Some(out.len())));
    }

    #[test]
    fn replies() {
        let status = packet(b"\x65\0\0\0\x05\0\0\0\x04\0\0\0\x03a\nb\0\0\0\0");
        let expected = Reply::Status(Status { code: 4, message: "a b".into() });
        assert_eq!(reply(&status), Ok((5, expected)));
        let bare = packet(b"\x65\0\0\0\x05\0\0\0\x01");
        assert_eq!(reply(&bare), Ok((5, Reply::Status(Status { code: 1, message: "".into() }))));
        let attributes =
            packet(b"\x69\0\0\0\x01\0\0\0\x0d\0\0\0\0\0\0\x10\0\0\0\x81\xa4\0\0\0\x01\0\0\0\x02");
        let expected = Attributes { size: Some(4096), owner: None, mode: Some(0o100644), modified: Some(2) };
        assert_eq!(reply(&attributes), Ok((1, Reply::Attributes(expected))));
        assert!(reply(&packet(b"\x67\0\0\0\x05\0\0\0\x04abc")).unwrap_err().contains("cut short"));
        assert!(reply(&packet(b"\x63\0\0\0\x05")).unwrap_err().contains("unknown kind 99"));
    }

    #[test]
    fn greetings_and_limits() {
        let greeting = packet(b"\x02\0\0\0\x03\0\0\0\x01a\0\0\0\x011\0\0\0\x01b\0\0\0\0");
        assert_eq!(hello(&greeting), Ok(vec![&b"a"[..], b"b"]));
        assert!(hello(&packet(b"\x02\0\0\0\x04")).is_err());
        let body: Vec<u8> = [1u64, 2, 3, 4].iter().flat_map(|n| n.to_be_bytes()).collect();
        assert_eq!(limits(&body), Some((2, 3)));
        assert_eq!(limits(&body[..20]), None);
    }

    #[test]
    fn lengths_have_limits() {
        assert_eq!(length(&[0, 0, 0]), Ok(None));
        assert!(length(&[0, 0, 0, 0]).is_err());
        assert!(length(&[0, 4, 0, 0]).is_ok());
        assert!(length(&[0, 4, 0, 1]).is_err());
        assert!(length(&[255; 4]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(mut bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 95u8..110) {
            let _ = (length(&bytes), reply(&bytes).is_ok(), hello(&bytes).is_ok(), limits(&bytes));
            if let Some(byte) = bytes.get_mut(4) {
                *byte = kind;
            }
            let _ = reply(&bytes).is_ok();
        }
    }
}
