// SPDX-License-Identifier: BSD-3-Clause
//! How the driver's answers become replies.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use super::handshake::{Handshake, Phase};
use super::options::Wanted;
use super::{Abort, Session};
use crate::bytes::{Bytes, truncate};
use crate::wire::{ClientFlags, InfoType, MAX_STRING, NBDMAGIC, OLDSTYLE, Opt, Rep};
use crate::{Context, ExportInfo, MAX_CONTEXTS};

/// The answers of the driver. Each does nothing unless the last step was the question it answers.
impl Handshake {
    /// Answers [`Ask::List`](super::Ask::List): one export. `name` and `description` are cut to 4096 bytes.
    ///
    /// Output may be sent between calls, so that a long list needs little memory.
    pub fn list_export(&mut self, name: &str, description: &str) {
        let Phase::Asking(Wanted::List { exports }) = &mut self.phase else { return };
        *exports = exports.saturating_add(1);
        let name = truncate(name, MAX_STRING).as_bytes();
        let description = truncate(description, MAX_STRING).as_bytes();
        self.reply(Opt::LIST, Rep::SERVER, &[&(name.len() as u32).to_be_bytes(), name, description]);
    }

    /// Answers [`Ask::List`](super::Ask::List): that was all.
    pub fn list_done(&mut self) {
        let Phase::Asking(Wanted::List { exports }) = &self.phase else { return };
        // Only the first time, or a client could go on for ever by listing.
        if !self.listed {
            self.budget = self.budget.saturating_add(exports.saturating_mul(self.config.option_budget));
        }
        self.listed = true;
        self.phase = Phase::Header;
        self.reply(Opt::LIST, Rep::ACK, &[]);
    }

    /// Answers [`Ask::Contexts`](super::Ask::Contexts): the names of the meta contexts that the export has.
    ///
    /// The machine matches them against the client's queries: the exact name; when listing also its namespace
    /// alone (`base:`) or no query at all. Those selected get their place in this list, from 1, as id. Only
    /// the first 32 count, and of these only names of at most 4096 bytes.
    pub fn contexts(&mut self, available: &[&str]) {
        let (option, name, queries) = match mem::replace(&mut self.phase, Phase::Header) {
            Phase::Asking(Wanted::Contexts { option, name, queries }) => (option, name, queries),
            other => return self.phase = other,
        };
        let listing = option == Opt::LIST_META_CONTEXT;
        let mut selected = Vec::new();
        for (context, id) in available.iter().take(MAX_CONTEXTS).zip(1u32..) {
            let wanted =
                listing && queries.is_empty() || each(&queries).any(|query| matches(query, context, listing));
            if !wanted || context.len() > MAX_STRING {
                continue;
            }
            // When listing the id means nothing and should be 0.
            let id_sent = if listing { 0 } else { id };
            self.reply(option, Rep::META_CONTEXT, &[&id_sent.to_be_bytes(), context.as_bytes()]);
            selected.push(Context { id, name: (*context).to_owned() });
        }
        self.reply(option, Rep::ACK, &[]);
        if !listing {
            self.selected = Some((name, selected));
        }
    }

    /// Answers [`Ask::Info`](super::Ask::Info), [`Ask::Go`](super::Ask::Go) and
    /// [`Ask::ExportName`](super::Ask::ExportName): this is the export.
    ///
    /// Of the flags these are put right to fit the negotiation: `HAS_FLAGS`, `SEND_DF`,
    /// `BLOCK_STATUS_PAYLOAD`; a read-only export loses `SEND_TRIM`, `SEND_WRITE_ZEROES` and `SEND_FUA`;
    /// `SEND_FAST_ZERO` needs `SEND_WRITE_ZEROES`. Name, description and block size are sent if the client
    /// wants them; a name or description of more than 4096 bytes is left out.
    pub fn open(&mut self, mut export: ExportInfo) {
        let wanted = match mem::replace(&mut self.phase, Phase::Header) {
            Phase::Asking(wanted @ (Wanted::Oldstyle | Wanted::ExportName { .. } | Wanted::Info { .. })) => {
                wanted
            }
            other => return self.phase = other,
        };
        let name = match &wanted {
            Wanted::ExportName { name } | Wanted::Info { name, .. } => name.clone(),
            _ => String::new(),
        };
        let contexts = match &self.selected {
            Some((set_for, contexts)) if *set_for == name => contexts.clone(),
            _ => Vec::new(),
        };
        export.flags = export.advertised(self.mode, !contexts.is_empty());
        match wanted {
            Wanted::Oldstyle => self.send_oldstyle(&export),
            Wanted::Info { option, infos, .. } => {
                self.send_info(option, &name, &infos, &export);
                if option == Opt::INFO {
                    return;
                }
            }
            _ => self.send_export(&export),
        }
        let max_payload = self.config.max_payload.min(1 << 30);
        let session = Session { mode: self.mode, name, export, contexts, max_payload, tls: self.tls };
        self.phase = Phase::Done(session);
    }

