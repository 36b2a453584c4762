// SPDX-License-Identifier: BSD-3-Clause
//! The rounds: the contenders take turns, A B C A B C, on servers that are all up.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nbd_proto::Command::{Read, Write};

use super::cap::Cap;
use super::connection::Connection;
use super::contender::Contender;
use super::content::Content;
use super::export::Kind;
use super::latency;
use super::load::{self, Job, Until};
use super::plan::{Scene, Task, Work};
use super::report;
use super::results::{Row, Sample, Series, Unit};
use super::server::{Server, Transport};
use super::source::Running;
use super::syscalls::Counter;
use super::tools;
use crate::process::{Failure, Result};

/// Bytes of each write that are read back at once; all are read some time later.
const READ_BACK: u64 = 32 << 20;
/// Starts in one round.
const STARTS: u32 = 20;

/// How thoroughly to measure.
pub struct Rounds {
    /// Where logs and sockets go.
    pub folder: PathBuf,
    pub count: usize,
    /// How long our load and fio run in a round.
    pub time: Duration,
}

/// A contender in a scene.
struct Player<'a> {
    contender: &'a Contender,
    /// `None` where each round starts its own.
    server: Option<Server>,
    content: Arc<Content>,
}

impl Rounds {
    /// Measures all tasks of a scene. A contender that cannot take part gets a note.
    pub fn play(&self, scene: &Scene, contenders: &[Contender], notes: &mut Vec<String>) -> Result<Vec<Row>> {
        let _cap = match scene.capped.then(Cap::set).transpose() {
            Ok(cap) => cap,
            Err(why) => {
                notes.push(format!("{}: left out: {}", scene.name, text(why)));
                return Ok(Vec::new());
            }
        };
        let mut scene = scene.clone();
        let source = self.source(&mut scene, contenders)?;
        let scene = &scene;
        let mut players = self.enter(scene, &source, contenders, notes)?;
        let rows = scene.tasks.iter().map(|task| {
            let row = self.task(scene, task, &mut players)?;
            println!("{}", report::line(&row));
            if task.work.writes() {
                scene.export.settle()?;
            }
            Ok(row)
        });
        let rows = rows.collect();
        drop(players);
        scene.export.remove();
        rows
    }

    /// Fills the file behind a remote export, through our own server, and starts its source.
    fn source(&self, scene: &mut Scene, contenders: &[Contender]) -> Result<Option<(Running, Arc<Content>)>> {
        let Kind::Remote(source) = scene.export.kind else { return Ok(None) };
        let file = scene.export.behind();
        file.create()?;
        let ours = contenders.first().ok_or("nobody takes part")?;
        let address = Transport::Unix.address(&self.folder, 0)?;
        let server = Server::start(ours, &file, address, &self.folder.join("fill.log"))?;
        let content = Arc::new(file.fill(&server.address)?);
        drop(server);
        file.settle()?;
        let running = source.start(&file.path, &self.folder)?;
        scene.export.plugin.clone_from(&running.plugin);
        Ok(Some((running, content)))
    }

