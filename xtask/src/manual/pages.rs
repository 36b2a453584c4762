// SPDX-License-Identifier: BSD-3-Clause
//! Which pages there are, and what each is made of.
//!
//! `docs/NAME.md` is the page of a topic; its title is `# NAME - SUMMARY`. The README of a plugin or filter becomes
//! its page, to which synopsis, parameters and references are added. The READMEs of the two interfaces are the pages
//! for those who write plugins and filters.

use std::fs;
use std::path::Path;

use super::markdown::{Block, Span, Style, Text, parse, plain};
use super::roff::{Page, literal_span, plain_span};
use crate::component::Kind;
use crate::process::{Context, Result};
use crate::program::{About, Flag, Opt, Param, Program};

/// A page, written.
pub struct Written {
    pub name: String,
    pub section: &'static str,
    pub roff: String,
}

impl Written {
    /// `man1/nbdkit.1`
    pub fn path(&self) -> String {
        let Written { name, section, .. } = self;
        format!("man{section}/{name}.{section}")
    }
}

const PROGRAMS: &str = "1";
const LIBRARIES: &str = "3";
const TOPICS: &str = "docs";

/// All pages about `program`. `date` is for their footers.
pub fn pages(program: &Program, root: &Path, date: &str) -> Result<Vec<Written>> {
    let mut pages = Vec::new();
    for topic in topics(root)? {
        pages.push(topic_page(program, root, &topic, date)?);
    }
    for about in program.components() {
        pages.push(component_page(program, root, about, date)?);
    }
    for kind in Kind::ALL {
        pages.push(interface_page(program, root, kind, date)?);
    }
    Ok(pages)
}

/// The files of `docs/`, in order.
pub fn topics(root: &Path) -> Result<Vec<String>> {
    let files = fs::read_dir(root.join(TOPICS)).context(TOPICS)?;
    let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
    let mut topics: Vec<String> = names
        .filter(|name| name.ends_with(".md") && name != "README.md")
        .map(|name| format!("{TOPICS}/{name}"))
        .collect();
    topics.sort();
    Ok(topics)
}

fn topic_page(program: &Program, root: &Path, path: &str, date: &str) -> Result<Written> {
    let document = read(root, path)?;
    let title = match document.first() {
        Some(Block::Heading(1, title)) => plain(title),
        _ => String::new(),
    };
    let Some((name, summary)) = title.split_once(" - ") else {
        return Err(format!("{path}: the first line should be '# NAME - SUMMARY'").into());
    };
    let mut page = begin(program, name, PROGRAMS, date, summary);
    if !matches!(document.get(1), Some(Block::Heading(2, _))) {
        page.section("Description");
    }
    for block in &document {
        match block {
            Block::Slot(slot) => fill(&mut page, program, slot).map_err(|why| format!("{path}: {why}"))?,
            block => page.blocks(std::slice::from_ref(block)),
        }
    }
    Ok(Written { name: name.to_owned(), section: PROGRAMS, roff: page.finish() })
}

/// What the program tells, where a document asks for it.
fn fill(page: &mut Page, program: &Program, slot: &str) -> std::result::Result<(), String> {
    match slot {
        "options" => {
            for section in &program.sections {
                page.subsection(&section.heading);
                section.options.iter().for_each(|option| option_item(page, option));
            }
        }
        "plugins" => program.plugins.iter().for_each(|about| component_item(page, about)),
        "filters" => program.filters.iter().for_each(|about| component_item(page, about)),
        other => return Err(format!("<!-- {other} -->: should be options, plugins or filters")),
    }
    Ok(())
}

fn component_page(program: &Program, root: &Path, about: &About, date: &str) -> Result<Written> {
    let name = about.component.package();
    let document = read(root, &format!("{}/README.md", about.component.folder()))?;
    let sections = document.iter().position(|block| matches!(block, Block::Heading(2, _)));
    let (intro, sections) = document.split_at(sections.unwrap_or(document.len()));
    let is_usage = |block: &&Block| matches!(block, Block::Code(info, _) if info == "text");
    let is_parameters = |block: &&Block| matches!(block, Block::Table(rows) if heads(rows, "parameter"));

    let mut page = begin(program, &name, PROGRAMS, date, &about.summary);
    page.section("Synopsis");
    match intro.iter().find(is_usage) {
        Some(Block::Code(_, text)) => page.code(text),
        _ => page.paragraph(&synopsis(about)),
    }
    page.section("Description");
    for block in intro.iter().filter(|block| !is_usage(block) && !is_parameters(block)) {
        page.blocks(std::slice::from_ref(block));
    }
    if !about.params.is_empty() {
        page.section("Parameters");
        about.params.iter().for_each(|param| param_item(&mut page, param));
        if let Some(table) = intro.iter().find(is_parameters) {
            page.subsection("In detail");
            page.blocks(std::slice::from_ref(table));
        }
    }
    page.blocks(sections);
    if !about.flags.is_empty() {
        page.section("Debug flags");
        about.flags.iter().for_each(|flag| flag_item(&mut page, flag));
    }
    see_also(&mut page, &["nbdkit(1)".to_owned(), format!("nbdkit-{}(3)", about.component.kind.word())]);
    Ok(Written { name, section: PROGRAMS, roff: page.finish() })
}

