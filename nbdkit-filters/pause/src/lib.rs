// SPDX-License-Identifier: BSD-3-Clause
//! The pause filter: operations stop and go on when somebody says so over a control socket.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod control;
mod valve;

use control::Control;
use nbdkit_filter::*;
use std::path::PathBuf;
use valve::Valve;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Pause>("pause", "stop and resume operations on command");

params! {
    struct Params {
        /// The Unix domain socket over which commands come. It is made when nbdkit starts and removed when it ends.
        [required "pause-control socket was not set"]
        "pause-control" => control: Required<PathBuf>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Pause {
    params: Params,
    valve: Arc<Valve>,
}

impl Filter for Pause {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        control::check(&self.params.control)
    }

    fn after_fork<'a>(&'a mut self, _: &'a Next, server: &'a Server) -> Op<'a, ()> {
        // Not earlier: it belongs to the process that removes it, and to the user who that is by now.
        Op::now(|| {
            let control = Control::listen(&self.params.control, self.valve.clone())?;
            drop(server.spawn(control.serve(server.clone())));
            Ok(())
        })
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let connection = req.connection.clone();
        next.open(req).around(move |next| Ok(Paused { next, valve: self.valve.clone(), connection }))
    }
}

/// A disk whose operations may have to wait.
struct Paused {
    next: Arc<dyn Disk>,
    valve: Arc<Valve>,
    connection: Connection,
}

impl Around for Paused {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        if matches!(call.kind, Kind::Finalize | Kind::Close) {
            return op(&*self.next);
        }
        let Some(under_way) = self.valve.try_enter() else {
            return Op::wait(async move {
                let _under_way = self.valve.enter(&self.connection).await?;
                op(&*self.next).await
            });
        };
        let answer = op(&*self.next);
        drop(under_way);
        match answer {
            // It has not begun, and may have to wait behind a gate before it does: until then a pause does not wait
            // for it, it waits for the end of the pause.
            Op::Wait(wait) => Op::wait(async move {
                let _under_way = self.valve.enter(&self.connection).await?;
                wait.await
            }),
            ready => ready,
        }
    }
}
