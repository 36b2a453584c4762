// SPDX-License-Identifier: BSD-3-Clause
//! Which option comes next, and what its replies mean.

use alloc::string::String;
use alloc::vec::Vec;

use super::handshake::{Handshake, Phase};
use super::{Event, Failure, Goal, Tls};
use crate::bytes::Bytes;
use crate::wire::{InfoType, MAX_STRING, Opt, Rep, TransmissionFlags};
use crate::{BlockSize, Context, ExportInfo, MAX_CONTEXTS, Mode};

/// What the client wants to know of an export.
const INFOS: [InfoType; 4] = [InfoType::EXPORT, InfoType::NAME, InfoType::DESCRIPTION, InfoType::BLOCK_SIZE];

/// A reply, taken apart; or what is wrong with it.
type Parsed<T> = Result<T, &'static str>;

/// The way to the goal.
impl Handshake {
    /// Sends the first option.
    pub(super) fn begin(&mut self, fixed: bool) {
        if fixed {
            return self.try_tls();
        }
        if self.config.tls == Tls::Required || !self.config.goal.is_export() {
            return self.fail(Failure::NoOptions);
        }
        self.send_export_name();
    }

    /// An oldstyle server has told everything.
    pub(super) fn reach_without_options(&mut self, export: ExportInfo) {
        match self.config.goal {
            _ if self.config.tls == Tls::Required => self.fail(Failure::NoOptions),
            Goal::Go | Goal::ExportName => self.done(export),
            Goal::Info => {
                self.event = Some(Event::Info(export));
                self.phase = Phase::Finished;
            }
            Goal::List | Goal::ListContexts => self.fail(Failure::NoOptions),
        }
    }

    /// Sends the option that comes after this one, which is dealt with.
    pub(super) fn go_on(&mut self, option: Opt) {
        match option {
            Opt::STARTTLS => self.try_extended_headers(),
            Opt::EXTENDED_HEADERS => self.try_structured_replies(),
            Opt::STRUCTURED_REPLY => self.try_contexts(),
            Opt::SET_META_CONTEXT => self.try_goal(),
            _ => self.send(Opt::ABORT, &[]),
        }
    }

    fn try_tls(&mut self) {
        match self.config.tls {
            Tls::Off => self.try_extended_headers(),
            Tls::Preferred | Tls::Required => self.send(Opt::STARTTLS, &[]),
        }
    }

    fn try_extended_headers(&mut self) {
        match self.config.goal {
            Goal::List => self.try_goal(),
            Goal::ExportName => self.try_structured_replies(),
            _ if self.config.extended_headers => self.send(Opt::EXTENDED_HEADERS, &[]),
            _ => self.try_structured_replies(),
        }
    }

    fn try_structured_replies(&mut self) {
        if self.config.structured_replies && self.mode == Mode::Simple {
            self.send(Opt::STRUCTURED_REPLY, &[]);
        } else {
            self.try_contexts();
        }
    }

    fn try_contexts(&mut self) {
        if self.config.goal.is_export() && self.mode.has_chunks() && !self.config.contexts.is_empty() {
            self.send_contexts(Opt::SET_META_CONTEXT);
        } else {
            self.try_goal();
        }
    }

    fn try_goal(&mut self) {
        match self.config.goal {
            Goal::Go => self.send_info(Opt::GO),
            Goal::Info => self.send_info(Opt::INFO),
            Goal::ExportName => self.send_export_name(),
            Goal::List => self.send(Opt::LIST, &[]),
            Goal::ListContexts => self.send_contexts(Opt::LIST_META_CONTEXT),
        }
    }

    fn send_export_name(&mut self) {
        let name = self.config.export.clone();
        self.send(Opt::EXPORT_NAME, name.as_bytes());
    }

    fn send_info(&mut self, option: Opt) {
        let mut payload = Vec::new();
        put_string(&mut payload, &self.config.export);
        payload.extend_from_slice(&(INFOS.len() as u16).to_be_bytes());
        INFOS.iter().for_each(|info| payload.extend_from_slice(&info.0.to_be_bytes()));
        self.send(option, &payload);
    }

    fn send_contexts(&mut self, option: Opt) {
        let mut payload = Vec::new();
        put_string(&mut payload, &self.config.export);
        payload.extend_from_slice(&(self.config.contexts.len() as u32).to_be_bytes());
        self.config.contexts.iter().for_each(|name| put_string(&mut payload, name));
        self.send(option, &payload);
    }
}

