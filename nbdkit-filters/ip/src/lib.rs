// SPDX-License-Identifier: BSD-3-Clause
//! The ip filter: lets clients in, or not, by where they come from and who they are.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod rule;
mod rule_list;
mod show;
mod wildcard;

use nbdkit_filter::*;
use rule::{Rule, rules};
use rule_list::RuleList;
use std::{ffi::OsStr, fmt};

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Ip>("ip", "let clients in by where they come from");

params! {
    struct Params {
        /// Clients that are let in, whatever `deny` says: addresses, users and more, with commas between them.
        "allow" => allow: Vec<RuleList>,
        /// Clients that are sent away, unless `allow` lets them in.
        "deny" => deny: Vec<RuleList>,
    }
}

params! {
    struct DebugFlags {
        /// Shows the rules as they were understood, and which of them decides about a client.
        "rules" => rules: i32 = 0,
    }
}

/// The filter.
#[derive(Default)]
pub struct Ip {
    params: Params,
    debug: DebugFlags,
    /// From the start on.
    log: Option<Log>,
    allow: Vec<Rule>,
    deny: Vec<Rule>,
}

/// What is known of a client.
#[derive(Clone, Copy)]
struct Client<'c> {
    connection: &'c Connection,
    /// Not before it has chosen an export, and not even then if it has shown none.
    certificate: Option<&'c Certificate>,
}

/// What the rules make of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Allowed,
    Denied,
    /// There are rules about certificates, which it may still show.
    Later,
}

impl Filter for Ip {
    fn startup(&mut self, startup: &Startup) {
        self.log = Some(startup.log.clone());
    }

    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        // Read here, because errors show the rule with its key: `allow=1.2.3.4/33`.
        let list = match key {
            "allow" => &mut self.allow,
            "deny" => &mut self.deny,
            _ => return Ok(Taken::No),
        };
        let text = values::text(value).map_err(|why| Error::invalid(format!("{key}: {why}")))?;
        list.extend(rules(key, text).map_err(Error::invalid)?);
        Ok(Taken::Yes)
    }

    fn config_complete(&mut self) -> Result<()> {
        if let Some(log) = self.log.as_ref().filter(|_| self.debug.rules != 0) {
            self.allow.iter().for_each(|rule| log.debug(format_args!("allow={rule}")));
            self.deny.iter().for_each(|rule| log.debug(format_args!("deny={rule}")));
        }
        Ok(())
    }

    fn preconnect(self: Arc<Self>, next: Next, connection: Connection) -> Op<'static, ()> {
        match self.verdict(Client { connection: &connection, certificate: None }, true) {
            Verdict::Denied => Op::err(refusal()),
            Verdict::Allowed | Verdict::Later => next.preconnect(connection),
        }
    }

    fn list_exports(self: Arc<Self>, next: Next, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        match self.admits(&req) {
            true => next.list_exports(req),
            false => Op::err(refusal()),
        }
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        match self.admits(&req) {
            true => next.open(req),
            false => Op::err(refusal()),
        }
    }
}

impl Ip {
    fn admits(&self, req: &OpenRequest) -> bool {
        // Without rules about certificates everything was said when the client connected.
        let late = self.allow.iter().chain(&self.deny).any(Rule::is_about_certificates);
        let client = Client { connection: &req.connection, certificate: req.certificate.as_deref() };
        !late || self.verdict(client, false) == Verdict::Allowed
    }

    /// First the allow list, then the deny list; who is in neither is let in.
    fn verdict(&self, client: Client<'_>, early: bool) -> Verdict {
        let known = matches!(client.connection.peer(), Peer::Ip(_) | Peer::Unix | Peer::Vsock { .. });
        let later = |rules: &[Rule]| early && rules.iter().any(Rule::is_about_certificates);
        let matching = |rule: &&Rule| rule.matches(client);
        if let Some(rule) = self.allow.iter().find(matching) {
            self.tell(client, format_args!("let in by allow={rule}"));
            Verdict::Allowed
        } else if later(&self.allow) {
            Verdict::Later
        } else if let Some(rule) = self.deny.iter().find(matching) {
            self.tell(client, format_args!("sent away by deny={rule}"));
            Verdict::Denied
        } else if later(&self.deny) {
            Verdict::Later
        } else if known || self.allow.is_empty() && self.deny.is_empty() {
            Verdict::Allowed
        } else {
            // There are rules, and of what kind it is nobody can tell.
            Verdict::Denied
        }
    }

    fn tell(&self, client: Client<'_>, what: fmt::Arguments<'_>) {
        if self.debug.rules != 0 {
            client.connection.log().named("ip").debug(what);
        }
    }
}

fn refusal() -> Error {
    Error::new(EPERM, "client not permitted to connect because of source address restriction")
}
