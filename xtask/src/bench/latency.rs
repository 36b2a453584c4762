// SPDX-License-Identifier: BSD-3-Clause
//! How long a polite client waits: alone, and beside one that takes all it can get.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use nbd_proto::Command::Read;

use super::connection::Connection;
use super::content::Content;
use super::load::{Done, Job, Until, drive};
use super::walk::{Order, Walk};
use crate::process::Result;

const POLITE: Job = Job { command: Read, order: Order::Random, size: 4096, depth: 1, connections: 1 };
const GREEDY: Job =
    Job { command: Read, order: Order::Sequential, size: 256 << 10, depth: 64, connections: 1 };

/// The 99th percentile of the polite client's waits, and what it did in all.
pub fn measure(
    polite: &mut Connection,
    greedy: Option<&mut Connection>,
    content: &Content,
    time: Duration,
    round: u64,
) -> Result<(Duration, Done)> {
    let enough = AtomicBool::new(false);
    thread::scope(|scope| {
        let greed = greedy.map(|connection| {
            let enough = &enough;
            scope.spawn(move || -> Result {
                let mut walk = Walk::new(GREEDY.order, content.size(), GREEDY.size as u64, (0, 1), round);
                while !enough.load(Relaxed) {
                    drive(connection, content, GREEDY, Until::Requests(256), walk.by_ref())?;
                }
                Ok(())
            })
        });
        let waits = waits(polite, content, time, round);
        enough.store(true, Relaxed);
        if let Some(greed) = greed {
            greed.join().unwrap_or_else(|_| Err("the greedy client panicked".into()))?;
        }
        waits
    })
}

fn waits(
    connection: &mut Connection,
    content: &Content,
    time: Duration,
    round: u64,
) -> Result<(Duration, Done)> {
    let mut walk = Walk::new(POLITE.order, content.size(), POLITE.size as u64, (0, 1), round);
    let (mut waits, mut all, began) = (Vec::new(), Done::default(), Instant::now());
    while began.elapsed() < time || waits.is_empty() {
        let done = drive(connection, content, POLITE, Until::Requests(1), walk.by_ref())?;
        waits.push(done.elapsed);
        (all.requests, all.cpu) = (all.requests + done.requests, all.cpu + done.cpu);
    }
    waits.sort_unstable();
    all.elapsed = began.elapsed();
    Ok((waits[(waits.len() - 1) * 99 / 100], all))
}
