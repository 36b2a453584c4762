// SPDX-License-Identifier: BSD-3-Clause
//! [`Client`]: one connection to the server, which many requests share.
//!
//! There is no task of its own behind it: whoever is polled for an answer ([`Call`]) does the work for all. Requests that
//! are begun together leave in one system call, replies that have come are taken by one, and each wakes whoever waits for
//! it. The socket wakes the call that was polled last ([`Bell`]).

mod bell;
mod call;
mod gather;
mod inbox;
mod link;
mod outbox;
mod table;

pub(crate) use call::{Call, Wish};
pub(crate) use table::Answer;

use crate::transport::Transport;
use bell::Bell;
use link::Link;
use nbd_proto::client::Session;
use nbdkit_plugin::Result;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::Waker,
};

/// One connection to the server.
pub(crate) struct Client {
    session: Session,
    bell: Arc<Bell>,
    /// The same, as the socket knows it.
    rope: Waker,
    /// Calls that were made and not polled yet: requests that are about to come.
    announced: AtomicUsize,
    link: Mutex<Link>,
}

impl Client {
    /// After the handshake; `early` has come already.
    pub(crate) fn new(transport: Transport, session: Session, early: &[u8]) -> Client {
        let bell = Arc::<Bell>::default();
        Client {
            session,
            rope: bell.clone().into(),
            bell,
            announced: AtomicUsize::new(0),
            link: Mutex::new(Link::new(transport, early)),
        }
    }

    /// What was negotiated.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// A request, which is begun when it is first polled.
    pub(crate) fn call(&self, wish: Wish) -> Call<'_> {
        self.announced.fetch_add(1, Relaxed);
        Call::new(self, wish)
    }

    /// Why nothing goes any more, if that is so.
    pub(crate) fn check(&self) -> Result<()> {
        self.lock().check()
    }

    /// Says goodbye. Nothing goes from now on.
    pub(crate) fn close(&self) {
        let mut link = self.lock();
        link.close(&self.session);
        release(link);
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        // What may panic under it are indices that were checked; a link that did is in no worse state than the server's.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those whose answers have come, after giving the lock back: what wakers do is not ours to know.
fn release(mut link: MutexGuard<'_, Link>) {
    let woken = link.take_woken();
    drop(link);
    woken.into_iter().for_each(Waker::wake);
}
