// SPDX-License-Identifier: BSD-3-Clause
//! The cache filter: keeps blocks of a slow disk in a temporary file.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod behind;
mod blocks;
mod claims;
mod export;
mod extents;
mod layer;
mod reading;
mod saving;
mod storage;
mod table;
mod values;
mod writing;

use export::Export;
use layer::Cached;
use nbdkit_filter::*;
use nbdkit_switch::Switch;
use nbdkit_temporary_file::TemporaryFile;
use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
};
use storage::{Limits, Storage};
pub use values::{BlockBytes, Mode};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Cache>("cache", "keep blocks of a slow disk in a temporary file");

params! {
    struct Params {
        /// What becomes of writes: kept and written on a flush; written at once; or kept, and flushes ignored.
        "cache" => mode: Mode = Mode::WriteBack,
        /// The unit of caching: a power of two, 4096 to 2G; larger if the file system has larger blocks.
        "cache-min-block-size" => block: BlockBytes = BlockBytes(64 << 10),
        /// How large the temporary file may become. Without it: as large as the disk.
        "cache-max-size" => max_size: Option<Size>,
        /// From how many percent of `cache-max-size` on blocks are reclaimed.
        "cache-high-threshold" => high: u32 = 95,
        /// Until how many percent of `cache-max-size` blocks are reclaimed.
        "cache-low-threshold" => low: u32 = 80,
        /// Whether what a client reads is kept: always, never, or while a file exists.
        "cache-on-read" => on_read: Switch = Switch::Off,
    }
}

params! {
    struct DebugFlags {
        /// Shows what is read from where, what is kept and written, and which blocks are reclaimed.
        "verbose" => verbose: i32 = 0,
    }
}

/// How many exports may be cached, each of which costs memory.
const MOST_EXPORTS: usize = 1 << 16;

/// The filter.
#[derive(Default)]
pub struct Cache {
    params: Params,
    debug: DebugFlags,
    /// From `get_ready` on.
    storage: Option<Arc<Storage>>,
    /// From `after_fork` on.
    log: Option<Log>,
    exports: Mutex<Exports>,
}

#[derive(Default)]
struct Exports {
    by_name: HashMap<Arc<str>, Arc<Export>>,
    /// Counts those there ever were.
    count: blocks::ExportId,
}

impl Filter for Cache {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        let Params { max_size, high, low, .. } = self.params;
        if max_size.is_none() {
            return Ok(());
        }
        match (low, high) {
            (_, 0) => Err(Error::invalid("cache-high-threshold must be greater than zero")),
            (0, _) => Err(Error::invalid("cache-low-threshold must be greater than zero")),
            _ if low >= high => Err(Error::invalid(format!(
                "cache-low-threshold must be less than cache-high-threshold: {low} is not less than {high}"
            ))),
            _ => Ok(()),
        }
    }

    fn get_ready(&mut self) -> Result<()> {
        let file = TemporaryFile::create()?;
        let metadata = file.file().metadata().map_err(|error| Error::io(error, "temporary file"))?;
        // Less than a block of the file system would take as much space.
        let block = self.params.block.0.max(metadata.blksize().checked_next_power_of_two().unwrap_or(0));
        let limits = self.params.max_size.map(|Size(size)| self.limits(size, block)).transpose()?;
        self.storage = Some(Arc::new(Storage::new(file, block, limits)));
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, _: &'a Next, server: &'a Server) -> Op<'a, ()> {
        self.log = Some(server.log().named("cache"));
        Op::ok(())
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        let (name, connection, log) = (req.export.clone(), req.connection.clone(), req.log().clone());
        next.open(req).layer(move |next| {
            let storage = self.storage.clone().ok_or_else(|| Error::new(EIO, "opened before get_ready"))?;
            let export = self.export(&name, next.info(), &storage)?;
            let info = seen(next.info(), self.params.mode, storage.block);
            Ok(Cached {
                next,
                info,
                storage,
                export,
                mode: self.params.mode,
                on_read: self.params.on_read.clone(),
                pool: connection.pool().clone(),
                connection,
                log,
                verbose: self.debug.verbose != 0,
                gone: AtomicBool::new(false),
            })
        })
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        let lost = self.storage.as_ref().map_or(0, |storage| storage.table().dirty());
        if let (Some(log), true) = (&self.log, lost > 0 && self.params.mode != Mode::Unsafe) {
            log.error(format_args!("{lost} dirty blocks could not be written and are lost"));
        }
        Op::ok(())
    }
}

