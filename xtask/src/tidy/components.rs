// SPDX-License-Identifier: BSD-3-Clause
//! Folder = feature = registry line = README = test, for every plugin and filter.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::Tree;
use crate::component::{Component, Kind};

const MANIFEST: &str = "nbdkit/Cargo.toml";
const REGISTRY: &str = "nbdkit/src/registry.rs";
const OVERVIEW: &str = "README.md";

pub fn check(tree: &Tree, found: &mut Vec<String>) {
    let manifest: Table = tree.text(MANIFEST).parse().unwrap_or_default();
    let full = closure(&manifest, "full");
    for component in components(tree) {
        match component {
            Ok(component) => {
                crate_of(tree, &component, found);
                feature_of(&manifest, &full, &component, found);
                registration_of(tree, &component, found);
                row_of(tree, &component, found);
            }
            Err(why) => found.push(why),
        }
    }
}

/// A folder of a kind's home, but for `api`, is a component.
fn components(tree: &Tree) -> Vec<Result<Component, String>> {
    let of_kind = |kind: Kind| {
        let names = tree.below(kind.home()).filter_map(move |(path, _)| {
            let (name, _) = path.strip_prefix(kind.home())?.strip_prefix('/')?.split_once('/')?;
            (name != "api").then_some(name)
        });
        let names: BTreeSet<&str> = names.collect();
        names.into_iter().map(move |name| Component::new(kind, name))
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

fn crate_of(tree: &Tree, component: &Component, found: &mut Vec<String>) {
    let folder = component.folder();
    let path = format!("{folder}/Cargo.toml");
    let manifest: Table = tree.text(&path).parse().unwrap_or_default();
    let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    if package != Some(&component.package()) {
        found.push(format!("{path}: the package is to be named {}", component.package()));
    }
    let readme = format!("{folder}/README.md");
    if tree.text(&readme).trim().is_empty() {
        found.push(format!("{readme}: write the manual of the {component}"));
    }
    for key in parameters(tree, &folder) {
        // Debug flags are declared like parameters.
        let flag = format!("-D {}.{key}=", component.name);
        if !explains(tree.text(&readme), key) && !tree.text(&readme).contains(&flag) {
            found.push(format!("{readme}: the parameter `{key}` is not explained"));
        }
    }
    let tests = format!("{folder}/tests/");
    let has_tests = tree.below(&tests).any(|(path, _)| path.ends_with(".rs"))
        || tree.below(&format!("{folder}/src/")).any(|(_, text)| text.contains("#[cfg(test)]"));
    if !has_tests {
        found.push(format!("{tests}: no test of the {component}; add conformance.rs"));
    }
}

/// The keys declared in `params!`, without their aliases: lines like `[magic] "size" => size: Size,`.
fn parameters<'a>(tree: &'a Tree, folder: &str) -> BTreeSet<&'a str> {
    let programs =
        tree.below(&format!("{folder}/src/")).filter_map(|(_, text)| text.split("#[cfg(test)]").next());
    let keys = programs.flat_map(str::lines).filter_map(|line| {
        let (keys, field) = line.split_once(" => ")?;
        let (field, _) = field.split_once(": ")?;
        let key = keys.rsplit("] ").next()?.trim().strip_prefix('"')?.split('"').next()?;
        field.chars().all(|c| c.is_ascii_alphanumeric() || c == '_').then_some(key)
    });
    keys.collect()
}

/// Whether `key=` stands in a manual, or the key alone in backquotes. `error-OPERATION=` is a whole family.
fn explains(manual: &str, key: &str) -> bool {
    let is_separator = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    let stands_for =
        |word: &str, part: &str| word == part || word.len() > 1 && word == word.to_ascii_uppercase();
    let names = |words: &str| {
        words.split('-').count() == key.split('-').count()
            && words.split('-').zip(key.split('-')).all(|(word, part)| stands_for(word, part))
    };
    let mut assigned =
        manual.match_indices('=').filter_map(|(at, _)| manual[..at].rsplit(is_separator).next());
    manual.contains(&format!("`{key}`"))
        || assigned.any(|words| names(words) && words.contains(char::is_lowercase))
}

fn feature_of(manifest: &Table, full: &BTreeSet<String>, component: &Component, found: &mut Vec<String>) {
    let (name, dependency) = (component.feature(), format!("dep:{}", component.package()));
    if !enables(manifest, &name).any(|enabled| enabled == dependency) {
        found.push(format!("{MANIFEST}: [features] lacks {name} = [\"{dependency}\"]"));
    }
    if !full.contains(&name) {
        found.push(format!("{MANIFEST}: the feature full lacks \"{name}\""));
    }
}

fn enables<'a>(manifest: &'a Table, feature: &str) -> impl Iterator<Item = &'a str> {
    let list = manifest.get("features").and_then(|features| features.get(feature)).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

