// SPDX-License-Identifier: BSD-3-Clause
//! How large the program is, and how large it may become.

use super::{build, size};
use crate::process::{Failure, Result};

/// A selection of features, and the most bytes that a program with them may have.
struct Variant {
    name: &'static str,
    features: &'static str,
    ceiling: u64,
}

const MIB: u64 = 1 << 20;

/// The ceilings are a little above what is needed: who reaches one looks for what has grown, and raises it only
/// with a reason.
const VARIANTS: [Variant; 3] = [
    Variant { name: "file only", features: "file", ceiling: 4 * MIB },
    Variant { name: "default", features: "", ceiling: 12 * MIB },
    Variant { name: "full", features: "full", ceiling: 18 * MIB },
];

/// Builds all variants and says which are too large.
pub fn run() -> Result {
    let mut rows = Vec::new();
    let mut too_large = false;
    for variant in &VARIANTS {
        let bytes = size(&build(variant.features, "/usr")?)?;
        let verdict = if bytes > variant.ceiling { "  TOO LARGE" } else { "" };
        too_large |= bytes > variant.ceiling;
        rows.push(format!(
            "{:<10} {}  at most {}{verdict}",
            variant.name,
            shown(bytes),
            shown(variant.ceiling)
        ));
    }
    rows.iter().for_each(|row| println!("{row}"));
    if too_large { Err(Failure::Told) } else { Ok(()) }
}

pub fn shown(bytes: u64) -> String {
    format!("{:5.1} MiB", bytes as f64 / MIB as f64)
}
