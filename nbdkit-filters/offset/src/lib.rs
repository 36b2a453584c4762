// SPDX-License-Identifier: BSD-3-Clause
//! The offset filter: a window of the disk behind.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

use nbdkit_filter::*;

/// How the filter is announced.
pub static FILTER: FilterEntry = FilterEntry::new::<Offset>("offset", "serve a part of the disk");

params! {
    struct Params {
        /// Where the part begins.
        "offset" => offset: Size = Size(0),
        /// How long the part is. Without it, it reaches to the end of the disk.
        "range" => range: Option<Size>,
    }
}

/// The filter.
#[derive(Default)]
pub struct Offset {
    params: Params,
}

impl Filter for Offset {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
        next.open(req).layer(move |disk| {
            let span = self.params.part(disk.info().size)?;
            Window::new(disk, span)
        })
    }
}

impl Params {
    /// The part of a disk of `size` bytes that is asked for.
    fn part(&self, size: u64) -> Result<Span> {
        let Size(offset) = self.offset;
        let too_large = |what: String| {
            let real = format!("the real size ({size}) of the underlying file or device");
            Error::invalid(format!("{what} is larger than {real}"))
        };
        let rest = size.checked_sub(offset).ok_or_else(|| too_large(format!("offset ({offset})")))?;
        let len = self.range.map_or(rest, |Size(range)| range);
        match len <= rest {
            true => Ok(Span::new(offset, len)),
            false => Err(too_large(format!("offset+range ({offset}+{len})"))),
        }
    }
}
