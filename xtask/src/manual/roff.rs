// SPDX-License-Identifier: BSD-3-Clause
//! Blocks as a manual page: the man macros, in the subset that man-db and mandoc both know without complaint.
//! (groff_man(7), man(7))

use std::fmt::Write;

use super::markdown::{Block, Span, Style, Text, plain};

/// A page in the making.
#[derive(Default)]
pub struct Page {
    roff: String,
    /// A heading or a tag has just been written: the next paragraph follows without a macro.
    fresh: bool,
}

impl Page {
    /// The head of a page: `nbdkit-loop`, `1`, and what stands in its footer.
    pub fn new(name: &str, section: &str, date: &str, version: &str) -> Page {
        let mut page = Page::default();
        page.line(&format!(".TH {} {section} {date} \"nbdkit {version}\" nbdkit", name.to_uppercase()));
        page
    }

    /// The page as a file.
    pub fn finish(self) -> String {
        self.roff
    }

    pub fn section(&mut self, heading: &str) {
        self.heading(".SH", &heading.to_uppercase());
    }

    pub fn subsection(&mut self, heading: &str) {
        self.heading(".SS", heading);
    }

    fn heading(&mut self, macro_name: &str, heading: &str) {
        self.line(&format!("{macro_name} \"{}\"", escaped(heading, false).replace('"', "\\(dq")));
        self.fresh = true;
    }

    pub fn paragraph(&mut self, text: &[Span]) {
        if !std::mem::take(&mut self.fresh) {
            self.line(".PP");
        }
        self.lines(text);
    }

    /// What something is called, and what it is.
    pub fn item(&mut self, tag: &[Span], body: &[Span]) {
        self.fresh = false;
        self.line(".TP");
        // A tag is one line.
        self.line(&styled(tag).replace('\n', " "));
        self.lines(body);
    }

    /// Another paragraph of an item.
    pub fn more(&mut self, body: &[Span]) {
        self.line(".IP");
        self.lines(body);
    }

    /// Lines as they are.
    pub fn code(&mut self, text: &str) {
        if !std::mem::take(&mut self.fresh) {
            self.line(".sp");
        }
        self.line(".RS 4\n.EX");
        for line in text.trim_end().lines() {
            let line = literal(line);
            self.line(&guarded(&line));
        }
        self.line(".EE\n.RE");
    }

    pub fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Heading(1, _) | Block::Slot(_) => {}
                Block::Heading(2, text) => self.section(&plain(text)),
                Block::Heading(_, text) => self.subsection(&plain(text)),
                Block::Paragraph(text) => self.paragraph(text),
                Block::Code(_, text) => self.code(text),
                Block::List(numbered, items) => self.list(*numbered, items),
                Block::Table(rows) => self.table(rows),
            }
        }
    }

    fn list(&mut self, numbered: bool, items: &[Vec<Block>]) {
        for (number, item) in (1..).zip(items) {
            self.line(&if numbered { format!(".IP {number}. 4") } else { ".IP \\(bu 3".to_owned() });
            self.fresh = true;
            let (first, rest) = match item.split_first() {
                Some((Block::Paragraph(text), rest)) => (text.as_slice(), rest),
                _ => (&[][..], item.as_slice()),
            };
            self.lines(first);
            self.fresh = false;
            if !rest.is_empty() {
                self.line(".RS");
                self.blocks(rest);
                self.line(".RE");
            }
        }
        self.fresh = false;
    }

    /// Each row by itself: the first cell is what it is called, the last what it is; those between are notes with
    /// their heading. So it can be read however narrow the terminal is.
    fn table(&mut self, rows: &[Vec<Text>]) {
        let Some((head, rows)) = rows.split_first() else { return };
        for row in rows {
            let (Some((tag, rest)), Some(last)) = (row.split_first(), row.last()) else { continue };
            let mut body = if rest.is_empty() { Text::new() } else { last.clone() };
            let notes = head.iter().zip(row).skip(1).take(row.len().saturating_sub(2));
            let notes = notes.filter(|(_, cell)| !cell.is_empty()).map(|(heading, cell)| note(heading, cell));
            let notes: Vec<Text> = notes.collect();
            if !notes.is_empty() {
                body.push(plain_span(" ("));
                body.extend(notes.join(&plain_span("; ")));
                body.push(plain_span(")"));
            }
            self.item(tag, &body);
        }
        self.fresh = false;
    }

    fn lines(&mut self, text: &[Span]) {
        let text = styled(text);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        if lines.peek().is_none() {
            self.line("\\&");
        }
        for line in lines {
            self.line(&guarded(line));
        }
    }

    fn line(&mut self, line: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.roff, "{line}");
    }
}

