// SPDX-License-Identifier: BSD-3-Clause
//! What the built program tells of itself: its options, plugins, filters and their parameters.
//!
//! Everything is declared once, in the program; `--help` is made from the declarations, and what is read back
//! from it here is all that the manual and the completions know. So they fit the very program they are shipped
//! with, whatever was built into it. A line of the help that is not understood is an error: a change of the
//! help is noticed here.

use std::path::Path;
use std::process::Command;

use crate::component::{Component, Kind};
use crate::process::{Context, Result, cargo, output, run, target_dir};

/// A program and what it told.
#[derive(Debug)]
pub struct Program {
    /// The name and version line, without the name: `1.48.0 (rust 0.1.0)`.
    pub version: String,
    /// The options under their headings.
    pub sections: Vec<Section>,
    pub plugins: Vec<About>,
    pub filters: Vec<About>,
}

/// Options that belong together.
#[derive(Debug, PartialEq)]
pub struct Section {
    pub heading: String,
    pub options: Vec<Opt>,
}

/// One option of the program.
#[derive(Debug, PartialEq)]
pub struct Opt {
    /// `-p`
    pub short: Option<String>,
    /// `--port`, then its other names.
    pub long: Vec<String>,
    /// `PORT`, `off|on|require`.
    pub value: Option<String>,
    pub explanation: String,
}

/// One plugin or filter.
#[derive(Debug, PartialEq)]
pub struct About {
    pub component: Component,
    /// What it does, in one line.
    pub summary: String,
    pub params: Vec<Param>,
    /// Its debug flags: `-D NAME.FLAG=N`.
    pub flags: Vec<Flag>,
}

/// One debug flag of a plugin or filter.
#[derive(Debug, PartialEq)]
pub struct Flag {
    /// `-D file.zero=N`
    pub usage: String,
    pub explanation: String,
}

/// One parameter of a plugin or filter.
#[derive(Debug, PartialEq)]
pub struct Param {
    /// Its key, then its other keys.
    pub keys: Vec<String>,
    /// `SIZE`, `sparse|malloc`.
    pub kind: String,
    /// A value alone is for this one.
    pub magic: bool,
    /// One paragraph, with notes at its end.
    pub explanation: String,
    /// More paragraphs.
    pub details: Vec<String>,
}

impl Program {
    /// Builds a program with everything, and asks it.
    pub fn build() -> Result<Program> {
        run(&mut cargo(["build", "--locked", "--package", "nbdkit", "--features", "nbdkit/full"]))?;
        Program::ask(&target_dir().join("debug/nbdkit"))
    }

    /// Asks the program at `path`.
    pub fn ask(path: &Path) -> Result<Program> {
        let version = said(path, &["--version"])?;
        let version =
            version.trim_end().strip_prefix("nbdkit ").ok_or("--version: no line 'nbdkit VERSION'")?;
        let help = said(path, &["--help"])?;
        let (sections, plugins, filters) = overview(&help)?;
        let mut program =
            Program { version: version.to_owned(), sections, plugins: Vec::new(), filters: Vec::new() };
        for name in &plugins {
            let about = blocks(&said(path, &["--help", name])?)?;
            program.plugins.extend(about.into_iter().filter(|about| about.component.kind == Kind::Plugin));
        }
        // A filter is asked together with a plugin, any will do.
        if let Some(plugin) = plugins.first() {
            let mut args = vec!["--help".to_owned(), plugin.clone()];
            args.extend(filters.iter().map(|name| format!("--filter={name}")));
            let about = blocks(&said(path, &args.iter().map(String::as_str).collect::<Vec<_>>())?)?;
            program.filters.extend(about.into_iter().filter(|about| about.component.kind == Kind::Filter));
        }
        let told = |all: &[About]| all.iter().map(|about| about.component.name.clone()).collect::<Vec<_>>();
        if (told(&program.plugins), told(&program.filters)) != (plugins, filters) {
            return Err("--help: plugins or filters that do not tell of themselves".into());
        }
        Ok(program)
    }

    /// All options, whatever they are about.
    pub fn options(&self) -> impl Iterator<Item = &Opt> {
        self.sections.iter().flat_map(|section| &section.options)
    }

