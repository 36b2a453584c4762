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

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::{OpenRequest, OpenedExt, layer, testing::Bench};
    use nbdkit_plugin::{Extent, Opened, Plugin};

    /// Every byte tells where it is; all is a hole, and it says so of the whole disk at once.
    #[derive(Default)]
    struct Ruler;

    struct Inches(Info);

    impl Plugin for Ruler {
        fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
            req.ready(Inches(Info::read_only(100)))
        }
    }

    impl Disk for Inches {
        fn info(&self) -> &Info {
            &self.0
        }

        fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
            let bytes: Vec<u8> = (offset..offset + u64::from(len)).map(|at| at as u8).collect();
            Op::ok(Buf::from(bytes).into())
        }

        fn extents(&self, span: Span, _: Flags) -> Op<'_, Extents> {
            Op::ok(Extents::hole(100 - span.offset))
        }
    }

    #[test]
    fn shows_its_part_and_no_more() {
        let bench = Bench::default();
        let ruler = bench.plugin::<Ruler>("ruler", &[]).unwrap();
        let window = |start, len| {
            let req = bench.request(1, "");
            let open = ruler.open(req).layer(move |disk| Window::new(disk, Span::new(start, len)));
            bench.run(async { open.await })
        };
        let disk = window(40, 20).unwrap();
        assert_eq!(disk.info().size, 20);
        let read = disk.pread(3, 17);
        assert!(matches!(read, Op::Ready(_)), "a tail call waits for nothing");
        let data = bench.run(async { read.await?.into_buf(&Default::default()).await }).unwrap();
        assert_eq!(*data, [57, 58, 59]);
        let extents = bench.run(async { disk.extents(Span::new(5, 3), Flags::default()).await }).unwrap();
        assert_eq!(extents.iter().copied().collect::<Vec<_>>(), [Extent::hole(15)]);

        assert_eq!(window(100, 0).unwrap().info().size, 0);
        for (start, len) in [(0, 101), (100, 1), (101, 0), (u64::MAX, 1), (1, u64::MAX)] {
            let Err(error) = window(start, len) else { panic!("{start}+{len} is not within the disk") };
            assert!(error.to_string().ends_with("are not within the disk, which has 100 bytes"), "{error}");
        }
        let inner = layer(Window::new(disk, Span::new(10, 5)).unwrap());
        let data = bench.run(async { inner.pread(1, 0).await?.into_buf(&Default::default()).await }).unwrap();
        assert_eq!(*data, [50], "a window of a window");
    }
}
