// SPDX-License-Identifier: BSD-3-Clause
//! What the author of an nbdkit plugin sees.
//!
//! A **plugin** ([`Plugin`]) lives as long as the process; for every client that picks an export it opens a
//! **disk** ([`Disk`], or [`SyncDisk`] for plain blocking code). Filters wrap disks in **layers** ([`Layer`],
//! [`Around`]); the crate `nbdkit-filter` adds what only they need.
//!
//! ```
//! use nbdkit_plugin::*;
//!
//! params! { struct Params {
//!     /// Size of the disk.
//!     [magic] "size" => size: Size = Size(0),
//! } }
//!
//! #[derive(Default)]
//! struct Ones { params: Params }
//!
//! impl Plugin for Ones {
//!     fn params(&mut self) -> Option<&mut dyn ParamSet> { Some(&mut self.params) }
//!     fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
//!         req.inline(OnesDisk { size: self.params.size.0 })      // never sleeps
//!     }
//! }
//!
//! struct OnesDisk { size: u64 }
//! impl SyncDisk for OnesDisk {
//!     fn info(&self) -> Result<Info> { Ok(Info::read_only(self.size)) }
//!     fn pread(&self, buf: &mut [u8], _offset: u64) -> Result<()> { buf.fill(0xff); Ok(()) }
//! }
//!
//! pub static PLUGIN: PluginEntry = PluginEntry::new::<Ones>("ones", "a disk full of 0xff");
//! ```
//!
//! Where a disk does its work is said by the last line of `open`: [`OpenRequest::ready`] (an asynchronous
//! [`Disk`]), [`OpenRequest::inline`] (blocking code that never sleeps, run in the connection's own task) or
//! [`OpenRequest::blocking`] (blocking code that may sleep, run on a pool of threads).
#![forbid(unsafe_code)]

mod around;
mod buf;
mod connection;
mod data;
mod disk;
mod emulate;
mod error;
mod extents;
mod info;
mod latch;
mod layer;
mod log;
mod op;
pub mod params;
mod plugin;
mod pool;
mod server;
mod startup;
mod sync;
pub mod values;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use around::{Around, Call, Kind, around};
pub use buf::{Buf, BufMut};
pub use connection::{Certificate, Connection, Credentials, OpenRequest, Peer};
pub use data::{Data, FileRange, Run};
pub use disk::{Disk, Flags, Span};
pub use emulate::Emulate;
pub use error::{Error, Result};
pub use extents::{Extent, Extents};
pub use info::{BlockSize, Info, Support};
pub use layer::{Layer, layer};
pub use libc::{
    EACCES, EFBIG, EINVAL, EIO, ENOENT, ENOMEM, ENOSPC, EOPNOTSUPP, EOVERFLOW, EPERM, EROFS, ESHUTDOWN,
};
pub use log::{Log, LogSink};
pub use nbdkit_secret::Secret;
pub use op::{Op, OpFuture, Wait};
pub use params::{ParamSet, ParamSpec, Required};
pub use plugin::{Export, Opened, Plugin, PluginEntry, Taken, ThreadModel};
pub use pool::Pool;
pub use server::{Background, Server};
pub use startup::Startup;
pub use std::sync::Arc;
pub use sync::SyncDisk;
pub use values::{Probability, Size, Value};