impl Cache {
    fn limits(&self, size: u64, block: u64) -> Result<Limits> {
        let most = size / block;
        if most == 0 {
            return Err(Error::invalid(format!(
                "cache-max-size is too small: {size} bytes, should be at least {block}, the size of a block"
            )));
        }
        let percent = |percent: u32| {
            // A percentage of what fits into 64 bits; thresholds over 100 are never reached.
            let blocks = u128::from(size) * u128::from(percent) / 100 / u128::from(block);
            u64::try_from(blocks).unwrap_or(u64::MAX).min(most)
        };
        Ok(Limits { most, high: percent(self.params.high), low: percent(self.params.low) })
    }

    /// What all clients of the export `name` share, with one more client. `info` is of the disk behind.
    fn export(&self, name: &Arc<str>, info: &Info, storage: &Storage) -> Result<Arc<Export>> {
        let least = info.block.map_or(1, |block| u64::from(block.minimum));
        if least > storage.block {
            return Err(Error::invalid(format!(
                "blocks of {} bytes are smaller than the disk behind allows, should be cache-min-block-size={least}",
                storage.block
            )));
        }
        let mut exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        let Exports { by_name, count } = &mut *exports;
        if let Some(export) = by_name.get(name) {
            if export.size == info.size {
                export.enter();
                return Ok(export.clone());
            }
            if export.in_use() || storage.is_dirty(export) {
                return Err(Error::new(
                    EIO,
                    format!(
                        "the disk behind has changed its size from {} to {} bytes, which its cache cannot follow",
                        export.size, info.size
                    ),
                ));
            }
            storage.abandon(export);
            by_name.remove(name);
        }
        if by_name.len() >= MOST_EXPORTS {
            // Clients choose names: those that nobody would miss must not keep others out.
            by_name
                .retain(|_, export| export.in_use() || storage.is_dirty(export) || !storage.abandon(export));
        }
        if by_name.len() >= MOST_EXPORTS {
            return Err(Error::new(ENOSPC, format!("{MOST_EXPORTS} exports are cached, which is the limit")));
        }
        *count = count.checked_add(1).ok_or_else(|| Error::new(ENOSPC, "too many exports were cached"))?;
        let export = Arc::new(Export::new(*count, info.size, storage.block));
        export.enter();
        by_name.insert(name.clone(), export.clone());
        Ok(export)
    }
}

/// What clients see of a disk that is `behind` the cache.
fn seen(behind: &Info, mode: Mode, block: u64) -> Info {
    behind.with(|info| {
        info.cache = Support::Native;
        let any = BlockSize { minimum: 1, preferred: 512, maximum: u32::MAX };
        let mut sizes = info.block.unwrap_or(any);
        // 32 MiB is the most that may be preferred.
        let preferred = block.min(32 << 20) as u32;
        if preferred <= sizes.maximum {
            sizes.preferred = sizes.preferred.max(preferred);
        }
        info.block = Some(sizes);
        if mode != Mode::WriteThrough {
            // A flush writes what all clients have written, since they share the cache.
            info.multi_conn = true;
        }
        if info.write {
            info.zero = Support::Emulate;
            info.flush |= mode != Mode::WriteThrough;
        }
        if info.write && mode == Mode::Unsafe {
            info.fua = Support::Native;
        }
    })
}
