// SPDX-License-Identifier: BSD-3-Clause
//! Thread models are kept by gates: an asynchronous lock around the component that asked for it.

use async_lock::Mutex;
use nbdkit_plugin::{Arc, Around, Call, Disk, Op, Opened, ThreadModel, around};

type Lock = Arc<Mutex<()>>;

/// Makes the gates of one component: none if it is parallel, one for each disk if it serialises the requests of a
/// connection, one for all if it serialises everything.
pub(crate) struct Gates {
    each: bool,
    all: Option<Lock>,
}

impl Gates {
    pub(crate) fn new(model: ThreadModel) -> Gates {
        let all = (model <= ThreadModel::SerializeAllRequests).then(Lock::default);
        Gates { each: model == ThreadModel::SerializeRequests, all }
    }

    /// Behind the gate that all share, if there is one.
    pub(crate) fn once<T: Send + 'static>(
        &self,
        op: impl FnOnce() -> Op<'static, T> + Send + 'static,
    ) -> Op<'static, T> {
        let Some(lock) = self.all.clone() else { return op() };
        Op::wait(async move {
            let _held = lock.lock().await;
            op().await
        })
    }

    /// Opens behind the gate that all share, and puts a gate in front of the disk.
    pub(crate) fn open(&self, open: impl FnOnce() -> Opened + Send + 'static) -> Opened {
        if let Some(lock) = self.all.clone() {
            return Op::wait(async move {
                let held = lock.lock().await;
                let next = open().await?;
                drop(held);
                Ok(around(Gate { next, lock }))
            });
        }
        match self.each {
            true => open().map(|next| Ok(around(Gate { next, lock: Lock::default() }))),
            false => open(),
        }
    }
}

struct Gate {
    next: Arc<dyn Disk>,
    lock: Lock,
}

impl Around for Gate {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        _: Call,
        op: impl FnOnce(&'a dyn Disk) -> Op<'a, T> + Send + 'a,
    ) -> Op<'a, T> {
        // Open, and answered at once: no box. Otherwise nothing has begun, and the lock is taken when polled: an
        // operation that held it without being polled could stop all others for ever.
        let Some(held) = self.lock.try_lock() else {
            return Op::wait(async move {
                let _held = self.lock.lock().await;
                op(&*self.next).await
            });
        };
        let answer = op(&*self.next);
        drop(held);
        match answer {
            Op::Wait(wait) => Op::wait(async move {
                let _held = self.lock.lock().await;
                wait.await
            }),
            ready => ready,
        }
    }
}
