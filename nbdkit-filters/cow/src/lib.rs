// SPDX-License-Identifier: BSD-3-Clause
//! The cow filter: copy on write. Writes go to a temporary overlay, the disk behind stays as it is.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod branch;
mod map;
mod overlay;
mod store;
mod values;

use branch::Branch;
use nbdkit_filter::*;
use nbdkit_switch::Switch;
use nbdkit_temporary_file::TemporaryFile;
use overlay::Overlay;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};
use store::Store;
pub use values::Granule;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Cow>("cow", "let clients write, and forget it at the end");

params! {
    struct Params {
        /// The unit in which data is copied: a power of two, 4096 to 2G.
        "cow-block-size" => block_size: Granule = Granule(64 << 10),
        /// Whether what a client wants to have cached is kept in the overlay.
        "cow-on-cache" => on_cache: bool = false,
        /// Whether what a client reads is kept in the overlay: always, never, or while a file exists.
        "cow-on-read" => on_read: Switch = Switch::Off,
    }
}

params! {
    struct DebugFlags {
        /// Shows which blocks get a place in the overlay, and why.
        "verbose" => verbose: i32 = 0,
    }
}

/// How many exports may be changed, each of which costs memory until the process ends.
const MOST_EXPORTS: usize = 1 << 16;

/// The filter.
#[derive(Default)]
pub struct Cow {
    params: Params,
    debug: DebugFlags,
    /// From `get_ready` on.
    store: Option<Arc<Store>>,
    /// By the name of the export. They outlive their clients.
    overlays: Mutex<HashMap<Arc<str>, Arc<Overlay>>>,
}

impl Filter for Cow {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.store = Some(Arc::new(Store::new(TemporaryFile::create()?)));
        Ok(())
    }

    fn open(self: Arc<Self>, next: Next, mut req: OpenRequest) -> Opened {
        let read_only = std::mem::replace(&mut req.read_only, true);
        let (export, connection) = (req.export.clone(), req.connection.clone());
        let verbose = (self.debug.verbose != 0).then(|| req.log().clone());
        next.open(req).layer(move |next| {
            let overlay = self.overlay(&export, next.info())?;
            let info = seen(next.info(), &overlay, self.params.on_cache, read_only);
            Ok(Branch {
                next,
                info,
                overlay,
                on_cache: self.params.on_cache,
                on_read: self.params.on_read.clone(),
                pool: connection.pool().clone(),
                connection,
                verbose,
            })
        })
    }
}

impl Cow {
    /// What all clients of `export` share. `info` is of the disk behind.
    fn overlay(&self, export: &Arc<str>, info: &Info) -> Result<Arc<Overlay>> {
        let store = self.store.as_ref().ok_or_else(|| Error::new(EIO, "opened before get_ready"))?;
        let mut overlays = self.overlays.lock().unwrap_or_else(PoisonError::into_inner);
        // Clients choose names: one that was only looked at must not cost memory for ever.
        overlays.retain(|_, overlay| Arc::strong_count(overlay) > 1 || !overlay.is_untouched());
        if let Some(overlay) = overlays.get(export) {
            return match overlay.size == info.size {
                true => Ok(overlay.clone()),
                false => Err(Error::new(
                    EIO,
                    format!(
                        "the disk behind has changed its size from {} to {} bytes, which its overlay cannot follow",
                        overlay.size, info.size
                    ),
                )),
            };
        }
        if overlays.len() >= MOST_EXPORTS {
            return Err(Error::new(
                ENOSPC,
                format!("{MOST_EXPORTS} exports have overlays, which is the limit"),
            ));
        }
        // The disk behind is read in whole blocks, which must be whole for it too.
        let least = info.block.map_or(1, |block| block.minimum.into());
        let overlay = Arc::new(Overlay::new(store.clone(), info.size, self.params.block_size.0.max(least)));
        overlays.insert(export.clone(), overlay.clone());
        Ok(overlay)
    }
}

/// What clients see of a disk that is `behind` the overlay.
fn seen(behind: &Info, overlay: &Overlay, on_cache: bool, read_only: bool) -> Info {
    behind.with(|info| {
        (info.write, info.trim, info.flush) = (true, true, true);
        (info.extents, info.multi_conn) = (true, true);
        (info.zero, info.fua) = (Support::Native, Support::Native);
        info.fast_zero = false;
        if on_cache {
            info.cache = Support::Native;
        }
        let any = BlockSize { minimum: 1, preferred: 512, maximum: u32::MAX };
        let mut block = info.block.unwrap_or(any);
        // 32 MiB is the most that may be preferred.
        let preferred = overlay.block.min(32 << 20) as u32;
        if preferred <= block.maximum {
            block.preferred = block.preferred.max(preferred);
        }
        info.block = Some(block);
        if read_only {
            info.without_writing();
        }
    })
}
