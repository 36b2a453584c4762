// SPDX-License-Identifier: BSD-3-Clause
//! Adds a component to the lists kept by hand, in its alphabetical place, leaving all other bytes alone.

use crate::component::Component;

/// What becomes of a file's text, or why it cannot be.
type Edit = fn(&str, &Component, &str) -> Result<String, String>;

/// Every file with a list of components.
pub const EDITS: [(&str, Edit); 4] = [
    ("Cargo.toml", workspace),
    ("nbdkit/Cargo.toml", program),
    ("nbdkit/src/registry.rs", registry),
    ("README.md", overview),
];

/// The table of versions.
fn workspace(text: &str, component: &Component, _: &str) -> Result<String, String> {
    let package = component.package();
    let line = format!(
        "{package} = {{ path = \"{}\", version = \"{}\" }}",
        component.folder(),
        env!("CARGO_PKG_VERSION")
    );
    insert(text, |line| is_dependency(line, component), &[&line])
}

/// The optional dependency, the feature, and the group of all features.
fn program(text: &str, component: &Component, _: &str) -> Result<String, String> {
    let (name, package) = (component.feature(), component.package());
    if text.lines().any(|line| line.starts_with(&format!("{name} = "))) {
        return Err(format!("the feature {name} is there already"));
    }
    let text = insert(
        text,
        |line| is_dependency(line, component),
        &[&format!("{package} = {{ workspace = true, optional = true }}")],
    )?;
    let feature = |line: &str| {
        line.contains(" = [\"dep:nbdkit-") && line.contains(&format!("-{}\"", component.kind.word()))
    };
    let text = insert(&text, feature, &[&format!("{name} = [\"dep:{package}\"]")])?;

    let group = text.lines().find(|line| line.starts_with("full = [") && line.ends_with(']'));
    let group = group.ok_or("no line full = [...] to add a feature to")?;
    Ok(text.replace(group, &format!("{}, \"{name}\"]", &group[..group.len() - 1])))
}

fn registry(text: &str, component: &Component, _: &str) -> Result<String, String> {
    let [feature, entry] = component.registration().map(|line| format!("    {line}"));
    let symbol = format!("_{}::", component.kind.word());
    insert(text, |line| line.starts_with("    &nbdkit_") && line.contains(&symbol), &[&feature, &entry])
}

/// The table of the README, whose first two columns are the name and what it does.
fn overview(text: &str, component: &Component, summary: &str) -> Result<String, String> {
    let home = format!("]({}/", component.kind.home());
    let api = format!("]({}/api)", component.kind.home());
    let is_row = |line: &str| line.starts_with('|') && line.contains(&home) && !line.contains(&api);
    let columns = text.lines().find(|line| is_row(line)).map_or(2, |row| row.matches('|').count() - 1);
    let rest = " |".repeat(columns.saturating_sub(2));
    let row = format!("| [{}]({}) | {summary} |{rest}", component.name, component.folder());
    insert(text, is_row, &[&row])
}

fn is_dependency(line: &str, component: &Component) -> bool {
    line.starts_with("nbdkit-") && line.contains(&format!("-{} = ", component.kind.word()))
}

/// Inserts `entry` among its likes: before the first that is greater, or after the last. Each is as many lines as
/// `entry`, and `is_like` knows the last of them.
fn insert(text: &str, is_like: impl Fn(&str) -> bool, entry: &[&str]) -> Result<String, String> {
    let last = entry.last().copied().unwrap_or_default();
    let mut lines: Vec<&str> = text.lines().collect();
    let likes: Vec<usize> = (0..lines.len()).filter(|&at| is_like(lines[at])).collect();
    let greater = likes.iter().find(|&&at| lines[at] > last).map(|&at| (at + 1).saturating_sub(entry.len()));
    let at = greater
        .or(likes.last().map(|&at| at + 1))
        .ok_or_else(|| format!("no line like {last:?} to put it beside"))?;
    lines.splice(at..at, entry.iter().copied());
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Kind;

    #[test]
    fn an_entry_finds_its_place() {
        let list = "x\n#c\nc\n#e\ne\ny\n";
        let insert = |entry: &[&str]| insert(list, |line| line.len() == 1 && line < "f", entry).unwrap();
        assert_eq!(insert(&["#a", "a"]), "x\n#a\na\n#c\nc\n#e\ne\ny\n");
        assert_eq!(insert(&["#d", "d"]), "x\n#c\nc\n#d\nd\n#e\ne\ny\n");
        assert_eq!(insert(&["#f", "f"]), "x\n#c\nc\n#e\ne\n#f\nf\ny\n");
    }

    #[test]
    fn a_list_that_is_not_there_is_named() {
        let component = Component::new(Kind::Plugin, "new").unwrap();
        for (path, edit) in EDITS {
            let why = edit("", &component, "").unwrap_err();
            assert!(why.contains("to put it beside"), "{path}: {why}");
        }
    }

    #[test]
    fn a_row_has_as_many_columns_as_the_others() {
        let component = Component::new(Kind::Filter, "new").unwrap();
        let table = "| [cow](nbdkit-filters/cow) | an overlay | yes | |\n";
        assert_eq!(
            overview(table, &component, "does").unwrap(),
            table.to_owned() + "| [new](nbdkit-filters/new) | does | | |\n"
        );
    }
}
