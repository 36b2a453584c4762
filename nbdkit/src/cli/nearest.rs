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

/// How many letters must be inserted, deleted, replaced, or swapped with their neighbour to turn `a` into `b`, where case
/// does not count.
fn distance(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| text.to_lowercase().chars().collect::<Vec<_>>());
    // Every row and every column is one longer than its word, so that the indices below are within.
    let mut rows: Vec<Vec<usize>> = (0..=a.len()).map(|i| (i..=i + b.len()).collect()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
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
            ("siez", "size", 1),
            ("cwo", "cow", 1),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn guesses() {
        let words = ["memory", "null", "file", "split", "S3", "partition"];
        for (word, guess) in [
            ("memroy", Some("memory")),
            ("flie", Some("file")),
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
