// SPDX-License-Identifier: BSD-3-Clause
//! [`Emulate`]: what a disk asks to have done through its other operations.

use crate::{Buf, Data, Disk, Error, Extents, Flags, Info, Layer, Op, Pool, Span, Support, layer};
use std::sync::Arc;

/// FUA by flushing, zero by writing, cache by reading. The server puts it in front of every disk, plugin's or
/// filter's, whose [`Info`] says [`Support::Emulate`], and marks the operation [`Support::Emulated`] so that layers
/// that pass `Info` on are not wrapped again. It also writes zeroes when a native zero answers `EOPNOTSUPP`.
pub struct Emulate {
    next: Arc<dyn Disk>,
    info: Info,
    fua: bool,
    zero: bool,
    cache: bool,
    zeroes: Buf,
    pool: Pool,
}

/// Zeroes are written in pieces of this many bytes.
const PIECE: u64 = 1 << 20;
static ZEROES: [u8; PIECE as usize] = [0; PIECE as usize];

impl Emulate {
    /// `disk` itself when there is nothing to do for it.
    pub fn around(disk: Arc<dyn Disk>, pool: &Pool) -> Arc<dyn Disk> {
        let asked = disk.info();
        let [fua, zero, cache] = [asked.fua, asked.zero, asked.cache].map(|s| s == Support::Emulate);
        if !(fua || zero || cache || asked.zero == Support::Native) {
            return disk;
        }
        let info = asked.with(|info| {
            for support in [&mut info.fua, &mut info.zero, &mut info.cache] {
                if *support == Support::Emulate {
                    *support = Support::Emulated;
                }
            }
            // Writing is never faster than writing, and that is known at once.
            info.fast_zero |= zero;
        });
        let zeroes = Buf::from_static(&ZEROES);
        layer(Emulate { next: disk, info, fua, zero, cache, zeroes, pool: pool.clone() })
    }

    /// Runs `op` without FUA and flushes after it, where FUA is emulated.
    fn durable<'a>(&'a self, flags: Flags, op: impl FnOnce(Flags) -> Op<'a, ()>) -> Op<'a, ()> {
        if !(flags.fua && self.fua) {
            return op(flags);
        }
        op(Flags { fua: false, ..flags }).and_then(|()| self.next.flush())
    }

    fn write_zeroes(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        Op::wait(async move {
            let flags = Flags { fua: flags.fua, ..Flags::default() };
            for piece in self.pieces(span) {
                self.next.pwrite(self.zeroes.slice(0..piece.len as usize), piece.offset, flags).await?;
            }
            Ok(())
        })
    }

    fn pieces(&self, span: Span) -> impl Iterator<Item = Span> + Send + use<> {
        let most = self.info.block.map_or(PIECE, |block| PIECE.min(block.maximum.into()));
        let (mut at, end) = (span.offset, span.end());
        std::iter::from_fn(move || {
            let piece = Span::new(at, most.min(end - at));
            at = piece.end();
            (piece.len > 0).then_some(piece)
        })
    }
}

impl Layer for Emulate {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.durable(flags, |flags| self.next.pwrite(data, offset, flags))
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.durable(flags, |flags| self.next.trim(span, flags))
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.durable(flags, |flags| {
            if self.zero {
                return match flags.fast_zero {
                    true => Op::err(Error::unsupported("fast zero")),
                    false => self.write_zeroes(span, flags),
                };
            }
            self.next.zero(span, flags).then(move |result| match result {
                Err(error) if error.errno() == libc::EOPNOTSUPP && !flags.fast_zero => {
                    self.write_zeroes(span, flags)
                }
                result => result.into(),
            })
        })
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        if !self.cache {
            return self.next.cache(span);
        }
        Op::wait(async move {
            for piece in self.pieces(span) {
                let data: Data = self.next.pread(piece.len as u32, piece.offset).await?;
                data.into_buf(&self.pool).await?;
            }
            Ok(())
        })
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        self.next.extents(span, flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Result;
    use futures_lite::future::block_on;
    use std::sync::{Mutex, MutexGuard};

    /// Writes down what it is asked for.
    struct Diary(Info, Arc<Mutex<Vec<String>>>);

    impl Diary {
        fn note(&self, line: String) -> Op<'_, ()> {
            self.1.lock().unwrap().push(line);
            Op::ok(())
        }
    }

    impl Disk for Diary {
        fn info(&self) -> &Info {
            &self.0
        }
        fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
            self.note(format!("read {len}@{offset}")).map(move |()| Ok(Data::zero(len.into())))
        }
        fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
            assert!(data.iter().all(|byte| *byte == 0));
            self.note(format!("write {}@{offset} fua={}", data.len(), flags.fua))
        }
        fn flush(&self) -> Op<'_, ()> {
            self.note("flush".into())
        }
    }

    fn run(
        set: impl FnOnce(&mut Info),
        op: impl FnOnce(&dyn Disk) -> Op<'_, ()>,
    ) -> (Result<()>, Vec<String>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let info = Info::writable(10 << 20).with(set);
        let disk = Emulate::around(Arc::new(Diary(info, lines.clone())), &Pool::new());
        assert!(!disk.info().asks_for_emulation());
        let result = block_on(async { op(&*disk).await });
        let lines: MutexGuard<'_, Vec<String>> = lines.lock().unwrap();
        (result, lines.clone())
    }

    const FUA: Flags = Flags { fua: true, may_trim: false, fast_zero: false, req_one: false };

    #[test]
    fn zero_is_written_in_pieces_and_flushed_once_for_fua() {
        let (result, lines) = run(|i| i.fua = Support::Emulate, |d| d.zero(Span::new(1, (1 << 20) + 5), FUA));
        assert!(result.is_ok());
        assert_eq!(lines, ["write 1048576@1 fua=false", "write 5@1048577 fua=false", "flush"]);
    }

    #[test]
    fn native_fua_is_passed_on() {
        let (_, lines) = run(|i| i.fua = Support::Native, |d| d.zero(Span::new(0, 5), FUA));
        assert_eq!(lines, ["write 5@0 fua=true"]);
    }

    #[test]
    fn a_native_zero_that_cannot_falls_back_unless_it_must_be_fast() {
        let native = |i: &mut Info| i.zero = Support::Native;
        assert_eq!(run(native, |d| d.zero(Span::new(0, 5), Flags::default())).1, ["write 5@0 fua=false"]);
        let fast = Flags { fast_zero: true, ..Flags::default() };
        for set in [native, |_: &mut Info| {}] {
            let (result, lines) = run(set, |d| d.zero(Span::new(0, 5), fast));
            assert_eq!(result.unwrap_err().errno(), libc::EOPNOTSUPP);
            assert!(lines.is_empty());
        }
    }

    #[test]
    fn cache_is_read() {
        let (_, lines) = run(|i| i.cache = Support::Emulate, |d| d.cache(Span::new(7, 9)));
        assert_eq!(lines, ["read 9@7"]);
    }
}
