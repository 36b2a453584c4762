// SPDX-License-Identifier: BSD-3-Clause
//! [`CurlDisk`]: what a client has open.

use crate::{
    failure::refused,
    locate::{Place, locate},
    range::{content_range_header, range_header, receive},
    remote::{Question, Remote},
    worker::Worker,
};
use nbdkit_plugin::*;
use reqwest::{Method, Response, StatusCode, Url};
use std::{
    future::Future,
    sync::{Mutex, PoisonError},
};

/// An answer to a write says little; what is longer is not read to its end.
const SMALL: usize = 64 << 10;

pub(crate) struct CurlDisk {
    info: Info,
    worker: Arc<Worker>,
    connection: Connection,
    source: Arc<Source>,
}

/// What the requests of one client share.
struct Source {
    remote: Arc<Remote>,
    /// Where it was found last.
    url: Mutex<Arc<Url>>,
    /// One looks for it, the others wait.
    search: tokio::sync::Mutex<()>,
    size: u64,
    log: Log,
    pool: Pool,
}

impl CurlDisk {
    pub(crate) fn open(remote: Arc<Remote>, worker: Arc<Worker>, req: OpenRequest) -> Opened {
        Op::wait(async move {
            let (found, log) = (remote.clone(), req.log().clone());
            let place = worker.run(&req.connection, async move { locate(&found, &log).await }).await?;
            let mut info = Info::writable(place.size);
            if req.read_only {
                info = Info::read_only(place.size);
                // Of a disk that somebody writes, other connections to the server may still show the old bytes.
                info.multi_conn = true;
            }
            let source = Arc::new(Source {
                remote,
                url: Mutex::new(Arc::new(place.url)),
                search: tokio::sync::Mutex::default(),
                size: place.size,
                log: req.log().clone(),
                pool: req.pool(),
            });
            let connection = req.connection.clone();
            Ok(Arc::new(CurlDisk { info, worker, connection, source }) as Arc<dyn Disk>)
        })
    }
}

impl Disk for CurlDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        Op::wait(async move {
            let source = self.source.clone();
            let read = async move { source.persist(|url| source.read(len, offset, url)).await };
            self.worker.run(&self.connection, read).await
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _flags: Flags) -> Op<'_, ()> {
        if !self.info.write {
            return Op::err(Error::unsupported("write"));
        }
        Op::wait(async move {
            let source = self.source.clone();
            let write = async move { source.persist(|url| source.write(data.clone(), offset, url)).await };
            self.worker.run(&self.connection, write).await
        })
    }

    fn close(&self) -> Op<'_, ()> {
        let remote = self.source.remote.clone();
        match &remote.jar {
            Some(jar) if jar.is_kept() => Op::blocking(move || match &remote.jar {
                Some(jar) => jar.save(),
                None => Ok(()),
            }),
            _ => Op::ok(()),
        }
    }
}

/// Why an attempt failed.
struct Failure {
    error: Error,
    /// The disk may be elsewhere by now.
    moved: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure { error, moved: false }
    }
}

impl Source {
    fn url(&self) -> Arc<Url> {
        self.url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries where the disk was found, and if it is not there any more, once where it is found now: what a server
    /// redirects to may be signed for some minutes only.
    async fn persist<T, F>(&self, attempt: impl Fn(Arc<Url>) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let url = self.url();
        match attempt(url.clone()).await {
            Ok(value) => Ok(value),
            Err(Failure { moved: true, .. }) if self.remote.follow => {
                let url = self.search(&url).await?;
                attempt(url).await.map_err(|failure| failure.error)
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Where it is now that it is not at `old`.
    async fn search(&self, old: &Arc<Url>) -> Result<Arc<Url>> {
        let _search = self.search.lock().await;
        let known = self.url();
        if !Arc::ptr_eq(&known, old) {
            return Ok(known);
        }
        let Place { url, size } = locate(&self.remote, &self.log).await?;
        if size != self.size {
            let was = self.size;
            return Err(Error::new(
                EIO,
                format!("the disk has moved and changed its size: it was {was} bytes, and is {size}"),
            ));
        }
        let url = Arc::new(url);
        *self.url.lock().unwrap_or_else(PoisonError::into_inner) = url.clone();
        Ok(url)
    }

    async fn read(&self, len: u32, offset: u64, url: Arc<Url>) -> Result<Data, Failure> {
        let range = Some(range_header(offset, len.into()));
        let question = Question { method: Method::GET, url: (*url).clone(), range, body: None };
        self.turn(async {
            let answer = self.remote.ask(question, &self.log).await?;
            self.moved(&answer, &url)?;
            let buf = self.pool.get(len as usize);
            Ok(receive(answer, buf, offset, self.size, &url).await?.freeze().into())
        })
        .await
    }

    async fn write(&self, data: Buf, offset: u64, url: Arc<Url>) -> Result<(), Failure> {
        let range = Some(content_range_header(offset, data.len() as u64, self.size));
        let body = Some(data.to_vec());
        let question = Question { method: Method::PUT, url: (*url).clone(), range, body };
        self.turn(async {
            let answer = self.remote.ask(question, &self.log).await?;
            self.moved(&answer, &url)?;
            match answer.status().is_success() {
                true => finish(answer).await,
                false => return Err(refused(answer.status()).into()),
            }
            Ok(())
        })
        .await
    }

    /// A failure of the turn itself is not one to look elsewhere for.
    async fn turn<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        self.remote.turn(async { Ok(work.await) }).await?
    }

    /// # Errors
    /// When the answer says that the disk is not, or not any more, at `url`.
    fn moved(&self, answer: &Response, url: &Url) -> Result<(), Failure> {
        let status = answer.status();
        // An answer from where the user said may be the truth; only a redirection is news.
        let gone = *url != self.remote.url
            && [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::GONE]
                .contains(&status);
        match gone || status.is_redirection() {
            true => Err(Failure { error: refused(status), moved: true }),
            false => Ok(()),
        }
    }
}

/// Reads the rest of the answer, so that the connection can be used again. What it says does not matter.
async fn finish(mut answer: Response) {
    let mut left = SMALL;
    while let Ok(Some(chunk)) = answer.chunk().await
        && chunk.len() <= left
    {
        left -= chunk.len();
    }
}
