// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the plugin's side of the wire, for the fuzzer and for a test.

use crate::{
    client::Client,
    disk::NbdDisk,
    endpoint::adopt,
    info::info,
    negotiate::{Identity, negotiate},
    transport::Transport,
};
use futures_lite::future::{block_on, zip};
use nbd_proto::client::{Config, Tls};
use nbd_tls::{ClientCertificates, Connector, Priority};
use nbdkit_plugin::*;
use socket2::Socket;
use std::{
    future::IntoFuture,
    io::{self, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// What the requests are about, in bytes: small, so that a short input can answer them.
const LEN: u32 = 64;

/// Lets a server say `input` and then close, whatever is asked of it. How many operations succeeded, of 5, or of 4 where
/// there are no extents.
///
/// # Panics
/// When an answer is not what an operation of a disk may answer, or when what somebody had ready before we spoke gets
/// through where encryption is required.
pub fn fuzz(input: &[u8]) -> usize {
    block_on(async {
        assert!(!gets_around_tls(input).await.unwrap_or(false), "this was taken for an encrypted server");
        use_what_is_there(input).await.unwrap_or(0)
    })
}

/// A connection to somebody who says `input`; the other end of it must be kept.
fn talk(input: &[u8]) -> io::Result<(Transport, UnixStream)> {
    let (ours, mut theirs) = UnixStream::pair()?;
    theirs.set_nonblocking(true)?;
    // What does not fit is not said.
    let _ = theirs.write(input);
    theirs.shutdown(Shutdown::Write)?;
    Ok((Transport::new(adopt(Socket::from(OwnedFd::from(ours)))?), theirs))
}

fn config() -> Config {
    Config::new("").context("base:allocation")
}

/// Even where any certificate will do, a server must have heard us to encrypt.
async fn gets_around_tls(input: &[u8]) -> Option<bool> {
    let (mut transport, _theirs) = talk(input).ok()?;
    let anybody = ClientCertificates { directory: None, verify: false };
    let connector = Connector::certificates(anybody, &Priority::default()).ok()?;
    let identity = Identity { connector: &connector, server: "localhost" };
    let config = config().tls(Tls::Required);
    Some(negotiate(&mut transport, config, Some(&identity), |_| Ok(())).await.is_ok())
}

async fn use_what_is_there(input: &[u8]) -> Option<usize> {
    let (mut transport, _theirs) = talk(input).ok()?;
    let (session, early) = negotiate(&mut transport, config(), None, |_| Ok(())).await.ok()??;
    let info = info(&session, false).ok()?;
    if info.size < 1 << 20 {
        return None;
    }
    let disk = NbdDisk::new(Arc::new(Client::new(transport, session, &early)), info, Pool::new(), false);
    let succeeded = ask(&disk).await;
    drop(disk.close().await);
    Some(succeeded)
}

/// One request of each kind, in flight together; how many succeeded. Then one more, whose answer has mostly come too early.
async fn ask(disk: &NbdDisk) -> usize {
    let (span, flags) = (Span::new(4096, LEN.into()), Flags::default());
    // All are announced before the first is polled: they leave together.
    let read = disk.pread(LEN, 4096);
    let extents = disk.info().extents.then(|| disk.extents(span, flags));
    let write = disk.pwrite(Buf::from(vec![1; LEN as usize]), 4096, flags);
    let zero = disk.zero(span, flags);
    let flush = disk.flush();
    let read = async { read.await.map(|data| assert_eq!(data.len(), u64::from(LEN))).is_ok() };
    let extents = async {
        let Some(extents) = extents else { return false };
        let rest = disk.info().size - span.offset;
        extents.await.map(|extents| assert!(!extents.is_empty() && extents.len() <= rest)).is_ok()
    };
    let ((first, second), ((third, fourth), fifth)) =
        zip(zip(read, extents), zip(zip(write.into_future(), zero.into_future()), flush.into_future())).await;
    drop(disk.pread(2 * LEN, 0).await);
    [first, second, third.is_ok(), fourth.is_ok(), fifth.is_ok()].into_iter().filter(|good| *good).count()
}