    /// All plugins, then all filters.
    pub fn components(&self) -> impl Iterator<Item = &About> {
        self.plugins.iter().chain(&self.filters)
    }
}

impl Param {
    /// `[size=]SIZE`, as it is written down.
    pub fn usage(&self) -> String {
        let key = self.keys.first().map_or("", String::as_str);
        if self.magic { format!("[{key}=]{}", self.kind) } else { format!("{key}={}", self.kind) }
    }

    /// Whether the program cannot do without it.
    pub fn required(&self) -> bool {
        notes(&self.explanation).any(|note| note == "required")
    }

    /// Whether it may be given several times.
    pub fn repeats(&self) -> bool {
        notes(&self.explanation).any(|note| note == "may be repeated")
    }
}

fn said(program: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).env("LC_ALL", "C");
    let line = crate::process::line(&command);
    let output = output(&mut command).context(program.display())?;
    if !output.status.success() {
        return Err(format!("{line}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr)).into());
    }
    String::from_utf8(output.stdout).map_err(|_| format!("{line}: not UTF-8").into())
}

type Overview = (Vec<Section>, Vec<String>, Vec<String>);

/// Reads what `--help` says without a plugin.
fn overview(help: &str) -> Result<Overview> {
    let (mut sections, mut plugins, mut filters) = (Vec::new(), Vec::new(), Vec::new());
    // In front of the first heading is the usage.
    for part in help.split("\n\n").skip(2) {
        let (heading, rows) = part.split_once(":\n").ok_or_else(|| unclear(part))?;
        let rows = table(rows, 6)?;
        let names = rows.iter().map(|(name, _)| name.clone());
        match heading {
            "Plugins" => plugins.extend(names),
            "Filters" => filters.extend(names),
            _ => {
                let options = rows.into_iter().map(option).collect::<Result<_>>()?;
                sections.push(Section { heading: heading.to_owned(), options });
            }
        }
    }
    Ok((sections, plugins, filters))
}

/// Reads what `--help` says of the components.
fn blocks(help: &str) -> Result<Vec<About>> {
    let kind =
        |block: &str| Kind::ALL.into_iter().find(|kind| block.starts_with(&format!("{}: ", kind.word())));
    // An empty line stands between blocks, and between the paragraphs of one.
    let mut blocks: Vec<(Kind, String)> = Vec::new();
    for part in help.split("\n\n") {
        match (kind(part), blocks.last_mut()) {
            (Some(kind), _) => blocks.push((kind, part.to_owned())),
            (None, Some((_, block))) => *block = format!("{block}\n\n{part}"),
            // The options.
            (None, None) => {}
        }
    }
    blocks.iter().map(|(kind, block)| about(*kind, block)).collect()
}

fn about(kind: Kind, block: &str) -> Result<About> {
    let unclear = || unclear(block);
    let (head, rest) = block.split_once('\n').ok_or_else(unclear)?;
    let (_, head) = head.split_once(": ").ok_or_else(unclear)?;
    let (name, summary) = head.split_once(" (").ok_or_else(unclear)?;
    let summary = summary.strip_suffix(')').ok_or_else(unclear)?;
    let rows = rest.strip_prefix("(built in)").ok_or_else(unclear)?;
    let rows = table(rows.trim_start_matches('\n'), 0)?;
    let (flags, params): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(left, _)| left.starts_with("-D "));
    let params = params.into_iter().map(param).collect::<Result<_>>()?;
    let component = Component { kind, name: name.to_owned() };
    Ok(About { component, summary: summary.to_owned(), params, flags: flags.into_iter().map(flag).collect() })
}

