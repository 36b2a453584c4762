// SPDX-License-Identifier: BSD-3-Clause
//! Which block sizes clients are told: those of the command line, then those of the disk, then sensible ones.

use crate::Params;
use nbdkit_filter::{BlockSize, Error, Result, Size};

const MOST_MINIMUM: u32 = 65536;
const PREFERRED: std::ops::RangeInclusive<u32> = 512..=32 << 20;
/// Of a disk that says nothing.
const DEFAULT: BlockSize = BlockSize { minimum: 1, preferred: 4096, maximum: u32::MAX };

/// 0 means not chosen. [`Params::check`] has seen that it fits.
pub(crate) fn chosen(size: Option<Size>) -> Option<u32> {
    size.and_then(|Size(size)| u32::try_from(size).ok()).filter(|size| *size > 0)
}

impl Params {
    /// What can be said before any disk is known.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, size) in [
            ("blocksize-minimum", self.minimum),
            ("blocksize-preferred", self.preferred),
            ("blocksize-maximum", self.maximum),
            ("blocksize-write-disconnect", self.disconnect),
        ] {
            if let Some(Size(size)) = size
                && u32::try_from(size).is_err()
            {
                return Err(Error::invalid(format!("{key}: could not parse {size}: should be below 4G")));
            }
        }
        self.fit().map_or(Ok(()), |why| Err(Error::invalid(why)))
    }

    /// What is wrong, if anything.
    fn fit(&self) -> Option<String> {
        let [minimum, preferred, maximum, disconnect] =
            [self.minimum, self.preferred, self.maximum, self.disconnect].map(chosen);
        for (key, size) in [("minimum", minimum), ("preferred", preferred)] {
            match size {
                Some(size) if !size.is_power_of_two() => {
                    return Some(format!("blocksize-{key} must be a power of 2, not {size}"));
                }
                _ => {}
            }
        }
        if let Some(minimum) = minimum.filter(|minimum| *minimum > MOST_MINIMUM) {
            return Some(format!("blocksize-minimum must be <= 64K, not {minimum}"));
        }
        if let Some(preferred) = preferred.filter(|preferred| !PREFERRED.contains(preferred)) {
            return Some(format!("blocksize-preferred must be between 512 and 32M, not {preferred}"));
        }
        if let (Some(minimum), Some(maximum)) = (minimum, maximum)
            && maximum != u32::MAX
            && !maximum.is_multiple_of(minimum)
        {
            return Some(format!(
                "blocksize-maximum must be 4294967295 or a multiple of blocksize-minimum ({minimum}), not {maximum}"
            ));
        }
        for (small, smaller, large, larger) in [
            ("minimum", minimum, "preferred", preferred),
            ("preferred", preferred, "maximum", maximum),
            ("minimum", minimum, "maximum", maximum),
        ] {
            if let (Some(smaller), Some(larger)) = (smaller, larger)
                && smaller > larger
            {
                return Some(format!(
                    "blocksize-{small} ({smaller}) must be <= blocksize-{large} ({larger})"
                ));
            }
        }
        match (minimum, disconnect) {
            (Some(minimum), Some(disconnect)) if disconnect <= minimum => Some(format!(
                "blocksize-write-disconnect ({disconnect}) must be larger than blocksize-minimum ({minimum})"
            )),
            _ => None,
        }
    }
}

