// SPDX-License-Identifier: BSD-3-Clause
//! What a crowd of connections costs that do nothing.

use std::thread::sleep;
use std::time::Duration;

use super::connection::Connection;
use super::results::Idle;
use super::server::Server;
use crate::process::Result;

pub const CONNECTIONS: usize = 500;
/// How long nothing happens.
const SILENCE: Duration = Duration::from_secs(1);

/// Connects a crowd to a server that has served nobody else, and watches.
pub fn measure(server: &Server, contender: &str) -> Result<Idle> {
    let before = server.usage()?;
    let crowd: Vec<Connection> =
        (0..CONNECTIONS).map(|_| Connection::open(&server.address)).collect::<Result<_>>()?;
    sleep(SILENCE / 4);
    let settled = server.usage()?;
    sleep(SILENCE);
    let after = server.usage()?;
    drop(crowd);
    Ok(Idle {
        contender: contender.to_owned(),
        connections: CONNECTIONS,
        before_kib: before.resident_kib,
        with_kib: after.resident_kib,
        threads: after.threads,
        cpu_share: after.cpu.saturating_sub(settled.cpu).as_secs_f64() / SILENCE.as_secs_f64(),
    })
}
