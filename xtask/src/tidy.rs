// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask tidy`: the rules of the house that no compiler checks.
//!
//! Each check reads the tree and adds one line per violation, which names the file and what would be right.

use std::path::Path;

use crate::process::{Context, Failure, Result, root};

mod components;
mod manifests;
mod sources;
mod tree;

pub use tree::Tree;

pub fn run() -> Result {
    let violations = violations(root())?;
    violations.iter().for_each(|violation| println!("{violation}"));
    match violations.len() {
        0 => {
            println!("tidy");
            Ok(())
        }
        n => Err(Failure::Because(format!("{n} violations of the rules of the house"))),
    }
}

/// All that is not as it should be below `root`.
fn violations(root: &Path) -> Result<Vec<String>> {
    let tree = Tree::read(root).context(root.display())?;
    let mut found = Vec::new();
    for check in [components::check, manifests::check, sources::check] {
        check(&tree, &mut found);
    }
    Ok(found)
}

/// What is wrong with the plugins and filters below `root`.
#[cfg(test)]
pub fn of_components(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    components::check(&Tree::read(root).context(root.display())?, &mut found);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_tidy() {
        let violations = violations(root()).unwrap();
        assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
    }
}
