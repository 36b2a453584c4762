// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask build`: the program as it is shipped.

use std::fs;

use crate::process::{Context, Result, cargo, run as run_command, target_dir};

#[derive(clap::Args)]
pub struct Options {
    /// Plugins, filters and groups to build in, besides the default ones
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,
    /// Only what --features names
    #[arg(long)]
    no_default_features: bool,
}

pub fn run(options: &Options) -> Result {
    let features = options.features.join(",");
    let mut args = vec!["build", "--release", "--locked", "--package", "nbdkit"];
    if !features.is_empty() {
        args.extend(["--features", &features]);
    }
    if options.no_default_features {
        args.push("--no-default-features");
    }
    run_command(&mut cargo(args))?;

    let program = target_dir().join("release/nbdkit");
    let bytes = fs::metadata(&program).context(program.display())?.len();
    println!("{} ({:.1} MiB)", program.display(), bytes as f64 / f64::from(1 << 20));
    Ok(())
}
