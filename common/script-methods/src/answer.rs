// SPDX-License-Identifier: BSD-3-Clause
//! [`Answer`]: how a method ended if not in error, and what its text means.

use nbdkit_plugin::{BlockSize, EIO, Error, Result, Size, Support, ThreadModel, Value};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How a method ended that did not fail.
pub(crate) enum Answer {
    /// It did what it should, and printed this.
    Output(Vec<u8>),
    /// There is no such method.
    Missing,
    /// A question was answered with no.
    False,
}

impl Answer {
    /// What it printed; `None` if there is no such method.
    pub(crate) fn output(self, method: &str) -> Result<Option<Vec<u8>>> {
        match self {
            Answer::Output(output) => Ok(Some(output)),
            Answer::Missing => Ok(None),
            Answer::False => {
                Err(Error::new(EIO, format!("{method} method returned unexpected code (3/false)")))
            }
        }
    }

    /// It was called for what it does, and may be missing.
    pub(crate) fn done(self, method: &str) -> Result<()> {
        self.output(method).map(drop)
    }

    /// It cannot be done without.
    pub(crate) fn required(self, method: &str) -> Result<Vec<u8>> {
        let output = self.output(method)?;
        output.ok_or_else(|| Error::new(EIO, format!("the {method} method is required")))
    }

    /// Yes or no; `missing` if there is no such method.
    pub(crate) fn truth(&self, missing: bool) -> bool {
        match self {
            Answer::Output(_) => true,
            Answer::False => false,
            Answer::Missing => missing,
        }
    }

    /// What it printed, without the end of its last line; empty if there is no such method.
    pub(crate) fn line(self, method: &str) -> Result<OsString> {
        let mut output = self.output(method)?.unwrap_or_default();
        output.pop_if(|last| *last == b'\n');
        Ok(OsString::from_vec(output))
    }
}

/// Says what `text` was to be.
fn unclear(method: &str, text: &[u8], wanted: &str) -> Error {
    let text = String::from_utf8_lossy(text);
    let text: String = text.trim_ascii().chars().take(200).collect();
    let message = format!("could not parse output from {method} method: {text:?}, should be {wanted}");
    Error::new(EIO, message)
}

/// `1M` and the like, in bytes.
pub(crate) fn size(method: &str, text: &[u8]) -> Result<u64> {
    let word = OsStr::from_bytes(text.strip_suffix(b"\n").unwrap_or(text));
    Size::parse(word).map(|size| size.0).map_err(|why| Error::new(EIO, format!("{method}: {why}")))
}

/// `none`, `emulate` or `native`.
pub(crate) fn support(method: &str, text: &[u8]) -> Result<Support> {
    match text.trim_ascii().to_ascii_lowercase().as_slice() {
        b"none" => Ok(Support::None),
        b"emulate" => Ok(Support::Emulate),
        b"native" => Ok(Support::Native),
        _ => Err(unclear(method, text, "none, emulate or native")),
    }
}

/// Three sizes: minimum, preferred, maximum. All of them 0: no wishes.
pub(crate) fn block_size(text: &[u8]) -> Result<Option<BlockSize>> {
    let words: Vec<&[u8]> =
        text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).take(4).collect();
    let [minimum, preferred, maximum] = words[..] else {
        return Err(unclear("block_size", text, "three sizes: minimum, preferred, maximum"));
    };
    let number = |word| {
        let size = size("block_size", word)?;
        // 4G is how some write the largest of all.
        let size = if size == 1 << 32 { u64::from(u32::MAX) } else { size };
        u32::try_from(size).map_err(|_| unclear("block_size", text, "sizes of at most 4294967295"))
    };
    let block =
        BlockSize { minimum: number(minimum)?, preferred: number(preferred)?, maximum: number(maximum)? };
    if block.minimum == 0 && block.preferred == 0 && block.maximum == 0 {
        return Ok(None);
    }
    block.check().map_err(|why| Error::new(EIO, format!("block_size: {why}")))?;
    Ok(Some(block))
}

/// The model that is named; `None` for a name nobody knows, which is ignored.
pub(crate) fn thread_model(text: &[u8]) -> Option<ThreadModel> {
    std::str::from_utf8(text.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_what_they_mean() {
        assert_eq!(size("get_size", b"1M\n").unwrap(), 1 << 20);
        assert_eq!(size("get_size", b"512").unwrap(), 512);
        for text in [&b""[..], b"\n", b"1M\n\n", b"1M ", b"x", b"-1", b"1MM", b"\xff"] {
            assert!(size("get_size", text).unwrap_err().to_string().starts_with("get_size: "));
        }
        assert_eq!(support("can_fua", b"Native\n").unwrap(), Support::Native);
        assert_eq!(support("can_fua", b"EMULATE").unwrap(), Support::Emulate);
        assert_eq!(support("can_fua", b" none ").unwrap(), Support::None);
        let error = support("can_fua", b"maybe\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "could not parse output from can_fua method: \"maybe\", should be none, emulate or native"
        );
        assert_eq!(thread_model(b"serialize-requests\n"), Some(ThreadModel::SerializeRequests));
        assert_eq!(thread_model(b"parallel"), Some(ThreadModel::Parallel));
        assert_eq!(thread_model(b"fast"), None);
    }

    #[test]
    fn block_sizes() {
        let block = |minimum, preferred, maximum| Some(BlockSize { minimum, preferred, maximum });
        assert_eq!(block_size(b"1 4K 4294967295\n").unwrap(), block(1, 4096, u32::MAX));
        assert_eq!(block_size(b"\n512\t4096\n1M").unwrap(), block(512, 4096, 1 << 20));
        assert_eq!(block_size(b"1 512 4G").unwrap(), block(1, 512, u32::MAX));
        assert_eq!(block_size(b"0 0 0").unwrap(), None);
        for text in ["", "1", "1 2", "1 512 512 512", "1 a 2", "3 4096 4096", "1 512 8G", "512 512 700"] {
            assert!(block_size(text.as_bytes()).is_err(), "{text}");
        }
    }
}
