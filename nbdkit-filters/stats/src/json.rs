// SPDX-License-Identifier: BSD-3-Clause
//! The report for programs: one object on one line, so that a file that is added to holds one on each.

use crate::{
    counts::{Counts, KINDS, NAMES, Sizes, Tally},
    text::{in_total, seconds},
};
use std::time::Duration;

pub(crate) fn report(counts: &Counts, elapsed: Duration) -> String {
    let tallies: [Tally; KINDS] = counts.tallies();
    let named = || NAMES.into_iter().zip(&tallies);
    let ops: u64 = named().filter(|(name, _)| in_total(name).0).map(|(_, tally)| tally.ops).sum();
    let moved = named().filter(|(name, _)| in_total(name).1).map(|(_, tally)| tally.bytes);
    let bytes = moved.fold(0, u64::saturating_add);
    let total = format!(r#""total":{{"ops":{ops},"seconds":{},"bytes":{bytes}}}"#, seconds(elapsed));
    let kinds = named().map(|(name, tally)| format!(r#""{name}":{}"#, one(tally, counts.histogram)));
    format!("{{{}}}\n", list([total].into_iter().chain(kinds)))
}

fn one(tally: &Tally, histogram: bool) -> String {
    let Tally { ops, bytes, time, sizes } = tally;
    let sizes = match histogram {
        true => format!(r#","sizes":[{}]"#, list(sizes.iter().map(|(bits, sizes)| size(*bits, sizes)))),
        false => String::new(),
    };
    format!(r#"{{"ops":{ops},"seconds":{},"bytes":{bytes}{sizes}}}"#, seconds(*time))
}

fn size(bits: u32, sizes: &Sizes) -> String {
    let aligned = sizes.aligned().into_iter().map(|(bits, ops)| format!(r#"{{"bits":{bits},"ops":{ops}}}"#));
    format!(
        r#"{{"bits":{bits},"ops":{},"bytes":{},"aligned":[{}]}}"#,
        sizes.ops(),
        sizes.bytes,
        list(aligned)
    )
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}
