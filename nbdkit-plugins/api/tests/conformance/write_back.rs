// SPDX-License-Identifier: BSD-3-Clause
//! Disks that keep their writes to themselves until they are flushed, as many caches do.

use crate::reference::{Image, Reference};
use nbdkit_plugin::{conformance::*, *};
use std::sync::{Mutex, PoisonError};

/// What a connection has written, and others do not see yet.
type Held = Arc<Mutex<Vec<(u64, Buf)>>>;

/// What all connections share.
#[derive(Default)]
struct Shared {
    image: Image,
    held: Mutex<Vec<Held>>,
}

struct WriteBack {
    shared: Arc<Shared>,
    own: Held,
    info: Info,
    /// A flush is for all connections, as `multi_conn` promises.
    flushes_all: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl WriteBack {
    fn put(&self, held: &Held) {
        let mut held = lock(held);
        held.drain(..).for_each(|(offset, data)| self.shared.image.write(offset, &data));
    }
}

impl Disk for WriteBack {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        let own = lock(&self.own);
        let span = Span::new(offset, len.into());
        let mut bytes = self.shared.image.read(span);
        for (at, data) in &*own {
            let (start, end) = (span.offset.max(*at), span.end().min(at + data.len() as u64));
            if start < end {
                let part = &data[(start - at) as usize..(end - at) as usize];
                bytes[(start - offset) as usize..(end - offset) as usize].copy_from_slice(part);
            }
        }
        Op::ok(Buf::from(bytes).into())
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        lock(&self.own).push((offset, data));
        Op::ok(())
    }

    fn flush(&self) -> Op<'_, ()> {
        match self.flushes_all {
            true => lock(&self.shared.held).iter().for_each(|held| self.put(held)),
            false => self.put(&self.own),
        }
        Op::ok(())
    }

    fn close(&self) -> Op<'_, ()> {
        self.put(&self.own);
        Op::ok(())
    }
}

fn kit(flushes_all: bool) -> Kit {
    let shared = Arc::<Shared>::default();
    Kit::disks(move |read_only, _| {
        let own = Held::default();
        lock(&shared.held).push(own.clone());
        let info = Reference::info(100_000).with(|info| {
            (info.trim, info.extents, info.fast_zero) = (false, false, false);
            (info.zero, info.fua, info.cache) = (Support::Emulate, Support::Emulate, Support::None);
            if read_only {
                info.without_writing();
            }
        });
        Ok(Arc::new(WriteBack { shared: shared.clone(), own, info, flushes_all }))
    })
    .content(Content::Zeroes)
    .operations(100)
}

#[test]
fn a_flush_for_all_passes() {
    kit(true).run();
}

#[test]
fn a_flush_for_one_connection_is_found() {
    let report = kit(false).check().unwrap_err();
    assert!(report.contains("many at once: "), "{report}");
}
