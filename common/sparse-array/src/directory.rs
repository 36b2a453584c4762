// SPDX-License-Identifier: BSD-3-Clause
//! Where page number N is: a radix tree whose tables are made when first needed.
//!
//! Tables are never taken away while the array lives. That is what lets a lookup follow plain references,
//! without a lock or a count that all threads would have to share: the only lock is the page's own.

use std::array;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::page::{OutOfMemory, Owned, Page, try_new};

/// 256 to the fifth tables over leaves of 512 pages: 2^49 pages of 32 KiB make 2^64 bytes.
pub(crate) type Root = Table<Table<Table<Table<Table<Leaf>>>>>;

/// A subtree: `2^BITS` pages, numbered from zero by the low bits of the page number.
pub(crate) trait Node: Default {
    const BITS: u32;

    /// The leaf that holds the page, if there is one.
    fn leaf(&self, page: u64) -> Option<&Leaf>;
    /// The leaf that holds the page, made if need be.
    fn leaf_or_new(&self, page: u64) -> Result<&Leaf, OutOfMemory>;
    /// The first page at or after `page` that is allocated, or that is not.
    fn next(&self, page: u64, allocated: bool) -> Option<u64>;
    /// How many pages are allocated.
    fn count(&self) -> u64;
}

/// 256 subtrees, all absent until one of them is needed.
#[derive(Default)]
pub(crate) struct Table<T>(OnceLock<Owned<[T; 256]>>);

impl<T: Node> Table<T> {
    /// Which subtree the page is in.
    fn slot(page: u64) -> usize {
        (page >> T::BITS) as usize & 255
    }

    fn slots(&self) -> Option<&[T; 256]> {
        self.0.get().map(|slots| &slots[0])
    }
}

impl<T: Node> Node for Table<T> {
    const BITS: u32 = T::BITS + 8;

    #[inline]
    fn leaf(&self, page: u64) -> Option<&Leaf> {
        self.slots()?[Self::slot(page)].leaf(page)
    }

    #[inline]
    fn leaf_or_new(&self, page: u64) -> Result<&Leaf, OutOfMemory> {
        get_or_try_new(&self.0, || array::from_fn(|_| T::default()))?[Self::slot(page)].leaf_or_new(page)
    }

    fn next(&self, page: u64, allocated: bool) -> Option<u64> {
        let within = page & low_bits(Self::BITS);
        let Some(slots) = self.slots() else {
            return (!allocated).then_some(within);
        };
        let first = Self::slot(page);
        let later = slots.iter().enumerate().skip(first + 1).map(|(slot, node)| (slot, node, 0));
        std::iter::once((first, &slots[first], within))
            .chain(later)
            .find_map(|(slot, node, from)| Some(((slot as u64) << T::BITS) | node.next(from, allocated)?))
    }

    fn count(&self) -> u64 {
        self.slots().map_or(0, |slots| slots.iter().map(T::count).sum())
    }
}

impl Root {
    /// The page, if the directory has a place for it already; it may yet be absent.
    #[inline]
    pub(crate) fn page(&self, page: u64) -> Option<&Page> {
        Some(self.leaf(page)?.pages()?.page(page))
    }

    /// Gives a page back.
    pub(crate) fn free(&self, page: u64) {
        if let Some(pages) = self.leaf(page).and_then(Leaf::pages) {
            pages.page(page).free(|| pages.mark(page, false));
        }
    }
}

/// 512 pages: 16 MiB.
#[derive(Default)]
pub(crate) struct Leaf(OnceLock<Owned<Pages>>);

impl Leaf {
    /// Stores `data` at byte `at` of the page.
    #[inline]
    pub(crate) fn write(&self, page: u64, at: usize, data: &[u8]) -> Result<(), OutOfMemory> {
        let pages = get_or_try_new(&self.0, Pages::default)?;
        pages.page(page).write(at, data, || pages.mark(page, true))
    }

    #[inline]
    fn pages(&self) -> Option<&Pages> {
        self.0.get().map(|pages| &pages[0])
    }
}

impl Node for Leaf {
    const BITS: u32 = 9;

    fn leaf(&self, _: u64) -> Option<&Leaf> {
        Some(self)
    }

    fn leaf_or_new(&self, _: u64) -> Result<&Leaf, OutOfMemory> {
        Ok(self)
    }

    fn next(&self, page: u64, allocated: bool) -> Option<u64> {
        let within = page & low_bits(Self::BITS);
        match self.pages() {
            Some(pages) => pages.next(within, allocated),
            None => (!allocated).then_some(within),
        }
    }

    fn count(&self) -> u64 {
        self.pages().map_or(0, |pages| {
            pages.present.iter().map(|word| u64::from(word.load(Ordering::Relaxed).count_ones())).sum()
        })
    }
}

/// What a leaf holds.
struct Pages {
    /// One bit for each page: is it allocated? Changed only under the page's lock, so that it never
    /// contradicts the page for longer than a change takes; read without. Relaxed will do: whoever must
    /// see a change has learned of it in some other way, and that ordered the two.
    present: [AtomicU64; 8],
    pages: [Page; 512],
}

impl Pages {
    #[inline]
    fn page(&self, page: u64) -> &Page {
        &self.pages[page as usize & 511]
    }

    fn mark(&self, page: u64, present: bool) {
        let (word, bit) = (&self.present[(page as usize / 64) & 7], 1 << (page & 63));
        if present {
            word.fetch_or(bit, Ordering::Relaxed);
        } else {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// The first page at or after `page`, which is below 512, that is allocated, or that is not.
    fn next(&self, page: u64, allocated: bool) -> Option<u64> {
        let mut from = page & 63;
        for (base, word) in (0..).step_by(64).zip(&self.present).skip(page as usize / 64) {
            let word = word.load(Ordering::Relaxed);
            let word = if allocated { word } else { !word };
            let word = word >> from << from;
            if word != 0 {
                return Some(base + u64::from(word.trailing_zeros()));
            }
            from = 0;
        }
        None
    }
}

impl Default for Pages {
    fn default() -> Self {
        Self { present: Default::default(), pages: array::from_fn(|_| Page::default()) }
    }
}

/// `OnceLock::get_or_init` for a box, where allocation may fail.
#[inline]
fn get_or_try_new<T>(cell: &OnceLock<Owned<T>>, value: impl FnOnce() -> T) -> Result<&T, OutOfMemory> {
    let [value] = match cell.get() {
        Some(owned) => &**owned,
        None => {
            let new = try_new(value)?;
            // Of two threads that race here one box wins; the other is dropped, still empty.
            &**cell.get_or_init(|| new)
        }
    };
    Ok(value)
}

/// A mask of so many low bits, fewer than 64.
const fn low_bits(bits: u32) -> u64 {
    (1 << bits) - 1
}
