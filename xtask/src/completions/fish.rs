// SPDX-License-Identifier: BSD-3-Clause
//! For fish: a `complete` for everything that can be offered. (complete(1))

use std::fmt::Write;

use super::values::Values;
use super::{brief, fill, quoted};
use crate::program::{Opt, Param, Program};

const TEMPLATE: &str = include_str!("nbdkit.fish");

pub fn render(program: &Program) -> String {
    let with_values = program.options().filter(|option| option.value.is_some());
    let with_values = with_values.flat_map(|option| option.short.iter().chain(&option.long));
    let with_values: Vec<&str> = with_values.map(String::as_str).collect();

    let mut complete: String = program.options().map(|opt| option(opt, program)).collect();
    for about in &program.plugins {
        complete += &line("not __nbdkit_has_plugin", &about.component.name, &about.summary);
    }
    for about in program.components() {
        let has = format!("__nbdkit_has {}:{}", about.component.kind.word(), about.component.name);
        complete.extend(about.params.iter().map(|param| parameter(&has, param)));
        // Behind `key=` fish looks for files by itself, if it may.
        if about.params.iter().any(|param| Values::of(&param.kind).files) {
            let _ = writeln!(complete, "complete -c nbdkit -n {} -F", quoted(&has));
        }
    }
    fill(
        TEMPLATE,
        &[
            ("options_with_values", format!("            case {}\n", with_values.join(" "))),
            ("complete", complete),
        ],
    )
}

fn option(option: &Opt, program: &Program) -> String {
    let mut text = "complete -c nbdkit".to_owned();
    if let Some(short) = &option.short {
        // Writing to a String does not fail.
        let _ = write!(text, " -s {}", short.trim_start_matches('-'));
    }
    for long in &option.long {
        let _ = write!(text, " -l {}", long.trim_start_matches('-'));
    }
    let values = option.value.as_deref().map(Values::of);
    let words = match &values {
        Some(Values { filters: true, .. }) => program
            .filters
            .iter()
            .map(|about| format!("{}\\t{}", about.component.name, about.summary))
            .collect(),
        Some(values) => values.words.clone(),
        None => Vec::new(),
    };
    match &values {
        Some(Values { files: true, .. }) => text += " -rF",
        Some(_) => text += " -x",
        None => {}
    }
    if !words.is_empty() {
        let _ =
            write!(text, " -a \"{}\"", words.iter().map(|word| listed(word)).collect::<Vec<_>>().join(" "));
    }
    format!("{text} -d {}\n", quoted(brief(&option.explanation)))
}

/// A word in a list of words that stands in double quotes.
fn listed(word: &str) -> String {
    let word = word.replace('\'', "\\\\'").replace('"', "\\\"").replace('$', "\\$");
    match word.split_once("\\t") {
        Some((name, text)) => format!("{name}\\t'{text}'"),
        None => word,
    }
}

fn parameter(has: &str, param: &Param) -> String {
    let values = Values::of(&param.kind);
    let mut text = String::new();
    for key in &param.keys {
        text += &line(has, &format!("{key}="), brief(&param.explanation));
        for word in &values.words {
            text += &line(has, &format!("{key}={word}"), brief(&param.explanation));
        }
    }
    text
}

fn line(condition: &str, word: &str, text: &str) -> String {
    format!("complete -c nbdkit -n {} -a {} -d {}\n", quoted(condition), quoted(word), quoted(text))
}
