// SPDX-License-Identifier: BSD-3-Clause
//! The pages are clean, complete, and tell what the program tells.

use std::collections::BTreeSet;
use std::process::Command;

use super::pages::{Written, pages};
use crate::process::{output, root};
use crate::program::{Program, under_test};

fn written() -> (Program, Vec<Written>) {
    let program = Program::ask(&under_test()).unwrap();
    let pages = pages(&program, root(), "2026-01-31").unwrap();
    (program, pages)
}

/// A page as it is read, in words.
fn words(page: &Written) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(&page.name);
    std::fs::write(&path, &page.roff).unwrap();
    // Wide enough for every paragraph, so that no word is broken.
    let shown = output(Command::new("mandoc").args(["-T", "utf8", "-O", "width=1000"]).arg(&path)).unwrap();
    assert!(shown.status.success(), "{}: {}", page.name, String::from_utf8_lossy(&shown.stderr));
    let mut text: Vec<char> = Vec::new();
    for c in String::from_utf8(shown.stdout).unwrap().chars() {
        // Bold and underlined as on a typewriter: a letter, back, and again.
        match c {
            '\u{8}' => text.truncate(text.len() - 1),
            c => text.push(c),
        }
    }
    let text: String = text.into_iter().map(|c| if c == '\u{2010}' { '-' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn page<'a>(pages: &'a [Written], name: &str) -> &'a Written {
    pages.iter().find(|page| page.name == name).unwrap_or_else(|| panic!("no page {name}"))
}

#[test]
fn man_and_mandoc_have_no_complaints() {
    let (_, pages) = written();
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = pages.iter().map(|page| dir.path().join(&page.name)).collect();
    for (page, path) in pages.iter().zip(&paths) {
        std::fs::write(path, &page.roff).unwrap();
    }
    let mandoc = output(Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(&paths)).unwrap();
    assert!(mandoc.status.success(), "{}", String::from_utf8_lossy(&mandoc.stdout));
    assert_eq!(String::from_utf8_lossy(&mandoc.stdout), "");
    let man = output(
        Command::new("man")
            .args(["--warnings=w", "--encoding=UTF-8", "--troff-device=utf8", "-l"])
            .args(&paths)
            .env("MANWIDTH", "80"),
    );
    let man = man.unwrap();
    assert!(man.status.success());
    assert_eq!(String::from_utf8_lossy(&man.stderr), "");
    assert!(man.stdout.len() > 1000 * pages.len() / 2, "man has shown nothing");
}

/// `--long-options` has the spellings that `--help` leaves out, too.
#[test]
fn every_option_is_on_its_page() {
    let (program, pages) = written();
    let nbdkit = words(page(&pages, "nbdkit"));
    let listed = output(Command::new(under_test()).arg("--long-options")).unwrap();
    for option in String::from_utf8(listed.stdout).unwrap().lines() {
        let follows = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
        let found = nbdkit.match_indices(option).any(|(at, _)| follows(&nbdkit[at + option.len()..]));
        assert!(found, "nbdkit.1 lacks {option}");
    }
    for option in program.options() {
        let told = option.explanation.replace('`', "");
        assert!(nbdkit.contains(&told), "nbdkit.1 lacks: {told}");
    }
}

#[test]
fn every_parameter_is_on_its_page_as_the_help_tells_it() {
    let (program, pages) = written();
    assert!(program.plugins.len() > 3 && program.filters.len() > 3);
    for about in program.components() {
        let name = about.component.package();
        let text = words(page(&pages, &name));
        assert!(text.contains(&format!("{name} - {}", about.summary)), "{name}: {text}");
        for param in &about.params {
            let told = format!("{} {}", param.usage(), param.explanation.replace('`', ""));
            assert!(text.contains(&told), "{name}.1 lacks: {told}\n{text}");
            for paragraph in &param.details {
                let told = paragraph.replace('`', "");
                assert!(text.contains(&told), "{name}.1 lacks: {told}\n{text}");
            }
        }
        for flag in &about.flags {
            let told = format!("{} {}", flag.usage, flag.explanation);
            assert!(text.contains(&told), "{name}.1 lacks: {told}\n{text}");
        }
    }
}

/// `nbdkit-loop(1)` on a page is a page that there is.
#[test]
fn references_lead_somewhere() {
    let (_, pages) = written();
    let names: BTreeSet<String> =
        pages.iter().map(|page| format!("{}({})", page.name, page.section)).collect();
    for page in &pages {
        let text = words(page);
        for word in text.split(|c: char| !(c.is_alphanumeric() || "-()".contains(c))) {
            let word = word.trim_start_matches('(');
            if word.starts_with("nbdkit") && (word.contains("(1)") || word.contains("(3)")) {
                let word = &word[..word.find(')').unwrap_or(word.len() - 1) + 1];
                assert!(names.contains(word), "{}: there is no {word}", page.path());
            }
        }
    }
    for name in ["nbdkit-captive(1)", "nbdkit-plugin(3)", "nbdkit-filter(3)", "nbdkit-security(1)"] {
        assert!(names.contains(name), "{name}");
    }
}
