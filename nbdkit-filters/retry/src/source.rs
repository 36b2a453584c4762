// SPDX-License-Identifier: BSD-3-Clause
//! [`Source`]: where the disk comes from, as often as it is needed.

use crate::{Retry, patience::Patience};
use nbdkit_filter::{Arc, Disk, EIO, ESHUTDOWN, Error, Next, OpenRequest, Result};

pub(crate) struct Source {
    pub(crate) filter: Arc<Retry>,
    pub(crate) next: Next,
    pub(crate) req: OpenRequest,
}

impl Source {
    pub(crate) fn patience(&self) -> Patience {
        Patience::new(&self.filter.params)
    }

    /// Opens for the first time.
    pub(crate) async fn open_patiently(&self) -> Result<Arc<dyn Disk>> {
        let mut patience = self.patience();
        loop {
            match self.next.open(self.req.clone()).await {
                Err(error) if patience.allows("open", &error, &self.req).await => {}
                result => return result,
            }
        }
    }

    /// Opens again, once. The disk must still have `size` bytes, which is what the client was told.
    pub(crate) async fn open_again(&self, size: u64) -> Result<Arc<dyn Disk>> {
        let mut req = self.req.clone();
        req.read_only |= self.filter.params.read_only;
        let disk =
            self.next.open(req).await.map_err(|error| {
                Error::new(ESHUTDOWN, format!("the disk could not be opened again: {error}"))
            })?;
        let now = disk.info().size;
        if now == size {
            return Ok(disk);
        }
        if let Err(error) = disk.close().await {
            self.req.log().debug(format_args!("close: {error}"));
        }
        Err(Error::new(EIO, format!("the disk has {now} bytes after opening it again, and had {size}")))
    }
}
