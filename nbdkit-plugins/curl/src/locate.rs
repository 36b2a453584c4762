// SPDX-License-Identifier: BSD-3-Clause
//! Finding the disk: where the URL leads in the end, how large it is, and whether parts of it can be had.

use crate::{
    failure::{nonsense, refused},
    location::{allowed, shown},
    range::{ContentRange, range_header},
    remote::{Question, Remote},
};
use nbdkit_plugin::{EIO, Error, Log, Result};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, LOCATION},
};

/// How often it may be redirected.
const REDIRECTS: u32 = 30;

const NO_RANGES: &str = "server does not support 'range' (byte range) requests";

/// Where the disk is at the moment.
pub(crate) struct Place {
    pub(crate) url: Url,
    pub(crate) size: u64,
}

/// What an answer says of it.
enum Clue {
    /// It is elsewhere.
    Moved(Url),
    /// It is here and has this many bytes.
    Size(u64),
    /// Ask in another way.
    Unclear,
}

/// Follows the URL of the user to its end.
///
/// # Errors
/// When the disk cannot be found, or not be read in parts.
pub(crate) async fn locate(remote: &Remote, log: &Log) -> Result<Place> {
    let mut url = remote.url.clone();
    for _ in 0..=REDIRECTS {
        allowed(&url, remote.protocols)?;
        let mut clue = probe(remote, &url, Method::HEAD, log).await?;
        if let Clue::Unclear = clue {
            clue = probe(remote, &url, Method::GET, log).await?;
        }
        match clue {
            Clue::Moved(next) => {
                log.debug(format_args!("{} is at {}", shown(&url), shown(&next)));
                url = next;
            }
            Clue::Size(size) => return Ok(Place { url, size }),
            // GET is clear about it.
            Clue::Unclear => return Err(Error::new(EIO, NO_RANGES)),
        }
    }
    Err(Error::new(EIO, format!("{} is redirected more than {REDIRECTS} times", shown(&remote.url))))
}

async fn probe(remote: &Remote, url: &Url, method: Method, log: &Log) -> Result<Clue> {
    let range = (method == Method::GET).then(|| range_header(0, 1));
    let question = Question { method: method.clone(), url: url.clone(), range, body: None };
    let judge = |answer: Response| match redirect(remote, url, &answer)? {
        Some(next) => Ok(Clue::Moved(next)),
        None if method == Method::HEAD => head(&answer),
        None => first_byte(&answer),
    };
    // What follows the head is not wanted; the connection goes with it.
    let clue = remote.turn(async { judge(remote.ask(question, log).await?) }).await;
    clue.map_err(|error| match error.message() {
        NO_RANGES => error,
        _ => error.context(format!("problem doing {method} request to fetch size of URL [{}]", shown(url))),
    })
}

/// Where the server sends us.
///
/// # Errors
/// When the user does not want to go there.
pub(crate) fn redirect(remote: &Remote, from: &Url, answer: &Response) -> Result<Option<Url>> {
    let Some(to) = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection()) else {
        return Ok(None);
    };
    let to = to.to_str().ok().and_then(|to| from.join(to).ok());
    let mut to = to.ok_or_else(|| nonsense("it redirects to what is not a URL"))?;
    if !remote.follow {
        return Err(refused(answer.status()).context(format!(
            "the server redirects to {}, which followlocation=false does not allow",
            shown(&to)
        )));
    }
    // Nobody but the user gives passwords.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    allowed(&to, remote.protocols).map_err(|error| error.context("the server redirects"))?;
    Ok(Some(to))
}

/// Says all there is to know, or that it must be asked with GET: some servers do not answer HEAD, or sign URLs for GET
/// alone; others can send parts but do not mention it.
fn head(answer: &Response) -> Result<Clue> {
    let status = answer.status();
    match status.as_u16() {
        400 | 403 | 405 | 501 => return Ok(Clue::Unclear),
        _ if status.is_success() => {}
        _ => return Err(refused(status)),
    }
    let length = length(answer.headers());
    let ranges = answer.headers().get(ACCEPT_RANGES).and_then(|value| value.to_str().ok());
    let ranges =
        ranges.is_some_and(|units| units.split(',').any(|unit| unit.trim().eq_ignore_ascii_case("bytes")));
    match length {
        Some(0) => Ok(Clue::Size(0)),
        Some(size) if ranges => size_of(size),
        _ => Ok(Clue::Unclear),
    }
}

/// The answer to a request for the first byte.
fn first_byte(answer: &Response) -> Result<Clue> {
    let range = answer.headers().get(CONTENT_RANGE).map(ContentRange::parse);
    match (answer.status(), range) {
        (StatusCode::PARTIAL_CONTENT, Some(Some(ContentRange { part: Some((0, 0)), total: Some(size) }))) => {
            size_of(size)
        }
        (StatusCode::RANGE_NOT_SATISFIABLE, Some(Some(ContentRange { part: None, total: Some(0) }))) => {
            Ok(Clue::Size(0))
        }
        (StatusCode::PARTIAL_CONTENT, _) => {
            Err(nonsense("it was asked for the first byte, and does not say how large the whole is"))
        }
        (status, _) if !status.is_success() => Err(refused(status)),
        _ if length(answer.headers()) == Some(0) => Ok(Clue::Size(0)),
        _ => Err(Error::new(EIO, NO_RANGES)),
    }
}

fn size_of(size: u64) -> Result<Clue> {
    match i64::try_from(size) {
        Ok(_) => Ok(Clue::Size(size)),
        Err(_) => Err(nonsense(format_args!("a disk of {size} bytes, should be below 2^63"))),
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
