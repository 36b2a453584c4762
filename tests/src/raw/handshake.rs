// SPDX-License-Identifier: BSD-3-Clause
//! The handshake in bytes: the greeting, options, and their replies.

use std::io;

use super::{Client, Style, broken, opt, rep};

/// Magic of the greeting and of every option: `IHAVEOPT`.
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

/// Both client flags: fixed newstyle, no zeroes.
pub const BOTH_FLAGS: u32 = 3;

/// [`rep::ACK`], the most wanted of them.
pub const ACK: u32 = rep::ACK;

/// One reply to an option.
#[derive(Clone, Debug)]
pub struct OptionReply {
    /// Which option it answers.
    pub option: u32,
    /// One of [`rep`].
    pub kind: u32,
    /// Its payload.
    pub data: Vec<u8>,
}

impl OptionReply {
    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.kind & rep::ERROR != 0
    }

    /// Whether no further reply to this option follows.
    pub fn is_last(&self) -> bool {
        self.is_error() || self.kind == rep::ACK
    }

    /// The text of an error.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.data).expect("the text of an error reply is UTF-8")
    }
}

/// What the server told of the chosen export.
#[derive(Clone, Debug, Default)]
pub struct Export {
    /// In bytes.
    pub size: u64,
    /// Transmission flags.
    pub flags: u16,
    /// Minimum, preferred and maximum block size, if told.
    pub block_size: Option<(u32, u32, u32)>,
    /// The number of `base:allocation`, if negotiated.
    pub context: Option<u32>,
}

/// An option request, whatever its payload says.
pub fn option(code: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = option_head(code, payload.len() as u32);
    bytes.extend_from_slice(payload);
    bytes
}

/// The 16 bytes before the payload of an option.
pub fn option_head(code: u32, len: u32) -> Vec<u8> {
    [&OPTION_MAGIC.to_be_bytes()[..], &code.to_be_bytes(), &len.to_be_bytes()].concat()
}

/// Payload of `NBD_OPT_GO` and `NBD_OPT_INFO` that asks for the block sizes.
pub fn go_payload(name: &[u8]) -> Vec<u8> {
    [&(name.len() as u32).to_be_bytes()[..], name, &1_u16.to_be_bytes(), &3_u16.to_be_bytes()].concat()
}

/// Payload of the meta context options with one query.
pub fn meta_payload(name: &[u8], query: &[u8]) -> Vec<u8> {
    let (name_len, query_len) = ((name.len() as u32).to_be_bytes(), (query.len() as u32).to_be_bytes());
    [&name_len[..], name, &1_u32.to_be_bytes(), &query_len, query].concat()
}

/// Reads the 18 bytes of the greeting and returns the handshake flags.
pub fn greeting_flags(client: &mut Client) -> io::Result<u16> {
    let magic = client.array::<8>()?;
    if &magic != b"NBDMAGIC" {
        return Err(broken(format!("greeting starts with {magic:02x?}")));
    }
    match client.u64()? {
        OPTION_MAGIC => client.u16(),
        other => Err(broken(format!("second magic of the greeting is {other:#x}"))),
    }
}

impl Client {
    /// Reads the greeting and answers with both flags.
    pub fn hello(&mut self) -> io::Result<()> {
        greeting_flags(self)?;
        self.send(&BOTH_FLAGS.to_be_bytes())
    }

    /// Reads one option reply. A length over 64 KiB is the server's mistake.
    pub fn option_reply(&mut self) -> io::Result<OptionReply> {
        match self.u64()? {
            OPTION_REPLY_MAGIC => {}
            other => return Err(broken(format!("magic of an option reply is {other:#x}"))),
        }
        let (option, kind, len) = (self.u32()?, self.u32()?, self.u32()?);
        if len > 64 << 10 {
            return Err(broken(format!("option reply of {len} bytes")));
        }
        Ok(OptionReply { option, kind, data: self.recv(len as usize)? })
    }

    /// Sends an option and collects its replies up to the last.
    pub fn ask(&mut self, code: u32, payload: &[u8]) -> io::Result<Vec<OptionReply>> {
        self.send(&option(code, payload))?;
        self.answers(code)
    }

