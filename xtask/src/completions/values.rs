// SPDX-License-Identifier: BSD-3-Clause
//! Which values can be offered for what the program calls `BOOL`, `PATH` or `sparse|malloc`.

/// What can be offered.
#[derive(Debug, Default, PartialEq)]
pub struct Values {
    /// One that ends in a colon goes on behind it.
    pub words: Vec<String>,
    /// Names of files and folders.
    pub files: bool,
    /// Names of filters.
    pub filters: bool,
}

/// Words that stand for what people write in their place.
const PLACEHOLDERS: [&str; 10] =
    ["COMMAND", "DELAY", "FD", "N", "NAME", "PROBABILITY", "SIZE", "TEXT", "USER", "ADDRESS"];

impl Values {
    pub fn of(kind: &str) -> Values {
        let mut values = Values::default();
        for word in kind.split('|') {
            // `malloc[,mlock=BOOL]`
            let word = word.split('[').next().unwrap_or(word);
            match word.trim_start_matches('/') {
                "BOOL" => values.words.extend(["true".to_owned(), "false".to_owned()]),
                "PATH" | "FILE" | "DIR" | "SOCKET" => values.files = true,
                "FILTER" => values.filters = true,
                _ if PLACEHOLDERS.contains(&word) || !kind.contains('|') => {}
                // `0..100`
                _ if word.contains("..") => {}
                // `fixed:TEXT`
                _ => values.words.push(match word.split_once(':') {
                    Some((prefix, _)) => format!("{prefix}:"),
                    None => word.to_owned(),
                }),
            }
        }
        values
    }

    /// For shells in which a list of words is all there is: `true false FILES`.
    pub fn list(&self) -> String {
        let marks = [(self.files, "FILES"), (self.filters, "FILTERS")];
        let marks = marks.into_iter().filter_map(|(is, mark)| is.then_some(mark));
        self.words.iter().map(String::as_str).chain(marks).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_understood() {
        for (kind, list) in [
            ("BOOL", "true false"),
            ("BOOL|/PATH", "true false FILES"),
            ("SIZE", ""),
            ("N|random", "random"),
            ("512|4096", "512 4096"),
            ("EPERM|EIO", "EPERM EIO"),
            ("sparse|malloc[,mlock=BOOL]", "sparse malloc"),
            ("keep|fixed:TEXT|script:COMMAND", "keep fixed: script:"),
            ("default|stderr|syslog|null|/FILE", "default stderr syslog null FILES"),
            ("SOCKET|-", "- FILES"),
            ("FILTER", "FILTERS"),
            ("NAME.FLAG=N", ""),
            ("0..100", ""),
        ] {
            assert_eq!(Values::of(kind).list(), list, "{kind}");
        }
    }
}
