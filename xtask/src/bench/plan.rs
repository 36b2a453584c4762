// SPDX-License-Identifier: BSD-3-Clause
//! The workloads, as data: what is served, how it is reached, what is done with it, and what is to be reached.

use std::path::Path;

use nbd_proto::Command::{self, Read, Write};

use super::export::{Export, Kind};
use super::load::Job;
use super::results::Target;
use super::server::Transport::{self, Tcp, Tls, Unix};
use super::source::Source;
use super::walk::Order::{self, Random, Sequential};

/// Servers of one export, all up at the same time; the workloads take turns on them.
#[derive(Clone)]
pub struct Scene {
    pub name: String,
    pub export: Export,
    pub transport: Transport,
    /// Socket buffers no larger than many distributions allow.
    pub capped: bool,
    /// Every round begins with a new server and without the file in the page cache.
    pub cold: bool,
    pub tasks: Vec<Task>,
}

/// A row of the report.
#[derive(Clone)]
pub struct Task {
    pub workload: String,
    pub work: Work,
    pub target: Target,
    /// Part of `--quick`.
    pub quick: bool,
}

#[derive(Clone, Copy)]
pub enum Work {
    /// Our own load.
    Load(Job),
    /// nbdcopy to nowhere.
    Copy { extents: bool, connections: Option<u32> },
    /// The 99th percentile of the waits of a polite client, perhaps beside a greedy one.
    Latency { greedy: bool },
    /// fio's nbd engine. Fills the disk with what it likes: after all that judge content.
    Fio { mode: &'static str, size: &'static str, depth: usize },
    /// Start, run `true`, end.
    Start,
}

