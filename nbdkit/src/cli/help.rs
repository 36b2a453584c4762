// SPDX-License-Identifier: BSD-3-Clause
//! What `--help` says.

use super::{
    names::Catalogue,
    options,
    table::{column, table},
};
use crate::components::{Components, Description};
use clap::Arg;
use nbdkit_plugin::ParamSpec;

const USAGE: &str = "\
Usage: nbdkit [OPTION ...] PLUGIN [[KEY=]VALUE ...]

Serves the disk that PLUGIN makes over the Network Block Device protocol. The
parameters behind it are for the plugin and for the filters in front of it;
'nbdkit --help [--filter=FILTER ...] PLUGIN' lists them. A parameter @FILE with
a slash in FILE stands for the lines of that file.
";

/// A heading and the rows below it.
type Group<'a> = (&'a str, Vec<(String, String)>);

/// The options in groups, then all plugins and filters.
pub fn help(catalogue: Catalogue) -> String {
    let plugins = catalogue.plugins.iter().map(|entry| (entry.name.into(), entry.summary.into()));
    let filters = catalogue.filters.iter().map(|entry| (entry.name.into(), entry.summary.into()));
    usage() + &sections(&[("Plugins", plugins.collect()), ("Filters", filters.collect())])
}

/// The options, then a block for each component, from the client down to the plugin.
pub fn help_of(components: &mut Components) -> String {
    components.describe().iter().fold(usage(), |text, component| format!("{text}\n{}", block(component)))
}

fn usage() -> String {
    let mut groups: Vec<Group> = Vec::new();
    let command = options::command();
    for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
        let heading = arg.get_help_heading().unwrap_or_default();
        let row = (names(arg), explanation(arg));
        match groups.iter_mut().find(|(group, _)| *group == heading) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((heading, vec![row])),
        }
    }
    USAGE.to_owned() + &sections(&groups)
}

/// The groups in one column.
fn sections(groups: &[Group]) -> String {
    let column = column(2, groups.iter().flat_map(|(_, rows)| rows));
    let groups = groups.iter().filter(|(_, rows)| !rows.is_empty());
    groups.map(|(heading, rows)| format!("\n{heading}:\n{}", table(2, column, rows))).collect()
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
        notes.extend(
            arg.get_default_values().iter().map(|value| format!("default: {}", value.to_string_lossy())),
        );
    }
    let aliases = arg.get_visible_aliases().unwrap_or_default();
    notes.extend(also(aliases.iter().map(|alias| format!("--{alias}"))));
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    with_notes(&help, &notes)
}

fn block(component: &Description) -> String {
    let params = component.params.iter().map(|param| (usage_of(param), explanation_of(param)));
    let flags = component.debug.iter().map(|flag| {
        let name = flag.keys.first().copied().unwrap_or_default();
        (format!("-D {}.{name}=<N>", component.name), explanation_of(flag))
    });
    let rows: Vec<_> = params.chain(flags).collect();
    let params = table(0, column(0, &rows), &rows);
    format!("{}: {} ({})\n(built in)\n{params}", component.kind, component.name, component.summary)
}

/// `size=<SIZE>`
fn usage_of(param: &ParamSpec) -> String {
    let key = param.keys.first().copied().unwrap_or_default();
    // Words to choose from stand for themselves, the name of a kind does not.
    let kind = match param.kind.contains(|c: char| c.is_ascii_lowercase()) {
        true => param.kind.to_owned(),
        false => format!("<{}>", param.kind),
    };
    match param.magic {
        true => format!("[{key}=]{kind}"),
        false => format!("{key}={kind}"),
    }
}

/// What it does: its documentation, with notes behind the first paragraph.
fn explanation_of(param: &ParamSpec) -> String {
    let aliases = param.keys.split_first().map_or([].as_slice(), |(_, aliases)| aliases);
    let mut notes: Vec<String> = Vec::new();
    if param.required {
        notes.push("required".into());
    }
    if param.repeats {
        notes.push("may be repeated".into());
    }
    notes.extend(
        param.default.as_ref().filter(|text| !text.is_empty()).map(|text| format!("default: {text}")),
    );
    notes.extend(also(aliases.iter().map(|alias| format!("{alias}="))));
    let lines: Vec<&str> = param.doc.trim().lines().map(str::trim).collect();
    let mut paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    let first = with_notes(&paragraphs.next().unwrap_or_default(), &notes);
    let others = paragraphs.filter(|text| !text.is_empty());
    [first].into_iter().chain(others).collect::<Vec<_>>().join("\n\n")
}

/// Other names.
fn also(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| format!("also {}", names.join(", ")))
}

fn with_notes(text: &str, notes: &[String]) -> String {
    let text = text.strip_suffix('.').unwrap_or(text);
    match notes {
        [] => text.to_owned(),
        notes => format!("{text} ({})", notes.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{CATALOGUE, components};

    #[test]
    fn every_option_is_listed_in_a_group() {
        let text = help(CATALOGUE);
        let listed: Vec<_> = text
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '-')
            .filter(|word| word.starts_with("--"))
            .collect();
        for option in options::long() {
            let hidden = ["--print-url", "--show-uri", "--show-url"].contains(&option.as_str());
            assert_eq!(listed.contains(&option.as_str()), !hidden, "{option}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        for lines in [
            "\nListening:\n  -i, --ipaddr <ADDRESS>    Listen on this address",
            "\n  -4, --ipv4-only           Listen on IPv4 addresses only\n",
            "\n      --tls off|on|require  Whether clients",
            "(default: 64)\n",
            "\n      --selinux-label <LABEL>\n                            SELinux label of the socket\n",
            "\nPlugins:\n  disk    a disk for tests\n",
            "\nFilters:\n  inner   lets everything pass\n",
        ] {
            assert!(text.contains(lines), "{lines}: {text}");
        }
        let none = Catalogue { plugins: &[], filters: &[] };
        assert_eq!(help(none), usage());
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
[size=]<SIZE>           How large it is (required)
mode=sparse|malloc      How it is kept (default: sparse)
part=<TEXT>             What it is made of; wrapped over lines because it is so
                        long that it needs to be (may be repeated; also piece=)

                        A second paragraph.
-D disk.part.sizes=<N>  Shows its parts (default: 0)
"
        );
    }
}
