// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
pub mod client;
mod export;
mod head;
mod request;
pub mod server;
pub mod wire;

pub use export::{BlockSize, BlockSizeError, Context, ExportInfo, MAX_CONTEXTS, Mode};
pub use head::Head;
pub use request::{Command, ContextSet, Request, Tag};
