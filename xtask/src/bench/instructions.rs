// SPDX-License-Identifier: BSD-3-Clause
//! Instructions per request through the connection loop, counted by callgrind: no clock, no noise.
//!
//! Counted are those of the process, not those the kernel spends for it. One run sends N requests and another 2N; what the
//! second spends more is theirs alone, without starting and ending.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;
use std::thread;

use nbd_proto::Command::Read;
use nbd_proto::Request;
use nbd_proto::client::{Decoded, Reply};

use super::connection::Connection;
use super::contender::Contender;
use super::content::BLOCK;
use super::export::Export;
use super::results::Instructions;
use super::server::{Server, Transport};
use super::walk::{Order, Walk};
use crate::process::{Context, Result, line};

/// Requests of the shorter run.
const REQUESTS: u64 = 10_000;
/// Filters that do something cheap to every request. Those a program has not are left out.
const FILTERS: [(&str, &[&str]); 6] = [
    ("offset", &["offset=0"]),
    ("truncate", &["truncate=64M"]),
    ("readonly", &[]),
    ("exportname", &[]),
    ("error", &["error-rate=0"]),
    ("log", &[]),
];

/// Counts for ours and, as a scale, for nbdkit.
pub fn measure(contenders: &[Contender], folder: &Path) -> Result<Vec<Instructions>> {
    let mut all = Vec::new();
    // Valgrind runs one thread at a time: several would only count how they wait for each other.
    let chosen = contenders.iter().filter(|one| one.is_nbdkit() && one.name != "nbdkit");
    for contender in chosen {
        let plain = Export::small(folder);
        all.push(count(contender, &plain, "no filter", folder)?);
        let filters: Vec<_> = FILTERS.into_iter().filter(|(name, _)| contender.has_filter(name)).collect();
        let names: Vec<&str> = filters.iter().map(|(name, _)| *name).collect();
        let mut filtered = plain.clone();
        filtered.parameters = filters.iter().flat_map(|(_, parameters)| parameters.iter().copied()).collect();
        filtered.filters.clone_from(&names);
        all.push(count(contender, &filtered, &format!("filters {}", names.join(", ")), folder)?);
    }
    Ok(all)
}

fn count(contender: &Contender, export: &Export, what: &str, folder: &Path) -> Result<Instructions> {
    let once = total(contender, export, REQUESTS, folder)?;
    let twice = total(contender, export, 2 * REQUESTS, folder)?;
    let per_request = twice.saturating_sub(once) as f64 / REQUESTS as f64;
    let what = format!("{}, {what}", contender.name);
    println!("{what}: {per_request:.0} instructions a request");
    Ok(Instructions { what, per_request })
}

/// All instructions of a server that answers so many requests.
fn total(contender: &Contender, export: &Export, requests: u64, folder: &Path) -> Result<u64> {
    let address = Transport::Unix.address(folder, 0)?;
    let out = folder.join("callgrind.out");
    let serve = contender.serve(export, &address);
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    valgrind.arg(serve.get_program()).args(serve.get_args());
    let shown = line(&valgrind);
    let mut server = Server::spawn(valgrind, address, &folder.join("callgrind.log"))?;
    let content = export.fill(&server.address)?;
    stream(Connection::open(&server.address)?, content.size(), requests)?;
    server.stop();
    let said = fs::read_to_string(&out).context(out.display())?;
    parse(&said).ok_or_else(|| format!("{shown}: no totals in {}", out.display()).into())
}

/// Sends all requests as fast as they go and drops the replies. The server always has the next request at hand: it never
/// looks for work in vain, which would be counted too.
fn stream(mut connection: Connection, size: u64, requests: u64) -> Result {
    let walk = Walk::new(Order::Random, size, BLOCK as u64, (0, 1), 0);
    let request = |(cookie, offset)| Request::new(cookie, Read, offset, BLOCK as u64);
    let all: Vec<Request> = (0..requests).zip(walk).map(request).collect();
    let mut heads = Vec::new();
    for request in &all {
        heads.extend_from_slice(&connection.session.encode(request).map_err(|e| e.to_string())?);
    }
    let mut out = connection.stream.try_clone().context("a socket")?;
    thread::scope(|scope| {
        let writer = scope.spawn(move || out.write_all(&heads));
        drain(&mut connection, &all)?;
        writer.join().unwrap_or_else(|_| Err(ErrorKind::Other.into())).context("sending requests")
    })
}

fn drain(connection: &mut Connection, all: &[Request]) -> Result {
    let Connection { stream, session, inbox } = connection;
    let (mut answered, mut data) = (0, 0);
    while answered < all.len() || data > 0 {
        if inbox.fill(stream).context("waiting for replies")? == 0 {
            return Err("server closed the connection with requests in flight".into());
        }
        loop {
            let here = inbox.bytes().len().min(data);
            inbox.consume(here);
            data -= here;
            match session.decode(inbox.bytes(), |cookie| all.get(cookie as usize).copied()) {
                _ if data > 0 => break,
                Decoded::NeedInput(_) => break,
                Decoded::Fatal(why) => return Err(why.to_string().into()),
                Decoded::Reply { reply: Reply::Error { code, .. }, .. } => {
                    return Err(code.to_string().into());
                }
                Decoded::Reply { reply, last, consumed, .. } => {
                    data = if let Reply::Data { len, .. } = reply { len as usize } else { 0 };
                    inbox.consume(consumed);
                    answered += usize::from(last);
                }
            }
        }
    }
    Ok(())
}

fn parse(said: &str) -> Option<u64> {
    said.lines().find_map(|line| line.strip_prefix("totals:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_callgrind() {
        assert_eq!(parse("version: 1\nsummary: 12\n\ntotals: 1234567\n"), Some(1_234_567));
        assert_eq!(parse("version: 1\n"), None);
    }
}
