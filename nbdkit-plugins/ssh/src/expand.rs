// SPDX-License-Identifier: BSD-3-Clause
//! `~` and `%h` in the names of files.

use std::path::{Path, PathBuf};

/// What the letters behind `%` stand for.
pub(crate) struct Tokens<'a> {
    /// For `~`.
    pub home: &'a Path,
    /// `%d`.
    pub directory: &'a Path,
    /// `%u`.
    pub local_user: &'a str,
    /// `%l`.
    pub local_host: &'a str,
    /// `%h`.
    pub host: &'a str,
    /// `%r`.
    pub user: &'a str,
    /// `%p`.
    pub port: u16,
}

impl Tokens<'_> {
    /// The absolute path that `name` stands for.
    ///
    /// # Errors
    /// One line that says which letter nobody knows.
    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, String> {
        let whole = match name.strip_prefix("~/") {
            Some(rest) => self.home.join(self.text(rest)?),
            None => self.text(name)?.into(),
        };
        std::path::absolute(&whole).map_err(|_| format!("'{name}' is not a path"))
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = name.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                text.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => text.push('%'),
                Some('d') => text.push_str(&self.directory.to_string_lossy()),
                Some('u') => text.push_str(self.local_user),
                Some('l') => text.push_str(self.local_host),
                Some('h') => text.push_str(self.host),
                Some('r') => text.push_str(self.user),
                Some('p') => text.push_str(&self.port.to_string()),
                _ => {
                    return Err(format!(
                        "'{name}' has a % that stands for nothing, should be %% or one of %d %u %l %h %r %p"
                    ));
                }
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        let tokens = Tokens {
            home: Path::new("/u/ann"),
            directory: Path::new("/u/ann/.ssh"),
            local_user: "ann",
            local_host: "desk",
            host: "www",
            user: "root",
            port: 22,
        };
        for (name, expected) in [
            ("~/.ssh/id", "/u/ann/.ssh/id"),
            ("%d/id_%r@%h:%p", "/u/ann/.ssh/id_root@www:22"),
            ("/a/%u.%l", "/a/ann.desk"),
            ("/a/100%%", "/a/100%"),
            ("/with space/~", "/with space/~"),
        ] {
            assert_eq!(tokens.path(name).unwrap(), Path::new(expected), "{name}");
        }
        assert!(tokens.path("/%").unwrap_err().contains("stands for nothing"));
        assert!(tokens.path("/%x").is_err());
        assert!(tokens.path("").is_err());
        assert!(tokens.path("relative").unwrap().is_absolute());
    }
}
