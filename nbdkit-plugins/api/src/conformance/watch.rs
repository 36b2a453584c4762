// SPDX-License-Identifier: BSD-3-Clause
//! Hangs and panics become reports that say during what.

use super::Check;
use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

/// The step that is under way, for whoever watches.
#[derive(Clone, Default)]
pub(super) struct Progress(Arc<Mutex<(u64, String)>>);

impl Progress {
    /// Begins a step.
    pub(super) fn note(&self, step: impl fmt::Display) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = (now.0 + 1, step.to_string());
    }

    fn now(&self) -> (u64, String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs `body` on a thread of its own, which is left behind if one of its steps takes longer than `limit`.
pub(super) fn watched(limit: Duration, body: impl FnOnce(&Progress) -> Check + Send + 'static) -> Check {
    let progress = Progress::default();
    let (done, result) = mpsc::channel();
    let watched = progress.clone();
    // Named after the test, so that the panic of a disk is shown as the test's own.
    let name = thread::current().name().unwrap_or("conformance").to_owned();
    let worker = thread::Builder::new()
        .name(name)
        .spawn(move || done.send(body(&watched)))
        .map_err(|error| format!("starting a thread: {error}"))?;
    let mut seen = 0;
    loop {
        match result.recv_timeout(limit) {
            Ok(result) => return result,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let (count, step) = progress.now();
                if count == seen {
                    return Err(format!("{step}: no answer after {limit:?}"));
                }
                seen = count;
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let panic = worker.join().err().map_or_else(String::new, |panic| text(&*panic));
                return Err(format!("{}: panicked: {panic}", progress.now().1));
            }
        }
    }
}

/// What a panic says.
pub(super) fn text(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (_, Some(text)) => (*text).to_owned(),
        _ => "without a message".to_owned(),
    }
}
