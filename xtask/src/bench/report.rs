// SPDX-License-Identifier: BSD-3-Clause
//! BENCHMARKS.md: the figures as people read them.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::contender::Family;
use super::results::{Results, Row, Sample, Series, Target, Unit};

/// Why rows are not what they should be, as far as anybody knows: `"scene: workload" = "text"`.
const EXPLANATIONS: &str = include_str!("explanations.toml");

/// What a crowd of idle connections may cost; threads beside one a core.
const IDLE_MIB: f64 = 8.0;
const IDLE_THREADS: u64 = 4;

const INTRO: &str = "\
# Benchmarks

Written by `cargo xtask bench`, which anybody can run. The servers take turns in interleaved rounds; figures are medians,
with the smallest and the largest round in brackets. *nbdkit* is the better of its default and `-t 1`, *qemu-nbd* the better of
its threads and io_uring. Ratios above 1 mean that ours is faster; they are taken round by round, and a difference counts
only if at least six of seven rounds agree about its sign: otherwise it is a tie. Every byte read is known beforehand: the
first and the last 16 bytes of every block are compared, of one request in 64 all bytes, and part of what was written is
read back. A wrong byte fails the run. fio and nbdcopy are the load where a row names them.

![Speed relative to nbdkit](benchmarks.svg)
";

pub fn markdown(results: &Results) -> String {
    let mut out = INTRO.to_owned();
    // Writing to a String does not fail.
    let _ = machine(&mut out, results)
        .and_then(|()| scenes(&mut out, results))
        .and_then(|()| tail(&mut out, results));
    out
}

fn machine(out: &mut String, results: &Results) -> std::fmt::Result {
    let machine = &results.machine;
    writeln!(out, "\n## Machine\n\n| | |\n|---|---|")?;
    writeln!(out, "| date | {} |", machine.date)?;
    writeln!(out, "| CPU | {}, {} cores |", machine.cpu, machine.cores)?;
    writeln!(out, "| memory | {} GiB |", machine.memory_gib)?;
    writeln!(out, "| kernel | {} |", machine.kernel)?;
    writeln!(out, "| net.core.wmem_max | {} |", machine.wmem_max)?;
    writeln!(out, "| load average before | {:.2} |", machine.load)?;
    writeln!(out, "| commit | {} |", machine.commit)?;
    machine.versions.iter().try_for_each(|(name, version)| writeln!(out, "| {name} | {version} |"))?;
    writeln!(out, "| rounds | {} |\n\n```text", results.rounds)?;
    results.commands.iter().try_for_each(|command| writeln!(out, "{command}"))?;
    writeln!(out, "```")
}

