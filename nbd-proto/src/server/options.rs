// SPDX-License-Identifier: BSD-3-Clause
//! What each option means, and how the driver's answers become replies.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::handshake::{Handshake, Phase};
use super::{Abort, Ask, Tls};
use crate::Mode;
use crate::bytes::{Bytes, truncate};
use crate::export::check_name;
use crate::wire::{ClientFlags, InfoType, MAX_STORED, MAX_STRING, OPTION_REPLY, Opt, Rep};

/// An option that waits for the driver's answer, with all that is needed to go on after it.
#[derive(Debug)]
pub(super) enum Wanted {
    Oldstyle,
    ExportName {
        name: String,
    },
    List {
        exports: u32,
    },
    /// `NBD_OPT_INFO` or `NBD_OPT_GO`, with what the client wants to know.
    Info {
        option: Opt,
        name: String,
        infos: Vec<InfoType>,
    },
    /// One of the two about meta contexts, with the client's queries as they came.
    Contexts {
        option: Opt,
        name: String,
        queries: Vec<u8>,
    },
}

impl Wanted {
    pub fn ask(&self) -> Ask {
        match self {
            Self::Oldstyle => Ask::ExportName { name: String::new() },
            Self::ExportName { name } => Ask::ExportName { name: name.clone() },
            Self::List { .. } => Ask::List,
            Self::Info { option: Opt::GO, name, .. } => Ask::Go { name: name.clone() },
            Self::Info { name, .. } => Ask::Info { name: name.clone() },
            Self::Contexts { name, .. } => Ask::Contexts { name: name.clone() },
        }
    }
}

/// Why an option is refused.
type Refused = (Rep, String);

fn invalid(why: &str) -> Refused {
    (Rep::ERR_INVALID, why.to_owned())
}

/// The options of the client.
impl Handshake {
    /// Acts on a complete option.
    pub(super) fn option(&mut self, option: Opt, payload: &[u8]) {
        if option == Opt::EXPORT_NAME {
            return self.export_name(payload);
        }
        if !self.client.contains(ClientFlags::FIXED_NEWSTYLE) {
            return self.refuse_option(
                option,
                invalid("only NBD_OPT_EXPORT_NAME without NBD_FLAG_C_FIXED_NEWSTYLE"),
            );
        }
        let done = match option {
            Opt::ABORT => {
                self.reply(option, Rep::ACK, &[]);
                return self.abort(Abort::Client);
            }
            Opt::STARTTLS => self.start_tls(payload),
            _ if self.needs_tls() => Err((Rep::ERR_TLS_REQD, format!("{option} needs TLS first"))),
            Opt::LIST => self.list(payload),
            Opt::INFO | Opt::GO => self.info(option, payload),
            Opt::STRUCTURED_REPLY => self.structured_reply(payload),
            Opt::EXTENDED_HEADERS => self.extended_headers(payload),
            Opt::LIST_META_CONTEXT | Opt::SET_META_CONTEXT => self.meta_context(option, payload),
            _ => Err((Rep::ERR_UNSUP, format!("{option} is not supported"))),
        };
        if let Err(refused) = done {
            self.refuse_option(option, refused);
        }
    }

    /// Acts on an option whose payload was too long to be stored, and has been skipped.
    pub(super) fn refuse_too_big(&mut self, option: Opt) {
        match option {
            Opt::INFO | Opt::GO | Opt::LIST_META_CONTEXT | Opt::SET_META_CONTEXT
                if self.client.contains(ClientFlags::FIXED_NEWSTYLE) && !self.needs_tls() =>
            {
                if option == Opt::SET_META_CONTEXT {
                    self.selected = None;
                }
                self.refuse_option(
                    option,
                    (Rep::ERR_TOO_BIG, format!("{option} is longer than {MAX_STORED} bytes")),
                );
            }
            // Every other option is refused for any payload, or does not look at it.
            _ => self.option(option, &[0; MAX_STRING + 1]),
        }
    }

    fn needs_tls(&self) -> bool {
        self.config.tls == Tls::Required && !self.tls
    }

    fn export_name(&mut self, payload: &[u8]) {
        if self.needs_tls() {
            return self.abort(Abort::TlsRequired);
        }
        if self.mode == Mode::Extended {
            return self.abort(Abort::ExportNameExtended);
        }
        match check_name(payload) {
            Ok(name) => self.phase = Phase::Asking(Wanted::ExportName { name: name.to_owned() }),
            Err(why) => self.abort(Abort::BadExportName(why.to_string())),
        }
    }

    fn start_tls(&mut self, payload: &[u8]) -> Result<(), Refused> {
        no_payload(payload)?;
        match self.config.tls {
            _ if self.tls => Err(invalid("TLS is established already")),
            Tls::Off => Err((Rep::ERR_POLICY, "TLS is disabled".to_owned())),
            Tls::Unsupported => Err((Rep::ERR_UNSUP, "TLS is not supported".to_owned())),
            Tls::Allowed | Tls::Required => {
                self.reply(Opt::STARTTLS, Rep::ACK, &[]);
                self.phase = Phase::Tls;
                Ok(())
            }
        }
    }

