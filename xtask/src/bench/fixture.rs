// SPDX-License-Identifier: BSD-3-Clause
//! Results to test the report and the chart with.

use super::contender::Family::{self, Nbdkit, Ours, Qemu};
use super::results::{Results, Row, Sample, Series, Target, Unit};

pub fn results() -> Results {
    let series = |contender: &str, family: Family, value: f64, cpu: f64| {
        let sample =
            Sample { value, requests: 1e6, server_cpu: cpu, load_cpu: 0.25, peak_kib: 4096, threads: 2 };
        let system_calls = (family == Ours).then_some(0.5);
        Series { contender: contender.to_owned(), family, samples: vec![sample; 7], system_calls }
    };
    let row = |scene: &str, workload: &str, unit, ratio, series| {
        let (scene, workload) = (scene.to_owned(), workload.to_owned());
        Row { scene, workload, unit, target: Target { ratio, cpu: None }, series }
    };
    let fast = vec![
        series("ours", Ours, 400e3, 1.0),
        series("nbdkit", Nbdkit, 150e3, 2.5),
        series("nbdkit -t 1", Nbdkit, 200e3, 2.0),
        series("qemu-nbd threads", Qemu, 90e3, 3.5),
        series("qemu-nbd io_uring", Qemu, 100e3, 3.0),
    ];
    let slow = vec![series("ours", Ours, 1e9, 1.0), series("nbdkit", Nbdkit, 2e9, 1.0)];
    let start = vec![series("ours", Ours, 2e-3, 0.0), series("nbdkit", Nbdkit, 5e-3, 0.0)];
    Results {
        rounds: 7,
        rows: vec![
            row("file, Unix", "fast", Unit::RequestsPerSecond, 2.0, fast),
            row("file, Unix", "slow", Unit::BytesPerSecond, 1.0, slow),
            row("start", "start", Unit::Seconds, 2.0, start),
        ],
        ..Results::default()
    }
}
