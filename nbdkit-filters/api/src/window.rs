// SPDX-License-Identifier: BSD-3-Clause
//! [`Window`]: a stretch of the disk behind, seen as a disk of its own.

use nbdkit_plugin::{Arc, Buf, Data, Disk, Error, Extents, Flags, Info, Layer, Op, Result, Span};

/// A stretch of the disk behind, seen as a disk of its own: what remains once a filter knows where the data of
/// interest lies (a partition, a file in an archive).
///
/// ```
/// use nbdkit_filter::*;
/// /// Hides a header of 512 bytes.
/// fn behind_the_header(next: &Next, req: OpenRequest) -> Opened {
///     next.open(req).layer(|disk| {
///         let rest = disk.info().size.saturating_sub(512);
///         Window::new(disk, Span::new(512, rest))
///     })
/// }
/// ```
///
/// Block sizes are passed on: they hold for the window if its start is a multiple of them.
pub struct Window {
    next: Arc<dyn Disk>,
    info: Info,
    start: u64,
}

impl Window {
    /// The bytes `span` of `next`.
    ///
    /// # Errors
    /// `EINVAL` when `span` is not within the disk.
    pub fn new(next: Arc<dyn Disk>, span: Span) -> Result<Window> {
        let Span { offset: start, len } = span;
        let size = next.info().size;
        if start.checked_add(len).is_none_or(|end| end > size) {
            return Err(Error::invalid(format!(
                "{len} bytes from offset {start} are not within the disk, which has {size} bytes"
            )));
        }
        let info = next.info().with(|info| info.size = len);
        Ok(Window { next, info, start })
    }

    /// Requests are within the window, so this does not saturate; a wrong one ends beyond every disk.
    fn shift(&self, offset: u64) -> u64 {
        self.start.saturating_add(offset)
    }

    fn behind(&self, span: Span) -> Span {
        Span::new(self.shift(span.offset), span.len)
    }
}

impl Layer for Window {
    fn next(&self) -> &dyn Disk {
        &*self.next
    }

    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        self.next.pread(len, self.shift(offset))
    }

    fn pwrite(&self, data: Buf, offset: u64, flags: Flags) -> Op<'_, ()> {
        self.next.pwrite(data, self.shift(offset), flags)
    }

    fn trim(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.trim(self.behind(span), flags)
    }

    fn zero(&self, span: Span, flags: Flags) -> Op<'_, ()> {
        self.next.zero(self.behind(span), flags)
    }

    fn cache(&self, span: Span) -> Op<'_, ()> {
        self.next.cache(self.behind(span))
    }

    fn extents(&self, span: Span, flags: Flags) -> Op<'_, Extents> {
        // They may end late, but not behind the window.
        let most = self.info.size.saturating_sub(span.offset);
        self.next.extents(self.behind(span), flags).map(move |mut extents| {
            extents.truncate(most);
            Ok(extents)
        })
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    use super::*;
    use crate::{OpenRequest, OpenedExt, layer, testing::Bench};
    use nbdkit_plugin::{Extent, Opened, Plugin, Pool};
    use std::sync::Mutex;

    const SIZE: u64 = 100;

    /// Every byte tells where it is; all is a hole, and it says so of the whole disk at once.
    #[derive(Default)]
    struct Ruler(Arc<Mutex<Vec<String>>>);

    impl Plugin for Ruler {
        fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
            req.ready(RulerDisk { info: Info::writable(SIZE), diary: self.0.clone() })
        }
    }

    struct RulerDisk {
        info: Info,
        diary: Arc<Mutex<Vec<String>>>,
    }

    impl RulerDisk {
        fn note(&self, what: &str, Span { offset, len }: Span) -> Op<'_, ()> {
            self.diary.lock().unwrap().push(format!("{what} {len}@{offset}"));
            Op::ok(())
        }
    }

    impl Disk for RulerDisk {
        fn info(&self) -> &Info {
            &self.info
        }

        fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
            let bytes: Vec<u8> = (offset..offset + u64::from(len)).map(|at| at as u8).collect();
            Op::ok(Buf::from(bytes).into())
        }

        fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
            self.note("write", Span::new(offset, data.len() as u64))
        }

        fn trim(&self, span: Span, _: Flags) -> Op<'_, ()> {
            self.note("trim", span)
        }

        fn zero(&self, span: Span, _: Flags) -> Op<'_, ()> {
            self.note("zero", span)
        }

        fn cache(&self, span: Span) -> Op<'_, ()> {
            self.note("cache", span)
        }

        fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
            Op::ok(Extents::hole(SIZE - span.offset))
        }
    }

    /// What comes at once, as everything here must: the window is a tail call.
    fn now<T>(op: Op<'_, T>) -> T {
        match op {
            Op::Ready(result) => result.unwrap(),
            Op::Wait(_) => panic!("there is nothing to wait for"),
        }
    }

    fn read(disk: &dyn Disk, offset: u64, len: u32) -> Vec<u8> {
        now(now(disk.pread(len, offset)).into_buf(&Pool::new())).to_vec()
    }

    #[test]
    fn shows_its_part_and_no_more() {
        let ruler = Arc::new(RulerDisk { info: Info::writable(SIZE), diary: Arc::default() });
        let disk = layer(Window::new(ruler.clone(), Span::new(40, 20)).unwrap());
        assert_eq!(disk.info().size, 20);
        assert_eq!(read(&*disk, 17, 3), [57, 58, 59]);
        let (span, flags) = (Span::new(3, 5), Flags::default());
        let extents = now(disk.extents(span, flags));
        assert_eq!(extents.iter().copied().collect::<Vec<_>>(), [Extent::hole(17)]);
        now(disk.pwrite(Buf::from(vec![0; 5]), 3, flags));
        now(disk.trim(span, flags));
        now(disk.zero(span, flags));
        now(disk.cache(span));
        assert_eq!(*ruler.diary.lock().unwrap(), ["write 5@43", "trim 5@43", "zero 5@43", "cache 5@43"]);
        let inner = layer(Window::new(disk, Span::new(10, 5)).unwrap());
        assert_eq!(read(&*inner, 0, 5), [50, 51, 52, 53, 54], "a window of a window");
    }

    #[test]
    fn must_lie_within_the_disk() {
        let bench = Bench::default();
        let ruler = bench.plugin::<Ruler>("ruler", &[]).unwrap();
        let size = |start, len| {
            let open = ruler.open(bench.request(1, ""));
            let window = open.layer(move |disk| Window::new(disk, Span::new(start, len)));
            bench.run(async { window.await }).map(|disk| disk.info().size)
        };
        assert_eq!(size(100, 0).unwrap(), 0);
        assert_eq!(size(0, 100).unwrap(), 100);
        for (start, len) in [(0, 101), (100, 1), (101, 0), (u64::MAX, 1), (1, u64::MAX)] {
            let error = size(start, len).unwrap_err().to_string();
            let expected =
                format!("{len} bytes from offset {start} are not within the disk, which has 100 bytes");
            assert_eq!(error, expected);
        }
    }
}
