// SPDX-License-Identifier: BSD-3-Clause
//! What `extents` prints: `OFFSET LENGTH [TYPE]`, one extent on a line.

use nbdkit_plugin::{EIO, Error, Extent, Extents, Result, Size, Span, Value};
use std::ffi::OsStr;

/// The most extents that are passed on at once: a client that wants more asks again.
const MOST: usize = 1 << 20;
/// Bits of a type that is a number, as in `nbdkit_add_extent`.
const HOLE: u64 = 1;
const ZERO: u64 = 2;

/// The extents from the start of `span` on. They must follow one another without gaps; what is before the span is
/// left out, and what is after it is not looked at.
pub(crate) fn extents(text: &[u8], span: Span) -> Result<Extents> {
    let text = String::from_utf8_lossy(text);
    let mut extents = Extents::new();
    let mut next = None;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (at, extent) = parse(line)?;
        let wrong = |why: String| Err(Error::new(EIO, format!("extents: \"{}\": {why}", shown(line))));
        match next {
            Some(next) if next != at => {
                return wrong(format!("should start at {next}, where the last one ends"));
            }
            None if at > span.offset => {
                return wrong(format!("the first one should not start after {}", span.offset));
            }
            _ => {}
        }
        // Neither is above i64::MAX.
        let end = at + extent.len;
        next = Some(end);
        let start = at.max(span.offset);
        if end > start {
            extents.push(Extent { len: end.min(span.end()) - start, ..extent });
        }
        if end >= span.end() || extents.count() >= MOST {
            break;
        }
    }
    match extents.is_empty() {
        true => Err(Error::new(EIO, "extents: should print at least one extent of the range asked for")),
        false => Ok(extents),
    }
}

/// Where one starts, and what it is.
fn parse(line: &str) -> Result<(u64, Extent)> {
    let bad = |why: &str| Error::new(EIO, format!("extents: could not parse \"{}\": {why}", shown(line)));
    let size = |word: &str| Size::parse(OsStr::new(word)).map(|size| size.0).map_err(|why| bad(&why));
    let mut words = line.split_ascii_whitespace();
    let (Some(at), Some(len)) = (words.next(), words.next()) else {
        return Err(bad("should be OFFSET LENGTH [TYPE]"));
    };
    let kind = match words.next() {
        None => 0,
        Some(word) => kind(word).ok_or_else(|| bad("the type should be a number, or hole,zero"))?,
    };
    Ok((size(at)?, Extent { len: size(len)?, hole: kind & HOLE != 0, zero: kind & ZERO != 0 }))
}

/// A number, or words among which `hole` and `zero` count.
fn kind(word: &str) -> Option<u64> {
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        return u32::parse(OsStr::new(word)).ok().map(u64::from);
    }
    let bit = |name, bit| if word.contains(name) { bit } else { 0 };
    Some(bit("hole", HOLE) | bit("zero", ZERO))
}

fn shown(line: &str) -> String {
    line.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, offset: u64, len: u64) -> Vec<(u64, bool, bool)> {
        let extents = extents(text.as_bytes(), Span::new(offset, len)).unwrap();
        extents.iter().map(|extent| (extent.len, extent.hole, extent.zero)).collect()
    }

    #[test]
    fn lines_and_types() {
        for (kind, hole, zero) in [
            ("", false, false),
            ("0", false, false),
            ("1", true, false),
            ("2", false, true),
            ("3", true, true),
            ("0x3", true, true),
            ("hole", true, false),
            ("zero", false, true),
            ("hole,zero", true, true),
            ("zero,hole", true, true),
            ("data", false, false),
        ] {
            assert_eq!(parsed(&format!("0 1M {kind}\n"), 0, 4096), [(4096, hole, zero)], "{kind}");
        }
    }

    #[test]
    fn only_what_was_asked_for() {
        let text = "# all of it\n\n  0 4K hole,zero\n4096 4K\n\t8K 1k zero\n9K 1G 1";
        let all = [(4096, true, true), (4096, false, false), (1024, false, true), (90, true, false)];
        assert_eq!(parsed(text, 0, 9 * 1024 + 90), all);
        assert_eq!(parsed(text, 5000, 100), [(100, false, false)]);
        assert_eq!(parsed(text, 4000, 100), [(96, true, true), (4, false, false)]);
        assert_eq!(parsed("0 100", 0, 200), [(100, false, false)], "may end early");
        assert_eq!(parsed("0 100\n100 0 hole\n100 1 hole", 0, 200), [(100, false, false), (1, true, false)]);
        // What comes after is not looked at.
        assert_eq!(parsed("0 7E\nnonsense", 1, 9), [(9, false, false)]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, why) in [
            ("", "should print at least one extent"),
            ("# nothing\n", "should print at least one extent"),
            ("0 100\n100 0\n", "should print at least one extent"),
            ("0\n", "could not parse \"0\": should be OFFSET LENGTH [TYPE]"),
            ("a b\n", "could not parse \"a b\""),
            ("0 -1\n", "could not parse \"0 -1\": size cannot be negative"),
            ("0 200 9x\n", "could not parse \"0 200 9x\": the type should be a number, or hole,zero"),
            ("200 1\n", "\"200 1\": the first one should not start after 150"),
            ("0 151\n152 50", "\"152 50\": should start at 151, where the last one ends"),
            ("0 151\n150 50", "\"150 50\": should start at 151, where the last one ends"),
        ] {
            let error = extents(text.as_bytes(), Span::new(150, 50)).unwrap_err();
            assert_eq!(error.errno(), EIO);
            assert!(error.to_string().contains(why), "{text:?}: {error}");
        }
        assert_eq!(parsed("9223372036854775807 1\n", i64::MAX as u64, 1), [(1, false, false)]);
        let edge = "9223372036854775807 9223372036854775807\n18446744073709551614 1";
        assert!(extents(edge.as_bytes(), Span::new(i64::MAX as u64, 1)).is_ok());
    }
}
