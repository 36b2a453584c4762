// SPDX-License-Identifier: BSD-3-Clause
//! [`Files`]: the open files of one client, and which parts of them a span of the disk consists of.

use nbdkit_plugin::{Arc, EFBIG, Error, Result, Span};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// One after the other, without those that are empty.
pub(crate) struct Files(Vec<Part>);

/// A file, and which part of the disk it is.
pub(crate) struct Part {
    pub(crate) file: Arc<File>,
    name: PathBuf,
    /// As long as the file was when it was opened.
    span: Span,
}

/// Where `path` leads to, so that it is known at the start of the server that there is a file.
///
/// # Errors
/// When there is none, or it is not a regular one.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let failed = |error| Error::io(error, path.display().to_string());
    let real = path.canonicalize().map_err(failed)?;
    match fs::metadata(&real).map_err(failed)?.is_file() {
        true => Ok(real),
        false => Err(Error::invalid(format!("{}: should be a regular file", path.display()))),
    }
}

impl Files {
    /// Opens all of them for reading, and for writing unless `read_only`. May sleep.
    pub(crate) fn open(paths: &[PathBuf], read_only: bool) -> Result<Files> {
        let mut parts: Vec<Part> = Vec::new();
        for path in paths {
            let failed = |error| Error::io(error, format!("open: {}", path.display()));
            let file = File::options().read(true).write(!read_only).open(path).map_err(failed)?;
            let start = parts.last().map_or(0, |part| part.span.end());
            let len = file.metadata().map_err(failed)?.len();
            // `i64::MAX` is the largest size of a disk, and of a file.
            if start.checked_add(len).is_none_or(|end| i64::try_from(end).is_err()) {
                let name = path.display();
                return Err(Error::new(EFBIG, format!("{name}: the files are 8E or more together")));
            }
            if len > 0 {
                parts.push(Part { file: Arc::new(file), name: path.clone(), span: Span::new(start, len) });
            }
        }
        Ok(Files(parts))
    }

    /// In bytes, of all of them.
    pub(crate) fn size(&self) -> u64 {
        self.0.last().map_or(0, |part| part.span.end())
    }

    /// The pieces of files that `span` consists of, in order: offsets are within the file.
    pub(crate) fn pieces(&self, span: Span) -> impl Iterator<Item = (&Part, Span)> {
        let first = self.0.partition_point(|part| part.span.end() <= span.offset);
        let touched = self.0[first..].iter().take_while(move |part| part.span.offset < span.end());
        touched.map(move |part| {
            let start = span.offset.max(part.span.offset);
            let end = span.end().min(part.span.end());
            (part, Span::new(start - part.span.offset, end - start))
        })
    }

    /// Writes all of `data`. May sleep.
    ///
    /// # Errors
    /// When a file cannot be written; what comes before it has been.
    pub(crate) fn write(&self, mut data: &[u8], offset: u64) -> Result<()> {
        for (part, piece) in self.pieces(Span::new(offset, data.len() as u64)) {
            // The pieces are as long as `data` together.
            let (bytes, rest) = data.split_at(piece.len as usize);
            part.file
                .write_all_at(bytes, piece.offset)
                .map_err(|error| part.failed(error, "write", piece))?;
            data = rest;
        }
        Ok(())
    }
}

impl Part {
    /// The error of a failed system call: `NAME: write of 512 bytes at offset 0: No space left on device`.
    pub(crate) fn failed(&self, error: io::Error, call: &str, Span { offset, len }: Span) -> Error {
        Error::io(error, format!("{}: {call} of {len} bytes at offset {offset}", self.name.display()))
    }
}
