// SPDX-License-Identifier: BSD-3-Clause
//! `@FILE`: a file whose lines stand on the command line in its place.

use nbdkit_plugin::{Error, Result};
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// How large such a file may be, in bytes. One that is larger is something else.
const LIMIT: u64 = 16 << 20;

/// The path in `@PATH`. There is a slash in it; `@word` is an ordinary value.
pub(super) fn named_by(word: &OsStr) -> Option<&Path> {
    let path = word.as_bytes().strip_prefix(b"@")?;
    path.contains(&b'/').then(|| Path::new(OsStr::from_bytes(path)))
}

/// The parameters in `file`: one a line, with its blanks. Empty lines and lines that start with `#` do not count.
/// `@FILE` in it is relative to the directory of `file`.
///
/// # Errors
/// When a file cannot be read, is larger than 16 MiB, or includes itself.
pub fn read(file: &Path) -> Result<Vec<OsString>> {
    let mut parameters = Vec::new();
    include(file, &mut Vec::new(), &mut parameters)?;
    Ok(parameters)
}

/// `open` are the files that we are in the midst of.
fn include(file: &Path, open: &mut Vec<PathBuf>, parameters: &mut Vec<OsString>) -> Result<()> {
    let failed = |error| Error::io(error, shown(file));
    let path = std::fs::canonicalize(file).map_err(failed)?;
    if open.contains(&path) {
        return Err(Error::invalid(format!("@{}: this file includes itself", path.display())));
    }
    let mut text = Vec::new();
    File::open(&path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut text)).map_err(failed)?;
    if text.len() as u64 > LIMIT {
        return Err(Error::invalid(format!(
            "@{}: larger than {LIMIT} bytes, a file of parameters?",
            shown(file)
        )));
    }
    open.push(path);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"#")) {
        let line = OsStr::from_bytes(line);
        match named_by(line) {
            Some(other) => include(&file.parent().unwrap_or(Path::new("")).join(other), open, parameters)?,
            None => parameters.push(line.to_owned()),
        }
    }
    open.pop();
    Ok(())
}

/// Absolute, because nobody knows the directory that a message was written in.
fn shown(file: &Path) -> String {
    std::path::absolute(file).unwrap_or(file.to_owned()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(named_by("@./x".as_ref()), Some(Path::new("./x")));
        assert_eq!(named_by("@/x".as_ref()), Some(Path::new("/x")));
        for word in ["@x", "./x", "", "@", "a@/x"] {
            assert_eq!(named_by(word.as_ref()), None, "{word}");
        }
    }

    #[test]
    fn lines_become_parameters() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            path
        };
        let top = write("top", b"# one\nsize=1M\n\n  x = y \n@sub/inner\n#\n @./no\nlast=\xff");
        write("sub/inner", b"inner=1\n@../leaf\n@leaf\n");
        write("leaf", b"leaf=1\n");
        let parameters = read(&top).unwrap();
        let expected: [&[u8]; 7] =
            [b"size=1M", b"  x = y ", b"inner=1", b"leaf=1", b"@leaf", b" @./no", b"last=\xff"];
        assert_eq!(parameters.iter().map(|word| word.as_bytes()).collect::<Vec<_>>(), expected);

        let twice = write("twice", b"@./leaf\n@./leaf\n");
        assert_eq!(read(&twice).unwrap(), ["leaf=1", "leaf=1"]);
        let word = OsString::from(format!("@{}", twice.display()));
        let expanded = crate::cli::parameters::expand(&["a".into(), word, "@b".into()]).unwrap();
        assert_eq!(expanded, ["a", "leaf=1", "leaf=1", "@b"]);
    }

    #[test]
    fn files_that_cannot_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing");
        let error = read(&missing).unwrap_err().to_string();
        assert_eq!(error, format!("{}: No such file or directory", missing.display()));
        let own = dir.path().join("own");
        std::fs::write(&own, "@sub/../../x/./own").unwrap();
        std::fs::write(&own, format!("a=1\n@{}\n", own.display())).unwrap();
        assert!(read(&own).unwrap_err().to_string().ends_with("/own: this file includes itself"));
        let error = read(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "@/dev/zero: larger than 16777216 bytes, a file of parameters?");
    }
}
