// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask bench`: ours beside nbdkit and qemu-nbd, in interleaved rounds, with data that is checked.
//!
//! [`plan`] says what is measured, [`rounds`] measures it, [`results`] is what comes of it, [`report`] and [`chart`] show it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, process};

use crate::packages;
use crate::process::{Context, Failure, Result, cargo, line, root, run as run_command, target_dir};

mod cap;
mod chart;
mod connection;
mod contender;
mod content;
mod export;
#[cfg(test)]
mod fixture;
mod idle;
mod instructions;
mod latency;
#[cfg(test)]
mod liar;
mod load;
mod machine;
mod plan;
mod report;
mod results;
mod rounds;
mod secure;
mod server;
mod source;
mod stats;
mod syscalls;
mod tools;
mod walk;

use contender::Contender;
use export::{Export, Kind};
use machine::Machine;
use results::Results;
use rounds::Rounds;
use server::{Server, Transport};

#[derive(clap::Args)]
pub struct Options {
    /// The rows that tell most, in three short rounds: two minutes
    #[arg(long)]
    quick: bool,
    /// Only rows whose "scene: workload" contains this, in any case
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Count instructions instead, with callgrind
    #[arg(long, conflicts_with_all = ["quick", "only"])]
    instructions: bool,
    /// Interleaved rounds
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=101))]
    rounds: Option<u16>,
    /// Measure this program instead of building ours
    #[arg(long, value_name = "PROGRAM")]
    ours: Option<PathBuf>,
    /// Measure this one beside ours: an older build, to see what a change bought
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,
    /// Install nothing; what is missing is left out
    #[arg(long)]
    no_install: bool,
}

/// Programs that take part, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 8] = [
    ("nbdkit", "nbdkit"),
    ("qemu-nbd", "qemu-utils"),
    ("nbdcopy", "libnbd-bin"),
    ("fio", "fio"),
    ("nginx", "nginx-light"),
    ("sshd", "openssh-server"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
];

pub fn run(options: &Options) -> Result {
    // Unoptimised, the load would be slower than the servers.
    if cfg!(debug_assertions) {
        let mut optimised = cargo(["run", "--quiet", "--release", "--package", "xtask", "--"]);
        return run_command(optimised.args(env::args_os().skip(1)));
    }
    if !options.no_install {
        let missing = PROGRAMS.iter().filter(|(program, _)| !is_found(program)).map(|(_, package)| *package);
        packages::need(missing)?;
    }
    let ours = match &options.ours {
        Some(program) => program.clone(),
        None => {
            run_command(&mut cargo([
                "build",
                "--release",
                "--locked",
                "--package",
                "nbdkit",
                "--features",
                "nbdkit/full",
            ]))?;
            target_dir().join("release/nbdkit")
        }
    };
    let contenders = Contender::all(&ours, options.before.as_deref())?;
    let folder = Folder::new()?;
    let whole = !options.quick && options.only.is_none();
    let shown = if whole { root().to_owned() } else { folder.data.clone() };
    let mut results = if options.instructions { read(&shown)? } else { Results::default() };
    if options.instructions {
        if results.rows.is_empty() {
            results.machine = Machine::look(&contenders);
        }
        results.instructions = instructions::measure(&contenders, &folder.sockets)?;
    } else {
        results.instructions = read(&shown).map(|before| before.instructions).unwrap_or_default();
        measure(options, &contenders, &folder, &mut results)?;
    }
    write(&shown, &results)
}

fn measure(options: &Options, contenders: &[Contender], folder: &Folder, results: &mut Results) -> Result {
    let (count, time) = if options.quick { (3, 200) } else { (7, 300) };
    let rounds = Rounds {
        folder: folder.sockets.clone(),
        count: options.rounds.map_or(count, usize::from),
        time: Duration::from_millis(time),
    };
    results.machine = Machine::look(contenders);
    results.rounds = rounds.count;
    let shown = Transport::Unix.address(Path::new("."), 0)?;
    let file = Export::full(Kind::File, Path::new("."));
    results.commands = contenders.iter().map(|one| line(&one.serve(&file, &shown))).collect();
    if !syscalls::has_perf() {
        results.notes.push("System calls were counted by strace, whose delays let batches grow.".to_owned());
    }
    for mut scene in plan::scenes(&folder.data) {
        scene.keep(options.quick, options.only.as_deref());
        if scene.tasks.is_empty() {
            continue;
        }
        results.rows.extend(rounds.play(&scene, contenders, &mut results.notes)?);
    }
    if options.only.as_deref().is_none_or(|only| "idle".contains(only)) {
        for (number, contender) in contenders.iter().enumerate() {
            let kind = if contender.is_nbdkit() { Kind::Memory } else { Kind::File };
            let export = Export::full(kind, &folder.data);
            export.create()?;
            let address = Transport::Unix.address(&folder.sockets, number)?;
            let server = Server::start(contender, &export, address, &folder.sockets.join("idle.log"))?;
            results.idle.push(idle::measure(&server, contender.name)?);
            drop(server);
            export.remove();
        }
    }
    if results.rows.is_empty() && results.idle.is_empty() {
        let only = options.only.as_deref().unwrap_or_default();
        return Err(format!("--only {only}: no such row; see the names in BENCHMARKS.md, or \"idle\"").into());
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Results> {
    let path = folder.join("benchmarks.json");
    if !path.exists() {
        return Ok(Results::default());
    }
    let text = fs::read_to_string(&path).context(path.display())?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}; remove it", path.display()).into())
}

fn write(folder: &Path, results: &Results) -> Result {
    let json = serde_json::to_string(results).map_err(|e| Failure::from(e.to_string()))?;
    let files = [
        ("benchmarks.json", json),
        ("BENCHMARKS.md", report::markdown(results)),
        ("benchmarks.svg", chart::svg(results)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).context(path.display())?;
        println!("{}", path.display());
    }
    Ok(())
}

fn is_found(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Disks lie below the target folder, on a real file system; sockets where their paths are short.
struct Folder {
    data: PathBuf,
    sockets: PathBuf,
}

impl Folder {
    fn new() -> Result<Folder> {
        let data = target_dir().join("bench");
        let sockets = env::temp_dir().join(format!("nbdkit-bench-{}", process::id()));
        for folder in [&data, &sockets] {
            fs::create_dir_all(folder).context(folder.display())?;
        }
        Ok(Folder { data, sockets })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.sockets);
    }
}
