// SPDX-License-Identifier: BSD-3-Clause
//! [`Remote`]: the server, and how it is asked: with which headers, how often at once, and for how long.

use crate::{
    client,
    cookies::Jar,
    failure::{lost_before_answer, unanswered},
    header::Header,
    location::{Location, same_origin},
    params::{DebugFlags, Params},
    resolver::Resolver,
    script::Script,
    tls,
    watch::Watch,
    words::{HttpVersion, Protocols},
};
use nbdkit_plugin::{EIO, Error, Log, Result};
use reqwest::{
    Client, Method, Request, Response, Url, Version,
    header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Semaphore;

/// How many requests are under way at most over HTTP/2, where they share a connection: what common servers allow.
const STREAMS: usize = 128;

/// One for all clients.
pub(crate) struct Remote {
    client: Client,
    /// Where the user said the disk is.
    pub(crate) url: Url,
    pub(crate) follow: bool,
    pub(crate) protocols: Protocols,
    pub(crate) resolver: Arc<Resolver>,
    pub(crate) jar: Option<Jar>,
    pub(crate) watch: Watch,
    headers: Source<Vec<Header>>,
    cookie: Source<Option<HeaderValue>>,
    authorization: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    version: Version,
    timeout: Option<Duration>,
    connections: usize,
    turns: Semaphore,
    /// The server has spoken HTTP/2.
    shares: AtomicBool,
}

/// Where headers and cookies come from.
enum Source<T> {
    Fixed(Arc<T>),
    Script(Script<T>),
}

impl<T: Send + Sync + 'static> Source<T> {
    async fn value(&self, watch: &Watch, log: &Log) -> Result<Arc<T>> {
        match self {
            Source::Fixed(value) => Ok(value.clone()),
            Source::Script(script) => script.value(watch, log).await,
        }
    }
}

/// What is to be asked.
pub(crate) struct Question {
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// `Range`, or `Content-Range`.
    pub(crate) range: Option<(HeaderName, HeaderValue)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Remote {
    /// As the parameters say. Reads files; starts nothing.
    ///
    /// # Errors
    /// When one cannot be used.
    pub(crate) fn new(params: &Params, debug: &DebugFlags) -> Result<Remote> {
        let location = Location::parse(&params.url.0)?;
        let resolver = Arc::new(Resolver::new(&params.resolve, params.ipresolve));
        let client = client::build(params, tls::config(params)?, resolver.clone())?;
        let typed = &params.url.0;
        let headers = match &params.header_script {
            Some(text) => {
                let renew = params.header_script_renew.unwrap_or_default();
                Source::Script(Script::new("header-script", text, typed, renew, parse_headers))
            }
            None => Source::Fixed(Arc::new(params.headers.clone())),
        };
        let cookie = match (&params.cookie_script, &params.cookie) {
            (Some(text), _) => {
                let renew = params.cookie_script_renew.unwrap_or_default();
                Source::Script(Script::new("cookie-script", text, typed, renew, parse_cookie))
            }
            (None, Some(cookie)) => Source::Fixed(Arc::new(Some(secret_value("cookie", cookie.expose())?))),
            (None, None) => Source::Fixed(Arc::new(None)),
        };
        let connections = params.connections as usize;
        Ok(Remote {
            authorization: authorization(params, &location, &client)?,
            client,
            url: location.url,
            follow: params.followlocation,
            protocols: params.protocols,
            resolver,
            jar: Jar::of(params)?,
            watch: Watch::new(debug),
            headers,
            cookie,
            user_agent: params.user_agent.as_deref().map(user_agent).transpose()?,
            version: match params.http_version {
                HttpVersion::Http10 => Version::HTTP_10,
                _ => Version::HTTP_11,
            },
            timeout: (params.timeout > 0).then(|| Duration::from_secs(params.timeout.into())),
            connections,
            turns: Semaphore::new(connections),
            shares: AtomicBool::new(false),
        })
    }

    /// Does `work`, one request with its whole answer, when there is a connection for it, and not for longer than
    /// `timeout`. `work` must not wait for another turn.
    pub(crate) async fn turn<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = match self.turns.try_acquire() {
            Ok(turn) => turn,
            Err(_) => {
                let turn = self.turns.acquire().await;
                // The library takes a connection back in a task of its own, just after the answer has ended. Who comes
                // before that opens another one.
                tokio::task::yield_now().await;
                turn.map_err(|_| Error::new(EIO, "the plugin has been stopped"))?
            }
        };
        match self.timeout {
            None => work.await,
            Some(timeout) => tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| {
                let seconds = timeout.as_secs();
                Err(Error::new(
                    EIO,
                    format!("Timeout was reached: no answer in {seconds} s, as timeout= allows"),
                ))
            }),
        }
    }

    /// Asks, and returns the head of the answer, whatever it says.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn ask(&self, question: Question, log: &Log) -> Result<Response> {
        let url = question.url.clone();
        self.resolver.check(&url)?;
        let request = self.request(question, log).await?;
        let asked = self.watch.asks(&request, log);
        let again = request.try_clone();
        let answer = match (self.client.execute(request).await, again) {
            // All we ask can be asked twice; who closes idle connections will take a new one.
            (Err(error), Some(again)) if lost_before_answer(&error) => self.client.execute(again).await,
            (answer, _) => answer,
        };
        let answer = answer.map_err(|error| unanswered(&error.without_url(), &url))?;
        self.watch.answered(asked, &answer, log);
        if let Some(jar) = &self.jar {
            jar.take(answer.headers(), &url);
        }
        if answer.version() == Version::HTTP_2 && !self.shares.swap(true, Relaxed) {
            self.turns.add_permits(STREAMS.saturating_sub(self.connections));
        }
        Ok(answer)
    }

    async fn request(&self, question: Question, log: &Log) -> Result<Request> {
        let Question { method, url, range, body } = question;
        let trusted = same_origin(&url, &self.url);
        let mut headers = HeaderMap::new();
        headers.extend(range);
        headers.extend(self.user_agent.clone().map(|value| (USER_AGENT, value)));
        if trusted {
            headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        }
        let own = if trusted { self.cookie.value(&self.watch, log).await?.as_ref().clone() } else { None };
        let set = self.jar.as_ref().and_then(|jar| jar.header(&url));
        headers.extend(join_cookies(own, set.as_deref())?.map(|value| (COOKIE, value)));
        Header::apply(&self.headers.value(&self.watch, log).await?, &mut headers, trusted);

        let mut request = Request::new(method, url);
        *request.headers_mut() = headers;
        *request.version_mut() = self.version;
        *request.body_mut() = body.map(Into::into);
        Ok(request)
    }
}

