// SPDX-License-Identifier: BSD-3-Clause
//! The part of Markdown that our manuals are written in, as a tree of blocks.
//!
//! What has no good form on a manual page is an error that says so, and not dropped in silence.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A piece of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// 1 is the title.
    Heading(u8, Text),
    Paragraph(Text),
    /// What stands behind the opening fence, and the lines.
    Code(String, String),
    /// With a number before each item, or a bullet.
    List(bool, Vec<Vec<Block>>),
    /// The first row is the head.
    Table(Vec<Vec<Text>>),
    /// `<!-- options -->`: the place of something that is made.
    Slot(String),
}

/// Text in several styles.
pub type Text = Vec<Span>;

#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub style: Style,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Plain,
    /// To be typed as it is.
    Literal,
    Emphasis,
    /// The name of another page, or what is as important.
    Strong,
}

type Result<T> = std::result::Result<T, String>;

/// The blocks of a document.
pub fn parse(text: &str) -> Result<Vec<Block>> {
    let mut events = Parser::new_ext(text, Options::ENABLE_TABLES);
    let mut document = Vec::new();
    while let Some(event) = events.next() {
        document.push(block(event, &mut events)?);
    }
    Ok(document)
}

/// The text without its styles.
pub fn plain(text: &[Span]) -> String {
    text.iter().map(|span| span.text.as_str()).collect()
}

fn block(first: Event, events: &mut Parser) -> Result<Block> {
    match first {
        Event::Start(Tag::Heading { level, .. }) => Ok(Block::Heading(depth(level), text(events)?)),
        Event::Start(Tag::Paragraph) => Ok(Block::Paragraph(text(events)?)),
        Event::Start(Tag::CodeBlock(kind)) => {
            let info = match kind {
                CodeBlockKind::Fenced(info) => info.to_string(),
                CodeBlockKind::Indented => String::new(),
            };
            Ok(Block::Code(info, raw(events)))
        }
        Event::Start(Tag::List(start)) => Ok(Block::List(start.is_some(), items(events)?)),
        Event::Start(Tag::Table(_)) => Ok(Block::Table(rows(events)?)),
        Event::Start(Tag::HtmlBlock) => {
            let html = raw(events);
            let name = html.trim().strip_prefix("<!--").and_then(|text| text.strip_suffix("-->"));
            Ok(Block::Slot(name.ok_or_else(|| unknown(html.trim()))?.trim().to_owned()))
        }
        other => Err(unknown(&format!("{other:?}"))),
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        _ => 3,
    }
}

fn items(events: &mut Parser) -> Result<Vec<Vec<Block>>> {
    let mut items = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Item) => items.push(item(events)?),
            Event::End(TagEnd::List(_)) => break,
            other => return Err(unknown(&format!("{other:?}"))),
        }
    }
    Ok(items)
}

/// In a tight list the text of an item is no paragraph of its own: spans, then perhaps blocks.
fn item(events: &mut Parser) -> Result<Vec<Block>> {
    let (mut blocks, mut line) = (Vec::new(), Spans::default());
    while let Some(event) = events.next() {
        match event {
            Event::End(TagEnd::Item) => break,
            event if is_inline(&event) => line.take(event)?,
            event => {
                line.end(&mut blocks);
                blocks.push(block(event, events)?);
            }
        }
    }
    line.end(&mut blocks);
    Ok(blocks)
}

fn rows(events: &mut Parser) -> Result<Vec<Vec<Text>>> {
    let mut rows: Vec<Vec<Text>> = Vec::new();
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::TableHead | Tag::TableRow) => rows.push(Vec::new()),
            Event::Start(Tag::TableCell) => {
                rows.last_mut().ok_or("a cell without a row")?.push(text(events)?)
            }
            Event::End(TagEnd::Table) => break,
            Event::End(_) => {}
            other => return Err(unknown(&format!("{other:?}"))),
        }
    }
    Ok(rows)
}

/// Text up to the end of what it is in.
fn text(events: &mut Parser) -> Result<Text> {
    let mut line = Spans::default();
    for event in events {
        match event {
            event if is_inline(&event) => line.take(event)?,
            Event::End(_) => break,
            other => return Err(unknown(&format!("{other:?}"))),
        }
    }
    Ok(line.spans)
}

/// Everything up to the end, as it is.
fn raw(events: &mut Parser) -> String {
    let text = |event| match event {
        Event::Text(text) | Event::Html(text) => Some(text.to_string()),
        _ => None,
    };
    events.map_while(text).collect()
}

