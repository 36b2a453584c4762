// SPDX-License-Identifier: BSD-3-Clause
//! benchmarks.svg: speed relative to the best nbdkit, as bars; readable on light and dark pages.

use std::fmt::Write;

use super::contender::Family;
use super::results::{Results, Row, Unit};

/// Rows of these scenes are drawn.
const SCENES: [(&str, &str); 2] = [
    ("file, Unix", "A file in the page cache, Unix socket"),
    ("memory, Unix", "A disk in memory, Unix socket"),
];
const FAMILIES: [(Family, &str, &str); 3] = [
    (Family::Ours, "ours", "nbdkit in Rust"),
    (Family::Nbdkit, "nbdkit", "nbdkit"),
    (Family::Qemu, "qemu", "qemu-nbd"),
];

const WIDTH: f64 = 880.0;
const LEFT: f64 = 285.0;
/// Room for the figure behind the longest bar.
const RIGHT: f64 = 110.0;
const BAR: f64 = 13.0;
const BAR_STEP: f64 = BAR + 1.0;
const GAP: f64 = 14.0;

const STYLE: &str = "\
text{font:13px -apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:16px;font-weight:600}.scene{font-weight:600}.small{font-size:11px;fill:#59636e}.strong{font-weight:600;fill:#1f2328}
.ours{fill:#d1541f}.nbdkit{fill:#6e7f91}.qemu{fill:#b6c0ca}.line{stroke:#59636e;stroke-width:1;stroke-dasharray:3 3}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.small{fill:#9198a1}.strong{fill:#f0f6fc}
.ours{fill:#f0743e}.nbdkit{fill:#8795a5}.qemu{fill:#515c68}.line{stroke:#9198a1}}";

pub fn svg(results: &Results) -> String {
    let rows = |scene: &str| -> Vec<&Row> {
        let of_scene = results.rows.iter().filter(|row| row.scene == scene);
        of_scene
            .filter(|row| !row.workload.starts_with("fio") && row.best(Family::Nbdkit).is_some())
            .collect()
    };
    let panels: Vec<(&str, Vec<&Row>)> = SCENES.map(|(scene, title)| (title, rows(scene))).into();
    let longest = panels
        .iter()
        .flat_map(|(_, rows)| rows)
        .flat_map(|row| FAMILIES.map(|(family, ..)| relative(row, family)));
    let scale = (WIDTH - LEFT - RIGHT) / longest.flatten().fold(1.0, f64::max);

    let mut body = String::new();
    let mut y = 30.0;
    text(&mut body, 16.0, y, "title", "start", "Speed relative to nbdkit, longer is better");
    y += 24.0;
    let mut x = 16.0;
    for (_, class, name) in FAMILIES {
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{}\" width=\"11\" height=\"11\" rx=\"2\"/>",
            y - 10.0
        );
        text(&mut body, x + 16.0, y, "", "start", name);
        x += 34.0 + 8.0 * name.len() as f64;
    }
    for (title, rows) in panels.iter().filter(|(_, rows)| !rows.is_empty()) {
        y += 34.0;
        text(&mut body, 16.0, y, "scene", "start", title);
        y += 12.0;
        let height: f64 = rows.iter().map(|row| BAR_STEP * drawn(row).count() as f64 + GAP).sum();
        let one = LEFT + scale;
        let bottom = y + height - GAP;
        let _ = writeln!(
            body,
            "<line class=\"line\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{y}\" y2=\"{bottom}\"/>"
        );
        for row in rows {
            y = bars(&mut body, row, y, scale) + GAP;
        }
        y -= GAP;
    }
    y += 30.0;
    let machine = &results.machine;
    let footer = format!("{}, {} cores, {}, {}", machine.cpu, machine.cores, machine.kernel, machine.date);
    text(&mut body, 16.0, y, "small", "start", &footer);
    let height = y + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"Speed relative to nbdkit\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// The bars of one workload; says where they end.
fn bars(body: &mut String, row: &Row, top: f64, scale: f64) -> f64 {
    let mut y = top;
    for (class, relative, figure) in drawn(row) {
        let width = (relative * scale).max(1.0);
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"/>"
        );
        let (style, label) = if class == "ours" {
            ("small strong", format!("{relative:.1}× · {figure}"))
        } else {
            ("small", figure)
        };
        text(body, LEFT + width + 6.0, y + BAR - 3.0, style, "start", &label);
        y += BAR_STEP;
    }
    text(body, LEFT - 12.0, (top + y) / 2.0 + 4.0, "", "end", &row.workload);
    y
}

/// Class, relative speed and figure of each bar.
fn drawn(row: &Row) -> impl Iterator<Item = (&'static str, f64, String)> {
    FAMILIES.into_iter().filter_map(|(family, class, _)| {
        Some((class, relative(row, family)?, figure(row, row.best(family)?.median())))
    })
}

/// The speed of the family to that of the best nbdkit.
fn relative(row: &Row, family: Family) -> Option<f64> {
    row.compare(family, Family::Nbdkit).map(|ratio| ratio.median)
}

fn figure(row: &Row, value: f64) -> String {
    match row.unit {
        Unit::RequestsPerSecond => format!("{:.0} k/s", value / 1e3),
        Unit::BytesPerSecond => format!("{:.1} GB/s", value / 1e9),
        Unit::Seconds => format!("{:.1} ms", value * 1e3),
    }
}

fn text(body: &mut String, x: f64, y: f64, class: &str, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

#[cfg(test)]
mod tests {
    use super::super::fixture::results;
    use super::*;

    #[test]
    fn bars_are_as_long_as_the_medians() {
        let svg = svg(&results());
        let width = |class: &str| -> Vec<f64> {
            let bars =
                svg.lines().filter(|line| line.starts_with(&format!("<rect class=\"{class}\" x=\"{LEFT}\"")));
            bars.map(|bar| bar.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
                .collect()
        };
        let (ours, nbdkit, qemu) = (width("ours"), width("nbdkit"), width("qemu"));
        assert_eq!((ours.len(), nbdkit.len(), qemu.len()), (2, 2, 1));
        assert!((ours[0] / nbdkit[0] - 2.0).abs() < 0.01 && (ours[0] / qemu[0] - 4.0).abs() < 0.02);
        assert!((ours[1] / nbdkit[1] - 0.5).abs() < 0.01);
        assert!(svg.contains("2.0× · 400 k/s") && svg.contains("2.0 GB/s"));
    }
}
