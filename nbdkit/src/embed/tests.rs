// SPDX-License-Identifier: BSD-3-Clause
use super::*;
use nbdkit_plugin::{Op, OpenRequest, Opened};
use std::sync::Mutex;

/// What was called, in order.
type Calls = Arc<Mutex<Vec<&'static str>>>;

/// A plugin, or a filter, that tells of its calls.
struct Part {
    /// As it is told.
    names: [&'static str; 4],
    calls: Calls,
    over: bool,
    fails: bool,
}

/// What is told of a component: ready, after the fork, what it does in the background has ended, clean.
macro_rules! names {
    ($name:literal) => {
        [
            concat!($name, " ready"),
            concat!($name, " forked"),
            concat!($name, " at rest"),
            concat!($name, " clean"),
        ]
    };
}

impl Part {
    fn new(names: [&'static str; 4], calls: &Calls) -> Part {
        Part { names, calls: calls.clone(), over: false, fails: false }
    }

    fn tell(&self, which: usize) {
        self.calls.lock().unwrap().push(self.names[which]);
    }

    fn start(&self, server: &Server) -> Result<()> {
        self.tell(1);
        let (calls, at_rest, stopping) = (self.calls.clone(), self.names[2], server.clone());
        drop(server.spawn(async move {
            stopping.stopped().await;
            calls.lock().unwrap().push(at_rest);
        }));
        if self.fails { Err(Error::invalid("not today")) } else { Ok(()) }
    }
}

impl Plugin for Part {
    fn get_ready(&mut self) -> Result<()> {
        self.tell(0);
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        self.start(server).into()
    }

    fn open(self: Arc<Self>, _: OpenRequest) -> Opened {
        Op::err(Error::unsupported("open"))
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        self.tell(3);
        Op::err(Error::invalid("nor was it clean"))
    }
}

impl Filter for Part {
    fn get_ready(&mut self) -> Result<()> {
        self.tell(0);
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.over
    }

    fn after_fork<'a>(&'a mut self, _: &'a Next, server: &'a Server) -> Op<'a, ()> {
        self.start(server).into()
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        self.tell(3);
        Op::ok(())
    }
}

#[test]
fn what_has_started_is_cleaned_up_if_the_next_cannot_start() {
    let calls = Calls::default();
    let directory = tempfile::tempdir().unwrap();
    let failing = Part { fails: true, ..Part::new(names!("failing"), &calls) };
    let embedded = Embedded::new("plugin", Part::new(names!("plugin"), &calls))
        .filter("inner", Part::new(names!("inner"), &calls))
        .filter("failing", failing)
        .filter("outer", Part::new(names!("outer"), &calls));
    let error = embedded.unix(directory.path().join("socket")).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "not today");
    let mut calls = calls.lock().unwrap();
    let mut at_rest = calls.split_off(7);
    let clean = at_rest.split_off(3);
    at_rest.sort_unstable();
    assert_eq!(calls[..4], ["plugin ready", "inner ready", "failing ready", "outer ready"]);
    assert_eq!(calls[4..], ["plugin forked", "inner forked", "failing forked"]);
    assert_eq!(at_rest, ["failing at rest", "inner at rest", "plugin at rest"]);
    assert_eq!(clean, ["inner clean", "plugin clean"]);
}

#[test]
fn what_is_over_before_it_starts_is_not_started() {
    let calls = Calls::default();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let embedded = |over| {
        Embedded::new("plugin", Part::new(names!("plugin"), &calls))
            .filter("inner", Part { over, ..Part::new(names!("inner"), &calls) })
            .filter("outer", Part::new(names!("outer"), &calls))
    };
    embedded(true).unix(&socket).unwrap().stop().unwrap();
    assert!(!socket.exists());
    assert_eq!(calls.lock().unwrap()[..], ["plugin ready", "inner ready", "outer ready"]);
    assert_eq!(embedded(false).unix(&socket).unwrap().stop().unwrap_err().to_string(), "nor was it clean");
    assert!(socket.exists());
}
