// SPDX-License-Identifier: BSD-3-Clause
//! What happens while a flush is under way.

use crate::{EMULATE, behind::Chain};
use futures_lite::future::poll_once;
use std::thread;

/// Two flushes want the same connection flushed: neither is answered before that is done, and it is done once.
#[test]
fn a_flush_waits_for_what_another_has_begun() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two, three] = [1, 2, 3].map(|number| chain.connect(number, ""));
    two.write(0, 7);
    chain.bench.run(async {
        let shut = chain.behind.door().lock().await;
        let mut first = one.disk.flush().into_future();
        let mut second = three.disk.flush().into_future();
        assert!(poll_once(&mut first).await.is_none());
        assert!(poll_once(&mut second).await.is_none(), "what 2 wrote is not durable yet");
        drop(shut);
        first.await.unwrap();
        assert_eq!(chain.stored(0), 7);
        second.await.unwrap();
    });
    assert_eq!(chain.flushes(), [2]);
}

/// A write that ends while its connection is being flushed may have come too late for that.
#[test]
fn what_is_written_meanwhile_is_for_the_next_flush() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    two.write(0, 7);
    chain.bench.run(async {
        let shut = chain.behind.door().lock().await;
        let mut flush = one.disk.flush().into_future();
        assert!(poll_once(&mut flush).await.is_none());
        two.write(1, 8);
        drop(shut);
        flush.await.unwrap();
    });
    chain.flushes();
    one.flush().unwrap();
    assert_eq!((chain.flushes(), chain.stored(1)), (vec![2], 8));
}

/// What a third connection reads before the writes of another are out is old, and forgotten before the flush ends.
#[test]
fn what_is_read_meanwhile_does_not_stay_old() {
    let chain = Chain::new(&[EMULATE]);
    let [one, two, three] = [1, 2, 3].map(|number| chain.connect(number, ""));
    two.write(0, 7);
    chain.bench.run(async {
        let shut = chain.behind.door().lock().await;
        let mut flush = one.disk.flush().into_future();
        assert!(poll_once(&mut flush).await.is_none());
        assert_eq!(three.read(0), 0, "not yet");
        drop(shut);
        flush.await.unwrap();
    });
    assert_eq!(three.read(0), 7);
}

/// A connection that is closed while others flush it is closed afterwards, and not touched again.
#[test]
fn closing_waits_for_a_flush() {
    let chain = Chain::new(&[EMULATE, ("multi-conn-track-dirty", "off")]);
    let [one, two] = [1, 2].map(|number| chain.connect(number, ""));
    two.write(0, 7);
    chain.bench.run(async {
        let shut = chain.behind.door().lock().await;
        let mut flush = one.disk.flush().into_future();
        assert!(poll_once(&mut flush).await.is_none());
        let mut close = two.disk.close().into_future();
        assert!(poll_once(&mut close).await.is_none());
        drop(shut);
        flush.await.unwrap();
        close.await.unwrap();
    });
    assert_eq!(chain.flushes(), [1, 2]);
    one.flush().unwrap();
    assert_eq!(chain.flushes(), [1], "2 is closed");
}

/// All write, read and flush at once, each in its own part of the disk; what all see after a last flush is what each wrote.
#[test]
fn many_clients() {
    const CLIENTS: u64 = 4;
    const ROUNDS: u64 = 200;
    for track in ["connection", "fast", "off"] {
        let chain = Chain::new(&[EMULATE, ("multi-conn-track-dirty", track)]);
        let clients: Vec<_> = (0..CLIENTS).map(|number| chain.connect(number, "")).collect();
        let byte = |round: u64| (round % 255) as u8 + 1;
        thread::scope(|scope| {
            for (number, client) in (0..).zip(&clients) {
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        client.write(number * ROUNDS + round, byte(round));
                        client.read((number + 1) % CLIENTS * ROUNDS + round);
                        if round % 7 == number {
                            client.flush().unwrap();
                        }
                    }
                });
            }
        });
        clients[0].flush().unwrap();
        for at in 0..CLIENTS * ROUNDS {
            let want = byte(at % ROUNDS);
            assert_eq!(chain.stored(at), want, "{track}: durable at {at}");
            assert!(clients.iter().all(|client| client.read(at) == want), "{track}: visible at {at}");
        }
    }
}
