// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask man`: the manual pages, from the READMEs, `docs/` and what the program tells of itself.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{Context, Result, output, root, target_dir};
use crate::program::Program;

#[cfg(test)]
mod examples;
pub mod markdown;
mod pages;
#[cfg(test)]
mod proof;
mod roff;

#[derive(clap::Args)]
pub struct Options {
    /// Where to write them; target/man without it
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The program they are about; without it, one with everything is built
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result {
    let program = match &options.program {
        Some(path) => Program::ask(path)?,
        None => Program::build()?,
    };
    let out = options.out.clone().unwrap_or_else(|| target_dir().join("man"));
    let count = write(&program, &out)?;
    println!("{count} pages in {}", out.display());
    Ok(())
}

/// Writes `man1/nbdkit.1` and all others below `out`, and says how many.
pub fn write(program: &Program, out: &Path) -> Result<usize> {
    let pages = pages::pages(program, root(), &date()?)?;
    for page in &pages {
        let path = out.join(page.path());
        let folder = path.parent().unwrap_or(out);
        fs::create_dir_all(folder).context(folder.display())?;
        fs::write(&path, &page.roff).context(path.display())?;
    }
    Ok(pages.len())
}

/// The day in the footer of the pages: that of `SOURCE_DATE_EPOCH`, so that a build can be repeated, or today.
fn date() -> Result<String> {
    let mut date = Command::new("date");
    date.args(["--utc", "+%Y-%m-%d"]);
    if let Ok(seconds) = env::var("SOURCE_DATE_EPOCH") {
        date.arg(format!("--date=@{seconds}"));
    }
    let told = output(&mut date).context("date")?;
    let day = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if told.status.success() {
        Ok(day)
    } else {
        Err("SOURCE_DATE_EPOCH: should be a number of seconds since 1970-01-01".into())
    }
}