fn interface_page(program: &Program, root: &Path, kind: Kind, date: &str) -> Result<Written> {
    let name = format!("nbdkit-{}", kind.word());
    let document = read(root, &format!("{}/api/README.md", kind.home()))?;
    let mut page =
        begin(program, &name, LIBRARIES, date, &format!("how to write a {} of nbdkit in Rust", kind.word()));
    page.section("Description");
    page.blocks(&document);
    let other = Kind::ALL.into_iter().find(|other| *other != kind).unwrap_or(kind);
    see_also(&mut page, &["nbdkit(1)".to_owned(), format!("nbdkit-{}(3)", other.word())]);
    Ok(Written { name, section: LIBRARIES, roff: page.finish() })
}

fn begin(program: &Program, name: &str, section: &str, date: &str, summary: &str) -> Page {
    let mut page = Page::new(name, section, date, &program.version);
    page.section("Name");
    page.paragraph(&[plain_span(&format!("{} - {summary}", name))]);
    page
}

fn see_also(page: &mut Page, names: &[String]) {
    page.section("See also");
    page.paragraph(&references(names));
}

fn references(names: &[String]) -> Text {
    let names: Vec<Text> =
        names.iter().map(|name| vec![Span { style: Style::Strong, text: name.clone() }]).collect();
    names.join(&plain_span(", "))
}

/// `-p, --port PORT`
fn option_item(page: &mut Page, option: &Opt) {
    let mut tag: Vec<Text> = option.short.iter().map(|short| vec![literal_span(short)]).collect();
    tag.extend(option.long.first().map(|long| vec![literal_span(long)]));
    let mut tag = tag.join(&plain_span(", "));
    if let Some(value) = &option.value {
        tag.extend([plain_span(" "), kind(value)]);
    }
    page.item(&tag, &prose(&option.explanation));
}

fn param_item(page: &mut Page, param: &Param) {
    page.item(&param_usage(param), &prose(&param.explanation));
    param.details.iter().for_each(|text| page.more(&prose(text)));
}

/// `-D file.zero=N`
fn flag_item(page: &mut Page, flag: &Flag) {
    let name = flag.usage.strip_suffix('N').unwrap_or(&flag.usage);
    page.item(
        &[literal_span(name), kind("N")],
        &prose(&format!("{}; to be seen with -v.", flag.explanation)),
    );
}

fn component_item(page: &mut Page, about: &About) {
    let name = Span { style: Style::Strong, text: about.component.name.clone() };
    let manual = format!("; {}(1)", about.component.package());
    let mut body = prose(&about.summary);
    body.push(plain_span(&manual));
    page.item(&[name], &body);
}

/// The parameters in a line, or a word for them if there are too many.
fn synopsis(about: &About) -> Text {
    const MANY: usize = 8;
    let name = &about.component.name;
    let mut line = match about.component.kind {
        Kind::Plugin => vec![literal_span(&format!("nbdkit {name}"))],
        Kind::Filter => vec![
            literal_span(&format!("nbdkit --filter={name}")),
            plain_span(" "),
            Span { style: Style::Emphasis, text: "PLUGIN".to_owned() },
        ],
    };
    if about.params.len() > MANY {
        line.push(plain_span(" [KEY=VALUE ...]"));
    } else {
        for param in &about.params {
            let (open, close) = if param.required() { (" ", "") } else { (" [", "]") };
            line.push(plain_span(open));
            line.extend(param_usage(param));
            line.push(plain_span(&format!("{close}{}", if param.repeats() { " ..." } else { "" })));
        }
    }
    line
}

fn param_usage(param: &Param) -> Text {
    let key = param.usage();
    let key = key.strip_suffix(&param.kind).unwrap_or(&key);
    vec![literal_span(key), kind(&param.kind)]
}

/// The name of a kind stands for a value, words to choose from are values.
fn kind(kind: &str) -> Span {
    let style =
        if kind.contains(|c: char| c.is_ascii_lowercase()) { Style::Literal } else { Style::Emphasis };
    Span { style, text: kind.to_owned() }
}

/// What the program says: prose, but for what stands in backquotes.
fn prose(text: &str) -> Text {
    let span = |(number, text): (usize, &str)| match number % 2 {
        0 => plain_span(text),
        _ => literal_span(text),
    };
    text.split('`').enumerate().filter(|(_, text)| !text.is_empty()).map(span).collect()
}

fn heads(rows: &[Vec<Text>], word: &str) -> bool {
    rows.first().and_then(|row| row.first()).is_some_and(|cell| plain(cell) == word)
}

fn read(root: &Path, path: &str) -> Result<Vec<Block>> {
    let text = fs::read_to_string(root.join(path)).context(path)?;
    parse(&text).map_err(|why| format!("{path}: {why}").into())
}
