// SPDX-License-Identifier: BSD-3-Clause
//! [`Probe`]: a disk in plain calls, each of which is noted, driven to its end and checked for its form.

use super::{
    Check,
    stage::{Drive, wait},
    watch::Progress,
};
use crate::{Buf, Data, Disk, Extents, Flags, Info, Op, Pool, Result, Span};
use futures_lite::future::poll_fn;
use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

#[derive(Clone)]
pub(super) struct Probe {
    disk: Arc<dyn Disk>,
    drive: Drive,
    progress: Progress,
    pool: Pool,
}

/// A span as messages show it: `4096@512`.
pub(super) struct At(pub(super) Span);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.0.len, self.0.offset)
    }
}

/// An operation with its flags.
pub(super) struct With(pub(super) &'static str, pub(super) Span, pub(super) Flags);

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, At(self.1))?;
        let Flags { fua, may_trim, fast_zero, req_one } = self.2;
        for (set, name) in
            [(fua, " fua"), (may_trim, " may_trim"), (fast_zero, " fast_zero"), (req_one, " req_one")]
        {
            f.write_str(if set { name } else { "" })?;
        }
        Ok(())
    }
}

impl Probe {
    pub(super) fn new(disk: Arc<dyn Disk>, drive: &Drive, progress: &Progress) -> Probe {
        Probe { disk, drive: drive.clone(), progress: progress.clone(), pool: Pool::new() }
    }

    pub(super) fn info(&self) -> &Info {
        self.disk.info()
    }

    pub(super) fn read(&self, span: Span) -> Check<Vec<u8>> {
        self.progress.note(With("read", span, Flags::default()));
        let bytes =
            self.run(async { self.whole(span, self.disk.pread(span.len as u32, span.offset).await).await });
        bytes.map(|buf| buf.to_vec())
    }

    /// All of these at once.
    pub(super) fn read_all(&self, spans: &[Span]) -> Check<Vec<Vec<u8>>> {
        self.progress.note(format_args!("{} reads at once", spans.len()));
        let reads = self.run(all(spans.iter().map(|span| self.disk.pread(span.len as u32, span.offset))));
        let whole = |(span, data): (&Span, _)| Ok(self.run(self.whole(*span, data))?.to_vec());
        spans.iter().zip(reads).map(whole).collect()
    }

    /// What a read answered, in one piece.
    async fn whole(&self, span: Span, data: Result<Data>) -> Check<Buf> {
        let failed = |error| format!("read {}: {error:?}", At(span));
        let data = data.map_err(failed)?;
        if data.len() != span.len {
            return Err(format!("read {}: answers {} bytes", At(span), data.len()));
        }
        data.into_buf(&self.pool).await.map_err(failed)
    }

    pub(super) fn write(&self, bytes: Buf, offset: u64, flags: Flags) -> Result<()> {
        self.progress.note(With("write", Span::new(offset, bytes.len() as u64), flags));
        self.op(|| self.disk.pwrite(bytes, offset, flags))
    }

    /// All of these at once.
    pub(super) fn write_all(&self, writes: &[(u64, Vec<u8>)]) -> Vec<Result<()>> {
        self.progress.note(format_args!("{} writes at once", writes.len()));
        let write = |(offset, bytes): &(u64, Vec<u8>)| {
            self.disk.pwrite(Buf::from(bytes.clone()), *offset, Flags::default())
        };
        self.run(all(writes.iter().map(write)))
    }

    /// Makes a write and does not poll it, unless it is done at once: then true.
    pub(super) fn write_unpolled(&self, bytes: Buf, offset: u64) -> bool {
        self.progress.note(format_args!("write {}@{offset}, not polled", bytes.len()));
        matches!(self.disk.pwrite(bytes, offset, Flags::default()), Op::Ready(_))
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.progress.note("flush");
        self.op(|| self.disk.flush())
    }

    pub(super) fn trim(&self, span: Span, flags: Flags) -> Result<()> {
        self.progress.note(With("trim", span, flags));
        self.op(|| self.disk.trim(span, flags))
    }

    pub(super) fn zero(&self, span: Span, flags: Flags) -> Result<()> {
        self.progress.note(With("zero", span, flags));
        self.op(|| self.disk.zero(span, flags))
    }

    pub(super) fn cache(&self, span: Span) -> Result<()> {
        self.progress.note(With("cache", span, Flags::default()));
        self.op(|| self.disk.cache(span))
    }

    pub(super) fn extents(&self, span: Span, flags: Flags) -> Check<Extents> {
        let what = With("extents", span, flags);
        self.progress.note(&what);
        let extents =
            self.op(|| self.disk.extents(span, flags)).map_err(|error| format!("{what}: {error:?}"))?;
        match extents.is_empty() {
            true => Err(format!("{what}: answers no extent")),
            false => Ok(extents),
        }
    }

    pub(super) fn finalize(&self) -> Check {
        self.progress.note("finalize");
        self.op(|| self.disk.finalize()).map_err(|error| format!("finalize: {error:?}"))
    }

    pub(super) fn close(&self) -> Check {
        self.progress.note("close");
        self.op(|| self.disk.close()).map_err(|error| format!("close: {error:?}"))
    }

    fn op<'a, T: Send + 'a>(&self, op: impl FnOnce() -> Op<'a, T>) -> Result<T> {
        match op() {
            Op::Ready(result) => result,
            Op::Wait(wait) => self.run(wait),
        }
    }

    fn run<T: Send>(&self, future: impl Future<Output = T> + Send) -> T {
        wait(&self.drive, future)
    }
}

/// Awaits all of `ops` together; their results in order.
async fn all<'a, T: Send + 'a>(ops: impl Iterator<Item = Op<'a, T>>) -> Vec<Result<T>> {
    let mut pending: Vec<_> = ops.map(|op| (op.into_future(), None)).collect();
    poll_fn(|cx| {
        let mut left = false;
        for (op, result) in &mut pending {
            if result.is_none() {
                match Pin::new(op).poll(cx) {
                    Poll::Ready(answer) => *result = Some(answer),
                    Poll::Pending => left = true,
                }
            }
        }
        if left { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    pending.into_iter().filter_map(|(_, result)| result).collect()
}
