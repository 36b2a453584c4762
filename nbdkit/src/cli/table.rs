// SPDX-License-Identifier: BSD-3-Clause
//! Two columns of text for a terminal: what it is called, what it does.

/// The right column begins here at the latest.
const COLUMN: usize = 28;
/// How long a line may be.
const WIDTH: usize = 80;

/// Where the right column begins if the left texts of `rows` are to stand beside it, those that are not too long.
pub(super) fn column<'a>(indent: usize, rows: impl IntoIterator<Item = &'a (String, String)>) -> usize {
    rows.into_iter().map(|row| end(indent, row)).filter(|end| *end <= COLUMN).max().unwrap_or(COLUMN)
}

fn end(indent: usize, (left, _): &(String, String)) -> usize {
    indent + left.chars().count() + 2
}

/// The left text of each row, and beside it the right one, wrapped, with an empty line between paragraphs. A left text
/// that is too long for its column has a line of its own.
pub(super) fn table(indent: usize, column: usize, rows: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut line = |left: &str, right: &str| {
        let padded = format!("{left:column$}{right}");
        text.push_str(padded.trim_end());
        text.push('\n');
    };
    for row in rows {
        let mut left = format!("{:indent$}{}", "", row.0);
        if end(indent, row) > column {
            line(&std::mem::take(&mut left), "");
        }
        for (number, paragraph) in row.1.split("\n\n").enumerate() {
            if number > 0 {
                line("", "");
            }
            for right in wrap(paragraph, WIDTH - column) {
                line(&std::mem::take(&mut left), &right);
            }
        }
    }
    text
}

/// At least one line. Words longer than a line stay whole.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        let rows = |rows: &[(&str, &str)]| -> Vec<_> {
            rows.iter().map(|(left, right)| (left.to_string(), right.to_string())).collect()
        };
        let table = |indent, rows: &[_]| table(indent, column(indent, rows), rows);
        assert_eq!(table(0, &rows(&[("a", "one"), ("long", "two  words")])), "a     one\nlong  two words\n");
        assert_eq!(table(2, &rows(&[("a", "")])), "  a\n");
        assert_eq!(table(0, &rows(&[("a", "one\n\ntwo"), ("b", "x")])), "a  one\n\n   two\nb  x\n");
        let wide = "x".repeat(30);
        assert_eq!(table(0, &rows(&[(&wide, "one"), ("a", "two")])), format!("{wide}\n   one\na  two\n"));
        let words = "word ".repeat(30);
        let text = table(0, &rows(&[("key=<VALUE>", &words)]));
        assert!(text.lines().all(|line| line.len() <= WIDTH) && text.lines().count() == 3, "{text}");
        assert!(text.lines().nth(1).unwrap().starts_with("             word"), "{text}");
    }
}
