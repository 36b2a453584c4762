// SPDX-License-Identifier: BSD-3-Clause
//! [`Stage`]: where disks come from, and what drives them.

use super::{Check, Open};
use crate::{Disk, ThreadModel};
use std::{future::Future, pin::Pin, sync::Arc};

/// A future to be driven to its end.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub(super) type Drive = Arc<dyn for<'a> Fn(Task<'a>) + Send + Sync>;

/// Helps the compiler to see that `run` takes tasks of any lifetime.
pub(super) fn drive(run: impl for<'a> Fn(Task<'a>) + Send + Sync + 'static) -> Drive {
    Arc::new(run)
}

pub(super) struct Stage {
    pub(super) open: Arc<Open>,
    pub(super) drive: Drive,
    pub(super) model: ThreadModel,
    /// Undeclared operations must fail.
    pub(super) strict: bool,
}

impl Stage {
    pub(super) fn open(&self, read_only: bool, connection: u64) -> Check<Arc<dyn Disk>> {
        (self.open)(read_only, connection).map_err(|error| format!("open: {error:?}"))
    }
}

/// Drives `future` and brings its result back.
pub(super) fn wait<T: Send>(drive: &Drive, future: impl Future<Output = T> + Send) -> T {
    let mut result = None;
    drive(Box::pin(async { result = Some(future.await) }));
    match result {
        Some(result) => result,
        None => panic!("the driver of the kit returned before its task was done"),
    }
}
