// SPDX-License-Identifier: BSD-3-Clause
//! When a difference is one.
//!
//! Rounds are paired: the servers take turns, so that what disturbs the machine disturbs them alike. A difference counts
//! when at least six of seven pairs agree about who is faster; chance alone does that once in sixteen.

use std::fmt;

/// The middle one; the mean of the two in the middle if they are even in number; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
    }
}

/// How much faster one is than another, round by round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// The rounds do not agree.
    Tie,
}

impl Ratio {
    /// Of figures of which larger ones are better, in the order of the rounds; `None` without rounds.
    pub fn of(ours: &[f64], theirs: &[f64]) -> Option<Ratio> {
        let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
        let needed = (ratios.len() * 6).div_ceil(7);
        let faster = ratios.iter().filter(|&&ratio| ratio > 1.0).count();
        let slower = ratios.iter().filter(|&&ratio| ratio < 1.0).count();
        let verdict = match () {
            () if faster >= needed => Verdict::Faster,
            () if slower >= needed => Verdict::Slower,
            () => Verdict::Tie,
        };
        (!ratios.is_empty()).then(|| Ratio {
            median: median(&ratios),
            min: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            max: ratios.iter().copied().fold(0.0, f64::max),
            verdict,
        })
    }

    /// Whether we are so much faster; a target of 1 asks only not to be behind.
    pub fn reaches(&self, target: f64) -> bool {
        if target <= 1.0 {
            self.verdict != Verdict::Slower
        } else {
            self.verdict == Verdict::Faster && self.median >= target
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}–{:.2})", self.median, self.min, self.max)?;
        if self.verdict == Verdict::Tie { f.write_str(" tie") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn six_of_seven_rounds_must_agree() {
        let theirs = [10.0; 7];
        let of = |ours: [f64; 7]| Ratio::of(&ours, &theirs).unwrap().verdict;
        assert_eq!(of([11.0, 12.0, 11.0, 12.0, 11.0, 12.0, 9.0]), Verdict::Faster);
        assert_eq!(of([11.0, 12.0, 11.0, 12.0, 11.0, 8.0, 9.0]), Verdict::Tie);
        assert_eq!(of([9.0, 8.0, 9.0, 8.0, 9.0, 8.0, 11.0]), Verdict::Slower);
        assert_eq!(of(theirs), Verdict::Tie);
    }

    #[test]
    fn of_three_rounds_all_must_agree() {
        let of = |ours: [f64; 3]| Ratio::of(&ours, &[1.0; 3]).unwrap().verdict;
        assert_eq!((of([2.0, 2.0, 2.0]), of([2.0, 2.0, 0.9])), (Verdict::Faster, Verdict::Tie));
    }

    #[test]
    fn rounds_are_paired() {
        // Ours is always a fifth faster, though the machine was twice as fast in some rounds.
        let ratio = Ratio::of(&[12.0, 24.0, 12.0], &[10.0, 20.0, 10.0]).unwrap();
        assert_eq!(ratio.to_string(), "1.20 (1.20–1.20)");
        assert!(ratio.reaches(1.2) && ratio.reaches(1.0) && !ratio.reaches(1.3));
        assert_eq!(Ratio::of(&[], &[]), None);
    }

    #[test]
    fn a_tie_is_not_behind_and_says_so() {
        let ratio = Ratio::of(&[1.5, 0.5, 1.5], &[1.0; 3]).unwrap();
        assert!(ratio.reaches(1.0) && !ratio.reaches(1.2));
        assert_eq!(ratio.to_string(), "1.50 (0.50–1.50) tie");
    }
}
