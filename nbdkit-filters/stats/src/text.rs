// SPDX-License-Identifier: BSD-3-Clause
//! The report for people.

use crate::counts::{Counts, NAMES, Sizes, Tally};
use std::{
    cmp::Reverse,
    fmt::{self, Write},
    time::Duration,
};

/// The breakdown of each kind covers `threshold` percent of its requests.
pub(crate) fn report(counts: &Counts, elapsed: Duration, threshold: u64) -> String {
    let tallies = counts.tallies();
    let mut out = String::new();
    // A String takes all that is written.
    let _ = total(&mut out, &tallies, elapsed);
    for (name, tally) in NAMES.into_iter().zip(&tallies).filter(|(_, tally)| tally.ops > 0) {
        let _ = one(&mut out, name, tally, elapsed, threshold);
    }
    out
}

/// Which kinds are part of the total: cache requests are advice; extents have a length but move no bytes.
pub(crate) fn in_total(name: &str) -> (bool, bool) {
    (name != "cache", !["cache", "extents"].contains(&name))
}

fn total(out: &mut String, tallies: &[Tally], elapsed: Duration) -> fmt::Result {
    let (mut ops, mut bytes) = (0, 0u64);
    for (name, tally) in NAMES.into_iter().zip(tallies) {
        let (counts, moves) = in_total(name);
        ops += if counts { tally.ops } else { 0 };
        bytes = bytes.saturating_add(if moves { tally.bytes } else { 0 });
    }
    let (seconds, size, rate) = (seconds(elapsed), human(bytes), rate(bytes, elapsed));
    writeln!(out, "total: {ops} ops, {seconds} s, {size}, {rate}/s")
}

fn one(out: &mut String, name: &str, tally: &Tally, elapsed: Duration, threshold: u64) -> fmt::Result {
    let Tally { ops, bytes, time, sizes } = tally;
    let (op, total) = (rate(*bytes, *time), rate(*bytes, elapsed));
    writeln!(out, "{name}: {ops} ops, {} s, {}, {op}/s op, {total}/s total", seconds(*time), human(*bytes))?;
    if sizes.is_empty() {
        return Ok(());
    }
    writeln!(out, "  Request size and alignment breakdown:")?;
    let mut sizes: Vec<_> = sizes.iter().map(|(bits, sizes)| (*bits, sizes.ops(), sizes)).collect();
    sizes.sort_by_key(|(bits, ops, _)| Reverse((*ops, *bits)));
    let (mut left, mut left_bytes) = (*ops, *bytes);
    for (bits, count, sizes) in sizes {
        if (ops - left) * 100 >= ops * threshold {
            let size = human(left_bytes);
            writeln!(out, "    other sizes: {:4.1}% ({left} reqs, {size} total)", percent(left, *ops))?;
            break;
        }
        let size = human(sizes.bytes);
        writeln!(out, "    {bits:2} bits: {:4.1}% ({count} reqs, {size} total)", percent(count, *ops))?;
        alignments(out, sizes, threshold)?;
        left -= count;
        left_bytes = left_bytes.saturating_sub(sizes.bytes);
    }
    writeln!(out)
}

/// Each line counts those of the next ones too; a line that says no more than the next is left out.
fn alignments(out: &mut String, sizes: &Sizes, threshold: u64) -> fmt::Result {
    let (all, aligned) = (sizes.ops(), sizes.aligned());
    let cut = all * (100 - threshold) / 100;
    for (number, (bits, ops)) in aligned.iter().enumerate() {
        if *ops < cut {
            return writeln!(out, "         {bits:2}+ bit-aligned: {:4.1}% ({ops})", percent(*ops, all));
        }
        if aligned.get(number + 1).is_none_or(|(_, next)| next != ops) {
            writeln!(out, "         {bits:2} bit aligned: {:5.1}% ({ops})", percent(*ops, all))?;
        }
    }
    Ok(())
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole as f64
}

/// In seconds, to the microsecond.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{}.{:06}", time.as_secs(), time.subsec_micros())
}