/// Those of a disk that says `block` of itself.
///
/// # Errors
/// When what was chosen does not go together with the rest.
pub(crate) fn sizes(params: &Params, block: Option<BlockSize>) -> Result<Option<BlockSize>> {
    let [minimum, preferred, maximum] = [params.minimum, params.preferred, params.maximum].map(chosen);
    if minimum.or(preferred).or(maximum).is_none() {
        return Ok(block);
    }
    let known = block.unwrap_or(DEFAULT);
    let minimum = minimum.unwrap_or(known.minimum);
    let default = match (block, chosen(params.disconnect)) {
        (None, Some(disconnect)) => disconnect - disconnect % minimum,
        _ => known.maximum,
    };
    let sizes = BlockSize {
        minimum,
        preferred: preferred.unwrap_or(known.preferred.max(minimum)),
        maximum: maximum.unwrap_or(default),
    };
    match sizes.check() {
        Ok(()) => Ok(Some(sizes)),
        Err(why) => Err(Error::invalid(format!("computed block size values are invalid: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params([minimum, preferred, maximum, disconnect]: [u64; 4]) -> Params {
        let size = |size| Some(Size(size));
        Params {
            minimum: size(minimum),
            preferred: size(preferred),
            maximum: size(maximum),
            disconnect: size(disconnect),
            ..Params::default()
        }
    }

    fn told(chosen: [u64; 4], block: Option<[u32; 3]>) -> Result<Option<[u32; 3]>, String> {
        let block = block.map(|[minimum, preferred, maximum]| BlockSize { minimum, preferred, maximum });
        let told = sizes(&params(chosen), block).map_err(|error| error.to_string())?;
        Ok(told.map(|block| [block.minimum, block.preferred, block.maximum]))
    }

    #[test]
    fn the_command_line_comes_first_then_the_disk() {
        let disk = Some([512, 8192, 1 << 20]);
        assert_eq!(told([0, 0, 0, 0], None), Ok(None));
        assert_eq!(told([0, 0, 0, 1 << 20], None), Ok(None));
        assert_eq!(told([0, 0, 0, 0], disk), Ok(disk));
        assert_eq!(told([0, 32768, 0, 0], None), Ok(Some([1, 32768, u32::MAX])));
        assert_eq!(told([65536, 0, 0, 0], None), Ok(Some([65536, 65536, u32::MAX])));
        assert_eq!(told([512, 0, 0, 100_000], None), Ok(Some([512, 4096, 99840])));
        assert_eq!(told([4096, 0, 0, 100_000], disk), Ok(Some([4096, 8192, 1 << 20])));
        assert_eq!(told([1, 512, 1024, 0], disk), Ok(Some([1, 512, 1024])));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let error = told([0, 0, 1024, 0], None).unwrap_err();
        assert_eq!(
            error,
            "computed block size values are invalid: block sizes 1, 4096, 1024 must not decrease"
        );
        assert!(told([0, 0, 700, 0], Some([512, 512, 1024])).unwrap_err().contains("700"));
    }

    #[test]
    fn bad_parameters() {
        let refusal = |sizes| params(sizes).check().unwrap_err().to_string();
        let g4 = 1 << 32;
        for (sizes, text) in [
            ([3, 0, 0, 0], "blocksize-minimum must be a power of 2, not 3"),
            ([131_072, 0, 0, 0], "blocksize-minimum must be <= 64K, not 131072"),
            ([0, 513, 0, 0], "blocksize-preferred must be a power of 2, not 513"),
            ([0, 256, 0, 0], "blocksize-preferred must be between 512 and 32M, not 256"),
            ([0, 64 << 20, 0, 0], "blocksize-preferred must be between 512 and 32M, not 67108864"),
            ([1024, 512, 0, 0], "blocksize-minimum (1024) must be <= blocksize-preferred (512)"),
            ([0, 1024, 1000, 0], "blocksize-preferred (1024) must be <= blocksize-maximum (1000)"),
            (
                [512, 0, 700, 0],
                "blocksize-maximum must be 4294967295 or a multiple of blocksize-minimum (512), not 700",
            ),
            (
                [512, 0, 0, 512],
                "blocksize-write-disconnect (512) must be larger than blocksize-minimum (512)",
            ),
            ([0, 0, g4, 0], "blocksize-maximum: could not parse 4294967296: should be below 4G"),
            ([0, 0, 0, g4], "blocksize-write-disconnect: could not parse 4294967296: should be below 4G"),
        ] {
            assert_eq!(refusal(sizes), text);
        }
        for sizes in [[512, 512, 1024, 513], [0; 4], [512, 0, g4 - 1, 0]] {
            params(sizes).check().unwrap();
        }
    }
}
