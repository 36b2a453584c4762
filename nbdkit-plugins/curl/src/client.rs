// SPDX-License-Identifier: BSD-3-Clause
//! The HTTP library, set up as the parameters say.

use crate::{params::Params, resolver::Resolver, words::HttpVersion};
use nbdkit_plugin::{Error, Result};
use reqwest::{Client, NoProxy, Proxy, redirect::Policy};
use rustls::ClientConfig;
use std::{sync::Arc, time::Duration};

/// How long connecting may take, also where a request may take forever: as long as in curl.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long a connection is silent before the system asks whether the other side is there, and between questions.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How many questions in a row may stay unanswered: with that few, a server that is gone is noticed in five minutes.
const KEEPALIVE_RETRIES: u32 = 4;

pub(crate) fn build(params: &Params, tls: ClientConfig, resolver: Arc<Resolver>) -> Result<Client> {
    let keepalive = params.tcp_keepalive.then_some(KEEPALIVE);
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(resolver)
        // We follow ourselves, because the place is kept for later requests.
        .redirect(Policy::none())
        .referer(false)
        .pool_max_idle_per_host(params.connections as usize)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(params.tcp_nodelay)
        .tcp_keepalive(keepalive)
        .tcp_keepalive_interval(keepalive)
        // The library has a number of its own, with which alone it would have the system ask.
        .tcp_keepalive_retries(keepalive.map(|_| KEEPALIVE_RETRIES))
        // An outage may be long; `timeout` is there for who wants to know sooner.
        .tcp_user_timeout(None)
        .http1_title_case_headers();
    builder = match params.http_version {
        HttpVersion::Any => builder,
        HttpVersion::Http10 | HttpVersion::Http11 => builder.http1_only(),
        HttpVersion::Http2 => builder.http2_prior_knowledge(),
    };
    if let Some(path) = &params.unix_socket_path {
        builder = builder.unix_socket(path.clone());
    }
    builder = match &params.proxy {
        // Those of the environment are found by the library.
        None => builder,
        Some(url) if url.0.is_empty() => builder.no_proxy(),
        Some(url) => builder.proxy(proxy(params, &url.0)?),
    };
    // Its errors may repeat the URL of a proxy.
    builder.build().map_err(|error| Error::invalid(format!("cannot set up HTTP: {}", error.without_url())))
}

fn proxy(params: &Params, typed: &str) -> Result<Proxy> {
    let url = with_port(typed)?;
    // The error would repeat the URL, and a password in it.
    let proxy = Proxy::all(url).map_err(|_| bad_proxy("it is no URL"))?;
    let proxy = proxy.no_proxy(NoProxy::from_env());
    let password = params.proxy_password.as_ref().map(|password| password.expose());
    let password = String::from_utf8_lossy(password.unwrap_or_default());
    Ok(match &params.proxy_user {
        Some(user) => proxy.basic_auth(user, &password),
        None => proxy,
    })
}

/// With a scheme, and with the port that curl takes where there is none.
fn with_port(typed: &str) -> Result<String> {
    let (scheme, rest) = typed.split_once("://").unwrap_or(("http", typed));
    if !["http", "https", "socks4", "socks4a", "socks5", "socks5h"].contains(&scheme) {
        return Err(bad_proxy("its scheme is not known"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    // In brackets there are colons of an address.
    let has_port = host.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
    let port = match (has_port, scheme) {
        (true, _) => "",
        (false, "https") => ":443",
        (false, _) => ":1080",
    };
    Ok(format!("{scheme}://{authority}{port}"))
}

fn bad_proxy(why: &str) -> Error {
    Error::invalid(format!(
        "proxy: {why}: should be [http|https|socks4|socks4a|socks5|socks5h://][USER:PASSWORD@]HOST[:PORT]"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_proxies() {
        for (typed, url) in [
            ("h", "http://h:1080"),
            ("h:80", "http://h:80"),
            ("https://h/", "https://h:443"),
            ("socks5h://u:p@h", "socks5h://u:p@h:1080"),
            ("[::1]", "http://[::1]:1080"),
            ("[::1]:3128", "http://[::1]:3128"),
        ] {
            assert_eq!(with_port(typed).unwrap(), url, "{typed}");
        }
        assert!(with_port("ftp://u:secret@h").unwrap_err().to_string().contains("should be [http|"));
    }
}