fn is_inline(event: &Event) -> bool {
    use TagEnd::{Emphasis, Link, Strong};
    matches!(
        event,
        Event::Text(_)
            | Event::Code(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::InlineHtml(_)
            | Event::Start(Tag::Emphasis | Tag::Strong | Tag::Link { .. })
            | Event::End(Emphasis | Strong | Link)
    )
}

/// Spans in the making.
#[derive(Default)]
struct Spans {
    spans: Text,
    styles: Vec<Style>,
    /// Where the link that is open leads to, if that is outside of the project.
    link: Option<String>,
}

impl Spans {
    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Text(text) => self.push(self.styles.last().copied().unwrap_or(Style::Plain), &text),
            Event::Code(text) => self.push(Style::Literal, &text),
            Event::SoftBreak | Event::HardBreak => self.push(Style::Plain, "\n"),
            Event::Start(Tag::Emphasis) => self.styles.push(Style::Emphasis),
            Event::Start(Tag::Strong) => self.styles.push(Style::Strong),
            Event::Start(Tag::Link { dest_url, .. }) => {
                let outside = dest_url.contains("://");
                self.link = outside.then(|| dest_url.to_string());
                self.styles.push(if outside { Style::Plain } else { Style::Strong });
            }
            Event::End(tag) => {
                self.styles.pop();
                if let (TagEnd::Link, Some(link)) = (tag, self.link.take())
                    && self.spans.last().is_none_or(|span| span.text != link)
                {
                    self.push(Style::Plain, &format!(" <{link}>"));
                }
            }
            Event::InlineHtml(html) => match &*html {
                "<sup>" => self.push(Style::Plain, "^"),
                "</sup>" => {}
                html => return Err(unknown(html)),
            },
            other => return Err(unknown(&format!("{other:?}"))),
        }
        Ok(())
    }

    fn push(&mut self, style: Style, text: &str) {
        match self.spans.last_mut().filter(|last| last.style == style) {
            Some(last) => last.text.push_str(text),
            None => self.spans.push(Span { style, text: text.to_owned() }),
        }
    }

    fn end(&mut self, blocks: &mut Vec<Block>) {
        if !self.spans.is_empty() {
            blocks.push(Block::Paragraph(std::mem::take(&mut self.spans)));
        }
    }
}

fn unknown(what: &str) -> String {
    format!("{what}: has no form on a manual page; write it another way")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain_paragraph(text: &str) -> Block {
        Block::Paragraph(vec![Span { style: Style::Plain, text: text.to_owned() }])
    }

    #[test]
    fn blocks_of_every_kind() {
        let document = "# t\n\n## h\n\na\nb\n\n```sh run\nx\n\ny\n```\n\n- one\n- two\n\n  more\n\n1. first\n\n| k | v |\n|---|---|\n| `a\\|b` | c |\n\n<!-- options -->\n";
        let blocks = parse(document).unwrap();
        assert_eq!(blocks.len(), 8, "{blocks:?}");
        assert!(matches!(&blocks[0], Block::Heading(1, text) if plain(text) == "t"));
        assert!(matches!(&blocks[1], Block::Heading(2, text) if plain(text) == "h"));
        assert_eq!(blocks[2], plain_paragraph("a\nb"));
        assert_eq!(blocks[3], Block::Code("sh run".into(), "x\n\ny\n".into()));
        let items = vec![vec![plain_paragraph("one")], vec![plain_paragraph("two"), plain_paragraph("more")]];
        assert_eq!(blocks[4], Block::List(false, items));
        assert_eq!(blocks[5], Block::List(true, vec![vec![plain_paragraph("first")]]));
        let Block::Table(rows) = &blocks[6] else { panic!("{blocks:?}") };
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
        assert_eq!(rows, [["k", "v"], ["a|b", "c"]]);
        assert_eq!(blocks[7], Block::Slot("options".into()));
    }

    #[test]
    fn text_of_every_style() {
        let blocks = parse("a `b` *c* **d** 2<sup>63</sup> [e](f.md) [g](https://h/) <https://i/>").unwrap();
        let [Block::Paragraph(spans)] = &blocks[..] else { panic!("{blocks:?}") };
        let styled: Vec<_> = spans.iter().map(|span| (span.style, span.text.as_str())).collect();
        use Style::*;
        assert_eq!(
            styled,
            [
                (Plain, "a "),
                (Literal, "b"),
                (Plain, " "),
                (Emphasis, "c"),
                (Plain, " "),
                (Strong, "d"),
                (Plain, " 2^63 "),
                (Strong, "e"),
                (Plain, " g <https://h/> https://i/ <https://i/>"),
            ]
        );
    }

    #[test]
    fn what_has_no_form_is_named() {
        for text in ["> quoted", "a <b>c</b>", "![image](x.png)", "---"] {
            assert!(
                parse(text).unwrap_err().ends_with("has no form on a manual page; write it another way"),
                "{text}"
            );
        }
    }
}
