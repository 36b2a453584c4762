// SPDX-License-Identifier: BSD-3-Clause
//! The checkwrite filter: compares what is written with what is there.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod diff;

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry =
    FilterEntry::new::<Checkwrite>("checkwrite", "compares what is written with what is there");

params! {
    struct DebugFlags {
        /// Shows what differs, in hexadecimal.
        "showdiffs" => show_diffs: i32 = 0,
    }
}

/// The filter.
#[derive(Default)]
pub struct Checkwrite {
    debug: DebugFlags,
}

impl Filter for Checkwrite {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn open(self: Arc<Self>, next: Next, mut req: OpenRequest) -> Opened {
        let read_only = std::mem::replace(&mut req.read_only, true);
        let (pool, log) = (req.pool(), req.log().clone());
        next.open(req).layer(move |next| {
            let info = next.info().with(|info| {
                (info.write, info.flush, info.trim, info.fast_zero) = (true, true, true, true);
                (info.zero, info.fua) = (Support::Native, Support::Native);
                // Nothing ever changes, so nobody sees it late.
                info.multi_conn = true;
                if read_only {
                    info.without_writing();
                }
            });
            let show_diffs = self.debug.show_diffs != 0;
            Ok(Checked { next, info, pool, show_diffs, log })
        })
    }
}

struct Checked {
    next: Arc<dyn Disk>,
    info: Info,
    pool: Pool,
    show_diffs: bool,
    log: Log,
}

/// Zeroes are looked for in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

impl Checked {
    /// Nothing but zeroes may be in `span`. Under `fast` that must be known without reading.
    async fn zeroes(&self, span: Span, fast: bool) -> Result<()> {
        let (mut at, end) = (span.offset, span.end());
        while at < end {
            let rest = Span::new(at, end - at);
            let extents = match self.next.info().extents {
                true => self.next.extents(rest, Flags::default()).await?,
                false => Extents::data(rest.len),
            };
            if extents.is_empty() {
                return Err(Error::new(
                    EIO,
                    format!("the disk behind says nothing of what is at offset {at}"),
                ));
            }
            for extent in extents {
                let part = Span::new(at, extent.len.min(end - at));
                match extent.zero {
                    true => {}
                    false if fast => return Err(Error::unsupported("fast zero")),
                    false => self.read_zeroes(part).await?,
                }
                at = part.end();
            }
        }
        Ok(())
    }

    async fn read_zeroes(&self, span: Span) -> Result<()> {
        let most = self.info.block.map_or(PIECE, |block| PIECE.min(block.maximum.into()));
        let (mut at, end) = (span.offset, span.end());
        while at < end {
            let len = most.min(end - at);
            // A piece is at most 1 MiB.
            let there = self.next.pread(len as u32, at).await?.into_buf(&self.pool).await?;
            match there.iter().position(|byte| *byte != 0) {
                Some(odd) => return Err(mismatch(at + odd as u64, 0, there[odd])),
                None => at += len,
            }
        }
        Ok(())
    }
}

impl Layer for Checked {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        // Requests of clients are below 4 GiB.
        let there = self.next.pread(data.len() as u32, offset).and_then(|there| there.into_buf(&self.pool));
        there.map(move |there| {
            if *there == *data {
                return Ok(());
            }
            let odd = there.iter().zip(&*data).position(|(there, written)| there != written);
            let odd = odd.ok_or_else(|| {
                Error::new(EIO, format!("the disk behind answers {} bytes for {}", there.len(), data.len()))
            })?;
            if self.show_diffs && self.log.verbose() {
                diff::diff(&there, &data, offset)
                    .lines()
                    .for_each(|line| self.log.debug(format_args!("{line}")));
            }
            Err(mismatch(offset + odd as u64, data[odd], there[odd]))
        })
    }

    fn flush(&self) -> Op<'_, ()> {
        Op::ok(())
    }

    fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
        Op::wait(self.zeroes(span, false))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        Op::wait(self.zeroes(span, flags.fast_zero))
    }
}

fn mismatch(offset: u64, written: u8, there: u8) -> Error {
    let what = "data written does not match expected";
    Error::new(EIO, format!("{what}: at offset {offset} is {there:#04x}, but {written:#04x} was written"))
}