    /// Answers any question: no. The client is sent `reply` (anything that is no error becomes
    /// `NBD_REP_ERR_UNKNOWN`) and `text`, cut to 4096 bytes. After
    /// [`Ask::ExportName`](super::Ask::ExportName) the connection has to be closed instead.
    pub fn refuse(&mut self, reply: Rep, text: &str) {
        let reply = if reply.is_error() { reply } else { Rep::ERR_UNKNOWN };
        let text = truncate(text, MAX_STRING).to_owned();
        match mem::replace(&mut self.phase, Phase::Header) {
            Phase::Asking(Wanted::Oldstyle | Wanted::ExportName { .. }) => self.abort(Abort::Refused(text)),
            Phase::Asking(Wanted::List { .. }) => self.refuse_option(Opt::LIST, (reply, text)),
            Phase::Asking(Wanted::Info { option, .. } | Wanted::Contexts { option, .. }) => {
                self.refuse_option(option, (reply, text));
            }
            other => self.phase = other,
        }
    }

    fn send_oldstyle(&mut self, export: &ExportInfo) {
        self.output.extend_from_slice(&NBDMAGIC.to_be_bytes());
        self.output.extend_from_slice(&OLDSTYLE.to_be_bytes());
        self.output.extend_from_slice(&export.size.to_be_bytes());
        self.output.extend_from_slice(&u32::from(export.flags.0).to_be_bytes());
        self.output.extend_from_slice(&[0; 124]);
    }

    fn send_export(&mut self, export: &ExportInfo) {
        self.output.extend_from_slice(&export.size.to_be_bytes());
        self.output.extend_from_slice(&export.flags.0.to_be_bytes());
        if !self.client.contains(ClientFlags::NO_ZEROES) {
            self.output.extend_from_slice(&[0; 124]);
        }
    }

    fn send_info(&mut self, option: Opt, name: &str, infos: &[InfoType], export: &ExportInfo) {
        let fits = |text: &&str| text.len() <= MAX_STRING;
        self.send_one_info(
            option,
            InfoType::EXPORT,
            &[&export.size.to_be_bytes(), &export.flags.0.to_be_bytes()],
        );
        for info in infos {
            match *info {
                InfoType::NAME => {
                    let canonical =
                        export.name.as_deref().or((!name.is_empty()).then_some(name)).filter(fits);
                    canonical.map(|name| self.send_one_info(option, *info, &[name.as_bytes()]))
                }
                InfoType::DESCRIPTION => {
                    let description = export.description.as_deref().filter(fits);
                    description.map(|text| self.send_one_info(option, *info, &[text.as_bytes()]))
                }
                InfoType::BLOCK_SIZE => export.block_size.map(|size| {
                    let numbers = [size.min, size.preferred, size.max].map(u32::to_be_bytes);
                    self.send_one_info(option, *info, &[numbers.as_flattened()]);
                }),
                _ => None,
            };
        }
        self.reply(option, Rep::ACK, &[]);
    }

    fn send_one_info(&mut self, option: Opt, info: InfoType, payload: &[&[u8]]) {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(3);
        let kind = info.0.to_be_bytes();
        parts.push(&kind);
        parts.extend(payload);
        self.reply(option, Rep::INFO, &parts);
    }
}

/// The queries one by one.
fn each(queries: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut bytes = Bytes(queries);
    core::iter::from_fn(move || bytes.counted())
}

/// Whether a query means this context. A bare namespace is a wildcard, but only when listing.
fn matches(query: &[u8], context: &str, listing: bool) -> bool {
    let context = context.as_bytes();
    query == context || listing && query.ends_with(b":") && context.starts_with(query)
}
