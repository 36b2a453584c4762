// SPDX-License-Identifier: BSD-3-Clause
//! Other people's clients, which cross-check our own load: nbdcopy and fio; and the clock of a start.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::connection::Address;
use crate::process::{Context, Result, line, output};

/// Copies all of the export to nowhere; says how long that took. Without a number of connections nbdcopy chooses.
pub fn nbdcopy(address: &Address, extents: bool, connections: Option<u32>) -> Result<Duration> {
    let mut command = Command::new("nbdcopy");
    if !extents {
        command.arg("--no-extents");
    }
    if let Some(connections) = connections {
        command.arg(format!("--connections={connections}"));
    }
    timed(command.arg(address.to_string()).arg("null:"))
}

/// Runs a command to its successful end; says how long that took.
pub fn timed(command: &mut Command) -> Result<Duration> {
    let began = Instant::now();
    let output = output(command).context(line(command))?;
    let took = began.elapsed();
    if output.status.success() {
        Ok(took)
    } else {
        Err(format!("{}: {}", line(command), String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

/// What fio says it did.
#[derive(Debug, PartialEq)]
pub struct Fio {
    pub requests: f64,
    pub requests_per_second: f64,
    pub bytes_per_second: f64,
}

pub fn fio(address: &Address, mode: &str, size: &str, depth: usize, time: Duration) -> Result<Fio> {
    let mut command = Command::new("fio");
    command.args(["--name=bench", "--ioengine=nbd", "--thread=1", "--time_based", "--output-format=json"]);
    command.arg(format!("--uri={address}"));
    command.args([format!("--rw={mode}"), format!("--bs={size}"), format!("--iodepth={depth}")]);
    command.arg(format!("--runtime={}ms", time.as_millis()));
    let output = output(&mut command).context(line(&command))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let direction = if mode.ends_with("write") { "write" } else { "read" };
    parse(&said, direction).ok_or_else(|| {
        format!("{}: {}", line(&command), String::from_utf8_lossy(&output.stderr).trim()).into()
    })
}

/// Notes may stand before the JSON.
fn parse(said: &str, direction: &str) -> Option<Fio> {
    let json: Value = serde_json::from_str(said.get(said.find('{')?..)?).ok()?;
    let job = json.get("jobs")?.get(0)?;
    if job.get("error")?.as_i64()? != 0 {
        return None;
    }
    let figure = |name| job.get(direction)?.get(name)?.as_f64();
    let fio = Fio {
        requests: figure("total_ios")?,
        requests_per_second: figure("iops")?,
        bytes_per_second: figure("bw_bytes")?,
    };
    (fio.requests > 0.0).then_some(fio)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fio_says() {
        let said = r#"fio: a note
            {"jobs": [{"error": 0, "read": {"total_ios": 25, "iops": 50.5, "bw_bytes": 206848}, "write": {"total_ios": 0}}]}"#;
        let fio = Fio { requests: 25.0, requests_per_second: 50.5, bytes_per_second: 206_848.0 };
        assert_eq!(parse(said, "read"), Some(fio));
        assert_eq!(parse(said, "write"), None);
        assert_eq!(parse(&said.replace("\"error\": 0", "\"error\": 5"), "read"), None);
        assert_eq!(parse("fio: failed", "read"), None);
    }
}
