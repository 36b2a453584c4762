// SPDX-License-Identifier: BSD-3-Clause
//! Servers that others wrote, each on a Unix domain socket of its own, and ours beside them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nbdkit_tests::process::Process;
use nbdkit_tests::{nbdkit, tool, until};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A running server; ended with the value.
pub struct Foreign {
    pub name: &'static str,
    child: Child,
    dir: TempDir,
    export: &'static str,
}

impl Foreign {
    /// One of each kind, with `image`.
    pub fn all(image: &Path) -> Vec<Foreign> {
        vec![
            Foreign::ours(image),
            Foreign::original(["file".as_ref(), image.as_os_str()]),
            Foreign::qemu(image, "raw"),
            Foreign::nbd_server(image),
        ]
    }

    fn ours(image: &Path) -> Foreign {
        Foreign::start("ours", "", |socket| {
            let mut command = nbdkit();
            command.arg("-f").arg("-U").arg(socket).arg("file").arg(image);
            command
        })
    }

    /// The original nbdkit.
    pub fn original(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Foreign {
        Foreign::start("nbdkit", "", |socket| {
            let mut command = tool("nbdkit");
            command.arg("-f").arg("-U").arg(socket).args(args);
            command
        })
    }

    /// Serves many clients, one after the other and together.
    pub fn qemu(image: &Path, format: &str) -> Foreign {
        Foreign::start("qemu-nbd", "", |socket| {
            let mut command = tool("qemu-nbd");
            command.args(["-t", "-e", "10", "-f", format, "-k"]).arg(socket).arg(image);
            command
        })
    }

    fn nbd_server(image: &Path) -> Foreign {
        Foreign::start("nbd-server", "disk", |socket| {
            let config = socket.with_file_name("config");
            let text = format!(
                "[generic]\nunixsock = {}\nallowlist = true\n[disk]\nexportname = {}\ntrim = true\n",
                socket.display(),
                image.display()
            );
            fs::write(&config, text).unwrap();
            // It goes to the background; the shell stays in front and takes it along when it ends.
            let script = r#"nbd-server -C "$1" -p "$2" && trap 'kill $(cat "$2"); exit' TERM; while :; do sleep 0.1; done"#;
            let mut command = tool("sh");
            command.args(["-c", script, "sh"]).arg(config).arg(socket.with_file_name("pid"));
            command
        })
    }

    #[track_caller]
    fn start(name: &'static str, export: &'static str, command: impl FnOnce(&Path) -> Command) -> Foreign {
        let dir = tempfile::Builder::new().prefix("nbdkit-test").tempdir().unwrap();
        let mut command = command(&dir.path().join("socket"));
        let stderr = fs::File::create(dir.path().join("stderr")).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let server = Foreign { name, child, dir, export };
        until(name, || UnixStream::connect(server.socket()).is_ok());
        server
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    pub fn uri(&self) -> String {
        format!("nbd+unix:///{}?socket={}", self.export, self.socket().display())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        Process(self.child.id().cast_signed()).signal(Signal::SIGTERM);
        let _ = self.child.wait();
    }
}