/// What a column between the first and the last says: `default: 16`; some things go without saying which column it is.
fn note(heading: &[Span], cell: &[Span]) -> Text {
    let (heading, text) = (plain(heading), plain(cell));
    let mut note = Text::new();
    if text != "required" && !text.contains(&heading) {
        note.push(plain_span(&format!("{heading}: ")));
    }
    note.extend(cell.iter().cloned());
    note
}

/// Text in one style.
pub fn plain_span(text: &str) -> Span {
    Span { style: Style::Plain, text: text.to_owned() }
}

pub fn literal_span(text: &str) -> Span {
    Span { style: Style::Literal, text: text.to_owned() }
}

fn styled(text: &[Span]) -> String {
    text.iter()
        .map(|span| match span.style {
            Style::Plain => escaped(&span.text, false),
            Style::Literal => format!("\\fB{}\\fR", literal(&span.text)),
            Style::Emphasis => format!("\\fI{}\\fR", escaped(&span.text, false)),
            Style::Strong => format!("\\fB{}\\fR", escaped(&span.text, false)),
        })
        .collect()
}

/// A line that begins like a request is none.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

fn literal(text: &str) -> String {
    escaped(text, true)
}

/// In literal text every character is itself, so that it can be copied into a shell. In prose a dash between
/// letters is a hyphen, but not in a word that begins with one: that is an option.
fn escaped(text: &str, literal: bool) -> String {
    let mut roff = String::with_capacity(text.len());
    let (mut before, mut in_option) = (' ', false);
    for c in text.chars() {
        in_option = c.is_alphanumeric() && in_option || c == '-' && (in_option || !before.is_alphanumeric());
        match c {
            '\\' => roff.push_str("\\e"),
            '-' if literal || in_option => roff.push_str("\\-"),
            '\'' if literal => roff.push_str("\\(aq"),
            '`' => roff.push_str("\\(ga"),
            '^' => roff.push_str("\\(ha"),
            '~' => roff.push_str("\\(ti"),
            c if c.is_ascii() => roff.push(c),
            // Writing to a String does not fail.
            c => drop(write!(roff, "\\[u{:04X}]", u32::from(c))),
        }
        before = c;
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::markdown::parse;

    fn roff(markdown: &str) -> String {
        let mut page = Page::default();
        page.blocks(&parse(markdown).unwrap());
        page.finish()
    }

    #[test]
    fn prose() {
        assert_eq!(
            roff("## See also\n\nfirst\n.so x\n\nsecond"),
            ".SH \"SEE ALSO\"\nfirst\n\\&.so x\n.PP\nsecond\n"
        );
        assert_eq!(
            roff("a-b --no-sr `c-d'` *e* \\\\ \u{e9}"),
            ".PP\na-b \\-\\-no\\-sr \\fBc\\-d\\(aq\\fR \\fIe\\fR \\e \\[u00E9]\n"
        );
    }

    #[test]
    fn code_is_copied_as_it_is() {
        let code = "```sh\n.x 'a' \"$b\"\n\n\tc\\n\n```\n";
        assert_eq!(roff(code), ".sp\n.RS 4\n.EX\n\\&.x \\(aqa\\(aq \"$b\"\n\n\tc\\en\n.EE\n.RE\n");
    }

    #[test]
    fn lists() {
        assert_eq!(roff("- a\n- b\n\n  c\n"), ".IP \\(bu 3\na\n.IP \\(bu 3\nb\n.RS\n.PP\nc\n.RE\n");
        assert_eq!(roff("1. a"), ".IP 1. 4\na\n");
    }

    #[test]
    fn a_table_is_a_list_of_what_things_are() {
        let table = "| parameter | default | meaning |\n|-|-|-|\n| `a=N` | 1 | one |\n| `b` | required | two |\n| c | | |\n";
        assert_eq!(
            roff(table),
            ".TP\n\\fBa=N\\fR\none (default: 1)\n.TP\n\\fBb\\fR\ntwo (required)\n.TP\nc\n\\&\n"
        );
    }
}
