// SPDX-License-Identifier: BSD-3-Clause
//! [`SyncDisk`]: a disk in plain blocking code, and the two ways to run it.

use crate::{Buf, Data, Disk, Error, Extents, Flags, Info, Op, Pool, Result, Span};
use std::sync::Arc;

/// A disk in plain blocking code. The methods mean what those of [`Disk`] mean.
pub trait SyncDisk: Send + Sync + 'static {
    /// Asked once, right after open.
    fn info(&self) -> Result<Info>;

    /// Fills all of `buf` from `offset`.
    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// See [`Disk::pwrite`].
    fn pwrite(&self, data: &[u8], offset: u64, flags: Flags) -> Result<()> {
        let _ = (data, offset, flags);
        Err(Error::unsupported("write"))
    }

    /// See [`Disk::flush`].
    fn flush(&self) -> Result<()> {
        Err(Error::unsupported("flush"))
    }

    /// See [`Disk::trim`].
    fn trim(&self, span: Span, flags: Flags) -> Result<()> {
        let _ = (span, flags);
        Err(Error::unsupported("trim"))
    }

    /// See [`Disk::zero`].
    fn zero(&self, span: Span, flags: Flags) -> Result<()> {
        let _ = (span, flags);
        Err(Error::unsupported("zero"))
    }

    /// See [`Disk::cache`].
    fn cache(&self, span: Span) -> Result<()> {
        let _ = span;
        Err(Error::unsupported("cache"))
    }

    /// See [`Disk::extents`].
    fn extents(&self, span: Span, flags: Flags) -> Result<Extents> {
        let _ = flags;
        Ok(Extents::data(span.len))
    }

    /// See [`Disk::finalize`].
    fn finalize(&self) -> Result<()> {
        Ok(())
    }

    /// See [`Disk::close`].
    fn close(&self) -> Result<()> {
        Ok(())
    }
}

/// Runs every call at once, where it is made.
pub(crate) struct Inline<D> {
    disk: D,
    info: Info,
    pool: Pool,
}

impl<D: SyncDisk> Inline<D> {
    pub(crate) fn new(disk: D, pool: Pool) -> Result<Self> {
        Ok(Inline { info: disk.info()?, disk, pool })
    }
}

impl<D: SyncDisk> Disk for Inline<D> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let mut buf = self.pool.get(len as usize);
        self.disk.pread(&mut buf, offset).map(|()| buf.freeze().into()).into()
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.disk.pwrite(&data, offset, flags).into()
    }

    fn flush(&self) -> Op<'_, ()> {
        self.disk.flush().into()
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.disk.trim(span, flags).into()
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.disk.zero(span, flags).into()
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.disk.cache(span).into()
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.disk.extents(span, flags).into()
    }

    fn finalize(&self) -> Op<'_, ()> {
        self.disk.finalize().into()
    }

    fn close(&self) -> Op<'_, ()> {
        self.disk.close().into()
    }
}

/// Runs every call on the pool of threads for blocking calls.
pub(crate) struct Blocking<D> {
    disk: Arc<D>,
    info: Info,
    pool: Pool,
}

impl<D: SyncDisk> Blocking<D> {
    pub(crate) fn new(disk: D, pool: Pool) -> Result<Self> {
        Ok(Blocking { info: disk.info()?, disk: Arc::new(disk), pool })
    }

    fn hop<T: Send + 'static>(&self, call: impl FnOnce(&D) -> Result<T> + Send + 'static) -> Op<'_, T> {
        let disk = self.disk.clone();
        Op::blocking(move || call(&disk))
    }
}

impl<D: SyncDisk> Disk for Blocking<D> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let pool = self.pool.clone();
        self.hop(move |disk| {
            let mut buf = pool.get(len as usize);
            disk.pread(&mut buf, offset)?;
            Ok(buf.freeze().into())
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.hop(move |disk| disk.pwrite(&data, offset, flags))
    }

    fn flush(&self) -> Op<'_, ()> {
        self.hop(|disk| disk.flush())
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.hop(move |disk| disk.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.hop(move |disk| disk.zero(span, flags))
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.hop(move |disk| disk.cache(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.hop(move |disk| disk.extents(span, flags))
    }

    fn finalize(&self) -> Op<'_, ()> {
        self.hop(|disk| disk.finalize())
    }

    fn close(&self) -> Op<'_, ()> {
        self.hop(|disk| disk.close())
    }
}
