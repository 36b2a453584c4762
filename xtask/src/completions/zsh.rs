// SPDX-License-Identifier: BSD-3-Clause
//! For zsh: specifications for `_arguments` and lists for `_describe`. (zshcompsys(1))

use super::values::Values;
use super::{brief, fill, quoted};
use crate::program::{About, Opt, Program};

const TEMPLATE: &str = include_str!("nbdkit.zsh");

pub fn render(program: &Program) -> String {
    let names = |all: &[About]| {
        all.iter()
            .map(|about| format!("        {}\n", described(&about.component.name, &about.summary)))
            .collect()
    };
    fill(
        TEMPLATE,
        &[
            ("plugins", names(&program.plugins)),
            ("filters", names(&program.filters)),
            ("keys", program.components().map(keys).collect()),
            ("values", program.components().map(values).collect()),
            ("options", program.options().map(option).collect()),
        ],
    )
}

/// `(-p --port)-p+[Listen on this port]:PORT:`, once for each of its names.
fn option(option: &Opt) -> String {
    let names: Vec<&str> = option.short.iter().chain(&option.long).map(String::as_str).collect();
    let is_filter = option.long.iter().any(|name| name == "--filter");
    // Other options are given once.
    let only = if is_filter { "*".to_owned() } else { format!("({})", names.join(" ")) };
    let value =
        option.value.as_deref().map(|kind| format!(":{}:{}", escaped(kind), action(&Values::of(kind))));
    let spec = |name: &&str| {
        let behind = match (value.is_some(), name.starts_with("--")) {
            (true, true) => "=",
            (true, false) => "+",
            (false, _) => "",
        };
        let explanation = escaped(brief(&option.explanation)).replace('[', "\\[").replace(']', "\\]");
        let spec = format!("{only}{name}{behind}[{explanation}]{}", value.as_deref().unwrap_or_default());
        format!("        {} \\\n", quoted(&spec))
    };
    names.iter().map(spec).collect()
}

/// What completes the value of an option.
fn action(values: &Values) -> String {
    match offer(values) {
        _ if values.filters => "_nbdkit_filters".to_owned(),
        // Nothing to offer, but a value is wanted.
        offer if offer.is_empty() => " ".to_owned(),
        offer => format!("{{{offer}}}"),
    }
}

fn keys(about: &About) -> String {
    let keys = about
        .params
        .iter()
        .flat_map(|param| param.keys.iter().map(|key| described(key, brief(&param.explanation))));
    let keys: Vec<String> = keys.collect();
    match keys.is_empty() {
        true => String::new(),
        false => format!("    {}) keys+=({}) ;;\n", layer(about), keys.join(" ")),
    }
}

/// For a value alone the key is empty.
fn values(about: &About) -> String {
    let params = about.params.iter().map(|param| (param, offer(&Values::of(&param.kind))));
    let lines = params.filter(|(_, offer)| !offer.is_empty()).map(|(param, offer)| {
        let bare = param.magic.then(String::new);
        let names = param.keys.iter().cloned().chain(bare).map(|key| format!("{}:{key}", layer(about)));
        format!("    {}) {offer} ;;\n", names.collect::<Vec<_>>().join(" | "))
    });
    lines.collect()
}

fn offer(values: &Values) -> String {
    let (prefixes, words): (Vec<&String>, Vec<&String>) =
        values.words.iter().partition(|word| word.ends_with(':'));
    let compadd = |option: &str, words: &[&String]| {
        let words: Vec<&str> = words.iter().map(|word| word.as_str()).collect();
        (!words.is_empty()).then(|| format!("compadd {option}-- {}", words.join(" ")))
    };
    let files = values.files.then(|| "_files".to_owned());
    [compadd("", &words), compadd("-S '' ", &prefixes), files]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

fn layer(about: &About) -> String {
    format!("{}:{}", about.component.kind.word(), about.component.name)
}

/// A name and what is said about it.
fn described(name: &str, text: &str) -> String {
    quoted(&format!("{name}:{}", text.replace('\\', "\\\\")))
}

/// In a specification a colon begins the next part.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace(':', "\\:")
}
