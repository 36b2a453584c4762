// SPDX-License-Identifier: BSD-3-Clause
//! `cargo xtask dist`: everything of an installation below one folder, for a packager.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use crate::completions::SCRIPTS;
use crate::manual;
use crate::process::{Context, Result, cargo, root, run as run_command, target_dir};
use crate::program::Program;

mod sizes;

#[derive(clap::Args)]
pub struct Options {
    /// The folder that stands for / of the machine it is for
    #[arg(required_unless_present = "sizes")]
    destdir: Option<PathBuf>,
    /// Only these plugins, filters and groups; the default ones without it
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    features: Vec<String>,
    /// Where on that machine
    #[arg(long, value_name = "DIR", default_value = "/usr")]
    prefix: PathBuf,
    /// Lays nothing out, but builds three variants and checks how large they are
    #[arg(long, conflicts_with_all = ["destdir", "features", "prefix"])]
    sizes: bool,
}

pub fn run(options: &Options) -> Result {
    let Some(destdir) = &options.destdir else { return sizes() };
    let Some(prefix) = options.prefix.to_str().filter(|prefix| is_plain(prefix)) else {
        let prefix = options.prefix.display();
        return Err(format!("--prefix: {prefix}: should be an absolute path without . and ..").into());
    };
    let binary = build(&options.features.join(","), prefix)?;
    let program = Program::ask(&binary)?;
    let tree = Tree { destdir, prefix };
    tree.copy(&binary, "bin/nbdkit", 0o755)?;
    manual::write(&program, &tree.folder("share/man"))?;
    for script in &SCRIPTS {
        script.write(&program, &tree.folder(script.home))?;
    }
    for unit in ["nbdkit@.service", "nbdkit@.socket"] {
        let path = format!("contrib/systemd/{unit}");
        let text = fs::read_to_string(root().join(&path)).context(path)?;
        let text =
            text.replace("ExecStart=/usr/bin/", &format!("ExecStart={}/bin/", prefix.trim_end_matches('/')));
        tree.write(&text, &format!("lib/systemd/system/{unit}"))?;
    }
    tree.copy(&root().join("LICENSE"), "share/licenses/nbdkit/LICENSE", 0o644)?;
    for document in ["README.md", "CHANGELOG.md", "COMPATIBILITY.md", "SECURITY.md"] {
        tree.copy(&root().join(document), &format!("share/doc/nbdkit/{document}"), 0o644)?;
    }
    println!("{} below {}", sizes::shown(size(&binary)?), tree.folder("").display());
    Ok(())
}

/// Builds three variants and fails if one of them is too large.
pub fn sizes() -> Result {
    sizes::run()
}

/// Builds the program as it is shipped. Features that are named are all it has.
fn build(features: &str, prefix: &str) -> Result<PathBuf> {
    let mut command = cargo(["build", "--release", "--locked", "--package", "nbdkit", "--bin", "nbdkit"]);
    if !features.is_empty() {
        command.args(["--no-default-features", "--features", features]);
    }
    // What `nbdkit --dump-config` tells.
    let prefix = prefix.trim_end_matches('/');
    for (name, folder) in [("BINDIR", "bin"), ("SBINDIR", "sbin"), ("LIBDIR", "lib"), ("MANDIR", "share/man")]
    {
        command.env(format!("NBDKIT_{name}"), format!("{prefix}/{folder}"));
    }
    run_command(&mut command)?;
    Ok(target_dir().join("release/nbdkit"))
}

fn size(binary: &Path) -> Result<u64> {
    Ok(fs::metadata(binary).context(binary.display())?.len())
}

/// Whether it can be put behind another path.
fn is_plain(prefix: &str) -> bool {
    let mut parts = Path::new(prefix).components();
    parts.next() == Some(Component::RootDir) && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Files below DESTDIR and PREFIX.
struct Tree<'a> {
    destdir: &'a Path,
    prefix: &'a str,
}

impl Tree<'_> {
    fn folder(&self, path: &str) -> PathBuf {
        self.destdir.join(self.prefix.trim_start_matches('/')).join(path)
    }

    fn copy(&self, from: &Path, to: &str, mode: u32) -> Result {
        let text = fs::read(from).context(from.display())?;
        self.put(&text, to, mode)
    }

    fn write(&self, text: &str, to: &str) -> Result {
        self.put(text.as_bytes(), to, 0o644)
    }

    fn put(&self, bytes: &[u8], to: &str, mode: u32) -> Result {
        let path = self.folder(to);
        let write = || -> io::Result<()> {
            fs::create_dir_all(path.parent().unwrap_or(&path))?;
            fs::write(&path, bytes)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))
        };
        write().context(path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_land_below_destdir_and_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree { destdir: dir.path(), prefix: "/usr/local/" };
        tree.put(b"#!", "bin/x", 0o755).unwrap();
        let path = dir.path().join("usr/local/bin/x");
        assert_eq!(fs::read(&path).unwrap(), b"#!");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }

    #[test]
    fn a_prefix_leads_nowhere_else() {
        for (prefix, plain) in [
            ("/usr", true),
            ("/", true),
            ("/opt/nbdkit/", true),
            ("usr", false),
            ("/usr/../etc", false),
            ("", false),
        ] {
            assert_eq!(is_plain(prefix), plain, "{prefix}");
        }
    }
}
