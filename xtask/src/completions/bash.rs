// SPDX-License-Identifier: BSD-3-Clause
//! For bash: functions that answer by `case`.

use super::values::Values;
use super::{fill, quoted};
use crate::program::{About, Program};

const TEMPLATE: &str = include_str!("nbdkit.bash");

pub fn render(program: &Program) -> String {
    let option_values = program.options().filter_map(|option| {
        let values = Values::of(option.value.as_ref()?).list();
        let names: Vec<&str> = option.short.iter().chain(&option.long).map(String::as_str).collect();
        Some(format!("    {}) echo {} ;;\n", names.join(" | "), quoted(&values)))
    });
    let options = program.options().flat_map(|option| option.short.iter().chain(&option.long));
    let options: Vec<&str> = options.map(String::as_str).collect();
    let names =
        |all: &[About]| all.iter().map(|about| about.component.name.as_str()).collect::<Vec<_>>().join(" ");
    let words = |names: &str| format!("            words+=({names})\n");
    fill(
        TEMPLATE,
        &[
            ("option_values", option_values.collect()),
            ("keys", program.components().map(keys).collect()),
            ("values", program.components().map(values).collect()),
            ("filters", words(&names(&program.filters))),
            ("plugins", words(&names(&program.plugins))),
            ("options", format!("            {}\n", options.join(" "))),
        ],
    )
}

/// `plugin:memory`
fn layer(about: &About) -> String {
    format!("{}:{}", about.component.kind.word(), about.component.name)
}

fn keys(about: &About) -> String {
    let mut words: Vec<String> =
        about.params.iter().flat_map(|param| &param.keys).map(|key| format!("{key}=")).collect();
    let bare = about.params.iter().find(|param| param.magic).map(|param| Values::of(&param.kind).list());
    words.extend(bare.filter(|list| !list.is_empty()));
    match words.is_empty() {
        true => String::new(),
        false => format!("    {}) echo {} ;;\n", layer(about), quoted(&words.join(" "))),
    }
}

fn values(about: &About) -> String {
    let params = about.params.iter().map(|param| (param, Values::of(&param.kind).list()));
    let lines = params.filter(|(_, list)| !list.is_empty()).map(|(param, list)| {
        let names: Vec<String> = param.keys.iter().map(|key| format!("{}:{key}", layer(about))).collect();
        format!("    {}) echo {} ;;\n", names.join(" | "), quoted(&list))
    });
    lines.collect()
}
