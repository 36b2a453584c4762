// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask completions`: what bash, zsh and fish offer behind `nbdkit`.
//!
//! The scripts know the options, plugins and filters, and the parameters of the plugin and filters that stand on the
//! command line already. What a shell does with that knowledge is in `completions/nbdkit.SHELL`; the knowledge itself
//! comes from the program and takes the place of the lines `@NAME@` there.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Context, Result, target_dir};
use crate::program::Program;

mod bash;
mod fish;
#[cfg(test)]
mod proof;
mod values;
mod zsh;

#[derive(clap::Args)]
pub struct Options {
    /// Where to write them; target/completions without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The program they are for; without it, one with everything is built
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

/// A script, and where each shell looks for it below the prefix of an installation.
pub struct Script {
    pub file: &'static str,
    pub home: &'static str,
    render: fn(&Program) -> String,
}

pub const SCRIPTS: [Script; 3] = [
    Script { file: "nbdkit", home: "share/bash-completion/completions", render: bash::render },
    Script { file: "_nbdkit", home: "share/zsh/site-functions", render: zsh::render },
    Script { file: "nbdkit.fish", home: "share/fish/vendor_completions.d", render: fish::render },
];

pub fn run(options: &Options) -> Result {
    let program = match &options.program {
        Some(path) => Program::ask(path)?,
        None => Program::build()?,
    };
    let out = options.out.clone().unwrap_or_else(|| target_dir().join("completions"));
    for script in &SCRIPTS {
        println!("{}", script.write(&program, &out)?.display());
    }
    Ok(())
}

impl Script {
    /// Writes it into the folder `out`, and says where it is.
    pub fn write(&self, program: &Program, out: &Path) -> Result<PathBuf> {
        let path = out.join(self.file);
        fs::create_dir_all(out).context(out.display())?;
        fs::write(&path, (self.render)(program)).context(path.display())?;
        Ok(path)
    }
}

/// The template with every line `@NAME@` replaced by what belongs there.
fn fill(template: &str, slots: &[(&str, String)]) -> String {
    let line = |line: &str| match slots.iter().find(|(name, _)| line.trim() == format!("@{name}@")) {
        Some((_, text)) => text.clone(),
        None => format!("{line}\n"),
    };
    template.lines().map(line).collect()
}

/// The beginning of an explanation: a list has a line for each.
fn brief(explanation: &str) -> &str {
    let ends = [": ", "; ", ". ", ", ", " ("].iter().filter_map(|end| explanation.find(end));
    &explanation[..ends.min().unwrap_or(explanation.len())]
}

/// A word for any of the three shells.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
