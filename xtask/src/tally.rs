// SPDX-License-Identifier: BSD-3-Clause
//! Counts tests from what `cargo test` prints: passed, failed and skipped add up to all there are.

use std::fmt;

/// What the lines seen so far add up to.
#[derive(Default)]
pub struct Tally {
    reported_ok: usize,
    reported_failed: usize,
    /// Test programs that began and have not printed their result: at the end, those that crashed.
    unfinished: usize,
    /// `name: reason`, one for each test that ended early because something was missing.
    skips: Vec<String>,
    /// `name: reason`, one for each test that libtest left out.
    ignored: Vec<String>,
}

impl Tally {
    /// Takes one line of the output.
    pub fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.reported_ok += count(counts, "passed");
            self.reported_failed += count(counts, "failed");
            self.unfinished = self.unfinished.saturating_sub(1);
        } else if is_start(line) {
            self.unfinished += 1;
        } else if let Some((name, reason)) = ignored(line) {
            self.ignored.push(format!("{name}: {reason}"));
        }
    }

    /// Takes the file the skipped tests wrote: one line each, `SKIP name: reason`.
    pub fn skips(&mut self, file: &str) {
        let lines = file.lines().filter(|line| !line.trim().is_empty());
        self.skips.extend(lines.map(|line| line.strip_prefix("SKIP ").unwrap_or(line).to_owned()));
    }

    /// Takes how `cargo test` itself ended; a build that failed is one failure.
    pub fn end(&mut self, success: bool) {
        if !success && self.failed() == 0 {
            self.unfinished = 1;
        }
    }

    /// A skipped test returns early, and to libtest it passed.
    pub fn passed(&self) -> usize {
        self.reported_ok.saturating_sub(self.skips.len())
    }

    pub fn failed(&self) -> usize {
        self.reported_failed + self.unfinished
    }

    /// The skipped tests, each with its reason.
    pub fn skipped(&self) -> impl Iterator<Item = &str> {
        self.skips.iter().chain(&self.ignored).map(String::as_str)
    }

    /// Test programs that ended without a result, a failed build included.
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed(), self.failed(), self.skipped().count())
    }
}

/// The number before `word` in `ok. 3 passed; 0 failed; ...`.
fn count(counts: &str, word: &str) -> usize {
    let words: Vec<&str> = counts.split([' ', ';']).collect();
    let number = words.windows(2).find_map(|pair| match pair {
        [number, found] if *found == word => number.parse().ok(),
        _ => None,
    });
    number.unwrap_or(0)
}

/// `running 12 tests`: a test program begins.
fn is_start(line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    matches!(words[..], ["running", number, "test" | "tests"] if number.parse::<usize>().is_ok())
}

/// The name and reason in `test a::b ... ignored, takes long`.
fn ignored(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    match rest {
        "" => Some((name, "ignored")),
        _ => Some((name, rest.strip_prefix(", ")?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.line(line));
        tally
    }

    const TWO_PROGRAMS: &str = "
running 3 tests
test wire::tests::reads_back ... ok
test copies_a_terabyte ... ignored, takes minutes: run with --long
test refuses ... FAILED

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

running 1 test
test meets_qemu ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.01s
";

    #[test]
    fn results_of_all_programs_add_up() {
        let tally = tally(TWO_PROGRAMS);
        assert_eq!(tally.to_string(), "2 passed, 1 failed, 1 skipped");
        assert_eq!(
            tally.skipped().collect::<Vec<_>>(),
            ["copies_a_terabyte: takes minutes: run with --long"]
        );
    }

    #[test]
    fn a_skipped_test_did_not_pass() {
        let mut tally = tally(TWO_PROGRAMS);
        tally.skips("SKIP meets_qemu: no kvm\n\n");
        assert_eq!(tally.to_string(), "1 passed, 1 failed, 2 skipped");
        assert_eq!(tally.skipped().next(), Some("meets_qemu: no kvm"));
    }

    #[test]
    fn a_program_that_crashed_is_a_failure() {
        let mut tally = tally(
            "running 2 tests\ntest aborts ...\nrunning 0 tests\n\ntest result: ok. 0 passed; 0 failed\n",
        );
        tally.end(false);
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
    }

    #[test]
    fn a_failed_build_is_a_failure() {
        let mut tally = tally("");
        tally.end(false);
        assert_eq!(tally.to_string(), "0 passed, 1 failed, 0 skipped");
        assert_eq!(tally.unfinished(), 1);
    }

    #[test]
    fn what_a_test_prints_is_not_counted() {
        let tally =
            tally("running low on tests\ntest ... ignored\nthe test result: ok. 5 passed\nrunning x tests\n");
        assert_eq!(tally.to_string(), "0 passed, 0 failed, 0 skipped");
    }
}
