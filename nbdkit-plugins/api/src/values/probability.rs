// SPDX-License-Identifier: BSD-3-Clause
//! [`Probability`]: `0.1`, `10%`, `1:10`, `1/10`.

use super::{Value, text};
use std::ffi::OsStr;

/// A finite number that is not negative: as such, in percent, or as one in how many. May exceed 1; who cannot use
/// that says so.
#[derive(Clone, Copy, PartialEq, PartialOrd, Debug, Default)]
pub struct Probability(pub f64);

impl Value for Probability {
    const KIND: &'static str = "PROBABILITY";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let whole = text(value)?;
        let number = |text: &str| text.parse::<f64>().ok();
        let probability = if let Some(percent) = whole.strip_suffix('%') {
            number(percent).map(|n| n / 100.0)
        } else if let Some((n, of)) = whole.split_once([':', '/']) {
            match (number(n), number(of)) {
                // Nothing out of nothing: never.
                (Some(0.0), Some(0.0)) => Some(0.0),
                (Some(n), Some(of)) => Some(n / of),
                _ => None,
            }
        } else {
            number(whole)
        };
        probability.filter(|p| p.is_finite() && *p >= 0.0).map(Probability).ok_or_else(|| {
            format!("could not parse '{whole}' as a probability, should be such as 0.1, 10%, 1:10 or 1/10")
        })
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities() {
        let parse = |text: &str| Probability::parse(OsStr::new(text)).map(|p| p.0);
        for (text, p) in [
            ("0", 0.0),
            ("1", 1.0),
            ("0.25", 0.25),
            ("50%", 0.5),
            ("1:4", 0.25),
            ("1/4", 0.25),
            ("0/0", 0.0),
            ("2", 2.0),
        ] {
            assert_eq!(parse(text), Ok(p), "{text}");
        }
        for text in ["", "x", "1/0", "-1", "nan", "inf", "1:x", "%"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
