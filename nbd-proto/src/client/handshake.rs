// SPDX-License-Identifier: BSD-3-Clause
//! The negotiation as a machine: bytes in, steps out, bytes out.

use alloc::borrow::ToOwned;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Config, Event, Failure, Session, Step};
use crate::bytes::Bytes;
use crate::export::check_name;
use crate::wire::{
    ClientFlags, HandshakeFlags, IHAVEOPT, MAX_OPTION, MAX_STORED, MAX_STRING, NBDMAGIC, OLDSTYLE,
    OPTION_REPLY, Opt, Rep, TransmissionFlags,
};
use crate::{Context, ExportInfo, MAX_CONTEXTS, Mode};

/// Most replies to one option; a server that sends more never comes to an end.
const MAX_REPLIES: u32 = 1 << 20;

/// The client half of the handshake. See [the module](super) for the order of calls.
///
/// It holds at most 16 KiB of input and one event; output is never more than one option.
#[derive(Debug)]
pub struct Handshake {
    pub(super) config: Config,
    pub(super) phase: Phase,
    /// What has come of the message that is being read.
    input: Vec<u8>,
    pub(super) output: Vec<u8>,
    /// How much of `output` has been sent.
    sent: usize,
    eof: bool,
    pub(super) event: Option<Event>,
    pub(super) zeroes: bool,
    pub(super) tls: bool,
    pub(super) mode: Mode,
    pub(super) contexts: Vec<Context>,
    /// What `NBD_OPT_INFO` or `NBD_OPT_GO` has told so far.
    pub(super) export: Option<ExportInfo>,
    /// Replies to the present option.
    replies: u32,
}

/// What the machine is busy with.
#[derive(Debug)]
pub(super) enum Phase {
    /// Waiting for the two magic numbers.
    Greeting,
    /// Waiting for the rest of an oldstyle greeting.
    Oldstyle,
    /// Waiting for the handshake flags.
    Flags,
    /// Waiting for the header of a reply to this option.
    Header(Opt),
    /// Waiting for the payload of a reply.
    Payload { option: Opt, reply: Rep, len: usize },
    /// Waiting for the rest of a payload that is thrown away.
    Skip { option: Opt, reply: Rep, left: u32 },
    /// Waiting for the answer to `NBD_OPT_EXPORT_NAME`.
    ExportName,
    /// Waiting for TLS.
    Tls,
    /// Over.
    Done(Session),
    /// Over.
    Finished,
    /// Over.
    Failed(Failure),
}