/// The two columns. A row begins at most `indent` blanks from the left; what is further right goes on with the
/// one before, after an empty line with another paragraph.
fn table(rows: &str, indent: usize) -> Result<Vec<(String, String)>> {
    let mut table: Vec<(String, String)> = Vec::new();
    for line in rows.lines() {
        let text = line.trim_start();
        if text.is_empty() {
            let (_, right) = table.last_mut().ok_or_else(|| unclear(rows))?;
            right.push_str("\n\n");
        } else if line.len() - text.len() <= indent {
            let (left, right) = text.split_once("  ").unwrap_or((text, ""));
            table.push((left.to_owned(), right.trim_start().to_owned()));
        } else {
            let (_, right) = table.last_mut().ok_or_else(|| unclear(line))?;
            let space = if right.is_empty() || right.ends_with('\n') { "" } else { " " };
            *right = format!("{right}{space}{text}");
        }
    }
    Ok(table)
}

/// `-p, --port <PORT>`
fn option((left, explanation): (String, String)) -> Result<Opt> {
    let mut words = left.split(' ').peekable();
    let short = words.next_if(|word| word.ends_with(',')).map(|word| word.trim_end_matches(',').to_owned());
    let first = words.next().filter(|word| word.starts_with("--")).ok_or_else(|| unclear(&left))?;
    let value = words.next().map(bare);
    let long = [first.to_owned()].into_iter().chain(also(&explanation)).collect();
    Ok(Opt { short, long, value, explanation })
}

/// `[size=]<SIZE>`
fn param((left, explanation): (String, String)) -> Result<Param> {
    let (key, kind) = left.split_once('=').ok_or_else(|| unclear(&left))?;
    let (key, kind, magic) = match (key.strip_prefix('['), kind.strip_prefix(']')) {
        (Some(key), Some(kind)) => (key, kind, true),
        (None, None) => (key, kind, false),
        _ => return Err(unclear(&left)),
    };
    let mut paragraphs = explanation.split("\n\n").map(str::to_owned);
    let explanation = paragraphs.next().unwrap_or_default();
    let mut keys = vec![key.to_owned()];
    keys.extend(also(&explanation).map(|key| key.trim_end_matches('=').to_owned()));
    Ok(Param { keys, kind: bare(kind), magic, explanation, details: paragraphs.collect() })
}

/// `-D file.zero=<N>`
fn flag((left, explanation): (String, String)) -> Flag {
    // Off is what all of them are by default.
    let explanation = explanation.replace(" (default: 0)", "");
    Flag { usage: left.replace("<N>", "N"), explanation }
}

/// Without the brackets around the name of a kind.
fn bare(kind: &str) -> String {
    kind.strip_prefix('<').and_then(|kind| kind.strip_suffix('>')).unwrap_or(kind).to_owned()
}

/// What stands behind an explanation: `(default: 16; also --ip-addr)`.
fn notes(explanation: &str) -> impl Iterator<Item = &str> {
    let notes = explanation.strip_suffix(')').and_then(|text| text.rsplit_once('('));
    notes.into_iter().flat_map(|(_, notes)| notes.split("; "))
}

/// The other names in the notes.
fn also(explanation: &str) -> impl Iterator<Item = String> {
    notes(explanation)
        .filter_map(|note| note.strip_prefix("also "))
        .flat_map(|names| names.split(", "))
        .map(str::to_owned)
}

fn unclear(text: &str) -> crate::process::Failure {
    let line = text.lines().next().unwrap_or_default();
    format!("--help: cannot read '{line}'; if the help has changed, change xtask/src/program.rs").into()
}

