// SPDX-License-Identifier: BSD-3-Clause
//! What good servers say, with mistakes in it: nothing panics and nothing hangs. The fuzzer goes on from here.

use crate::{
    host::{HANG, Host},
    peer::{Peer, Ram},
};
use futures_lite::future::zip;
use nbd_proto::server::Config;
use nbdkit_nbd_plugin::fuzz;
use nbdkit_plugin::{Flags, Span};
use std::{
    future::IntoFuture,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, mpsc},
    thread,
};

/// What a server says when it is asked what the fuzzer asks.
fn transcript(config: Config) -> Vec<u8> {
    let server = Ram { config, ..Ram::new(1 << 20) }.serve();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let between = Peer::new(move |mut client| {
        let mut socket = UnixStream::connect(server.socket())?;
        let (mut from, mut to) = (client.try_clone()?, socket.try_clone()?);
        thread::spawn(move || io::copy(&mut from, &mut to));
        let mut buf = [0; 4096];
        loop {
            let count = socket.read(&mut buf)?;
            heard.lock().unwrap().extend_from_slice(&buf[..count]);
            client.write_all(&buf[..count])?;
        }
    });
    let host = Host::start(&[("socket", &between.path())]).unwrap();
    let disk = host.open("").unwrap();
    host.run(async move {
        let (span, flags) = (Span::new(4096, 64), Flags::default());
        let read = disk.pread(64, 4096);
        let extents = disk.info().extents.then(|| disk.extents(span, flags));
        let write = disk.pwrite(vec![1; 64].into(), 4096, flags);
        let (zero, flush) = (disk.zero(span, flags), disk.flush());
        let extents = async {
            if let Some(extents) = extents {
                extents.await.unwrap();
            }
        };
        let read = async { drop(read.await.unwrap()) };
        let others = zip(zip(write.into_future(), zero.into_future()), flush.into_future());
        let (_, ((wrote, zeroed), flushed)) = zip(zip(read, extents), others).await;
        wrote.and(zeroed).and(flushed).unwrap();
        drop(disk.pread(128, 0).await.unwrap());
    });
    let said = said.lock().unwrap();
    said.clone()
}

/// Each byte changed in some ways, and each prefix; then bytes exchanged at random.
#[test]
fn mistakes_in_what_good_servers_say() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        let structured = Config::default().extended_headers(false);
        let simple = structured.clone().structured_replies(false);
        for (config, succeed) in [(Config::default(), 5), (structured, 5), (simple, 4)] {
            let good = transcript(config);
            assert_eq!(fuzz(&good), succeed, "without mistakes");
            for at in 0..good.len() {
                fuzz(&good[..at]);
                for change in [0x01, 0x80, 0xff] {
                    let mut bad = good.clone();
                    bad[at] ^= change;
                    fuzz(&bad);
                }
            }
            let mut state = 0x9e37_79b9_7f4a_7c15u64;
            let mut random = |limit: usize| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as usize % limit
            };
            for _ in 0..2000 {
                let mut bad = good.clone();
                let (from, to, len) = (random(good.len() - 40), random(good.len() - 40), 1 + random(32));
                bad.copy_within(from..from + len, to);
                fuzz(&bad);
            }
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(HANG).expect("it hangs or has panicked");
}

/// The seeds of the fuzz target.
#[test]
#[ignore = "writes fuzz/corpus/nbd"]
fn write_corpus() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/nbd");
    std::fs::create_dir_all(&folder).unwrap();
    let structured = Config::default().extended_headers(false);
    let simple = structured.clone().structured_replies(false);
    for (name, config) in [("extended", Config::default()), ("structured", structured), ("simple", simple)] {
        std::fs::write(folder.join(name), transcript(config)).unwrap();
    }
}
