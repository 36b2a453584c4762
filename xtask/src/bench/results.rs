// SPDX-License-Identifier: BSD-3-Clause
//! What was measured, as it stands in benchmarks.json: every round of every contender.

use serde::{Deserialize, Serialize};

use super::contender::Family;
use super::machine::Machine;
use super::stats::{Ratio, median};

/// A run of the bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    /// How each contender served a file on a Unix socket.
    pub commands: Vec<String>,
    pub rounds: usize,
    pub rows: Vec<Row>,
    pub idle: Vec<Idle>,
    pub instructions: Vec<Instructions>,
    /// What could not be measured, and why.
    pub notes: Vec<String>,
}

/// One workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The export and how it was reached: the heading of a table.
    pub scene: String,
    pub workload: String,
    pub unit: Unit,
    pub target: Target,
    pub series: Vec<Series>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    RequestsPerSecond,
    BytesPerSecond,
    /// Of one start; the only unit of which less is better.
    Seconds,
}

/// What is to be reached against the best nbdkit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Ours to theirs; 1 is "not behind".
    pub ratio: f64,
    /// Server CPU time, ours to theirs, at most.
    pub cpu: Option<f64>,
}

/// The rounds of one contender.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    pub contender: String,
    pub family: Family,
    pub samples: Vec<Sample>,
    /// Per request, from a run of its own.
    pub system_calls: Option<f64>,
}

/// One round.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// In [`Row::unit`].
    pub value: f64,
    /// Requests, or bytes / 1 MiB where another program chose the requests, or starts.
    pub requests: f64,
    /// CPU time of the server in seconds.
    pub server_cpu: f64,
    /// CPU time of the load in seconds; 0 if another program was the load.
    pub load_cpu: f64,
    pub peak_kib: u64,
    pub threads: u64,
}

/// What a crowd of idle connections costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Idle {
    pub contender: String,
    pub connections: usize,
    pub before_kib: u64,
    pub with_kib: u64,
    pub threads: u64,
    /// Of one core, while nothing happens.
    pub cpu_share: f64,
}

/// What callgrind counted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instructions {
    pub what: String,
    pub per_request: f64,
}

impl Row {
    pub fn ours(&self) -> Option<&Series> {
        self.best(Family::Ours)
    }

    /// The contender of the family with the best median.
    pub fn best(&self, family: Family) -> Option<&Series> {
        let of_family =
            self.series.iter().filter(|series| series.family == family && !series.samples.is_empty());
        of_family.max_by(|a, b| self.median(a).total_cmp(&self.median(b)))
    }

    /// How much faster ours is than the best of a family.
    pub fn ratio(&self, family: Family) -> Option<Ratio> {
        self.compare(Family::Ours, family)
    }

    /// How much faster the best of one family is than the best of another.
    pub fn compare(&self, one: Family, other: Family) -> Option<Ratio> {
        Ratio::of(&self.scores(self.best(one)?), &self.scores(self.best(other)?))
    }

    /// Whether ours reaches the target; `None` without ours or nbdkit.
    pub fn is_met(&self) -> Option<bool> {
        let ratio = self.ratio(Family::Nbdkit)?;
        let cpu = self.ours()?.cpu_per_request() / self.best(Family::Nbdkit)?.cpu_per_request();
        Some(ratio.reaches(self.target.ratio) && self.target.cpu.is_none_or(|most| cpu <= most))
    }

    fn median(&self, series: &Series) -> f64 {
        median(&self.scores(series))
    }

    /// The figures, such that larger is better.
    fn scores(&self, series: &Series) -> Vec<f64> {
        let values = series.samples.iter().map(|sample| sample.value);
        values.map(|value| if self.unit == Unit::Seconds { value.recip() } else { value }).collect()
    }
}

impl Idle {
    pub fn more_mib(&self) -> f64 {
        self.with_kib.saturating_sub(self.before_kib) as f64 / 1024.0
    }
}

impl Series {
    pub fn new(contender: &super::contender::Contender) -> Series {
        let (contender, family) = (contender.name.to_owned(), contender.family);
        Series { contender, family, samples: Vec::new(), system_calls: None }
    }

    pub fn median(&self) -> f64 {
        self.median_of(|sample| sample.value)
    }

    /// Server CPU time in seconds.
    pub fn cpu_per_request(&self) -> f64 {
        self.median_of(|sample| sample.server_cpu / sample.requests)
    }

    /// CPU time of the load in seconds.
    pub fn load_per_request(&self) -> f64 {
        self.median_of(|sample| sample.load_cpu / sample.requests)
    }

    pub fn median_of(&self, what: impl Fn(&Sample) -> f64) -> f64 {
        median(&self.samples.iter().map(what).collect::<Vec<_>>())
    }
}