fn scenes(out: &mut String, results: &Results) -> std::fmt::Result {
    let explanations: BTreeMap<String, String> = toml::from_str(EXPLANATIONS).unwrap_or_default();
    for rows in results.rows.chunk_by(|a, b| a.scene == b.scene) {
        let Some(first) = rows.first() else { continue };
        let mut name = first.scene.clone();
        name[..1].make_ascii_uppercase();
        let before = rows.iter().any(|row| row.best(Family::Before).is_some());
        writeln!(out, "\n## {name}\n")?;
        let extra = if before { " ours / before |" } else { "" };
        writeln!(
            out,
            "| workload | ours | nbdkit | qemu-nbd | ours / nbdkit | target | ours / qemu-nbd |{extra}"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|{}", if before { "---|" } else { "" })?;
        for row in rows {
            let figure = |family| row.best(family).map_or("—".to_owned(), |series| value(row, series));
            let ratio = |family| row.ratio(family).map_or("—".to_owned(), |ratio| ratio.to_string());
            let figures = [Family::Ours, Family::Nbdkit, Family::Qemu].map(figure).join(" | ");
            write!(
                out,
                "| {} | {figures} | {} | {} | {} |",
                row.workload,
                ratio(Family::Nbdkit),
                target(row),
                ratio(Family::Qemu)
            )?;
            if before {
                write!(out, " {} |", ratio(Family::Before))?;
            }
            writeln!(out)?;
        }
        costs(out, rows)?;
        for row in rows.iter().filter(|row| row.is_met() == Some(false)) {
            let name = format!("{}: {}", row.scene, row.workload);
            let why = explanations.get(&name).map_or("not explained yet", String::as_str);
            writeln!(out, "\n**Unmet**: {}: {why}.", row.workload)?;
        }
    }
    Ok(())
}

/// What the servers spent: ours / nbdkit / qemu-nbd, each the contender of the table above.
fn costs(out: &mut String, rows: &[Row]) -> std::fmt::Result {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.unit != Unit::Seconds).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWhat that cost, ours / nbdkit / qemu-nbd:\n")?;
    writeln!(
        out,
        "| workload | server CPU, µs | system calls | peak memory, MiB | threads | CPU of the load, µs |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|")?;
    for row in rows {
        let cells = |cell: &dyn Fn(&Series) -> String| {
            let cell = |family| row.best(family).map_or("—".to_owned(), cell);
            [Family::Ours, Family::Nbdkit, Family::Qemu].map(cell).join(" / ")
        };
        let most = |what: fn(&Sample) -> u64| {
            move |series: &Series| series.samples.iter().map(what).max().unwrap_or(0)
        };
        let (peak, threads) = (most(|sample| sample.peak_kib), most(|sample| sample.threads));
        let per = if row.workload.starts_with("nbdcopy") { " (per MiB)" } else { "" };
        writeln!(
            out,
            "| {}{per} | {} | {} | {} | {} | {} |",
            row.workload,
            cells(&|series| micros(series.cpu_per_request())),
            cells(&|series| series.system_calls.map_or("—".to_owned(), |calls| format!("{calls:.2}"))),
            cells(&|series| (peak(series) >> 10).to_string()),
            cells(&|series| threads(series).to_string()),
            cells(&|series| if series.load_per_request() > 0.0 {
                micros(series.load_per_request())
            } else {
                "—".to_owned()
            }),
        )?;
    }
    Ok(())
}

fn tail(out: &mut String, results: &Results) -> std::fmt::Result {
    if let Some(first) = results.idle.first() {
        let threads = results.machine.cores as u64 + IDLE_THREADS;
        let enough = first.more_mib() <= IDLE_MIB && first.threads <= threads;
        let met = if enough { "met" } else { "**unmet**" };
        writeln!(out, "\n## {} idle connections\n", first.connections)?;
        writeln!(out, "Target: at most {IDLE_MIB:.0} MiB more, and {threads} threads: {met}.\n")?;
        writeln!(
            out,
            "| | memory before, MiB | with them | more | threads | CPU |\n|---|---|---|---|---|---|"
        )?;
    }
    for idle in &results.idle {
        writeln!(
            out,
            "| {} | {:.1} | {:.1} | {:.1} | {} | {:.1} % |",
            idle.contender,
            idle.before_kib as f64 / 1024.0,
            idle.with_kib as f64 / 1024.0,
            idle.more_mib(),
            idle.threads,
            idle.cpu_share * 100.0
        )?;
    }
    if !results.instructions.is_empty() {
        writeln!(
            out,
            "\n## Instructions\n\nFor a 4 KiB read of memory through the whole server, without the kernel's, by callgrind.\n"
        )?;
        writeln!(out, "| | a request |\n|---|---|")?;
    }
    for one in &results.instructions {
        writeln!(out, "| {} | {:.0} |", one.what, one.per_request)?;
    }
    if !results.notes.is_empty() {
        writeln!(out, "\n## Notes\n")?;
    }
    results.notes.iter().try_for_each(|note| writeln!(out, "- {note}"))
}

