// SPDX-License-Identifier: BSD-3-Clause
//! What is true of single files: licence line, length, words, syntax, and the documents there must be.

use toml::{Table, Value};

use super::Tree;

const SPDX: &str = "SPDX-License-Identifier: BSD-3-Clause";
/// A longer file usually holds two ideas.
const MAX_LINES: usize = 500;
const DOCUMENTS: [&str; 2] = ["CHANGELOG.md", "COMPATIBILITY.md"];
/// Places of one machine, which mean nothing on another. Taken apart, so that this file passes too.
const PATHS: [&str; 4] =
    [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/Us", "ers/"), concat!("/wo", "rk/")];
/// Hosts a package is fetched from: cargo's own configuration names them, the project does not.
const HOSTS: [&str; 5] = [
    concat!("index.crates", ".io"),
    concat!("static.crates", ".io"),
    concat!("sparse", "+http"),
    concat!("rspro", "xy.cn"),
    concat!("arti", "factory"),
];
/// Let-chains are stable from Rust 1.88 on.
const OLD_RUST: &str = "1.85";

pub fn check(tree: &Tree, found: &mut Vec<String>) {
    for (path, text) in tree.below("") {
        if path.ends_with(".rs") || path.ends_with(".sh") {
            licence(path, text, found);
            length(path, text, found);
        }
        words(path, text, found);
    }
    for folder in tree.crates().filter(|folder| is_old_rust(tree, folder)) {
        for (path, text) in tree.below(&format!("{folder}/")).filter(|(path, _)| path.ends_with(".rs")) {
            let_chains(path, text, found);
        }
    }
    for document in DOCUMENTS.into_iter().filter(|document| !tree.has(document)) {
        found.push(format!("{document}: missing"));
    }
}

/// On the first line; in a script the interpreter comes before it.
fn licence(path: &str, text: &str, found: &mut Vec<String>) {
    let comment = if path.ends_with(".rs") { "//" } else { "#" };
    let line = format!("{comment} {SPDX}");
    if text.lines().find(|line| !line.starts_with("#!/")) != Some(&line) {
        found.push(format!("{path}: the first line is to be {line}"));
    }
}

fn length(path: &str, text: &str, found: &mut Vec<String>) {
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines; split it by ideas, at most {MAX_LINES} each"));
    }
}

fn words(path: &str, text: &str, found: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        let of_a_machine = PATHS.iter().find(|word| has_absolute(line, word));
        if let Some(word) = of_a_machine.or_else(|| HOSTS.iter().find(|word| line.contains(**word))) {
            found.push(format!(
                "{path}:{number}: {word} belongs to one machine; name nothing outside the project"
            ));
        }
    }
}

/// Whether a path that begins with `prefix` stands in the line, and not `prefix` inside a longer path.
fn has_absolute(line: &str, prefix: &str) -> bool {
    let goes_on = |c: char| c.is_alphanumeric() || "_-.}/$".contains(c);
    line.match_indices(prefix).any(|(at, _)| !line[..at].ends_with(goes_on))
}

fn is_old_rust(tree: &Tree, folder: &str) -> bool {
    let manifest: Table = tree.text(&format!("{folder}/Cargo.toml")).parse().unwrap_or_default();
    manifest.get("package").and_then(|package| package.get("rust-version")).and_then(Value::as_str)
        == Some(OLD_RUST)
}

/// A guess from single lines, for those without the old toolchain at hand.
fn let_chains(path: &str, text: &str, found: &mut Vec<String>) {
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or_default();
        let after_let = ["if let ", "while let "].iter().find_map(|head| code.split_once(head));
        if code.contains("&& let ") || after_let.is_some_and(|(_, rest)| has_outer_and(rest)) {
            found.push(format!(
                "{path}:{number}: a let-chain, which Rust {OLD_RUST} has not; nest the two ifs"
            ));
        }
    }
}

/// Whether `&&` stands outside all brackets, before any block. As `= &&x` it is two references.
fn has_outer_and(condition: &str) -> bool {
    let mut depth = 0;
    for (at, c) in condition.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '&' if depth == 0 && condition[at..].starts_with("&& ") => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "// SPDX-License-Identifier: BSD-3-Clause\n";
    const OLD: (&str, &str) = ("a/Cargo.toml", "[package]\nrust-version = \"1.85\"\n");

    fn found(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(&Tree::of(&[("CHANGELOG.md", ""), ("COMPATIBILITY.md", ""), OLD, (path, text)]), &mut found);
        found
    }

    #[test]
    fn the_licence_comes_first() {
        assert_eq!(found("a.rs", HEAD), [""; 0]);
        assert_eq!(found("a.sh", &format!("#!/bin/sh\n# {SPDX}\n")), [""; 0]);
        assert_eq!(found("a.rs", &format!("\n{HEAD}")), [format!("a.rs: the first line is to be // {SPDX}")]);
        assert_eq!(found("a.sh", "#!/bin/sh\n"), [format!("a.sh: the first line is to be # {SPDX}")]);
    }

    #[test]
    fn long_files_are_found() {
        let long = HEAD.to_owned() + &"\n".repeat(MAX_LINES - 1);
        assert_eq!(found("a.rs", &long), [""; 0]);
        assert_eq!(found("a.rs", &(long + "\n")).len(), 1);
    }

    #[test]
    fn places_of_one_machine_are_found() {
        for word in PATHS.iter().chain(&HOSTS) {
            let found = found("a.md", &format!("\nsee `{word}x`"));
            assert_eq!(found.len(), 1, "{word}");
            assert!(found[0].starts_with("a.md:2: "), "{}", found[0]);
        }
        for word in PATHS {
            assert_eq!(found("a.md", &format!("see net{word}x and ${{top}}{word}x")), [""; 0]);
        }
    }

    #[test]
    fn let_chains_are_found_where_rust_is_old() {
        let chains = [
            "if a && let Some(b) = c {",
            "if let Some(b) = c() && b {",
            "    && let Some(b) = c",
            "while let A = b && c {",
        ];
        for chain in chains {
            assert_eq!(found("a/src/lib.rs", &format!("{HEAD}{chain}\n")).len(), 1, "{chain}");
            assert_eq!(found("b/src/lib.rs", &format!("{HEAD}{chain}\n")), [""; 0]);
        }
        for plain in
            ["if let Some(b) = (c && d).then_some(e) {", "let a = b && c;", "if let A = &&b {", "// && let x"]
        {
            assert_eq!(found("a/src/lib.rs", &format!("{HEAD}{plain}\n")), [""; 0], "{plain}");
        }
    }

    #[test]
    fn documents_are_wanted() {
        let mut found = Vec::new();
        check(&Tree::default(), &mut found);
        assert_eq!(found, ["CHANGELOG.md: missing", "COMPATIBILITY.md: missing"]);
    }
}
