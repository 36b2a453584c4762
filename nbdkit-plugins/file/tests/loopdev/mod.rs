// SPDX-License-Identifier: BSD-3-Clause
//! [`Loop`]: a block device made of a file.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Detached when dropped.
pub struct Loop(PathBuf);

impl Loop {
    /// `None`, with a word about it, if we are not root.
    pub fn new(image: &Path, options: &[&str]) -> Option<Loop> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can make loop devices");
            return None;
        }
        let output = losetup().args(["--find", "--show"]).args(options).arg(image).output().unwrap();
        assert!(output.status.success(), "losetup: {}", String::from_utf8_lossy(&output.stderr));
        Some(Loop(String::from_utf8(output.stdout).unwrap().trim().into()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let status = losetup().arg("--detach").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot detach {}", self.0.display());
    }
}

fn losetup() -> Command {
    let mut command = Command::new("losetup");
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}