fn target(row: &Row) -> String {
    let Target { ratio, cpu } = row.target;
    let mut text = if ratio <= 1.0 { "not behind".to_owned() } else { format!("{ratio:.1}") };
    if let Some(cpu) = cpu {
        let _ = write!(text, ", {cpu:.1} of the CPU");
    }
    match row.is_met() {
        Some(true) => format!("{text}: met"),
        Some(false) => format!("{text}: **unmet**"),
        None => text,
    }
}

/// `512 k/s (500–520)`, and which contender it is if its family has several.
fn value(row: &Row, series: &Series) -> String {
    let (scale, unit) = match row.unit {
        Unit::RequestsPerSecond => (1e3, "k/s"),
        Unit::BytesPerSecond => (1e6, "MB/s"),
        Unit::Seconds if series.median() < 1e-3 => (1e-6, "us"),
        Unit::Seconds => (1e-3, "ms"),
    };
    let of = |value: f64| {
        let value = value / scale;
        if value < 99.5 { format!("{value:.1}") } else { format!("{value:.0}") }
    };
    let values = || series.samples.iter().map(|sample| sample.value);
    let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    let which = series.contender.split_once(' ').map_or(String::new(), |(_, which)| format!(", {which}"));
    format!("{} {unit} ({}–{}){which}", of(series.median()), of(min), of(max))
}

fn micros(seconds: f64) -> String {
    let micros = seconds * 1e6;
    if micros < 10.0 { format!("{micros:.2}") } else { format!("{micros:.1}") }
}

/// One line for the terminal.
pub fn line(row: &Row) -> String {
    let mut text = format!("{}: {}:", row.scene, row.workload);
    for family in [Family::Ours, Family::Before, Family::Nbdkit, Family::Qemu] {
        if let Some(series) = row.best(family) {
            let _ = write!(
                text,
                "  {} {}",
                series.contender.split(' ').next().unwrap_or_default(),
                value(row, series)
            );
        }
        if let Some(ratio) = row.ratio(family).filter(|_| family != Family::Ours) {
            let _ = write!(text, " = {ratio}");
        }
    }
    let _ = write!(text, "  [{}]", target(row));
    text
}

#[cfg(test)]
mod tests {
    use super::super::fixture::results;
    use super::*;

    #[test]
    fn the_table_says_who_is_faster_and_whether_it_is_enough() {
        let text = markdown(&results());
        let row =
            |name: &str| text.lines().find(|line| line.starts_with(&format!("| {name}"))).unwrap().to_owned();
        assert_eq!(
            row("fast"),
            "| fast | 400 k/s (400–400) | 200 k/s (200–200), -t 1 | 100 k/s (100–100), io_uring \
             | 2.00 (2.00–2.00) | 2.0: met | 4.00 (4.00–4.00) |"
        );
        assert!(row("slow").contains("| 0.50 (0.50–0.50) | not behind: **unmet** | — |"), "{}", row("slow"));
        assert!(text.contains("**Unmet**: slow: not explained yet."));
        assert!(!text.contains("**Unmet**: fast"));
        assert!(
            row("start").contains("| 2.0 ms (2.0–2.0) | 5.0 ms (5.0–5.0) | — | 2.50 (2.50–2.50) |"),
            "{}",
            row("start")
        );
    }

    #[test]
    fn costs_follow() {
        let text = markdown(&results());
        let costs =
            "| fast | 1.00 / 2.00 / 3.00 | 0.50 / — / — | 4 / 4 / 4 | 2 / 2 / 2 | 0.25 / 0.25 / 0.25 |";
        assert!(text.contains(costs), "{text}");
    }

    #[test]
    fn explanations_parse_and_name_rows() {
        let explanations: BTreeMap<String, String> = toml::from_str(EXPLANATIONS).unwrap();
        let scenes = super::super::plan::scenes(std::path::Path::new("."));
        for name in explanations.keys() {
            let known = scenes.iter().any(|scene| {
                scene.tasks.iter().any(|task| *name == format!("{}: {}", scene.name, task.workload))
            });
            assert!(known, "explanations.toml: {name}: no such row");
        }
    }
}
