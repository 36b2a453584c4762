// SPDX-License-Identifier: BSD-3-Clause
//! Byte ranges in HTTP (RFC 9110, section 14): asking for one, and checking what comes.

use crate::{
    failure::{nonsense, refused, unanswered},
    location::shown,
};
use nbdkit_plugin::{BufMut, EIO, Error, Result};
use reqwest::{
    Response, StatusCode, Url,
    header::{CONTENT_RANGE, HeaderName, HeaderValue, RANGE},
};

/// Asks for `len` bytes, at least one, from `offset`.
pub(crate) fn range_header(offset: u64, len: u64) -> (HeaderName, HeaderValue) {
    (RANGE, value(format!("bytes={offset}-{}", offset + (len - 1))))
}

/// Says that `len` bytes, at least one, are for `offset` of a disk of `size` bytes.
pub(crate) fn content_range_header(offset: u64, len: u64, size: u64) -> (HeaderName, HeaderValue) {
    (CONTENT_RANGE, value(format!("bytes {offset}-{}/{size}", offset + (len - 1))))
}

fn value(text: String) -> HeaderValue {
    // Digits and a few letters.
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// `bytes 0-499/1234`, `bytes 0-499/*`, `bytes */1234`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ContentRange {
    /// The first and the last byte.
    pub(crate) part: Option<(u64, u64)>,
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    pub(crate) fn parse(value: &HeaderValue) -> Option<ContentRange> {
        let (unit, rest) = value.to_str().ok()?.trim().split_once(' ')?;
        let (part, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let number = |text: &str| text.trim().parse::<u64>();
        let part = match part.trim() {
            "*" => None,
            part => {
                let (first, last) = part.split_once('-')?;
                Some((number(first).ok()?, number(last).ok()?))
            }
        };
        let total = match total.trim() {
            "*" => None,
            total => Some(number(total).ok()?),
        };
        Some(ContentRange { part, total })
    }
}

/// Fills `buf` from the answer to a request for as many bytes from `offset` of a disk of `size` bytes.
///
/// # Errors
/// When it is another answer than that, or one byte too long or too short.
pub(crate) async fn receive(
    mut answer: Response,
    mut buf: BufMut,
    offset: u64,
    size: u64,
    url: &Url,
) -> Result<BufMut> {
    check(&answer, offset, buf.len() as u64, size)?;
    let mut at = 0;
    while let Some(chunk) = answer.chunk().await.map_err(|error| unanswered(&error.without_url(), url))? {
        let end = at + chunk.len();
        let Some(to) = buf.get_mut(at..end) else {
            return Err(nonsense(format_args!(
                "it is longer than the {} bytes that were asked for",
                buf.len()
            )));
        };
        to.copy_from_slice(&chunk);
        at = end;
    }
    match at == buf.len() {
        true => Ok(buf),
        false => Err(nonsense(format_args!("it ends after {at} of {} bytes of {}", buf.len(), shown(url)))),
    }
}

fn check(answer: &Response, offset: u64, len: u64, size: u64) -> Result<()> {
    let status = answer.status();
    if status == StatusCode::OK {
        // Some send the whole when the whole is asked for.
        return match len == size {
            true => Ok(()),
            false => {
                Err(Error::new(EIO, "the server does not support 'range' (byte range) requests any more"))
            }
        };
    }
    if status != StatusCode::PARTIAL_CONTENT {
        return Err(refused(status));
    }
    let said = answer.headers().get(CONTENT_RANGE).and_then(ContentRange::parse);
    let Some(ContentRange { part: Some(part), total }) = said else {
        return Err(nonsense("it is a part (206) and does not say which, in Content-Range"));
    };
    let asked = (offset, offset + (len - 1));
    if part != asked {
        return Err(nonsense(format_args!(
            "it was asked for bytes {}-{} and sends {}-{}",
            asked.0, asked.1, part.0, part.1
        )));
    }
    match total {
        Some(total) if total != size => Err(Error::new(
            EIO,
            format!(
                "the size at the server has changed: it was {size} bytes when the disk was opened, and is {total}"
            ),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        assert_eq!(range_header(0, 1).1, "bytes=0-0");
        assert_eq!(range_header(512, 512).1, "bytes=512-1023");
        assert_eq!(content_range_header(512, 512, 4096).1, "bytes 512-1023/4096");
    }

    #[test]
    fn what_servers_say() {
        let parse = |text: &'static str| ContentRange::parse(&HeaderValue::from_static(text));
        let range = |part, total| Some(ContentRange { part, total });
        assert_eq!(parse("bytes 0-499/1234"), range(Some((0, 499)), Some(1234)));
        assert_eq!(parse("Bytes  0-499/*"), range(Some((0, 499)), None));
        assert_eq!(parse("bytes */0"), range(None, Some(0)));
        for text in [
            "",
            "bytes",
            "bytes 0-499",
            "lines 0-1/2",
            "bytes 0/1",
            "bytes -1-2/3",
            "bytes 0-99999999999999999999/1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