    /// Collects the replies to an option that was sent.
    pub fn answers(&mut self, code: u32) -> io::Result<Vec<OptionReply>> {
        let mut replies = Vec::new();
        loop {
            let reply = self.option_reply()?;
            if reply.option != code {
                return Err(broken(format!("a reply to option {} instead of {code}", reply.option)));
            }
            let last = reply.is_last();
            replies.push(reply);
            if last {
                return Ok(replies);
            }
        }
    }

    /// Sends an option and returns its last reply.
    pub fn verdict(&mut self, code: u32, payload: &[u8]) -> io::Result<OptionReply> {
        Ok(self.ask(code, payload)?.pop().expect("there is a last reply"))
    }

    /// `NBD_OPT_GO`: the export, or the error reply.
    pub fn go(&mut self, name: &[u8]) -> io::Result<Result<Export, OptionReply>> {
        let mut export = Export::default();
        for reply in self.ask(opt::GO, &go_payload(name))? {
            match (reply.kind, reply.data.as_slice()) {
                (rep::ACK, _) => {}
                (rep::INFO, [0, 0, size @ .., f0, f1]) if size.len() == 8 => {
                    export.size = u64::from_be_bytes(size.try_into().unwrap());
                    export.flags = u16::from_be_bytes([*f0, *f1]);
                }
                (rep::INFO, [0, 3, sizes @ ..]) if sizes.len() == 12 => {
                    let size = |i: usize| u32::from_be_bytes(sizes[i..i + 4].try_into().unwrap());
                    export.block_size = Some((size(0), size(4), size(8)));
                }
                (rep::INFO, _) => {}
                _ if reply.is_error() => return Ok(Err(reply)),
                _ => return Err(broken(format!("reply to NBD_OPT_GO: {reply:?}"))),
            }
        }
        Ok(Ok(export))
    }

    /// The whole handshake of a simple client. Panics when anything goes wrong, as do the next two.
    #[track_caller]
    pub fn simple(&mut self, name: &str) -> Export {
        self.hello().expect("greeting");
        self.chosen(name)
    }

    /// The handshake of a client with structured replies and `base:allocation`.
    #[track_caller]
    pub fn structured(&mut self, name: &str) -> Export {
        self.hello().expect("greeting");
        let reply = self.verdict(opt::STRUCTURED_REPLY, &[]).expect("reply to NBD_OPT_STRUCTURED_REPLY");
        assert_eq!(reply.kind, ACK, "structured replies refused: {reply:?}");
        self.style = Style::Structured;
        self.chosen_with_context(name)
    }

    /// The handshake of a client with extended headers and `base:allocation`.
    #[track_caller]
    pub fn extended(&mut self, name: &str) -> Export {
        self.hello().expect("greeting");
        let reply = self.verdict(opt::EXTENDED_HEADERS, &[]).expect("reply to NBD_OPT_EXTENDED_HEADERS");
        assert_eq!(reply.kind, ACK, "extended headers refused: {reply:?}");
        self.style = Style::Extended;
        self.chosen_with_context(name)
    }

    #[track_caller]
    fn chosen_with_context(&mut self, name: &str) -> Export {
        let query = meta_payload(name.as_bytes(), b"base:allocation");
        let replies = self.ask(opt::SET_META_CONTEXT, &query).expect("reply to NBD_OPT_SET_META_CONTEXT");
        let context = replies.iter().find(|reply| reply.kind == rep::META_CONTEXT);
        let context = context.map(|reply| u32::from_be_bytes(reply.data[..4].try_into().unwrap()));
        Export { context, ..self.chosen(name) }
    }

    #[track_caller]
    fn chosen(&mut self, name: &str) -> Export {
        let reply =
            self.go(name.as_bytes()).unwrap_or_else(|error| panic!("NBD_OPT_GO for {name:?}: {error}"));
        reply.unwrap_or_else(|reply| {
            panic!("export {name:?} refused: {:#x} {}", reply.kind, String::from_utf8_lossy(&reply.data))
        })
    }
}
