// SPDX-License-Identifier: BSD-3-Clause
//! The files of the workspace, without those that `.gitignore` leaves out.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The text of every file, by its path from the top. A file that is not UTF-8 has none.
#[derive(Default)]
pub struct Tree {
    files: BTreeMap<String, Option<String>>,
}

impl Tree {
    pub fn read(root: &Path) -> io::Result<Tree> {
        let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
        let mut tree = Tree::default();
        tree.walk(root, "", &ignored)?;
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, ignored: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if path == ".git" || ignored.lines().any(|pattern| is_ignored(&path, pattern)) {
                continue;
            }
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"), ignored)?;
            } else if kind.is_file() {
                match fs::read(entry.path()) {
                    Ok(bytes) => drop(self.files.insert(path, String::from_utf8(bytes).ok())),
                    // A file an editor has just removed.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
        }
        Ok(())
    }

    /// Every file.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The text of a file; nothing where there is none.
    pub fn text(&self, path: &str) -> &str {
        self.files.get(path).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Every text file below a folder (`a/b/`; the top is ``) with its text.
    pub fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let folder = folder.to_owned();
        let files = self.files.iter().filter(move |(path, _)| path.starts_with(&folder));
        files.filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The folders of the crates: `nbd-proto`, `nbdkit-plugins/memory`.
    pub fn crates(&self) -> impl Iterator<Item = &str> {
        let folders = self.files.keys().filter_map(|path| path.strip_suffix("/Cargo.toml"));
        folders.filter(|folder| !folder.starts_with("xtask/"))
    }
}

/// The two forms of a pattern the project uses: `/folder` and `*.suffix`.
fn is_ignored(path: &str, pattern: &str) -> bool {
    match (pattern.strip_prefix('/'), pattern.strip_prefix('*')) {
        (Some(rooted), _) => path == rooted.trim_end_matches('/'),
        (_, Some(suffix)) => path.ends_with(suffix),
        _ => false,
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these files alone.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let text = |(path, text): &(&str, &str)| ((*path).to_owned(), Some((*text).to_owned()));
        Tree { files: files.iter().map(text).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_ignores_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["target/debug", "src/target", ".git"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for file in ["target/debug/x.rs", "src/target/y.rs", ".git/config", "a.rs.orig", "a.rs"] {
            fs::write(dir.path().join(file), "text").unwrap();
        }
        fs::write(dir.path().join("disk.img"), [0xff, 0xfe]).unwrap();
        fs::write(dir.path().join(".gitignore"), "/target\n*.orig\n").unwrap();

        let tree = Tree::read(dir.path()).unwrap();
        let texts: Vec<&str> = tree.below("").map(|(path, _)| path).collect();
        assert_eq!(texts, [".gitignore", "a.rs", "src/target/y.rs"]);
        assert!(tree.has("disk.img"));
    }
}