/// The library writes the header: once, here.
fn authorization(params: &Params, location: &Location, client: &Client) -> Result<Option<HeaderValue>> {
    let password = params.password.as_ref().map(|password| password.expose());
    let user = params.user.as_ref().or(location.user.as_ref());
    let password = password.or(location.password.as_deref());
    if user.is_none() && password.is_none() {
        return Ok(None);
    }
    let user = user.map_or("", String::as_str);
    if user.contains(':') {
        return Err(Error::invalid(format!("user: '{user}' has a colon, which a user in HTTP cannot have")));
    }
    let password = std::str::from_utf8(password.unwrap_or_default())
        .map_err(|_| Error::invalid("password: it is not UTF-8"))?;
    let request = client.head(location.url.clone()).basic_auth(user, Some(password)).build();
    Ok(request.ok().and_then(|request| request.headers().get(AUTHORIZATION).cloned()))
}

fn secret_value(key: &str, bytes: &[u8]) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_bytes(bytes)
        .map_err(|_| Error::invalid(format!("{key}: there is a control character in it")))?;
    value.set_sensitive(true);
    Ok(value)
}

fn user_agent(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(|_| Error::invalid("user-agent: there is a control character in it"))
}

/// Of the user, and those that servers set.
fn join_cookies(own: Option<HeaderValue>, set: Option<&str>) -> Result<Option<HeaderValue>> {
    match (own, set) {
        (None, None) => Ok(None),
        (Some(own), None) => Ok(Some(own)),
        (None, Some(set)) => secret_value("cookie", set.as_bytes()).map(Some),
        (Some(own), Some(set)) => {
            secret_value("cookie", &[own.as_bytes(), b"; ", set.as_bytes()].concat()).map(Some)
        }
    }
}

fn parse_headers(output: &str) -> Result<Vec<Header>, String> {
    output.lines().filter(|line| !line.trim().is_empty()).map(Header::parse_line).collect()
}

/// The first line.
fn parse_cookie(output: &str) -> Result<Option<HeaderValue>, String> {
    let line = output.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        return Ok(None);
    }
    secret_value("cookie", line.as_bytes()).map(Some).map_err(|error| error.to_string())
}
