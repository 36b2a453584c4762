// SPDX-License-Identifier: BSD-3-Clause
//! The lowest layer of every chain: sees to it that a disk is closed, and once.

use nbdkit_plugin::{Arc, Disk, Layer, Op, Server, layer};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// There is no asynchronous drop, and a `?` after `next.open()` in some filter would otherwise skip `close`.
struct Ground {
    disk: Arc<dyn Disk>,
    closed: AtomicBool,
    server: Server,
}

pub(crate) fn ground(disk: Arc<dyn Disk>, server: Server) -> Arc<dyn Disk> {
    layer(Ground { disk, closed: AtomicBool::new(false), server })
}

impl Layer for Ground {
    fn next(&self) -> &dyn Disk {
        &*self.disk
    }

    fn close(&self) -> Op<'_, ()> {
        // Lazy like every operation: one that is never polled has not closed anything.
        Op::wait(async {
            match self.closed.swap(true, SeqCst) {
                true => Ok(()),
                false => self.disk.close().await,
            }
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if *self.closed.get_mut() {
            return;
        }
        let (disk, server) = (self.disk.clone(), self.server.clone());
        // The server waits for its background work before it cleans up.
        drop(self.server.spawn(async move {
            if let Err(error) = disk.close().await {
                server.log().error(format_args!("close: {error}"));
            }
        }));
    }
}
