// SPDX-License-Identifier: BSD-3-Clause
//! The seeds of the fuzz target: what good servers say, and what bad ones do. They are replayed here without a fuzzer.

use crate::{
    bad::bad,
    host::{HANG, Host},
    peer::{Peer, Ram},
};
use futures_lite::future::zip;
use nbd_proto::server::Config;
use nbdkit_nbd_plugin::fuzz;
use nbdkit_plugin::{Disk, Flags, Span};
use std::{
    collections::BTreeMap,
    fs,
    future::IntoFuture,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{Arc, Mutex, mpsc},
    thread,
};

pub const SIZE: u64 = 1 << 20;

/// The names and the configurations of good servers, and how many operations of the fuzzer succeed there.
pub fn good() -> [(&'static str, Config, usize); 3] {
    let structured = Config::default().extended_headers(false);
    let simple = structured.clone().structured_replies(false);
    [("extended", Config::default(), 5), ("structured", structured, 5), ("simple", simple, 4)]
}

/// What a good server says when it is asked what the fuzzer asks.
pub fn transcript(config: Config) -> Vec<u8> {
    said(Ram { config, ..Ram::new(SIZE as usize) }.serve())
}

/// What `server` says to somebody who opens its disk and asks what the fuzzer asks.
pub fn said(server: Peer) -> Vec<u8> {
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let between = Peer::new(move |mut client| {
        let mut socket = UnixStream::connect(server.socket())?;
        let (mut from, mut to) = (client.try_clone()?, socket.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        let mut buf = [0; 4096];
        loop {
            let count = socket.read(&mut buf)?;
            if count == 0 {
                return client.shutdown(std::net::Shutdown::Both);
            }
            heard.lock().unwrap().extend_from_slice(&buf[..count]);
            client.write_all(&buf[..count])?;
        }
    });
    let host = Host::start(&[("socket", &between.path())]).unwrap();
    if let Ok(disk) = host.open("") {
        ask(&host, disk);
    }
    let said = said.lock().unwrap();
    said.clone()
}

fn ask(host: &Host, disk: Arc<dyn Disk>) {
    host.run(async move {
        let (span, flags) = (Span::new(4096, 64), Flags::default());
        let read = disk.pread(64, 4096);
        let extents = disk.info().extents.then(|| disk.extents(span, flags));
        let write = disk.pwrite(vec![1; 64].into(), 4096, flags);
        let (zero, flush) = (disk.zero(span, flags), disk.flush());
        let extents = async {
            if let Some(extents) = extents {
                drop(extents.await);
            }
        };
        let read = async { drop(read.await) };
        let others = zip(zip(write.into_future(), zero.into_future()), flush.into_future());
        drop(zip(zip(read, extents), others).await);
        drop(disk.pread(128, 0).await);
    });
}

/// How many operations may succeed. Of two answers the first is as good as any.
fn most(name: &str) -> usize {
    usize::from(name == "bad-reply-twice")
}

/// What lies there, by its name.
fn corpus() -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn folder() -> PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/nbd")
}

/// Nothing panics and nothing hangs, also of what a fuzzer has found; bad servers get nothing done.
#[test]
fn is_replayed() {
    let corpus = corpus();
    let missing = |name: &&str| !corpus.contains_key(*name);
    let seeds = good().map(|(name, ..)| name).into_iter().chain(bad().into_iter().map(|(name, _)| name));
    let missing: Vec<_> = seeds.filter(missing).collect();
    assert!(missing.is_empty(), "run write_corpus: there is no {missing:?}");
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        for (name, input) in corpus {
            let succeeded = fuzz(&input);
            assert!(
                !name.starts_with("bad-") || succeeded <= most(&name),
                "{name}: {succeeded} operations succeed"
            );
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(HANG).expect("it hangs or has panicked");
}

/// The same of what those servers say today: numbers that clients choose may have changed since the seeds were written.
#[test]
fn bad_servers_get_nothing_done() {
    for (name, input) in bad() {
        let succeeded = fuzz(&input);
        assert!(succeeded <= most(name), "{name}: {succeeded} operations succeed");
    }
}

#[test]
#[ignore = "writes fuzz/corpus/nbd"]
fn write_corpus() {
    fs::create_dir_all(folder()).unwrap();
    let good = good().map(|(name, config, _)| (name, transcript(config)));
    for (name, input) in good.into_iter().chain(bad()) {
        fs::write(folder().join(name), input).unwrap();
    }
}
