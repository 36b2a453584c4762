// SPDX-License-Identifier: BSD-3-Clause
//! Any server against the plugin's side of the wire, for the fuzzer and for a test.

use crate::{client::Client, disk::NbdDisk, endpoint::adopt, info::info, negotiate::negotiate, transport::Transport};
use futures_lite::future::{block_on, zip};
use nbd_proto::client::Config;
use nbdkit_plugin::*;
use socket2::Socket;
use std::{
    io::Write,
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

/// What the requests are about, in bytes: small, so that a short input can answer them.
const LEN: u32 = 64;

/// Lets a server say `input` and then close, whatever is asked of it. The first byte is not said: bit 0 is for no extended
/// headers, bit 1 for no structured replies.
///
/// # Panics
/// When an answer is not what an operation of a disk may answer.
pub fn fuzz(input: &[u8]) {
    let [bits, input @ ..] = input else { return };
    let Ok((ours, mut theirs)) = UnixStream::pair() else { return };
    // What does not fit is not said.
    let _ = theirs.set_nonblocking(true);
    let _ = theirs.write(input);
    let _ = theirs.shutdown(Shutdown::Write);
    let config = Config::new("")
        .context("base:allocation")
        .extended_headers(bits & 1 == 0)
        .structured_replies(bits & 2 == 0);
    block_on(async {
        let Ok(socket) = adopt(Socket::from(OwnedFd::from(ours))) else { return };
        let mut transport = Transport::new(socket);
        let Ok(Some((session, early))) = negotiate(&mut transport, config, None, |_| Ok(())).await else { return };
        let Ok(info) = info(&session, false) else { return };
        let disk = NbdDisk::new(Arc::new(Client::new(transport, session, &early)), info, Pool::new(), false);
        if disk.info().size >= 1 << 20 {
            ask(&disk).await;
        }
        drop(disk.close().await);
    });
}

/// One request of each kind, in flight together, and one more.
async fn ask(disk: &NbdDisk) {
    let (span, flags) = (Span::new(4096, LEN.into()), Flags::default());
    let read = async {
        if let Ok(data) = disk.pread(LEN, 4096).await {
            assert_eq!(data.len(), u64::from(LEN));
        }
    };
    let extents = async {
        if disk.info().extents
            && let Ok(extents) = disk.extents(span, flags).await
        {
            assert!(!extents.is_empty() && extents.len() <= disk.info().size - span.offset);
        }
    };
    let write = async { drop(disk.pwrite(Buf::from(vec![1; LEN as usize]), 4096, flags).await) };
    let zero = async { drop(disk.zero(span, flags).await) };
    let flush = async { drop(disk.flush().await) };
    zip(zip(read, extents), zip(zip(write, zero), flush)).await;
    drop(disk.pread(2 * LEN, 0).await);
}
