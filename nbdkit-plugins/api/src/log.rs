// SPDX-License-Identifier: BSD-3-Clause
//! [`Log`]: a handle that knows who is speaking.

use std::{fmt, sync::Arc};

/// Where messages go. The server has one; tests bring their own.
pub trait LogSink: Send + Sync + 'static {
    /// Something failed. `who` is empty or like `memory[1]`.
    fn error(&self, who: &str, message: fmt::Arguments<'_>);
    /// For people who look into what happens (`-v`). Called only if [`verbose`](LogSink::verbose).
    fn debug(&self, who: &str, message: fmt::Arguments<'_>);
    /// Whether debug messages are wanted.
    fn verbose(&self) -> bool;
}

/// Says things in the name of a component on behalf of a connection: `nbdkit: memory[1]: error: ...`.
///
/// The context travels with the handle; there is no global logger and nothing hidden in threads.
#[derive(Clone)]
pub struct Log {
    sink: Arc<dyn LogSink>,
    who: Arc<str>,
    /// 0: not on behalf of a connection.
    connection: u64,
}

impl Log {
    /// Speaks for the server itself.
    pub fn new(sink: Arc<dyn LogSink>) -> Log {
        Log { sink, who: "".into(), connection: 0 }
    }

    /// Speaks for `component`.
    pub fn named(&self, component: &str) -> Log {
        let who = match self.connection {
            0 => component.into(),
            number => format!("{component}[{number}]").into(),
        };
        Log { sink: self.sink.clone(), who, connection: self.connection }
    }

    /// Speaks on behalf of the connection with this number.
    pub fn connection(&self, number: u64) -> Log {
        Log { sink: self.sink.clone(), who: self.who.clone(), connection: number }
    }

    /// Something failed. Pass `format_args!(..)`.
    pub fn error(&self, message: fmt::Arguments<'_>) {
        self.sink.error(&self.who, message);
    }

    /// Of interest under `-v` only. Formats nothing otherwise.
    pub fn debug(&self, message: fmt::Arguments<'_>) {
        if self.sink.verbose() {
            self.sink.debug(&self.who, message);
        }
    }

    /// Whether debug messages are wanted.
    pub fn verbose(&self) -> bool {
        self.sink.verbose()
    }
}
