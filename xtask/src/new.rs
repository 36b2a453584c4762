// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask new`: a plugin or filter that compiles, is tested and is registered, for its author to fill.

use std::fs;
use std::path::Path;

use crate::component::{Component, Kind};
use crate::process::{Context, Failure, Result, cargo, root, run as run_command};

mod edit;
mod proof;

pub use proof::prove;

#[derive(clap::Args)]
pub struct Options {
    kind: Kind,
    /// Its name on the command line: lowercase letters, digits, dashes
    name: String,
    /// What it does: one line, lower case, no full stop
    #[arg(long, default_value = "says here what it does")]
    summary: String,
}

/// The files of a crate: where each goes, its template for a plugin and for a filter.
const FILES: [(&str, &str, &str); 4] = [
    (
        "Cargo.toml",
        include_str!("../templates/plugin/Cargo.toml"),
        include_str!("../templates/filter/Cargo.toml"),
    ),
    (
        "README.md",
        include_str!("../templates/plugin/README.md"),
        include_str!("../templates/filter/README.md"),
    ),
    ("src/lib.rs", include_str!("../templates/plugin/lib.rs"), include_str!("../templates/filter/lib.rs")),
    (
        "tests/conformance.rs",
        include_str!("../templates/plugin/conformance.rs"),
        include_str!("../templates/filter/conformance.rs"),
    ),
];

pub fn run(options: &Options) -> Result {
    let component = Component::new(options.kind, &options.name)?;
    create(root(), &component, &options.summary)?;
    let (folder, package) = (component.folder(), component.package());
    // The lock file learns of the crate; nothing else in it moves.
    run_command(&mut cargo(["update", "--quiet", "--offline", "--workspace"]))?;
    // Where lines break depends on the length of the name.
    run_command(&mut cargo(["fmt", "--package", &package]))?;

    println!("{folder} is there, registered, and works. Now:");
    println!("1. Write what it does in {folder}/src/lib.rs, and its manual in {folder}/README.md.");
    println!("2. Try it: cargo test -p {package}; cargo run --features {} -- ...", component.feature());
    println!("3. If it is pure Rust and light, move its feature from full to default in nbdkit/Cargo.toml.");
    println!("cargo xtask tidy says what is still missing.");
    Ok(())
}

/// Writes the crate and its line in every list, below `root`. Changes nothing when that cannot be done.
fn create(root: &Path, component: &Component, summary: &str) -> Result {
    if summary.contains(['"', '\\', '\n']) {
        return Err("--summary: one line without quotes and backslashes".into());
    }
    let folder = root.join(component.folder());
    if folder.exists() {
        return Err(format!("{}: exists already; choose another name", component.folder()).into());
    }
    let read = |path: &str| fs::read_to_string(root.join(path)).context(path);
    let mut changed = Vec::new();
    // A checkout of the crates alone has no README at the top.
    let lists = edit::EDITS.into_iter().filter(|(path, _)| *path != "README.md" || root.join(path).exists());
    for (path, edit) in lists {
        match edit(&read(path)?, component, summary) {
            Ok(text) => changed.push((root.join(path), text)),
            Err(why) => return Err(Failure::Because(format!("{path}: {why}"))),
        }
    }
    for (path, plugin, filter) in FILES {
        let template = match component.kind {
            Kind::Plugin => plugin,
            Kind::Filter => filter,
        };
        changed.push((folder.join(path), fill(template, component, summary)));
    }
    for (path, text) in changed {
        let parent = path.parent().unwrap_or(root);
        fs::create_dir_all(parent).context(parent.display())?;
        fs::write(&path, text).context(path.display())?;
    }
    Ok(())
}

/// Puts the names into a template.
fn fill(template: &str, component: &Component, summary: &str) -> String {
    template
        .replace("@name@", &component.name)
        .replace("@package@", &component.package())
        .replace("@ident@", &component.ident())
        .replace("@Type@", &component.type_name())
        .replace("@summary@", summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy;

    const LISTS: [&str; 4] = ["Cargo.toml", "nbdkit/Cargo.toml", "nbdkit/src/registry.rs", "README.md"];

    /// The lists of this workspace, and no components.
    fn workspace() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("nbdkit/src")).unwrap();
        for list in LISTS.into_iter().filter(|list| root().join(list).exists()) {
            fs::copy(root().join(list), dir.path().join(list)).unwrap();
        }
        dir
    }

    #[test]
    fn what_is_created_is_tidy() {
        let dir = workspace();
        let (plugin, filter) = ("aa-first", "zz-last");
        create(dir.path(), &Component::new(Kind::Plugin, plugin).unwrap(), "reads ones").unwrap();
        create(dir.path(), &Component::new(Kind::Filter, filter).unwrap(), "hides ones").unwrap();

        let violations = tidy::of_components(dir.path()).unwrap();
        assert!(violations.is_empty(), "{}", violations.join("\n"));
        for (path, text) in tidy::Tree::read(dir.path()).unwrap().below("nbdkit-") {
            assert!(!text.contains('@'), "{path} has a placeholder left:\n{text}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let dir = workspace();
        let component = Component::new(Kind::Plugin, "aa-first").unwrap();
        create(dir.path(), &component, "x").unwrap();
        let again = create(dir.path(), &component, "y").unwrap_err();
        assert_eq!(
            again,
            Failure::Because("nbdkit-plugins/aa-first: exists already; choose another name".into())
        );
        let filter = create(dir.path(), &Component::new(Kind::Filter, "aa-first").unwrap(), "y").unwrap_err();
        assert_eq!(
            filter,
            Failure::Because("nbdkit/Cargo.toml: the feature aa-first is there already".into())
        );
        assert!(!dir.path().join("nbdkit-filters").exists());
    }

    #[test]
    fn a_summary_cannot_break_out_of_its_string() {
        let component = Component::new(Kind::Plugin, "aa-first").unwrap();
        assert!(create(workspace().path(), &component, "a \"b\"").is_err());
    }
}