/// The program that tests ask: the one named by `NBDKIT`, or the one built last.
#[cfg(test)]
pub fn under_test() -> std::path::PathBuf {
    let path = std::env::var_os("NBDKIT").map_or_else(|| target_dir().join("debug/nbdkit"), Into::into);
    assert!(path.exists(), "{} does not exist: run `cargo build -p nbdkit` or set NBDKIT", path.display());
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Usage: nbdkit

Serves.

Listening:
  -p, --port <PORT>     Listen on this port (number or service name) instead
                        of on 10809
      --tls off|on      Whether clients may encrypt
      --exportname <NAME>
                        As in the URI of --run and
                        --print-uri (also --export, --export-name)
  -v, --verbose         Tell more

Plugins:
  disk    a disk (of any size)

Filters:
  cow     writable
";

    #[test]
    fn options_are_read_back() {
        let (sections, plugins, filters) = overview(HELP).unwrap();
        assert_eq!((plugins, filters), (vec!["disk".to_owned()], vec!["cow".to_owned()]));
        let [Section { heading, options }] = &sections[..] else { panic!("{sections:?}") };
        assert_eq!(heading, "Listening");
        let [port, tls, exportname, verbose] = &options[..] else { panic!("{options:?}") };
        assert_eq!((port.short.as_deref(), &port.long[..]), (Some("-p"), &["--port".to_owned()][..]));
        assert_eq!(port.explanation, "Listen on this port (number or service name) instead of on 10809");
        assert_eq!((&tls.short, tls.value.as_deref()), (&None, Some("off|on")));
        assert_eq!(exportname.long, ["--exportname", "--export", "--export-name"]);
        assert_eq!(exportname.value.as_deref(), Some("NAME"));
        assert!(exportname.explanation.starts_with("As in the URI of --run and --print-uri"));
        assert_eq!((verbose.short.as_deref(), &verbose.value), (Some("-v"), &None));
    }

    #[test]
    fn parameters_are_read_back() {
        let help = "Usage\n\nfilter: cow (writable)\n(built in)\n\nplugin: disk (a disk (of any size))\n(built in)\n\
                    [size=]<SIZE>  How large (required)\n\
                    mode=a|b       How, or\n               why (default: a; also how=)\n\
                    part=<TEXT>    Some (may be repeated)\n\n               And a\n               word.\n\n               More.\n\
                    -D disk.parts=<N>\n               Shows them (default: 0)\n";
        let [cow, disk] = &blocks(help).unwrap()[..] else { panic!() };
        assert_eq!((cow.component.to_string(), &cow.params[..]), ("filter cow".to_owned(), &[][..]));
        assert_eq!(
            (disk.component.to_string(), disk.summary.as_str()),
            ("plugin disk".to_owned(), "a disk (of any size)")
        );
        let [size, mode, part] = &disk.params[..] else { panic!("{disk:?}") };
        assert!(size.magic && size.required() && !size.repeats() && size.usage() == "[size=]SIZE");
        assert_eq!(
            (&mode.keys[..], mode.usage().as_str()),
            (&["mode".to_owned(), "how".to_owned()][..], "mode=a|b")
        );
        assert_eq!(mode.explanation, "How, or why (default: a; also how=)");
        assert!(part.repeats() && !part.required());
        assert_eq!(
            (&*part.explanation, &part.details[..]),
            ("Some (may be repeated)", &["And a word.".to_owned(), "More.".to_owned()][..])
        );
        let flag = Flag { usage: "-D disk.parts=N".to_owned(), explanation: "Shows them".to_owned() };
        assert_eq!((&disk.flags[..], &cow.flags[..]), (&[flag][..], &[][..]));
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for (help, line) in
            [("U\n\nS\n\nListening\n  -v", "Listening"), ("U\n\nS\n\nListening:\n  verbose", "verbose")]
        {
            let error = format!("{:?}", overview(help).map(|_| ()));
            assert!(error.contains(&format!("cannot read '{line}'")), "{error}");
        }
        assert!(blocks("plugin: disk (a disk)\n(elsewhere)\n").is_err());
        assert!(blocks("plugin: disk (a disk)\n(built in)\nno key\n").is_err());
    }

    /// All that the program has comes back: its own lists are longer only by old spellings that the help hides.
    #[test]
    fn the_program_is_understood() {
        let path = under_test();
        let program = Program::ask(&path).unwrap();
        let told: Vec<&str> = program.options().flat_map(|option| &option.long).map(String::as_str).collect();
        let listed = said(&path, &["--long-options"]).unwrap();
        let hidden: Vec<&str> = listed.lines().filter(|option| !told.contains(option)).collect();
        assert_eq!(hidden, ["--print-url", "--show-uri", "--show-url"]);
        assert!(told.iter().all(|option| listed.lines().any(|line| line == *option)), "{told:?}");
        let short: Vec<&str> = program.options().filter_map(|option| option.short.as_deref()).collect();
        let listed = said(&path, &["--short-options"]).unwrap();
        assert!(
            listed.lines().all(|option| short.contains(&option)) && listed.lines().count() == short.len()
        );
    }
}