    /// Starts the servers and writes the data: once to a file, which all serve, and to the memory of each.
    fn enter<'a>(
        &self,
        scene: &Scene,
        source: &Option<(Running, Arc<Content>)>,
        contenders: &'a [Contender],
        notes: &mut Vec<String>,
    ) -> Result<Vec<Player<'a>>> {
        let export = &scene.export;
        let alone = scene.tasks.iter().all(|task| matches!(task.work, Work::Start));
        if alone {
            let content = Arc::new(Content::new(0));
            let player = |contender| Player { contender, server: None, content: Arc::clone(&content) };
            return Ok(contenders.iter().filter(|one| one.is_nbdkit()).map(player).collect());
        }
        let mut shared: Option<Arc<Content>> = source.as_ref().map(|(_, content)| Arc::clone(content));
        if shared.is_none() {
            export.create()?;
        }
        let mut players = Vec::new();
        for contender in
            contenders.iter().filter(|contender| contender.can_serve(export.kind, scene.transport))
        {
            let server = match self.start(scene, contender, players.len()) {
                Ok(server) => server,
                Err(why) => {
                    notes.push(format!("{}: {} takes no part: {}", scene.name, contender.name, text(why)));
                    continue;
                }
            };
            let content = match shared.clone().filter(|_| export.kind != Kind::Memory) {
                Some(content) => content,
                None => {
                    Arc::new(export.fill(&server.address).map_err(|why| blame(contender, "filling", why))?)
                }
            };
            shared = Some(Arc::clone(&content));
            players.push(Player { contender, server: (!scene.cold).then_some(server), content });
        }
        export.settle()?;
        Ok(players)
    }

    fn start(&self, scene: &Scene, contender: &Contender, number: usize) -> Result<Server> {
        let address = scene.transport.address(&self.folder, number)?;
        Server::start(contender, &scene.export, address, &self.folder.join(format!("{number}.log")))
    }

    fn task(&self, scene: &Scene, task: &Task, players: &mut [Player<'_>]) -> Result<Row> {
        let mut series: Vec<Series> = players.iter().map(|player| Series::new(player.contender)).collect();
        for round in 0..self.count {
            for (number, (player, series)) in players.iter_mut().zip(&mut series).enumerate() {
                let blame = |why| blame(player.contender, &task.workload, why);
                if scene.cold {
                    scene.export.chill()?;
                    player.server = Some(self.start(scene, player.contender, number)?);
                }
                if let Some(sample) = self.sample(scene, task.work, player, round as u64).map_err(blame)? {
                    series.samples.push(sample);
                }
                if scene.cold {
                    player.server = None;
                }
            }
        }
        if let (Work::Load(job), false) = (task.work, scene.cold) {
            for (player, series) in players.iter().zip(&mut series) {
                series.system_calls = self.system_calls(player, job)?;
            }
        }
        let (scene, workload) = (scene.name.clone(), task.workload.clone());
        Ok(Row { scene, workload, unit: task.work.unit(), target: task.target, series })
    }

    /// One turn of one contender; `None` if it knows no such thing.
    fn sample(&self, scene: &Scene, work: Work, player: &Player<'_>, round: u64) -> Result<Option<Sample>> {
        let Some(server) = &player.server else { return start(player.contender) };
        let before = server.usage()?;
        server.reset_peak();
        let mut sample = match work {
            Work::Load(job) => return self.load(scene, server, &player.content, job, round).map(Some),
            Work::Copy { extents, connections } => {
                let time = tools::nbdcopy(&server.address, extents, connections)?;
                let bytes = scene.export.size as f64;
                Sample {
                    value: bytes / time.as_secs_f64(),
                    requests: bytes / f64::from(1 << 20),
                    ..Sample::default()
                }
            }
            Work::Latency { greedy } => {
                let mut polite = Connection::open(&server.address)?;
                let mut other = greedy.then(|| Connection::open(&server.address)).transpose()?;
                let (wait, done) =
                    latency::measure(&mut polite, other.as_mut(), &player.content, self.time, round)?;
                let requests = done.requests as f64;
                Sample { value: wait.as_secs_f64(), requests, ..Sample::default() }
            }
            Work::Fio { mode, size, depth } => {
                let fio = tools::fio(&server.address, mode, size, depth, self.time)?;
                let small = work.unit() == Unit::RequestsPerSecond;
                let value = if small { fio.requests_per_second } else { fio.bytes_per_second };
                Sample { value, requests: fio.requests, ..Sample::default() }
            }
            Work::Start => return start(player.contender),
        };
        let after = server.usage()?;
        sample.server_cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        (sample.peak_kib, sample.threads) = (after.peak_kib, after.threads);
        Ok(Some(sample))
    }

    fn load(
        &self,
        scene: &Scene,
        server: &Server,
        content: &Content,
        job: Job,
        round: u64,
    ) -> Result<Sample> {
        let mut connections = connect(server, job)?;
        if !scene.cold {
            load::run(&mut connections, content, job, Until::Passed(self.time / 10), round)?;
        }
        let before = server.usage()?;
        let done = load::run(&mut connections, content, job, Until::Passed(self.time), round)?;
        let after = server.usage()?;
        if job.command == Write {
            let again = (READ_BACK / job.size as u64).min(done.requests / job.connections as u64);
            let back = Job { command: Read, ..job };
            load::run(&mut connections, content, back, Until::Requests(again), round)?;
        }
        let per_request = if job.unit() == Unit::RequestsPerSecond { 1.0 } else { job.size as f64 };
        Ok(Sample {
            value: done.requests as f64 * per_request / done.elapsed.as_secs_f64(),
            requests: done.requests as f64,
            server_cpu: after.cpu.saturating_sub(before.cpu).as_secs_f64(),
            load_cpu: done.cpu.as_secs_f64(),
            peak_kib: after.peak_kib,
            threads: after.threads,
        })
    }

    fn system_calls(&self, player: &Player<'_>, job: Job) -> Result<Option<f64>> {
        let Some(server) = &player.server else { return Ok(None) };
        let mut connections = connect(server, job)?;
        let counter = Counter::start(server.pid(), &self.folder.join("system-calls"))?;
        let done = load::run(&mut connections, &player.content, job, Until::Passed(self.time / 4), 0)?;
        Ok(Some(counter.stop()? / done.requests as f64))
    }
}

impl Job {
    fn unit(&self) -> Unit {
        if self.size > 4096 { Unit::BytesPerSecond } else { Unit::RequestsPerSecond }
    }
}

impl Work {
    fn writes(self) -> bool {
        match self {
            Work::Load(job) => job.command == Write,
            Work::Fio { mode, .. } => mode.ends_with("write"),
            Work::Copy { .. } | Work::Latency { .. } | Work::Start => false,
        }
    }

    fn unit(self) -> Unit {
        match self {
            Work::Load(job) => job.unit(),
            Work::Fio { size: "4k", .. } => Unit::RequestsPerSecond,
            Work::Fio { .. } | Work::Copy { .. } => Unit::BytesPerSecond,
            Work::Latency { .. } | Work::Start => Unit::Seconds,
        }
    }
}

fn connect(server: &Server, job: Job) -> Result<Vec<Connection>> {
    (0..job.connections).map(|_| Connection::open(&server.address)).collect()
}

fn start(contender: &Contender) -> Result<Option<Sample>> {
    let Some(mut command) = contender.captive() else { return Ok(None) };
    let mut total = Duration::ZERO;
    for _ in 0..STARTS {
        total += tools::timed(&mut command)?;
    }
    let value = (total / STARTS).as_secs_f64();
    Ok(Some(Sample { value, requests: f64::from(STARTS), ..Sample::default() }))
}

fn blame(contender: &Contender, doing: &str, why: Failure) -> Failure {
    format!("{}, {doing}: {}", contender.name, text(why)).into()
}

fn text(why: Failure) -> String {
    match why {
        Failure::Told => "it failed".to_owned(),
        Failure::Because(why) => why,
    }
}
