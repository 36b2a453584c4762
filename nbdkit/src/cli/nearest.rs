// SPDX-License-Identifier: BSD-3-Clause
//! "Did you mean": the word that was probably meant.

/// The one of `candidates` that `word` is most likely a misspelling of, if it looks like one of them at all.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &&str| {
        let length = word.chars().count().max(candidate.chars().count());
        distance(word, candidate) <= (length / 3).max(1)
    };
    candidates.into_iter().filter(near).min_by_key(|candidate| distance(word, candidate))
}

/// How many letters must be inserted, deleted or replaced to turn `a` into `b`, where case does not count.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.to_lowercase().chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = std::mem::replace(&mut row[0], left);
        for (above, other) in row[1..].iter_mut().zip(&b) {
            left = (diagonal + usize::from(letter != *other)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, left);
        }
    }
    // The row has one entry more than `b` has letters.
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("S3", "s3", 0),
            ("é", "e", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn guesses() {
        let words = ["memory", "null", "file", "split", "S3", "partition"];
        for (word, guess) in [
            ("memroy", Some("memory")),
            ("flie", None),
            ("fil", Some("file")),
            ("files", Some("file")),
            ("partitoin", Some("partition")),
            ("s3", Some("S3")),
            ("qwerty", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, words), guess, "{word}");
        }
    }
}