/// The replies of the server.
impl Handshake {
    /// Acts on a complete reply.
    pub(super) fn take_reply(&mut self, option: Opt, reply: Rep, payload: &[u8]) {
        if option == Opt::ABORT {
            return self.phase = Phase::Finished;
        }
        self.phase = Phase::Header(option);
        let parsed = match (option, reply) {
            _ if reply.is_error() => return self.take_error(option, reply, text(payload)),
            (_, Rep::ACK) if !payload.is_empty() => Err("NBD_REP_ACK with a payload"),
            (_, Rep::ACK) => self.take_ack(option),
            (Opt::LIST, Rep::SERVER) => self.take_server(payload),
            (Opt::INFO | Opt::GO, Rep::INFO) => self.take_info(payload),
            (Opt::SET_META_CONTEXT, Rep::META_CONTEXT) => self.take_context(payload),
            (Opt::LIST_META_CONTEXT, Rep::META_CONTEXT) => self.take_listed_context(payload),
            _ => Err("it is of a type that does not answer this option"),
        };
        if let Err(why) = parsed {
            self.fail(Failure::BadReply { option, why });
        }
    }

    fn take_error(&mut self, option: Opt, reply: Rep, text: String) {
        match option {
            Opt::STARTTLS if self.config.tls != Tls::Required => {}
            Opt::EXTENDED_HEADERS | Opt::STRUCTURED_REPLY => {}
            Opt::SET_META_CONTEXT => self.contexts.clear(),
            Opt::GO if reply == Rep::ERR_UNSUP && self.mode != Mode::Extended => {
                return self.send_export_name();
            }
            _ => {
                // The server is owed a polite end, but its answer to that is of no interest.
                self.send(Opt::ABORT, &[]);
                return self.fail(Failure::Refused { option, reply, text });
            }
        }
        self.event = Some(Event::Refused { option, reply, text });
        self.go_on(option);
    }

    fn take_ack(&mut self, option: Opt) -> Parsed<()> {
        match option {
            Opt::STARTTLS => {
                self.phase = Phase::Tls;
                return Ok(());
            }
            Opt::EXTENDED_HEADERS => self.mode = Mode::Extended,
            Opt::STRUCTURED_REPLY => self.mode = Mode::Structured,
            Opt::INFO | Opt::GO => {
                // The flags are never 0 once they have been told: one of them is always set.
                let told = self.export.take().filter(|export| !export.flags.is_empty());
                let export = told.ok_or("NBD_INFO_EXPORT is missing")?;
                if option == Opt::GO {
                    self.done(export);
                    return Ok(());
                }
                self.event = Some(Event::Info(export));
            }
            _ => {}
        }
        self.go_on(option);
        Ok(())
    }

    fn take_server(&mut self, payload: &[u8]) -> Parsed<()> {
        let mut bytes = Bytes(payload);
        let name = string(bytes.counted().ok_or("name longer than the reply")?)?;
        self.event = Some(Event::Export { name, description: string(bytes.0)? });
        Ok(())
    }

    fn take_info(&mut self, payload: &[u8]) -> Parsed<()> {
        let short = "too short";
        let mut bytes = Bytes(payload);
        let kind = InfoType(bytes.u16().ok_or(short)?);
        let export = self.export.get_or_insert_with(ExportInfo::default);
        match kind {
            InfoType::EXPORT => {
                export.size = bytes.u64().ok_or(short)?;
                export.flags =
                    TransmissionFlags(bytes.u16().ok_or(short)?).with(TransmissionFlags::HAS_FLAGS);
                bytes.end().ok_or("too long")?;
            }
            InfoType::NAME => export.name = Some(string(bytes.0)?),
            InfoType::DESCRIPTION => export.description = Some(string(bytes.0)?),
            InfoType::BLOCK_SIZE => {
                let (min, preferred) = (bytes.u32().ok_or(short)?, bytes.u32().ok_or(short)?);
                let size = BlockSize { min, preferred, max: bytes.u32().ok_or(short)? };
                bytes.end().ok_or("too long")?;
                // Constraints that contradict themselves cannot be kept.
                export.block_size = size.check().is_ok().then_some(size);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_context(&mut self, payload: &[u8]) -> Parsed<()> {
        let mut bytes = Bytes(payload);
        let id = bytes.u32().ok_or("too short")?;
        let context = Context { id, name: string(bytes.0)? };
        // Some servers answer a query that was sent twice by the same context twice.
        if self.contexts.contains(&context) {
            return Ok(());
        }
        if self.contexts.iter().any(|other| other.id == id) {
            return Err("two meta contexts of the same id");
        }
        if self.contexts.len() == MAX_CONTEXTS {
            return Err("too many meta contexts");
        }
        self.contexts.push(context);
        Ok(())
    }

    fn take_listed_context(&mut self, payload: &[u8]) -> Parsed<()> {
        let mut bytes = Bytes(payload);
        bytes.u32().ok_or("too short")?; // an id that means nothing
        self.event = Some(Event::Context { name: string(bytes.0)? });
        Ok(())
    }
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_be_bytes()); // at most MAX_STRING
    out.extend_from_slice(text.as_bytes());
}

fn string(bytes: &[u8]) -> Parsed<String> {
    if bytes.len() > MAX_STRING { Err("string longer than 4096 bytes") } else { Ok(text(bytes)) }
}

/// The words of a server, cut to the longest that is allowed.
fn text(bytes: &[u8]) -> String {
    let bytes = bytes.get(..MAX_STRING).unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into_owned()
}
