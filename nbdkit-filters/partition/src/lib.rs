// SPDX-License-Identifier: BSD-3-Clause
//! The partition filter: one partition of the disk behind.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod values;

use nbdkit_filter::*;
use nbdkit_partition_table::{Search, Step};
pub use values::{Number, SectorSize};

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Partition>("partition", "serve one partition of the disk");

params! {
    struct Params {
        /// Which partition, from 1. Logical partitions of an MBR begin at 5.
        [required "you must supply the partition parameter on the command line"]
        "partition" => number: Required<Number>,
        /// In what sectors the partition table counts. Without it: 4096 if that is the minimum block size of the
        /// disk, else 512.
        "partition-sectorsize" => sector_size: Option<SectorSize>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Partition {
    params: Params,
}

impl Filter for Partition {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req.clone()).and_then(move |disk| {
            Op::wait(async move {
                let span = self.params.find(&*disk, &req).await?;
                Ok(layer(Window::new(disk, span)?))
            })
        })
    }
}

impl Params {
    /// Where the partition lies on `disk`.
    async fn find(&self, disk: &dyn Disk, req: &OpenRequest) -> Result<Span> {
        let sector_size = self.sector_size.unwrap_or_else(|| SectorSize::of(disk.info()));
        let invalid = |error: nbdkit_partition_table::Error| Error::invalid(error.to_string());
        let mut search =
            Search::new(disk.info().size, sector_size.bytes(), self.number.0).map_err(invalid)?;
        let mut step = search.step(None).map_err(invalid)?;
        loop {
            match step {
                Step::Read { offset, len } => {
                    // No read is longer than 1 MiB.
                    let data = disk.pread(len as u32, offset).await;
                    let data = data.map_err(|error| error.context("reading the partition table"))?;
                    step = search.step(Some(&data.into_buf(&req.pool()).await?)).map_err(invalid)?;
                }
                Step::Found(found) => {
                    let nbdkit_partition_table::Partition { number, offset, len } = found;
                    req.log().debug(format_args!("partition {number} has {len} bytes from offset {offset}"));
                    return Ok(Span::new(offset, len));
                }
            }
        }
    }
}