impl Handshake {
    /// Begins a handshake: call [`step`](Self::step) next.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let phase = match check(&config) {
            Ok(()) => Phase::Greeting,
            Err(why) => Phase::Failed(why),
        };
        Self {
            config,
            phase,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            eof: false,
            event: None,
            zeroes: true,
            tls: false,
            mode: Mode::Simple,
            contexts: Vec::new(),
            export: None,
            replies: 0,
        }
    }

    /// Takes from `input` what belongs to the message being read, and says how many bytes that was.
    ///
    /// Takes nothing unless the last [`step`](Self::step) was [`Step::NeedInput`]. What is left belongs to
    /// the next message, to TLS or to the session.
    pub fn feed(&mut self, input: &[u8]) -> usize {
        if let Phase::Skip { left, .. } = &mut self.phase {
            let taken = input.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= taken as u32; // at most `left`
            return taken;
        }
        let missing = self.wanted().saturating_sub(self.input.len());
        let taken = input.get(..missing).unwrap_or(input);
        self.input.extend_from_slice(taken);
        taken.len()
    }

    /// Reports that the server will send nothing more. Call [`step`](Self::step) next.
    pub fn eof(&mut self) {
        self.eof = true;
    }

    /// Says what to do next. Except that each event comes once, it changes nothing until that is done.
    #[must_use]
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(event) = self.event.take() {
                return Step::Event(event);
            }
            if !self.output().is_empty() {
                return Step::Send;
            }
            match &self.phase {
                Phase::Tls => return Step::StartTls,
                Phase::Done(session) => return Step::Done(session.clone()),
                Phase::Finished => return Step::Finished,
                Phase::Failed(why) => return Step::Failed(why.clone()),
                _ if self.is_complete() => self.take_message(),
                _ if self.eof => self.take_eof(),
                _ => return Step::NeedInput,
            }
        }
    }

    /// The bytes to send to the server; empty if there are none.
    #[must_use]
    pub fn output(&self) -> &[u8] {
        self.output.get(self.sent..).unwrap_or_default()
    }

    /// Reports that the first `n` bytes of [`output`](Self::output) have been sent.
    pub fn sent(&mut self, n: usize) {
        self.sent = self.sent.saturating_add(n);
        if self.sent >= self.output.len() {
            self.output.clear();
            self.sent = 0;
        }
    }

    /// All of [`output`](Self::output), which then counts as sent.
    #[must_use]
    pub fn take_output(&mut self) -> Vec<u8> {
        let output = self.output().to_owned();
        self.sent(output.len());
        output
    }

    /// Reports that TLS has been established, after [`Step::StartTls`].
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Tls) {
            self.tls = true;
            self.input.clear();
            self.go_on(Opt::STARTTLS);
        }
    }

    /// Whether the connection has been upgraded to TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(super) fn fail(&mut self, why: Failure) {
        self.phase = Phase::Failed(why);
    }

    /// The length of the message being read; 0 if none is.
    fn wanted(&self) -> usize {
        match &self.phase {
            Phase::Greeting => 16,
            Phase::Oldstyle => 136,
            Phase::Flags => 2,
            Phase::Header(_) => 20,
            Phase::Payload { len, .. } => *len,
            Phase::ExportName if self.zeroes => 134,
            Phase::ExportName => 10,
            _ => 0,
        }
    }

    fn is_complete(&self) -> bool {
        match &self.phase {
            Phase::Skip { left, .. } => *left == 0,
            _ => self.input.len() >= self.wanted(),
        }
    }

    fn take_eof(&mut self) {
        match &self.phase {
            // A server may well close without saying so first (specification, `NBD_OPT_ABORT`).
            Phase::Header(Opt::ABORT) => self.phase = Phase::Finished,
            Phase::ExportName if self.input.is_empty() => self.fail(Failure::NoSuchExport),
            _ => self.fail(Failure::Eof),
        }
    }

    /// The message being read is complete: acts on it.
    fn take_message(&mut self) {
        let mut input = core::mem::take(&mut self.input);
        let bytes = Bytes(&input);
        match self.phase {
            Phase::Greeting => self.take_greeting(bytes),
            Phase::Oldstyle => self.take_oldstyle(bytes),
            Phase::Flags => self.take_flags(bytes),
            Phase::Header(option) => self.take_header(option, bytes),
            Phase::Payload { option, reply, .. } => self.take_reply(option, reply, &input),
            Phase::Skip { option, reply, .. } => self.take_reply(option, reply, &[]),
            Phase::ExportName => self.take_export(bytes),
            Phase::Tls | Phase::Done(_) | Phase::Finished | Phase::Failed(_) => {}
        }
        input.clear();
        self.input = input;
    }

    fn take_greeting(&mut self, mut bytes: Bytes<'_>) {
        let magic = bytes.u64().unwrap_or_default();
        let style = bytes.u64().unwrap_or_default();
        match (magic, style) {
            (NBDMAGIC, IHAVEOPT) => self.phase = Phase::Flags,
            (NBDMAGIC, OLDSTYLE) => self.phase = Phase::Oldstyle,
            (NBDMAGIC, _) => self.fail(Failure::UnknownStyle(style)),
            _ => self.fail(Failure::NotNbd(magic)),
        }
    }

    fn take_oldstyle(&mut self, mut bytes: Bytes<'_>) {
        let size = bytes.u64().unwrap_or_default();
        // The upper half are handshake flags.
        let flags = TransmissionFlags(bytes.u32().unwrap_or_default() as u16);
        self.reach_without_options(ExportInfo::new(size, flags));
    }

    fn take_flags(&mut self, mut bytes: Bytes<'_>) {
        let offered = HandshakeFlags(bytes.u16().unwrap_or_default()) & HandshakeFlags::ALL;
        let taken = ClientFlags(u32::from(offered.0));
        self.zeroes = !taken.contains(ClientFlags::NO_ZEROES);
        self.output.extend_from_slice(&taken.0.to_be_bytes());
        self.begin(taken.contains(ClientFlags::FIXED_NEWSTYLE));
    }

    fn take_header(&mut self, option: Opt, mut bytes: Bytes<'_>) {
        let magic = bytes.u64().unwrap_or_default();
        let answered = Opt(bytes.u32().unwrap_or_default());
        let reply = Rep(bytes.u32().unwrap_or_default());
        let len = bytes.u32().unwrap_or_default();
        self.replies += 1;
        let why = if magic != OPTION_REPLY {
            "bad magic number"
        } else if answered != option {
            "it answers another option"
        } else if self.replies > MAX_REPLIES {
            "it does not end"
        } else if len > MAX_OPTION || (len as usize > MAX_STORED && !reply.is_error()) {
            "too long"
        } else {
            self.phase = match usize::try_from(len) {
                Ok(len) if len <= MAX_STORED => Phase::Payload { option, reply, len },
                _ => Phase::Skip { option, reply, left: len },
            };
            return;
        };
        self.fail(Failure::BadReply { option, why });
    }

    fn take_export(&mut self, mut bytes: Bytes<'_>) {
        let size = bytes.u64().unwrap_or_default();
        let flags = TransmissionFlags(bytes.u16().unwrap_or_default());
        self.done(ExportInfo::new(size, flags));
    }

    /// Sends an option and waits for the reply.
    pub(super) fn send(&mut self, option: Opt, payload: &[u8]) {
        self.output.extend_from_slice(&IHAVEOPT.to_be_bytes());
        self.output.extend_from_slice(&option.0.to_be_bytes());
        self.output.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        self.output.extend_from_slice(payload);
        self.replies = 0;
        self.phase = if option == Opt::EXPORT_NAME { Phase::ExportName } else { Phase::Header(option) };
    }

    pub(super) fn done(&mut self, export: ExportInfo) {
        let contexts = core::mem::take(&mut self.contexts);
        self.phase = Phase::Done(Session { mode: self.mode, export, contexts, tls: self.tls });
    }
}

/// Whether what is wanted can be said at all.
fn check(config: &Config) -> Result<(), Failure> {
    check_name(config.export.as_bytes()).map_err(|why| Failure::BadExportName(why.to_string()))?;
    if config.contexts.len() > MAX_CONTEXTS || config.contexts.iter().any(|name| name.len() > MAX_STRING) {
        return Err(Failure::BadContexts);
    }
    Ok(())
}
