// SPDX-License-Identifier: BSD-3-Clause
//! The negotiation as a machine: bytes in, steps out, answers in, bytes out.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::options::Wanted;
use super::{Abort, Config, Session, Step, Style, Tls};
use crate::bytes::Bytes;
use crate::wire::{ClientFlags, HandshakeFlags, IHAVEOPT, MAX_OPTION, MAX_STORED, NBDMAGIC, Opt};
use crate::{Context, Mode};

/// The server half of the handshake. See [the module](super) for the order of calls.
///
/// It holds at most 16 KiB of input; output grows with what the driver answers and is to be sent before the
/// next message is taken.
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
    pub(super) client: ClientFlags,
    pub(super) budget: u32,
    pub(super) listed: bool,
    pub(super) tls: bool,
    pub(super) mode: Mode,
    /// What `NBD_OPT_SET_META_CONTEXT` selected, and for which export.
    pub(super) selected: Option<(String, Vec<Context>)>,
}

/// What the machine is busy with.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing has been said.
    Greeting,
    /// Waiting for the client flags.
    Flags,
    /// Waiting for the header of an option.
    Header,
    /// Waiting for the payload of an option, to be stored.
    Payload { option: Opt, len: usize },
    /// Waiting for the rest of a payload that is thrown away; then the option is refused.
    Skip { option: Opt, left: u32 },
    /// Waiting for an answer.
    Asking(Wanted),
    /// Waiting for TLS.
    Tls,
    /// Over.
    Done(Session),
    /// Over.
    Abort(Abort),
}

impl Handshake {
    /// Begins a handshake: call [`step`](Self::step) next.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            phase: Phase::Greeting,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            eof: false,
            client: ClientFlags::NONE,
            budget: config.option_budget,
            listed: false,
            tls: false,
            mode: Mode::Simple,
            selected: None,
            config,
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

    /// Reports that the client will send nothing more. Call [`step`](Self::step) next.
    pub fn eof(&mut self) {
        self.eof = true;
    }

    /// Says what to do next. Changes nothing until it is done, so it may be called at any time.
    #[must_use]
    pub fn step(&mut self) -> Step {
        loop {
            if !self.output().is_empty() {
                return Step::Send;
            }
            match &self.phase {
                Phase::Asking(wanted) => return Step::Ask(wanted.ask()),
                Phase::Tls => return Step::StartTls,
                Phase::Done(session) => return Step::Done(session.clone()),
                Phase::Abort(abort) => return Step::Abort(abort.clone()),
                Phase::Header if self.budget == 0 => self.abort(Abort::TooManyOptions),
                Phase::Greeting => self.greet(),
                _ if self.is_complete() => self.take_message(),
                _ if self.eof => self.abort(self.kind_of_eof()),
                _ => return Step::NeedInput,
            }
        }
    }

    /// The bytes to send to the client; empty if there are none.
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

    /// Reports that TLS has been established, after [`Step::StartTls`]. All that was negotiated before is
    /// forgotten.
    pub fn tls_started(&mut self) {
        if matches!(self.phase, Phase::Tls) {
            self.tls = true;
            self.mode = Mode::Simple;
            self.selected = None;
            self.input.clear();
            self.phase = Phase::Header;
        }
    }

    /// Whether the connection has been upgraded to TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(super) fn abort(&mut self, why: Abort) {
        self.phase = Phase::Abort(why);
    }

    /// The length of the message being read; 0 if none is.
    fn wanted(&self) -> usize {
        match &self.phase {
            Phase::Flags => 4,
            Phase::Header => 16,
            Phase::Payload { len, .. } => *len,
            _ => 0,
        }
    }

    fn is_complete(&self) -> bool {
        match &self.phase {
            Phase::Skip { left, .. } => *left == 0,
            _ => self.input.len() >= self.wanted(),
        }
    }

    fn kind_of_eof(&self) -> Abort {
        match &self.phase {
            Phase::Flags | Phase::Header if self.input.is_empty() => Abort::Eof,
            _ => Abort::EofInMessage,
        }
    }

    fn greet(&mut self) {
        if self.config.style == Style::Oldstyle {
            return match self.config.tls {
                Tls::Required => self.abort(Abort::TlsRequired),
                _ => self.phase = Phase::Asking(Wanted::Oldstyle),
            };
        }
        self.output.extend_from_slice(&NBDMAGIC.to_be_bytes());
        self.output.extend_from_slice(&IHAVEOPT.to_be_bytes());
        self.output.extend_from_slice(&self.offered().0.to_be_bytes());
        self.phase = Phase::Flags;
    }

    fn offered(&self) -> HandshakeFlags {
        self.config.handshake_flags & HandshakeFlags::ALL
    }

    /// The message being read is complete: acts on it and begins the next one.
    fn take_message(&mut self) {
        let mut input = core::mem::take(&mut self.input);
        let mut bytes = Bytes(&input);
        match core::mem::replace(&mut self.phase, Phase::Header) {
            Phase::Flags => self.take_flags(ClientFlags(bytes.u32().unwrap_or_default())),
            Phase::Header => self.take_header(bytes),
            Phase::Payload { option, .. } => self.option(option, &input),
            Phase::Skip { option, .. } => self.refuse_too_big(option),
            over => self.phase = over,
        }
        input.clear();
        self.input = input;
    }

    fn take_flags(&mut self, flags: ClientFlags) {
        let allowed = ClientFlags(u32::from(self.offered().0));
        if !flags.without(allowed).is_empty() {
            return self.abort(Abort::ClientFlags(flags.without(allowed)));
        }
        self.client = flags;
    }

    fn take_header(&mut self, mut bytes: Bytes<'_>) {
        let magic = bytes.u64().unwrap_or_default();
        let option = Opt(bytes.u32().unwrap_or_default());
        let len = bytes.u32().unwrap_or_default();
        if magic != IHAVEOPT {
            return self.abort(Abort::BadMagic(magic));
        }
        if len > MAX_OPTION {
            return self.abort(Abort::OptionTooLong { option, len });
        }
        self.budget -= 1; // not 0, or `step` would have ended it
        self.phase = match usize::try_from(len) {
            Ok(len) if len <= MAX_STORED => Phase::Payload { option, len },
            _ => Phase::Skip { option, left: len },
        };
    }
}
