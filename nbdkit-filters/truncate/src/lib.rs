// SPDX-License-Identifier: BSD-3-Clause
//! The truncate filter: another size, whether smaller or larger.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod resized;
mod sizes;

use nbdkit_filter::*;
use resized::Resized;
use sizes::PowerOfTwo;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Truncate>("truncate", "makes the disk smaller or larger");

params! {
    struct Params {
        /// The size of the disk. Without it, that of the disk behind.
        "truncate" => size: Option<Size>,
        /// Then, the size is rounded up to a multiple of this power of two.
        "round-up" => round_up: Option<PowerOfTwo>,
        /// Then, the size is rounded down to a multiple of this power of two.
        "round-down" => round_down: Option<PowerOfTwo>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Truncate {
    params: Params,
}

impl Filter for Truncate {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req).layer(move |next| {
            let size = self.params.size(next.info().size)?;
            Ok(Resized::new(next, size))
        })
    }
}

impl Params {
    /// The size to show of a disk of `real` bytes.
    fn size(&self, real: u64) -> Result<u64> {
        let mut size = self.size.map_or(real, |Size(size)| size);
        if let Some(unit) = self.round_up {
            size = unit.round_up(size).ok_or_else(|| {
                let most = i64::MAX;
                Error::invalid(format!(
                    "cannot round size {size} up to a multiple of {unit}: it would be above {most}, the largest there is"
                ))
            })?;
        }
        if let Some(unit) = self.round_down {
            size = unit.round_down(size);
        }
        Ok(size)
    }
}