/// A second's share, of what takes at least a microsecond.
fn rate(bytes: u64, time: Duration) -> String {
    match time.as_micros() {
        0 => "(n/a)".to_owned(),
        micros => human((bytes as f64 / (micros as f64 / 1e6)) as u64),
    }
}

fn human(bytes: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.2} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbdkit_filter::{Kind, Span};

    fn counts(requests: &[(Kind, u64, u64, u64)]) -> Counts {
        let counts = Counts::new(true);
        for (kind, offset, len, micros) in requests {
            let time = Duration::from_micros(*micros);
            counts.of(*kind).unwrap().count(Span::new(*offset, *len), time, true);
        }
        counts
    }

    #[test]
    fn reads_as_ever() {
        let mut requests = Vec::new();
        requests.extend((0..20).map(|n| (Kind::Read, 4096 * n, 4096, 0)));
        requests.extend((0..10).map(|n| (Kind::Read, 5 * n, 3000, 1)));
        requests.push((Kind::Read, 65536, 65536, 2));
        requests.push((Kind::Zero, 1 << 20, 1 << 31, 158));
        requests.push((Kind::Cache, 512, 512, 1));
        requests.push((Kind::Extents, 0, 4096, 1));
        requests.push((Kind::Flush, 0, 0, 0));
        let report = report(&counts(&requests), Duration::from_micros(74_928), 95);
        let expected = "\
total: 34 ops, 0.074928 s, 2.00 GiB, 26.69 GiB/s
read: 31 ops, 0.000012 s, 173.30 KiB, 13.77 GiB/s op, 2.26 MiB/s total
  Request size and alignment breakdown:
    12 bits: 64.5% (20 reqs, 80.00 KiB total)
         12 bit aligned: 100.0% (20)
         13 bit aligned:  50.0% (10)
         14 bit aligned:  25.0% (5)
         15 bit aligned:  15.0% (3)
         16 bit aligned:  10.0% (2)
    11 bits: 32.3% (10 reqs, 29.30 KiB total)
          0 bit aligned: 100.0% (10)
          1 bit aligned:  50.0% (5)
          2 bit aligned:  30.0% (3)
          3 bit aligned:  20.0% (2)
    other sizes:  3.2% (1 reqs, 64.00 KiB total)

zero: 1 ops, 0.000158 s, 2.00 GiB, 12658.23 GiB/s op, 26.69 GiB/s total
  Request size and alignment breakdown:
    31 bits: 100.0% (1 reqs, 2.00 GiB total)
         20 bit aligned: 100.0% (1)

extents: 1 ops, 0.000001 s, 4.00 KiB, 3.81 GiB/s op, 53.38 KiB/s total
  Request size and alignment breakdown:
    12 bits: 100.0% (1 reqs, 4.00 KiB total)

cache: 1 ops, 0.000001 s, 512 bytes, 488.28 MiB/s op, 6.67 KiB/s total
  Request size and alignment breakdown:
     9 bits: 100.0% (1 reqs, 512 bytes total)
          9 bit aligned: 100.0% (1)

flush: 1 ops, 0.000000 s, 0 bytes, (n/a)/s op, 0 bytes/s total
";
        assert_eq!(report, expected);
    }

    #[test]
    fn the_threshold_cuts() {
        let requests: Vec<_> = (0..100).map(|n| (Kind::Write, 512 << (n / 25), 1 << (n / 40), 1)).collect();
        let report = |threshold| report(&counts(&requests), Duration::from_secs(1), threshold);
        assert!(report(80).contains("    other sizes: 20.0% (20 reqs, 80 bytes total)"), "{}", report(80));
        assert!(!report(81).contains("other sizes"));
        assert!(report(50).contains("         10+ bit-aligned: 37.5% (15)\n    other"), "{}", report(50));
        assert!(report(100).contains("         10 bit aligned:  37.5% (15)\n"), "{}", report(100));
    }

    #[test]
    fn nothing_is_little() {
        let report = report(&Counts::default(), Duration::from_micros(2032), 95);
        assert_eq!(report, "total: 0 ops, 0.002032 s, 0 bytes, 0 bytes/s\n");
    }
}
