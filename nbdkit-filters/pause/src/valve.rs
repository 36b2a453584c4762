// SPDX-License-Identifier: BSD-3-Clause
//! [`Valve`]: counts what is under way, and keeps out what comes while it is closed.

use event_listener::Event;
use futures_lite::FutureExt;
use nbdkit_filter::{Connection, ESHUTDOWN, Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Open at first.
#[derive(Default)]
pub(crate) struct Valve {
    /// How many operations are under way, and [`CLOSED`].
    state: AtomicUsize,
    /// Told to those who wait for the last operation to end, and to those who wait for the valve to open.
    changed: Event,
}

const CLOSED: usize = 1 << (usize::BITS - 1);

/// An operation that is under way.
pub(crate) struct UnderWay<'v>(&'v Valve);

impl Valve {
    /// Begins an operation, if the valve is open.
    pub(crate) fn try_enter(&self) -> Option<UnderWay<'_>> {
        let one_more = |state| (state & CLOSED == 0).then_some(state + 1);
        self.state.fetch_update(SeqCst, SeqCst, one_more).ok()?;
        Some(UnderWay(self))
    }

    /// Begins an operation as soon as the valve is open.
    ///
    /// # Errors
    /// `ESHUTDOWN` when the client goes or the server stops meanwhile.
    pub(crate) async fn enter(&self, connection: &Connection) -> Result<UnderWay<'_>> {
        let gone = async {
            connection.gone().await;
            Err(Error::new(ESHUTDOWN, "paused, and the connection is closing"))
        };
        let open = async {
            loop {
                let listener = self.changed.listen();
                match self.try_enter() {
                    Some(under_way) => return Ok(under_way),
                    None => listener.await,
                }
            }
        };
        // Who may go does: the connection of one that says goodbye may be gone, too.
        open.or(gone).await
    }

    /// Closes the valve, and waits until nothing is under way. False: somebody opened it meanwhile.
    pub(crate) async fn close(&self) -> bool {
        self.state.fetch_or(CLOSED, SeqCst);
        loop {
            let listener = self.changed.listen();
            match self.state.load(SeqCst) {
                CLOSED => return true,
                state if state & CLOSED == 0 => return false,
                _ => listener.await,
            }
        }
    }

    /// Opens it.
    pub(crate) fn open(&self) {
        self.state.fetch_and(!CLOSED, SeqCst);
        self.changed.notify(usize::MAX);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, SeqCst) == CLOSED + 1 {
            self.0.changed.notify(usize::MAX);
        }
    }
}
