// SPDX-License-Identifier: BSD-3-Clause
//! `Include`: which files a path with wildcards stands for.

use super::Place;
use crate::pattern;
use std::path::{Path, PathBuf};

/// Files that include each other more deeply are refused.
const DEEPEST: u32 = 16;

/// How deep we are.
#[derive(Default)]
pub(super) struct Include {
    depth: u32,
}

impl Include {
    /// The files of `path`, in order of their names. Wildcards may be in the last part.
    pub(super) fn enter(&mut self, path: &str, place: &Place) -> Result<Vec<PathBuf>, String> {
        if self.depth == DEEPEST {
            return Err(format!("Include of {path}: more than {DEEPEST} files deep"));
        }
        let whole = match path.strip_prefix("~/") {
            Some(rest) => place.home.join(rest),
            None => place.directory.join(path),
        };
        let wild = |path: &Path| path.to_string_lossy().contains(['*', '?', '[']);
        let (Some(directory), Some(name)) = (whole.parent(), whole.file_name()) else {
            return Err(format!("Include of {path}: not a file"));
        };
        if wild(directory) {
            return Err(format!("Include of {path}: wildcards are understood in the last part only"));
        }
        self.depth += 1;
        if !wild(Path::new(name)) {
            return Ok(vec![whole]);
        }
        let pattern = name.to_string_lossy();
        let names =
            directory.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.file_name()));
        // A star does not stand for the dot of a hidden file, as in a shell.
        let mut names: Vec<_> = names
            .filter(|name| {
                let name = name.to_string_lossy();
                pattern::matches(&pattern, &name) && (!name.starts_with('.') || pattern.starts_with('.'))
            })
            .collect();
        names.sort();
        Ok(names.into_iter().map(|name| directory.join(name)).collect())
    }

    /// They have been read.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}
