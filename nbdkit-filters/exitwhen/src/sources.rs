// SPDX-License-Identifier: BSD-3-Clause
//! [`Sources`]: descriptors that wake us at once. What has none is found by looking now and then.

use crate::event::Event;
use async_io::Async;
use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    io::read,
};
use std::{
    future::poll_fn,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    task::Poll,
};

#[derive(Default)]
pub(crate) struct Sources {
    /// Of pipes and processes.
    ends: Vec<Async<OwnedFd>>,
    /// Of the folders of files. Made when there is one.
    folders: Option<Async<OwnedFd>>,
}

impl Sources {
    /// What cannot be watched is left out.
    pub(crate) fn new(events: &[Event]) -> Sources {
        let mut sources = Sources::default();
        for event in events {
            match event {
                Event::PipeClosed(fd) | Event::ProcessExits(fd) => sources.ends.extend(end(fd)),
                Event::Created(path) | Event::Deleted(path) => {
                    if let Some(folder) = path.parent() {
                        sources.add_folder(folder);
                    }
                }
            }
        }
        sources
    }

    fn add_folder(&mut self, folder: &Path) {
        if self.folders.is_none() {
            let flags = CreateFlags::NONBLOCK | CreateFlags::CLOEXEC;
            self.folders = inotify::init(flags).ok().and_then(|fd| Async::new_nonblocking(fd).ok());
        }
        if let Some(folders) = &self.folders {
            let what = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::ONLYDIR;
            let _ = inotify::add_watch(folders.as_fd(), folder, what);
        }
    }

    /// Resolves when it is worth looking again.
    pub(crate) async fn stirred(&mut self) {
        poll_fn(|cx| {
            let mut stirred = false;
            // A pipe that somebody writes to would wake us for ever, because we do not read. It is looked at now and then.
            self.ends.retain(|end| {
                let ready = end.poll_readable(cx).is_ready();
                stirred |= ready;
                !ready
            });
            if let Some(folders) = &self.folders {
                while folders.poll_readable(cx).is_ready() {
                    stirred = true;
                    // Which file it is about does not matter: a look is cheaper than to tell.
                    while read(folders.as_fd(), &mut [0; 4096]).is_ok_and(|len| len > 0) {}
                }
            }
            if stirred { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Others may have this pipe too: that it is waited for without blocking is none of their business.
fn end(fd: &OwnedFd) -> Option<Async<OwnedFd>> {
    Async::new_nonblocking(fd.try_clone().ok()?).ok()
}
