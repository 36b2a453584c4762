// SPDX-License-Identifier: BSD-3-Clause
//! Where and with what was measured.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use super::contender::{Contender, version};
use crate::process::{output, root};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Date of the run.
    pub date: String,
    pub cpu: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    /// net.core.wmem_max: the largest socket buffer a program may ask for.
    pub wmem_max: u64,
    /// Load average of the last minute when the run began: more than a little means that something else ran too.
    pub load: f64,
    /// The commit of ours.
    pub commit: String,
    /// Name and version of every program.
    pub versions: Vec<(String, String)>,
}

impl Machine {
    pub fn look(contenders: &[Contender]) -> Machine {
        let mut versions: Vec<(String, String)> = Vec::new();
        for contender in contenders {
            let name = contender.name.split(' ').next().unwrap_or(contender.name).to_owned();
            if !versions.iter().any(|(known, _)| *known == name) {
                versions.push((name, contender.version.clone()));
            }
        }
        for tool in ["fio", "nbdcopy"] {
            versions.extend(version(Path::new(tool)).map(|version| (tool.to_owned(), version)));
        }
        Machine {
            date: said(Command::new("date").args(["-u", "+%F"])),
            cpu: of_file("/proc/cpuinfo", "model name").trim_start_matches([':', ' ', '\t']).to_owned(),
            cores: available_parallelism().map_or(1, usize::from),
            memory_gib: number(&of_file("/proc/meminfo", "MemTotal:")) >> 20,
            // What follows the version names a build of somebody's.
            kernel: said(Command::new("uname").arg("-sr")).split('-').next().unwrap_or_default().to_owned(),
            wmem_max: number(&of_file("/proc/sys/net/core/wmem_max", "")),
            load: of_file("/proc/loadavg", "")
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
            commit: said(Command::new("git").current_dir(root()).args(["describe", "--always", "--dirty"])),
            versions,
        }
    }
}

/// What follows `name` on the first line that begins with it.
fn of_file(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
}

fn number(text: &str) -> u64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0)
}

fn said(command: &mut Command) -> String {
    let said = output(command).map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&said).trim().to_owned()
}
