// SPDX-License-Identifier: BSD-3-Clause
//! [`Startup`]: what a component may know before the first parameter comes.

use crate::Log;

/// The process before it serves: told once, before the first parameter. Later there is the
/// [`Server`](crate::Server).
#[derive(Clone)]
#[non_exhaustive]
pub struct Startup {
    /// Speaks for the component.
    pub log: Log,
    /// Standard input may be read: it does not belong to a client (`-s`) or to another program. Only until
    /// `get_ready`; afterwards it is the null device.
    pub stdin: bool,
}

impl Startup {
    /// Standard input belongs to somebody else.
    pub fn new(log: Log) -> Startup {
        Startup { log, stdin: false }
    }

    /// Says whether standard input may be read.
    #[must_use]
    pub fn with_stdin(self, stdin: bool) -> Startup {
        Startup { stdin, ..self }
    }
}
