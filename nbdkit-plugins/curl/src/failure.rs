// SPDX-License-Identifier: BSD-3-Clause
//! What went wrong with a request, in one line without secrets.

use nbdkit_plugin::{EIO, ENOSPC, Error};
use reqwest::{StatusCode, Url};
use std::{error::Error as StdError, io};

/// The server answered, and refused.
pub(crate) fn refused(status: StatusCode) -> Error {
    let errno = if status == StatusCode::INSUFFICIENT_STORAGE { ENOSPC } else { EIO };
    // Without the reason of the server, which may say anything.
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    let code = status.as_u16();
    Error::new(
        errno,
        format!("HTTP response code said error: The requested URL returned error: {code}{reason}"),
    )
}

/// The answer is not one to the question.
pub(crate) fn nonsense(what: impl std::fmt::Display) -> Error {
    Error::new(EIO, format!("the server's answer makes no sense: {what}"))
}

/// There was no answer.
pub(crate) fn unanswered(error: &reqwest::Error, url: &Url) -> Error {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    if let Some(tls) = find::<rustls::Error>(error) {
        return Error::new(EIO, certificate_or_other(tls));
    }
    // The library's own words for what failed stand somewhere in the chain: "dns error", "tcp connect error".
    let chain = chain(error);
    let message = match () {
        () if chain.iter().any(|text| text == "dns error") => {
            format!("Couldn't resolve host name: Could not resolve host: {host}: {}", last(&chain))
        }
        () if error.is_connect() => {
            format!(
                "Couldn't connect to server: Failed to connect to {host} port {port}: {}",
                chain.join(": ")
            )
        }
        () => chain.join(": "),
    };
    Error::new(EIO, message)
}

fn certificate_or_other(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => {
            format!("SSL certificate problem: certificate verify failed: {}", certificate(why))
        }
        error => format!("TLS: {error}"),
    }
}

fn certificate(why: &rustls::CertificateError) -> String {
    use rustls::CertificateError::*;
    match why {
        UnknownIssuer => {
            "its issuer is not trusted: give the certificate of the issuer with cainfo= or capath=".into()
        }
        Other(rustls::OtherError(other)) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is the certificate of an issuer (CA:TRUE), and not of a server".into()
        }
        why => why.to_string(),
    }
}

/// The first error of this type among the causes, also inside errors of the system.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // Such an error skips what it wraps when asked for its source.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inner.and_then(|inner| find(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What each of the causes says. Not the first, which repeats the URL.
fn chain(error: &reqwest::Error) -> Vec<String> {
    let mut texts = Vec::new();
    let mut next = error.source();
    while let Some(error) = next {
        let text = match error.downcast_ref::<io::Error>() {
            // Without " (os error 111)".
            Some(system) => plain(system),
            None => error.to_string(),
        };
        // Some errors repeat what their source says.
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        next = error.source();
    }
    if texts.is_empty() {
        texts.push("the request could not be made".to_owned());
    }
    texts
}

fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

fn last(chain: &[String]) -> &str {
    chain.last().map_or("", String::as_str)
}

/// Whether the connection ended before the server said anything: often one that was kept, and that the server has
/// closed while the request was on its way.
pub(crate) fn lost_before_answer(error: &reqwest::Error) -> bool {
    let closed = |text: &String| text == "connection closed before message completed";
    let reset = find::<io::Error>(error).is_some_and(|system| {
        matches!(system.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
    });
    !error.is_connect() && (reset || chain(error).iter().any(closed))
}
