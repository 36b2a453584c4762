// SPDX-License-Identifier: BSD-3-Clause
//! Every crate takes its lints and the versions of its dependencies from the workspace.

use toml::{Table, Value};

use super::Tree;

pub fn check(tree: &Tree, found: &mut Vec<String>) {
    for folder in tree.crates() {
        let path = format!("{folder}/Cargo.toml");
        match tree.text(&path).parse::<Table>() {
            // A crate that is a workspace of its own cannot inherit.
            Ok(manifest) if manifest.contains_key("workspace") => {}
            Ok(manifest) => member(&path, &manifest, found),
            Err(e) => found.push(format!("{path}: {}", e.message())),
        }
    }
}

fn member(path: &str, manifest: &Table, found: &mut Vec<String>) {
    if manifest.get("lints").is_none_or(|lints| !inherits(lints)) {
        found.push(format!("{path}: lacks [lints] workspace = true"));
    }
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    for table in [manifest].into_iter().chain(platforms.filter_map(|(_, platform)| platform.as_table())) {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = table.get(kind).and_then(Value::as_table).into_iter().flatten();
            for (name, _) in
                dependencies.filter(|(_, dependency)| !inherits(dependency) && !is_itself(dependency))
            {
                found.push(format!(
                    "{path}: {kind} {name}: say workspace = true here, the version in the table of the workspace"
                ));
            }
        }
    }
}

fn inherits(value: &Value) -> bool {
    value.get("workspace").and_then(Value::as_bool) == Some(true)
}

/// A crate whose tests want a feature of its own has no version to say.
fn is_itself(value: &Value) -> bool {
    value.get("path").and_then(Value::as_str) == Some(".") && value.get("version").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(manifest: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(&Tree::of(&[("a/Cargo.toml", manifest)]), &mut found);
        found
    }

    #[test]
    fn what_is_inherited_passes() {
        let manifest = "[lints]\nworkspace = true\n[dependencies]\nlibc.workspace = true\n\
                        nix = { workspace = true, optional = true }\n";
        assert_eq!(found(manifest), [""; 0]);
        assert_eq!(found("[lints]\nworkspace = true\n[dev-dependencies]\na = { path = \".\" }\n"), [""; 0]);
        assert_eq!(found("[workspace]\n[dependencies]\nlibc = \"0.2\"\n"), [""; 0]);
    }

    #[test]
    fn a_version_of_its_own_is_found_in_every_table() {
        for table in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.build-dependencies"] {
            for libc in ["\"0.2\"", "{ version = \"0.2\" }", "{ path = \"../libc\" }"] {
                let found = found(&format!("[lints]\nworkspace = true\n[{table}]\nlibc = {libc}\n"));
                assert_eq!(found.len(), 1, "{table} {libc}");
                assert!(found[0].contains("dependencies libc: say workspace = true"), "{}", found[0]);
            }
        }
    }

    #[test]
    fn lints_are_wanted() {
        assert_eq!(found("[package]\n"), ["a/Cargo.toml: lacks [lints] workspace = true"]);
    }
}
