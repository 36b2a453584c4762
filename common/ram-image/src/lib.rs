// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod allocator;
mod disk;
mod image;
mod locked;
mod malloc;
#[cfg(feature = "zstd")]
mod packed;

pub use allocator::Allocator;
pub use disk::RamDisk;
pub use image::Image;

/// Bytes in a page, the unit in which `sparse` and `zstd` take and give back memory.
pub const PAGE_SIZE: usize = nbdkit_sparse_array::PAGE_SIZE;

/// The callbacks of a plugin that serves a [`RamDisk`], for `--dump-plugin`.
pub const CALLBACKS: &[&str] = &[
    "dump_plugin",
    "config",
    "config_help",
    "get_ready",
    "can_fast_zero",
    "can_fua",
    "can_multi_conn",
    "can_cache",
    "block_size",
    "pwrite",
    "flush",
    "trim",
    "zero",
    "extents",
];

/// What such a plugin says of the allocators in `--dump-plugin`.
pub fn abilities() -> Vec<(&'static str, String)> {
    let zstd = if cfg!(feature = "zstd") { "yes" } else { "no" };
    vec![("mlock", "yes".to_owned()), ("zstd", zstd.to_owned())]
}

#[cfg(test)]
mod tests;