/// All that a feature enables, through other features too.
fn closure(manifest: &Table, feature: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![feature.to_owned()];
    while let Some(feature) = open.pop() {
        open.extend(enables(manifest, &feature).filter(|f| !reached.contains(*f)).map(str::to_owned));
        reached.insert(feature);
    }
    reached
}

fn registration_of(tree: &Tree, component: &Component, found: &mut Vec<String>) {
    let wanted = component.registration();
    let lines: Vec<&str> = tree.text(REGISTRY).lines().map(str::trim).collect();
    if !lines.windows(2).any(|pair| pair == wanted) {
        found.push(format!("{REGISTRY}: lacks {} {}", wanted[0], wanted[1]));
    }
}

fn row_of(tree: &Tree, component: &Component, found: &mut Vec<String>) {
    let folder = component.folder();
    let mut rows = tree.text(OVERVIEW).lines().filter(|line| line.starts_with('|'));
    let names = |row: &str| row.contains(&format!("({folder})")) || row.contains(&format!("({folder}/"));
    if tree.has(OVERVIEW) && !rows.any(names) {
        found.push(format!("{OVERVIEW}: no row of a table links to ({folder})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: [(&str, &str); 8] = [
        ("README.md", "| [split-file](nbdkit-plugins/split-file) | many files as one |\n"),
        (
            MANIFEST,
            "[features]\nfull = [\"default\"]\ndefault = [\"split-file\"]\nsplit-file = [\"dep:nbdkit-split-file-plugin\"]\n",
        ),
        (REGISTRY, "    #[cfg(feature = \"split-file\")]\n    &nbdkit_split_file_plugin::PLUGIN,\n"),
        ("nbdkit-plugins/api/src/lib.rs", ""),
        ("nbdkit-plugins/split-file/Cargo.toml", "[package]\nname = \"nbdkit-split-file-plugin\"\n"),
        ("nbdkit-plugins/split-file/README.md", "# split-file\n\nnbdkit split-file file=A file=B\n"),
        ("nbdkit-plugins/split-file/tests/conformance.rs", "#[test] fn it() {}\n"),
        (
            "nbdkit-plugins/split-file/src/lib.rs",
            "        /// Files.\n        [magic] \"file\" | \"name\" => files: Vec<PathBuf>,\n    \"other\" => Ok(()),\n",
        ),
    ];

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut found = Vec::new();
        check(&Tree::of(files), &mut found);
        found
    }

    #[test]
    fn a_complete_plugin_passes() {
        assert_eq!(found(&TREE), [""; 0]);
    }

    #[test]
    fn each_missing_piece_is_named() {
        let wanted = [
            "README.md: no row of a table links to (nbdkit-plugins/split-file)",
            "nbdkit/Cargo.toml: [features] lacks split-file = [\"dep:nbdkit-split-file-plugin\"]",
            "nbdkit/src/registry.rs: lacks #[cfg(feature = \"split-file\")] &nbdkit_split_file_plugin::PLUGIN,",
            "",
            "nbdkit-plugins/split-file/Cargo.toml: the package is to be named nbdkit-split-file-plugin",
            "nbdkit-plugins/split-file/README.md: write the manual of the plugin split-file",
            "nbdkit-plugins/split-file/tests/: no test of the plugin split-file; add conformance.rs",
        ];
        for (i, wanted) in wanted.into_iter().enumerate().filter(|(_, wanted)| !wanted.is_empty()) {
            let mut files = TREE;
            files[i].1 = "";
            if i == 6 {
                files[i].0 = "nbdkit-plugins/split-file/tests/data";
            }
            assert_eq!(found(&files).first().map(String::as_str), Some(wanted));
        }
    }

    #[test]
    fn a_parameter_is_explained_under_its_key() {
        let mut files = TREE;
        files[5].1 = "the profile=A";
        let wanted = "nbdkit-plugins/split-file/README.md: the parameter `file` is not explained";
        assert_eq!(found(&files), [wanted]);
        assert!(explains("`[file=]PATH`", "file") && explains("of `file`", "file"));
        assert!(explains("`error-OPERATION-rate=N`", "error-pread-rate"));
        assert!(!explains("`error-OPERATION=N`", "error-pread-rate") && !explains("NAME=VALUE", "file"));
    }

    #[test]
    fn full_means_all() {
        let mut files = TREE;
        files[1].1 = "[features]\nfull = []\nsplit-file = [\"dep:nbdkit-split-file-plugin\"]\n";
        assert_eq!(found(&files), ["nbdkit/Cargo.toml: the feature full lacks \"split-file\""]);
    }

    #[test]
    fn a_circle_of_features_ends() {
        let manifest: Table = "[features]\na = [\"b\"]\nb = [\"a\"]\n".parse().unwrap();
        assert_eq!(closure(&manifest, "a").len(), 2);
    }
}
