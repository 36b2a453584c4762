// SPDX-License-Identifier: BSD-3-Clause
//! [`Limits`]: which requests a disk takes, and how others are taken apart.

use crate::Params;
use nbdkit_filter::{BlockSize, Error, Result, Size, Span};

/// The largest minimum block size of the NBD specification.
const MOST_MINBLOCK: u64 = 65536;
/// The server passes on no more data than this at once.
const MOST_DATA: u64 = 64 << 20;

/// What one disk takes, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Requests begin and end at multiples of this power of two.
    pub(crate) minblock: u64,
    /// The longest read or write: a multiple of `minblock`, and not 0.
    pub(crate) maxdata: u64,
    /// The longest request of any other kind: likewise.
    pub(crate) maxlen: u64,
}

impl Params {
    /// What can be said before any disk is known.
    pub(crate) fn check(&self) -> Result<()> {
        let named = [("minblock", self.minblock), ("maxdata", self.maxdata), ("maxlen", self.maxlen)];
        for (name, size) in named {
            match size {
                Some(Size(0)) => {
                    return Err(Error::invalid(format!("parameter '{name}' must be non-zero if specified")));
                }
                Some(Size(size)) if size > u32::MAX.into() => {
                    return Err(Error::invalid(format!(
                        "parameter '{name}' too large: {size}, should be below 4G"
                    )));
                }
                _ => {}
            }
        }
        let Some(Size(minblock)) = self.minblock else { return Ok(()) };
        if !minblock.is_power_of_two() {
            return Err(Error::invalid(format!("minblock must be a power of 2, not {minblock}")));
        }
        if minblock > MOST_MINBLOCK {
            return Err(Error::invalid(format!(
                "minblock must not exceed {MOST_MINBLOCK}, and is {minblock}"
            )));
        }
        for (name, size) in &named[1..] {
            if let Some(Size(size)) = size
                && !size.is_multiple_of(minblock)
            {
                return Err(Error::invalid(format!("{name} must be a multiple of {minblock}, not {size}")));
            }
        }
        Ok(())
    }
}

impl Limits {
    /// What is both asked for on the command line and possible with a disk that asks for `block`.
    pub(crate) fn new(params: &Params, block: Option<BlockSize>) -> Result<Limits> {
        let size = |size: Option<Size>| size.map(|Size(size)| size);
        let minblock = size(params.minblock).unwrap_or(1).max(block.map_or(1, |block| block.minimum.into()));
        let most = size(params.maxlen).unwrap_or(MOST_DATA).min(MOST_DATA);
        let data = size(params.maxdata).unwrap_or(most).min(block.map_or(u64::MAX, |b| b.maximum.into()));
        let len = size(params.maxlen).unwrap_or(u32::MAX.into());
        for (name, most) in [("maxdata", data), ("maxlen", len)] {
            if most < minblock {
                return Err(Error::invalid(format!(
                    "requests cannot be at least {minblock} bytes long, as minblock or the disk say, and at most {most}, \
                     as {name} or the disk say"
                )));
            }
        }
        let down = |size: u64| size - size % minblock;
        Ok(Limits { minblock, maxdata: down(data), maxlen: down(len) })
    }

    /// All of the blocks that `span` touches.
    pub(crate) fn widen(&self, span: Span) -> Span {
        let start = span.offset - span.offset % self.minblock;
        Span::new(start, span.end().next_multiple_of(self.minblock) - start)
    }

    /// What lies in front of the whole blocks of `span`, those, and what lies behind them; each may be empty. The first
    /// and the last are parts of one block.
    pub(crate) fn split(&self, span: Span) -> [Span; 3] {
        let (start, end) = (span.offset, span.end());
        let body = start.next_multiple_of(self.minblock).min(end);
        let tail = (end - end % self.minblock).max(body);
        [Span::new(start, body - start), Span::new(body, tail - body), Span::new(tail, end - tail)]
    }
}

/// `span` in pieces of at most `most` bytes, which is not 0.
pub(crate) fn pieces(span: Span, most: u64) -> impl Iterator<Item = Span> + Send {
    let (mut at, end) = (span.offset, span.end());
    std::iter::from_fn(move || {
        let piece = Span::new(at, most.min(end - at));
        at = piece.end();
        (piece.len > 0).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(minblock: u64) -> Limits {
        Limits { minblock, maxdata: minblock, maxlen: minblock }
    }

    #[test]
    fn spans_are_split_at_blocks() {
        let split = |offset, len| {
            let parts = limits(512).split(Span::new(offset, len));
            assert_eq!(parts.map(|part| part.len).iter().sum::<u64>(), len);
            parts.map(|part| (part.offset, part.len))
        };
        assert_eq!(split(512, 1024), [(512, 0), (512, 1024), (1536, 0)]);
        assert_eq!(split(511, 1026), [(511, 1), (512, 1024), (1536, 1)]);
        assert_eq!(split(513, 100), [(513, 100), (613, 0), (613, 0)]);
        assert_eq!(split(513, 511), [(513, 511), (1024, 0), (1024, 0)]);
        assert_eq!(split(512, 100), [(512, 0), (512, 0), (512, 100)]);
        assert_eq!(split(500, 100), [(500, 12), (512, 0), (512, 88)]);
    }

    #[test]
    fn nothing_wraps_around_at_32_bits() {
        let most = u64::from(u32::MAX);
        let limits = limits(65536);
        for offset in [0, 1, most, most + 1] {
            for len in [most - 1, most, most + 1] {
                let span = Span::new(offset, len);
                let wide = limits.widen(span);
                assert!(wide.offset <= offset && span.end() <= wide.end() && wide.len >= len);
                assert!(wide.len - len < 2 * 65536 && wide.len.is_multiple_of(65536));
                let count = pieces(wide, most - 65535).map(|piece| piece.len).sum::<u64>();
                assert_eq!(count, wide.len);
                assert_eq!(limits.split(span).map(|part| part.len).iter().sum::<u64>(), len);
            }
        }
    }
}
