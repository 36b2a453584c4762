// SPDX-License-Identifier: BSD-3-Clause
//! What a person reads whose command line is not usable: one line that says why, one that helps.

use super::options;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use nbdkit_plugin::Error;

/// Where all questions are answered.
const HINT: &str = "Use 'nbdkit --help' for the list of options.";

/// Says it in the words of getopt, which people know.
pub(super) fn unusable(error: &clap::Error) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap writes `--port <PORT>`.
    let (option, value_name) =
        context(ContextKind::InvalidArg).split_once(' ').unwrap_or((context(ContextKind::InvalidArg), ""));
    let line = match (error.kind(), std::error::Error::source(error)) {
        (ErrorKind::UnknownArgument, _) => unknown(option, context(ContextKind::SuggestedArg)),
        (ErrorKind::ValueValidation, Some(why)) => match why.to_string() {
            why if why.starts_with('-') => why,
            why => format!("{option}: {why}"),
        },
        (ErrorKind::InvalidValue, _) => {
            format!("option '{option}' requires an argument: {option} {value_name}")
        }
        (ErrorKind::TooManyValues, _) => format!("option '{option}' doesn't allow an argument"),
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    };
    Error::invalid(format!("{line}\n{HINT}"))
}

fn unknown(option: &str, suggestion: &str) -> String {
    let possible = continuations(option);
    match (possible.is_empty(), suggestion) {
        (false, _) => format!("option '{option}' is ambiguous; possibilities: {}", possible.join(" ")),
        (true, "") => format!("unrecognized option '{option}'"),
        (true, suggestion) => format!("unrecognized option '{option}', did you mean '{suggestion}'?"),
    }
}

/// The long options that begin so.
fn continuations(start: &str) -> Vec<String> {
    if !start.starts_with("--") {
        return Vec::new();
    }
    options::long().into_iter().filter(|option| option.starts_with(start)).collect()
}
