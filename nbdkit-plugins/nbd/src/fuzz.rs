// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the plugin's side of the wire, for the fuzzer and for a test.

use crate::{
    client::Client, disk::NbdDisk, endpoint::adopt, info::info, negotiate::negotiate, transport::Transport,
};
use futures_lite::future::{block_on, zip};
use nbd_proto::client::Config;
use nbdkit_plugin::*;
use socket2::Socket;
use std::{
    future::IntoFuture,
    io::Write,
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// What the requests are about, in bytes: small, so that a short input can answer them.
const LEN: u32 = 64;

/// Lets a server say `input` and then close, whatever is asked of it. How many operations succeeded, of 5, or of 4 where
/// there are no extents.
///
/// # Panics
/// When an answer is not what an operation of a disk may answer.
pub fn fuzz(input: &[u8]) -> usize {
    let Ok((ours, mut theirs)) = UnixStream::pair() else { return 0 };
    // What does not fit is not said.
    let _ = theirs.set_nonblocking(true);
    let _ = theirs.write(input);
    let _ = theirs.shutdown(Shutdown::Write);
    let config = Config::new("").context("base:allocation");
    block_on(async {
        let Ok(socket) = adopt(Socket::from(OwnedFd::from(ours))) else { return 0 };
        let mut transport = Transport::new(socket);
        let agreed = negotiate(&mut transport, config, None, |_| Ok(())).await;
        let Ok(Some((session, early))) = agreed else { return 0 };
        let Ok(info) = info(&session, false) else { return 0 };
        if info.size < 1 << 20 {
            return 0;
        }
        let disk = NbdDisk::new(Arc::new(Client::new(transport, session, &early)), info, Pool::new(), false);
        let succeeded = ask(&disk).await;
        drop(disk.close().await);
        succeeded
    })
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
