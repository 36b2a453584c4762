// SPDX-License-Identifier: BSD-3-Clause
//! What `--help` says.

use super::{names::Catalogue, options, table::table};
use crate::components::{Components, Description};
use clap::Arg;
use nbdkit_plugin::ParamSpec;

const USAGE: &str = "\
Usage: nbdkit [OPTION ...] PLUGIN [[KEY=]VALUE ...]

Serves the disk that PLUGIN makes over the Network Block Device protocol. The
parameters behind it are for the plugin and for the filters in front of it:
'nbdkit --help [--filter=FILTER ...] PLUGIN' lists them. A parameter @FILE, where
FILE is a path with a slash in it, stands for the lines of that file.
";

/// The options in groups, then all plugins and filters.
pub fn help(catalogue: Catalogue) -> String {
    let Catalogue { plugins, filters } = catalogue;
    let plugins: Vec<_> = plugins.iter().map(|entry| (entry.name.into(), entry.summary.into())).collect();
    let filters: Vec<_> = filters.iter().map(|entry| (entry.name.into(), entry.summary.into())).collect();
    let mut text = usage();
    for (heading, components) in [("Plugins", plugins), ("Filters", filters)] {
        if !components.is_empty() {
            text.push_str(&format!("\n{heading}:\n{}", table(2, &components)));
        }
    }
    text
}

/// The options, then a block for each component, from the client down to the plugin.
pub fn help_of(components: &mut Components) -> String {
    components.describe().iter().fold(usage(), |text, component| format!("{text}\n{}", block(component)))
}

fn usage() -> String {
    let mut groups: Vec<(&str, Vec<_>)> = Vec::new();
    let command = options::command();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let heading = arg.get_help_heading().unwrap_or_default();
        let row = (names(arg), explanation(arg));
        match groups.iter_mut().find(|(group, _)| *group == heading) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((heading, vec![row])),
        }
    }
    groups
        .iter()
        .fold(USAGE.to_owned(), |text, (heading, rows)| format!("{text}\n{heading}:\n{}", table(2, rows)))
}

/// `-p, --port <PORT>`
fn names(arg: &Arg) -> String {
    let short = arg.get_short().map_or("    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.into_iter().flatten().map(|name| match name.contains('|') {
        true => format!(" {name}"),
        false => format!(" <{name}>"),
    });
    format!("{short}--{long}{}", value.collect::<String>())
}

fn explanation(arg: &Arg) -> String {
    let mut notes: Vec<String> = Vec::new();
    if !arg.is_hide_default_value_set() && arg.get_action().takes_values() {
        notes.extend(arg.get_default_values().iter().map(|value| format!("default: {}", value.to_string_lossy())));
    }
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    notes.extend(aliases.iter().map(|alias| format!("also: --{alias}")));
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    with_notes(&help, &notes)
}

fn block(component: &Description) -> String {
    let rows: Vec<_> = component.params.iter().map(row).collect();
    format!(
        "{}: {} ({})\n(built in)\n{}",
        component.kind,
        component.name,
        component.summary,
        table(0, &rows)
    )
}

/// `size=<SIZE>` and what it does.
fn row(param: &ParamSpec) -> (String, String) {
    let (key, aliases) = param.keys.split_first().map_or(("", [].as_slice()), |(key, aliases)| (*key, aliases));
    // Words to choose from stand for themselves, the name of a kind does not.
    let kind = match param.kind.contains(|c: char| c.is_ascii_lowercase()) {
        true => param.kind.to_owned(),
        false => format!("<{}>", param.kind),
    };
    let key = match param.magic {
        true => format!("[{key}=]{kind}"),
        false => format!("{key}={kind}"),
    };
    let mut notes: Vec<String> = Vec::new();
    if param.required {
        notes.push("required".into());
    }
    if param.repeats {
        notes.push("may be repeated".into());
    }
    notes.extend(param.default.as_ref().filter(|text| !text.is_empty()).map(|text| format!("default: {text}")));
    notes.extend(aliases.iter().map(|alias| format!("also: {alias}=")));
    // The first paragraph; the others are for the manual.
    let doc = param.doc.trim().lines().map(str::trim).take_while(|line| !line.is_empty());
    (key, with_notes(&doc.collect::<Vec<_>>().join(" "), &notes))
}

fn with_notes(text: &str, notes: &[String]) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    match notes {
        [] => text.to_owned(),
        notes => format!("{text} ({})", notes.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{CATALOGUE, components};

    #[test]
    fn every_option_is_listed_in_a_group() {
        let text = help(CATALOGUE);
        for option in options::long() {
            let hidden = ["--print-url", "--show-uri", "--show-url"].contains(&option.as_str());
            assert_ne!(text.contains(&format!("{option} ")) || text.contains(&format!("{option}\n"))
                || text.contains(&format!("{option})")) || text.contains(&format!("{option},")), hidden, "{option}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for line in [
            "\nListening:\n  -i, --ipaddr <ADDRESS>",
            "\n  -4, --ipv4-only         Listen on IPv4 addresses only\n",
            "\n  -U, --unix SOCKET|-     Listen on a Unix domain socket; - makes a private one\n",
            "\n      --tls off|on|require",
            "\nPlugins:\n  disk     a disk for tests\n",
            "\nFilters:\n  inner  lets",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(!help(Catalogue { plugins: &[], filters: &[] }).contains("Plugins:"));
    }

    #[test]
    fn a_block_for_each_component() {
        let text = help_of(&mut components("disk", &["outer", "inner"]));
        let blocks = text.strip_prefix(&usage()).unwrap();
        assert_eq!(
            blocks,
            "
filter: outer (counts)
(built in)
count=<N>  How often (default: 1)

filter: inner (lets everything pass)
(built in)

plugin: disk (a disk for tests)
(built in)
[size=]<SIZE>       How large it is (required)
mode=sparse|malloc  How it is kept (default: sparse)
part=<TEXT>         What it is made of; wrapped over lines because it is so long
                    that it needs to be (may be repeated, also: piece=)
"
        );
    }
}
