// SPDX-License-Identifier: BSD-3-Clause
//! [`Chatter`]: what is said under `-v` beyond the usual, as much as the debug flag `ssh.log` asks for.

use nbdkit_plugin::{Log, params};
use std::fmt;

params! {
    pub(crate) struct DebugFlags {
        /// Shows from 1 on what was agreed upon with the server, from 2 on the steps of SFTP until the file is open.
        "log" => log: i32 = 0,
    }
}

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) enum Chatter {
    Little,
    /// What was agreed upon with the server.
    Agreements,
    /// And the steps of SFTP.
    Steps,
}

impl Chatter {
    pub(crate) fn new(flags: &DebugFlags) -> Chatter {
        match flags.log {
            ..=0 => Chatter::Little,
            1 => Chatter::Agreements,
            2.. => Chatter::Steps,
        }
    }

    /// Says it if as much as `least` is wanted.
    pub(crate) fn say(self, least: Chatter, log: &Log, what: fmt::Arguments<'_>) {
        if self >= least {
            log.debug(what);
        }
    }
}