    fn list(&mut self, payload: &[u8]) -> Result<(), Refused> {
        no_payload(payload)?;
        self.phase = Phase::Asking(Wanted::List { exports: 0 });
        Ok(())
    }

    fn info(&mut self, option: Opt, payload: &[u8]) -> Result<(), Refused> {
        let (name, infos) =
            parse_info(payload).ok_or_else(|| invalid("lengths do not agree with the payload"))?;
        let name = check_name(name).map_err(|why| (Rep::ERR_INVALID, why.to_string()))?.to_owned();
        self.phase = Phase::Asking(Wanted::Info { option, name, infos });
        Ok(())
    }

    fn structured_reply(&mut self, payload: &[u8]) -> Result<(), Refused> {
        no_payload(payload)?;
        match self.mode {
            _ if !self.config.structured_replies => {
                Err((Rep::ERR_UNSUP, "structured replies are disabled".to_owned()))
            }
            Mode::Extended => {
                Err((Rep::ERR_EXT_HEADER_REQD, "extended headers are negotiated already".to_owned()))
            }
            Mode::Structured => Err(invalid("structured replies are negotiated already")),
            Mode::Simple => {
                self.mode = Mode::Structured;
                self.reply(Opt::STRUCTURED_REPLY, Rep::ACK, &[]);
                Ok(())
            }
        }
    }

    fn extended_headers(&mut self, payload: &[u8]) -> Result<(), Refused> {
        no_payload(payload)?;
        if !self.config.extended_headers {
            return Err((Rep::ERR_UNSUP, "extended headers are disabled".to_owned()));
        }
        if self.mode == Mode::Extended {
            return Err(invalid("extended headers are negotiated already"));
        }
        self.mode = Mode::Extended;
        self.reply(Opt::EXTENDED_HEADERS, Rep::ACK, &[]);
        Ok(())
    }

    fn meta_context(&mut self, option: Opt, payload: &[u8]) -> Result<(), Refused> {
        if !self.config.meta_contexts {
            return Err((Rep::ERR_UNSUP, "meta contexts are disabled".to_owned()));
        }
        if option == Opt::SET_META_CONTEXT {
            // The specification: also a selection that fails replaces the one before.
            self.selected = None;
            if !self.mode.has_chunks() {
                return Err(invalid("negotiate structured replies or extended headers first"));
            }
        }
        let (name, queries) =
            parse_contexts(payload).ok_or_else(|| invalid("lengths do not agree with the payload"))?;
        let name = check_name(name).map_err(|why| (Rep::ERR_INVALID, why.to_string()))?.to_owned();
        self.phase = Phase::Asking(Wanted::Contexts { option, name, queries: queries.to_owned() });
        Ok(())
    }

    pub(super) fn reply(&mut self, option: Opt, reply: Rep, payload: &[&[u8]]) {
        let len: usize = payload.iter().map(|part| part.len()).sum();
        let len = len as u32; // a few strings of at most MAX_STRING
        self.output.extend_from_slice(&OPTION_REPLY.to_be_bytes());
        self.output.extend_from_slice(&option.0.to_be_bytes());
        self.output.extend_from_slice(&reply.0.to_be_bytes());
        self.output.extend_from_slice(&len.to_be_bytes());
        payload.iter().for_each(|part| self.output.extend_from_slice(part));
    }

    pub(super) fn refuse_option(&mut self, option: Opt, (reply, why): Refused) {
        self.reply(option, reply, &[truncate(&why, MAX_STRING).as_bytes()]);
    }
}

fn no_payload(payload: &[u8]) -> Result<(), Refused> {
    match payload.len() {
        0 => Ok(()),
        len @ 1..=MAX_STRING => {
            Err((Rep::ERR_INVALID, format!("this option takes no payload, not {len} bytes")))
        }
        // Not stored, so not counted: see `refuse_too_big`.
        _ => {
            Err((Rep::ERR_INVALID, format!("this option takes no payload, not more than {MAX_STRING} bytes")))
        }
    }
}

/// The name, and the information wanted, each kind once and only kinds that exist.
fn parse_info(payload: &[u8]) -> Option<(&[u8], Vec<InfoType>)> {
    let mut bytes = Bytes(payload);
    let name = bytes.counted()?;
    let count = bytes.u16()?;
    let mut infos = Vec::new();
    for _ in 0..count {
        let info = InfoType(bytes.u16()?);
        if InfoType::ALL.contains(&info) && !infos.contains(&info) {
            infos.push(info);
        }
    }
    bytes.end()?;
    Some((name, infos))
}

/// The name, and the queries still in one piece, each behind its length.
fn parse_contexts(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut bytes = Bytes(payload);
    let name = bytes.counted()?;
    let count = bytes.u32()?;
    let queries = bytes.0;
    for _ in 0..count {
        bytes.counted()?;
    }
    bytes.end()?;
    Some((name, queries))
}
