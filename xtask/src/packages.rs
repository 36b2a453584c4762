// SPDX-License-Identifier: BSD-3-Clause
//! The peers the tests talk to: Debian packages, installed only where one is missing and we may.

use std::fs;
use std::io::ErrorKind;
use std::process::Command;

use crate::process::{Context, Failure, Result, output, root, run, succeeds, target_dir};

/// One package a line; `#` starts a comment.
const LIST: &str = "tests/peers/packages";
/// Unpacks peers newer than the machine's own into the folder it is given.
const NEWER: &str = "tests/peers/trixie.sh";

/// Installs the missing packages, or says how and fails.
pub fn install() -> Result {
    let list = match fs::read_to_string(root().join(LIST)) {
        Ok(list) => list,
        Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).context(LIST),
    };
    need(parse(&list))?;
    newer();
    Ok(())
}

/// Installs those of the packages that are missing, or says how and fails.
pub fn need<'a>(packages: impl Iterator<Item = &'a str>) -> Result {
    let missing: Vec<&str> = packages.filter(|name| !is_installed(name)).collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

fn parse(list: &str) -> impl Iterator<Item = &str> {
    list.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace())
}

fn is_installed(package: &str) -> bool {
    output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

fn apt(packages: &[&str]) -> Result {
    let by_hand = format!("apt-get update && apt-get install --yes {}", packages.join(" "));
    let prefix: &[&str] = if is_root() {
        &[]
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        &["sudo", "-n"]
    } else {
        let why = format!("packages are missing; as root: {by_hand}; or give --no-install and do without");
        return Err(Failure::Because(why));
    };
    if !succeeds(Command::new("apt-get").arg("--version")) {
        let why =
            format!("no apt-get here; install the likes of {}, or give --no-install", packages.join(" "));
        return Err(Failure::Because(why));
    }
    // `env` after sudo: sudo would drop the variable.
    let apt_get = |args: &[&str]| {
        let mut words =
            prefix.iter().chain(&["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]).chain(args);
        let mut command = Command::new(words.next().unwrap_or(&"env"));
        command.args(words);
        run(&mut command)
    };
    apt_get(&["update"])?;
    apt_get(&[&["install", "--yes", "--no-install-recommends"], packages].concat())
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Fetched now and not by the first test that wants one; that test says what is wrong if this fails.
fn newer() {
    let script = root().join(NEWER);
    if !script.exists() {
        return;
    }
    if let Err(Failure::Because(why)) =
        run(Command::new("sh").arg(script).arg(target_dir().join("peers-trixie")))
    {
        println!("{why}; tests that talk to newer peers will fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_may_have_comments_and_blank_lines() {
        let list = "# peers\nlibnbd-bin\n\n  qemu-utils # qemu-img, qemu-io\nfio\n";
        assert_eq!(parse(list).collect::<Vec<_>>(), ["libnbd-bin", "qemu-utils", "fio"]);
    }

    #[test]
    fn a_package_nobody_has_is_missing() {
        assert!(!is_installed("no-such-package-as-this"));
    }
}