/// Our own loads: name, job, and the ratios to reach for a file and for memory on a Unix socket.
type Load = (&'static str, Job, f64, f64);

const LOADS: [Load; 6] = [
    ("4 KiB random read, QD 1", job(Read, Random, 4, 1, 1), 2.0, 1.9),
    ("4 KiB random read, QD 16", job(Read, Random, 4, 16, 1), 2.5, 2.3),
    ("4 KiB random write, QD 16", job(Write, Random, 4, 16, 1), 2.0, 2.8),
    ("256 KiB sequential read, QD 8", job(Read, Sequential, 256, 8, 1), 2.0, 1.3),
    ("256 KiB sequential write, QD 8", job(Write, Sequential, 256, 8, 1), 1.5, 1.3),
    ("4 KiB random read, QD 16, 4 connections", job(Read, Random, 4, 16, 4), 3.5, 3.5),
];

/// fio: name, mode, size, depth, and the ratio to reach for a file.
const FIOS: [(&str, &str, &str, usize, f64); 4] = [
    ("fio 4 KiB random read, QD 1", "randread", "4k", 1, 2.0),
    ("fio 4 KiB random read, QD 16", "randread", "4k", 16, 1.0),
    ("fio 256 KiB sequential read, QD 8", "read", "256k", 8, 2.0),
    ("fio 4 KiB random write, QD 16", "randwrite", "4k", 16, 1.0),
];

const fn job(command: Command, order: Order, kib: usize, depth: usize, connections: usize) -> Job {
    Job { command, order, size: kib << 10, depth, connections }
}

/// Everything there is, in the order of the report.
pub fn scenes(folder: &Path) -> Vec<Scene> {
    let kinds = [Kind::File, Kind::Memory];
    let mut scenes = Vec::new();
    for transport in [Unix, Tcp] {
        scenes.extend(kinds.map(|kind| full(kind, transport, folder)));
    }
    scenes.extend(kinds.map(|kind| capped(kind, folder)));
    scenes.extend(
        kinds.map(|kind| copy(Export::sparse(kind, folder), "nbdcopy of 64 GiB with 1 GiB of data", true)),
    );
    scenes.extend(kinds.map(|kind| {
        copy(Export::empty(kind, folder), "nbdcopy --no-extents of 16 GiB with 1 % data", false)
    }));
    scenes.push(secured(folder));
    scenes.extend(
        [Source::Http, Source::FarHttp, Source::Ssh, Source::Nbd].map(|source| remote(source, folder)),
    );
    scenes.push(slow(folder));
    scenes.push(cold(folder));
    scenes.push(start(folder));
    scenes
}

fn full(kind: Kind, transport: Transport, folder: &Path) -> Scene {
    let file = kind == Kind::File;
    let mut tasks: Vec<Task> = Vec::new();
    for (workload, job, for_file, for_memory) in LOADS {
        let ratio = match transport {
            Unix if file => for_file,
            Unix => for_memory,
            _ if job.size == 4096 => 2.0,
            _ => 1.0,
        };
        let telling = transport == Unix || file && job.command == Read && job.depth == 16;
        tasks.push(Task::new(workload, Work::Load(job), ratio).quick(telling));
    }
    let ratio = match transport {
        Unix if file => 1.2,
        Unix => 1.1,
        _ => 1.0,
    };
    tasks.push(
        Task::new("nbdcopy of 1 GiB", Work::Copy { extents: true, connections: None }, ratio)
            .quick(transport == Unix),
    );
    if transport == Unix && !file {
        let eight = Work::Load(job(Read, Random, 4, 1, 8));
        tasks.push(Task::new("4 KiB random read, QD 1, 8 connections", eight, 1.0));
        let alone = "99th percentile of the wait for 4 KiB, QD 1, alone";
        tasks.push(Task::new(alone, Work::Latency { greedy: false }, 1.0));
        let beside = "99th percentile of the wait for 4 KiB, QD 1, beside 256 KiB at QD 64";
        tasks.push(Task::new(beside, Work::Latency { greedy: true }, 1.0));
    }
    if transport == Unix {
        tasks.extend(FIOS.map(|(workload, mode, size, depth, for_file)| {
            let ratio = if file { for_file } else { 1.0 };
            Task::new(workload, Work::Fio { mode, size, depth }, ratio)
                .quick(file && mode == "randread" && depth == 16)
        }));
    }
    Scene::new(Export::full(kind, folder), transport, tasks)
}

fn capped(kind: Kind, folder: &Path) -> Scene {
    let large = LOADS.into_iter().filter(|(_, job, ..)| job.size > 4096);
    let tasks = large.map(|(workload, job, ..)| Task::new(workload, Work::Load(job), 1.0)).collect();
    let scene = Scene::new(Export::full(kind, folder), Unix, tasks);
    Scene { name: format!("{}, socket buffers capped at 212992 bytes", scene.name), capped: true, ..scene }
}

fn copy(export: Export, workload: &str, extents: bool) -> Scene {
    let ratio = if extents { 1.3 } else { 2.0 };
    let task = Task::new(workload, Work::Copy { extents, connections: None }, ratio);
    let target = Target { cpu: extents.then_some(0.5), ..task.target };
    Scene::new(export, Unix, vec![Task { target, ..task }])
}

fn secured(folder: &Path) -> Scene {
    let tasks = vec![
        Task::new("4 KiB random read, QD 16", Work::Load(job(Read, Random, 4, 16, 1)), 2.0),
        Task::new("256 KiB sequential read, QD 8", Work::Load(job(Read, Sequential, 256, 8, 1)), 1.1),
        Task::new("nbdcopy of 1 GiB", Work::Copy { extents: true, connections: None }, 1.2),
    ];
    Scene::new(Export::full(Kind::Memory, folder), Tls, tasks)
}

fn remote(source: Source, folder: &Path) -> Scene {
    let read = |depth| Work::Load(job(Read, Random, 4, depth, 1));
    let copy = |connections| Work::Copy { extents: true, connections: Some(connections) };
    let tasks = match source {
        Source::Http => vec![
            Task::new("nbdcopy of 1 GiB, 1 connection", copy(1), 1.2),
            Task::new("nbdcopy of 1 GiB, 4 connections", copy(4), 1.2),
        ],
        Source::FarHttp => vec![
            Task::new("4 KiB random read, QD 16", read(16), 1.0),
            Task::new("4 KiB random read, QD 64", read(64), 2.0),
        ],
        Source::Ssh => vec![
            Task::new("nbdcopy of 1 GiB, 1 connection", copy(1), 1.5),
            Task::new("4 KiB random read, QD 16", read(16), 1.5),
        ],
        Source::Nbd => vec![
            Task::new("nbdcopy of 1 GiB, 4 connections", copy(4), 1.5),
            Task::new("4 KiB random read, QD 16", read(16), 1.5),
        ],
    };
    Scene::new(Export::remote(source, folder), Unix, tasks)
}

fn slow(folder: &Path) -> Scene {
    let work = Work::Load(job(Read, Random, 4, 16, 1));
    let mut scene =
        Scene::new(Export::slow(folder), Unix, vec![Task::new("4 KiB random read, QD 16", work, 1.0)]);
    scene.name = "memory, each read delayed by 1 ms, Unix".to_owned();
    scene
}

fn cold(folder: &Path) -> Scene {
    let work = Work::Load(job(Read, Random, 4, 16, 1));
    let scene =
        Scene::new(Export::cold(folder), Unix, vec![Task::new("4 KiB random read, QD 16", work, 1.0)]);
    Scene { cold: true, ..scene }
}

fn start(folder: &Path) -> Scene {
    let task = Task::new("-U - memory 1M --run true", Work::Start, 2.0).quick(true);
    Scene { name: "start".to_owned(), ..Scene::new(Export::slow(folder), Unix, vec![task]) }
}

impl Scene {
    fn new(export: Export, transport: Transport, tasks: Vec<Task>) -> Scene {
        let name = format!("{}, {}", export.name, transport.word());
        Scene { name, export, transport, capped: false, cold: false, tasks }
    }

    /// Keeps the tasks that `--quick` and `--only` leave; an `only` is part of the names of scene and workload.
    pub fn keep(&mut self, quick: bool, only: Option<&str>) {
        let name = self.name.to_lowercase();
        let wanted = |task: &Task| {
            let full = format!("{name}: {}", task.workload.to_lowercase());
            only.map_or(!quick || task.quick, |only| full.contains(&only.to_lowercase()))
        };
        self.tasks.retain(wanted);
    }
}

impl Task {
    fn new(workload: &str, work: Work, ratio: f64) -> Task {
        Task { workload: workload.to_owned(), work, target: Target { ratio, cpu: None }, quick: false }
    }

    fn quick(self, quick: bool) -> Task {
        Task { quick, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(quick: bool, only: Option<&str>) -> Vec<String> {
        let mut scenes = scenes(Path::new("."));
        scenes.iter_mut().for_each(|scene| scene.keep(quick, only));
        let rows = scenes.iter().flat_map(|scene| scene.tasks.iter().map(move |task| (scene, task)));
        rows.map(|(scene, task)| format!("{}: {}", scene.name, task.workload)).collect()
    }

    #[test]
    fn rows_have_names_of_their_own() {
        let mut all = kept(false, None);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(kept(true, None).len() < count, "--quick is a part");
    }

    #[test]
    fn only_finds_scenes_and_workloads() {
        assert_eq!(
            kept(false, Some("memory, tcp: 4 kib random write")),
            ["memory, TCP: 4 KiB random write, QD 16"]
        );
        assert!(kept(false, Some("CAPPED")).len() == 4);
        assert!(kept(false, Some("nothing like this")).is_empty());
    }

    #[test]
    fn fio_spoils_the_disk_last() {
        for scene in scenes(Path::new(".")) {
            let is_fio = |task: &Task| matches!(task.work, Work::Fio { .. });
            let fios =
                scene.tasks.iter().skip_while(|task| !is_fio(task)).filter(|task| !is_fio(task)).count();
            assert_eq!(fios, 0, "{}", scene.name);
        }
    }
}
