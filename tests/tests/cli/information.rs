// SPDX-License-Identifier: BSD-3-Clause
//! What the program tells about itself and its parts.

use std::collections::HashMap;

use crate::run_nbdkit;
use nbdkit_tests::Output;

/// The `key=value` lines of an output.
fn fields(output: &Output) -> HashMap<&str, &str> {
    output.text().lines().map(|line| line.split_once('=').expect("key=value")).collect()
}

#[test]
fn version_names_the_program_and_its_number() {
    for option in ["--version", "-V", "--vers"] {
        let output = run_nbdkit(&[option]).ok();
        let rest = output.text().strip_prefix("nbdkit ").expect("nbdkit X.Y.Z");
        assert!(rest.split_once('.').is_some_and(|(major, _)| major.parse::<u32>().is_ok()), "{rest}");
        assert_eq!(output.stderr, "");
    }
}

#[test]
fn version_of_a_plugin_lists_the_layers_outermost_first() {
    let output = run_nbdkit(&["--version", "--filter=offset", "--filter=delay", "memory"]).ok();
    let names: Vec<&str> = output.text().lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["nbdkit", "offset", "delay", "memory"], "{}", output.report());
}

#[test]
fn help_is_on_standard_output() {
    let output = run_nbdkit(&["--help"]).ok();
    for option in
        ["--filter", "--run", "--readonly", "--unix", "--port", "--exportname", "--threads", "--pidfile"]
    {
        assert!(output.text().contains(option), "{option} is not in\n{}", output.report());
    }
}

#[test]
fn help_of_a_plugin_names_its_parameters_and_those_of_its_filters() {
    let output = run_nbdkit(&["--help", "--filter=offset", "--filter=delay", "memory"]).ok();
    let text = output.text();
    let place = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word:?} in\n{text}"));
    let (offset, delay, memory) = (place("filter: offset"), place("filter: delay"), place("plugin: memory"));
    assert!(offset < delay && delay < memory, "not outermost first:\n{text}");
    assert!(text[offset..delay].contains("range="), "{text}");
    assert!(text[delay..memory].contains("rdelay="), "{text}");
    assert!(text[memory..].contains("size="), "{text}");
}

#[test]
fn help_wins_over_version() {
    assert!(run_nbdkit(&["--version", "--help", "memory"]).ok().text().contains("plugin: memory"));
}

#[test]
fn dump_config_says_what_was_built() {
    let output = run_nbdkit(&["--dump-config"]).ok();
    let fields = fields(&output);
    for key in [
        "name",
        "version",
        "version_major",
        "version_minor",
        "binary",
        "tls",
        "selinux",
        "zstd",
        "exit_with_parent",
    ] {
        assert!(fields.contains_key(key), "no {key} in\n{}", output.report());
    }
    assert_eq!(fields["name"], "nbdkit");
    assert!(
        fields["version"].starts_with(&format!("{}.{}.", fields["version_major"], fields["version_minor"]))
    );
}

#[test]
fn dump_config_wins_over_what_follows() {
    run_nbdkit(&["--dump-config", "--no-such-option"]).ok();
}

#[test]
fn dump_plugin_says_what_the_plugin_can() {
    let output = run_nbdkit(&["memory", "--dump-plugin"]).ok();
    let fields = fields(&output);
    assert_eq!(fields["name"], "memory");
    assert_eq!(fields["magic_config_key"], "size");
    assert_eq!(fields["max_thread_model"], "parallel");
    assert_eq!(fields["thread_model"], "parallel");
    for callback in
        ["has_open", "has_get_size", "has_pread", "has_pwrite", "has_zero", "has_extents", "has_flush"]
    {
        assert_eq!(fields.get(callback), Some(&"1"), "{callback} in\n{}", output.report());
    }
}

#[test]
fn dump_plugin_needs_a_plugin() {
    run_nbdkit(&["--dump-plugin"]).exits(1);
}

#[test]
fn long_and_short_options_are_listed() {
    let long = run_nbdkit(&["--long-options"]).ok();
    for option in ["--filter", "--run", "--pidfile", "--pid-file", "--exit-with-parent"] {
        assert!(long.text().lines().any(|line| line == option), "{option} in\n{}", long.report());
    }
    let short = run_nbdkit(&["--short-options"]).ok();
    for option in ["-f", "-U", "-P", "-r"] {
        assert!(short.text().lines().any(|line| line == option), "{option} in\n{}", short.report());
    }
}
