// SPDX-License-Identifier: BSD-3-Clause
//! How long: `2`, `1.5s`, `100ms`, `50us`, `7ns`.

use super::{Value, text};
use std::{ffi::OsStr, time::Duration};

/// Longest first: `ms` ends in `s` too. Both letters mu are in use: U+00B5 and U+03BC.
const UNITS: [(&str, f64); 6] =
    [("ms", 1e-3), ("us", 1e-6), ("\u{b5}s", 1e-6), ("\u{3bc}s", 1e-6), ("ns", 1e-9), ("s", 1.0)];

impl Value for Duration {
    const KIND: &'static str = "DELAY";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let whole = text(value)?;
        let (number, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| whole.strip_suffix(suffix).map(|number| (number, *unit)))
            .unwrap_or((whole, 1.0));
        let seconds = number.trim_start().parse::<f64>().ok().map(|number| number * unit);
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or_else(|| {
            format!("could not parse delay or sleep: \"{whole}\": should be a number with one of the units s, ms, us, ns, such as 100ms")
        })
    }

    fn show(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays() {
        let delay = |text: &str| <Duration as Value>::parse(OsStr::new(text));
        for (text, nanos) in [
            ("0", 0),
            ("2", 2_000_000_000),
            ("1.5s", 1_500_000_000),
            ("100ms", 100_000_000),
            ("50us", 50_000),
            ("50\u{3bc}s", 50_000),
            ("7ns", 7),
            ("1e-3", 1_000_000),
        ] {
            assert_eq!(delay(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        for text in ["", "s", "ms", "-1", "inf", "nan", "1m", "1 s", "1e300"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }
}
