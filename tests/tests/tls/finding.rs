// SPDX-License-Identifier: BSD-3-Clause
//! Whether there is TLS at all: which certificates are found, and what is said if they are not, or are no good.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use nbdkit_tests::raw::ACK;
use nbdkit_tests::{Launch, Output, nbdkit, run, tool};
use tempfile::TempDir;

use crate::credentials::{Authority, Folder, Subject};

const SHOW: &str = "echo \"$tls|$tls_certificates|$tls_psk|${uri%%:*}\"";
/// A user without rights.
const NOBODY: u32 = 65534;

/// nbdkit as a user without rights, with this home.
fn nbdkit_at_home(home: &Path) -> Command {
    if !nix::unistd::geteuid().is_root() {
        let mut command = nbdkit();
        command.env("HOME", home);
        return command;
    }
    // Where that user can get at it.
    let program = home.join("nbdkit");
    if !program.exists() {
        // By another process: while it is open for writing here, children that are started meanwhile inherit that, and
        // nobody can run it.
        run(tool("cp").arg(nbdkit().get_program()).arg(&program)).ok();
    }
    let mut command = tool("setpriv");
    let nobody = NOBODY.to_string();
    command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(program).env("HOME", home);
    command
}

fn home() -> TempDir {
    let dir = tempfile::Builder::new().prefix("nbdkit-home").tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// Copies the files of a server to where they are looked for.
fn install(folder: &Folder, at: &Path, key_mode: u32) {
    fs::create_dir_all(at).unwrap();
    for name in ["ca-cert.pem", "server-cert.pem", "server-key.pem"] {
        let path = at.join(name);
        fs::copy(folder.path().join(name), &path).unwrap();
        let mode = if name == "server-key.pem" { key_mode } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

fn show(command: &mut Command, args: &[&str]) -> Output {
    run(command.args(args).args(["null", "--run", SHOW]))
}

#[test]
fn certificates_of_the_user() {
    let (folder, _) = Folder::complete();
    let home = home();
    let show = |args: &[&str]| show(&mut nbdkit_at_home(home.path()), args);
    let config = home.path().join(".config/pki/nbdkit");
    install(&folder, &config, 0o600);
    for (args, expected) in [
        (&[][..], "1|||nbd+unix"),
        (&["--tls=on"], "1|||nbd+unix"),
        (&["--tls=require"], "2|||nbds+unix"),
        (&["--tls=off"], "|||nbd+unix"),
        (&["--tls-verify-peer"], "1|||nbd+unix"),
    ] {
        let output = show(args).ok();
        assert_eq!((output.text(), &*output.stderr), (expected, ""), "{args:?}");
    }
    // The other place comes first; a folder that lacks something is none.
    let first = home.path().join(".pki/nbdkit");
    install(&folder, &first, 0o600);
    fs::write(first.join("server-cert.pem"), "nonsense").unwrap();
    show(&[]).exits(1).says(first.join("server-cert.pem").to_str().unwrap());
    show(&["--tls=off"]).ok();
    fs::remove_file(first.join("server-cert.pem")).unwrap();
    assert_eq!(show(&["--tls=require"]).ok().text(), "2|||nbds+unix");
}

#[test]
fn certificates_of_the_system() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let config = run(nbdkit().arg("--dump-config")).ok();
    let place = config.text().lines().find_map(|line| line.strip_prefix("root_tls_certificates_dir="));
    // Seen by the kernel: a test does not put files there.
    let mut command = tool("strace");
    command
        .args(["-f", "-qq", "-e", "trace=%file"])
        .arg(nbdkit().get_program())
        .args(["null", "--run", "true"]);
    let home = home();
    let traced =
        run(command.env("HOME", home.path())).ok().says(&format!("\"{}/ca-cert.pem\"", place.unwrap()));
    assert!(!traced.stderr.contains("/.pki/") && !traced.stderr.contains(".config/pki"), "{}", traced.stderr);
}

#[test]
fn no_certificates() {
    let home = home();
    let show = |args: &[&str]| show(&mut nbdkit_at_home(home.path()), args);
    let missing = home.path().join("missing");
    let named = format!("--tls-certificates={}", missing.display());
    let output = show(&[]).ok();
    assert_eq!((output.text(), &*output.stderr), ("|||nbd+unix", ""));
    for (args, option) in [
        (&["--tls=on"][..], "--tls=on"),
        (&["--tls=on", &named], "--tls=on"),
        (&[&named], "--tls-certificates"),
        (&["--tls-verify-peer"], "--tls-verify-peer"),
    ] {
        let output = show(args).ok();
        assert_eq!(output.text(), "|||nbd+unix", "{args:?}");
        let warning = format!("nbdkit: warning: {option} but could not load TLS certificates");
        assert!(
            output.stderr.starts_with(&warning) && output.stderr.lines().count() == 1,
            "{}",
            output.stderr
        );
    }
    for args in [&["--tls=require"][..], &["--tls=require", &named]] {
        show(args).exits(1).says("nbdkit: error: --tls=require but could not load TLS certificates");
    }
    // Whoever asks for it then is told so.
    let server = Launch::new(["--tls=on", &named, "memory", "1M"]).start();
    let mut client = server.connect();
    client.hello().unwrap();
    let reply = client.verdict(nbdkit_tests::raw::opt::STARTTLS, &[]).unwrap();
    assert_ne!(reply.kind, ACK);
    server.assert_serves();
}

#[test]
fn files_that_cannot_be_used() {
    let (folder, authority) = Folder::complete();
    let home = home();
    let at = home.path().join(".config/pki/nbdkit");
    install(&folder, &at, 0o600);
    let key = at.join("server-key.pem");
    let named = format!("--tls-certificates={}", at.display());

    // Nobody can read the key: not a folder for us, unless it was meant.
    fs::set_permissions(&key, Permissions::from_mode(0o000)).unwrap();
    let show = |args: &[&str]| show(&mut nbdkit_at_home(home.path()), args);
    let output = show(&[]).ok();
    assert_eq!((output.text(), &*output.stderr), ("|||nbd+unix", ""));
    assert!(show(&["--tls=on"]).ok().stderr.starts_with("nbdkit: warning: --tls=on but"));
    let line = format!("nbdkit: error: {}: Permission denied\n", key.display());
    for args in [&["--tls=require"][..], &[&named], &["--tls=on", &named], &["--tls=require", &named]] {
        show(args).exits(1).says(&line);
    }

    // Files with something else in them.
    let other = Folder::trusting(&authority).server(&authority, Subject::new("other"));
    let good = |name: &str| folder.read(name);
    for (name, text) in [
        ("ca-cert.pem", String::new()),
        ("ca-cert.pem", "nonsense".into()),
        ("ca-cert.pem", good("server-key.pem")),
        ("server-cert.pem", String::new()),
        ("server-cert.pem", good("server-cert.pem").replace("MII", "!!!")),
        ("server-cert.pem", other.read("server-cert.pem")),
        ("server-key.pem", String::new()),
        ("server-key.pem", good("server-cert.pem")),
        ("server-key.pem", other.read("server-key.pem")),
        ("ca-crl.pem", "nonsense".into()),
        ("server-cert-0.pem", good("server-cert.pem")),
    ] {
        install(&folder, &at, 0o644);
        fs::write(at.join(name), text).unwrap();
        fs::set_permissions(at.join(name), Permissions::from_mode(0o644)).unwrap();
        for args in [&[][..], &[&*named], &["--tls=on", &named], &["--tls=require"]] {
            let output = show(args).exits(1);
            let line = output.stderr.lines().find(|line| line.starts_with("nbdkit: error: ")).unwrap();
            assert!(line.contains(at.to_str().unwrap()), "{name}: {line}");
        }
        for extra in ["ca-crl.pem", "server-cert-0.pem"] {
            let _ = fs::remove_file(at.join(extra));
        }
    }
}

#[test]
fn a_key_that_everybody_may_read() {
    let (folder, _) = Folder::complete();
    let home = home();
    let at = home.path().join(".config/pki/nbdkit");
    for (mode, warns) in [(0o600, false), (0o640, false), (0o604, true), (0o644, true)] {
        install(&folder, &at, mode);
        let output = show(&mut nbdkit_at_home(home.path()), &[]).ok();
        assert_eq!(output.text(), "1|||nbd+unix");
        let warned = output.stderr.lines().any(|line| {
            line.starts_with("nbdkit: warning: ")
                && line.contains(at.join("server-key.pem").to_str().unwrap())
        });
        assert_eq!(
            (warned, output.stderr.lines().count()),
            (warns, usize::from(warns)),
            "{mode:o}: {}",
            output.stderr
        );
    }
}

#[test]
fn a_key_that_only_root_may_read() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let (folder, _) = Folder::complete();
    // Read before the server becomes another user, and used for clients that come later.
    let mut command = nbdkit();
    command.args(["--tls=require", &folder.option(), "-u", "nobody", "memory", "1M"]);
    run(command.args(["--run", "nbdinfo \"$uri\""]).env("PATH", "/usr/bin:/bin")).ok();
}

#[test]
fn several_certificates() {
    let authority = Authority::new("Authority");
    let folder = Folder::trusting(&authority)
        .server(&authority, Subject::new("a").hosts(&["elsewhere.example"]))
        .further_server(0, &authority, Subject::new("b").hosts(&["other.example"]))
        .further_server(1, &authority, Subject::new("c"));
    let server = Launch::new(["--tls=require", &folder.option(), "memory", "1M"]).tcp().start();
    // Who asks for this host gets the certificate for it.
    run(tool("nbdinfo").arg(folder.uri(&server))).ok();
}

#[test]
fn priorities() {
    let (folder, _) = Folder::complete();
    let show = |args: &[&str]| show(&mut nbdkit(), args);
    for word in
        ["NORMAL", "SECURE256", "SECURE128:-VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3:-AES-128-GCM"]
    {
        show(&[&folder.option(), &format!("--tls-priority={word}")]).ok();
    }
    for (text, word) in [
        ("", "\"\""),
        ("FAST", "FAST"),
        ("NORMAL:+RC4", "RC4"),
        ("NORMAL:-VERS-TLS1.3:%COMPAT", "%COMPAT"),
        ("NORMAL:-VERS-ALL", "NORMAL:-VERS-ALL"),
    ] {
        for args in [&[&*folder.option()][..], &[], &["--tls=off"]] {
            let option = format!("--tls-priority={text}");
            let output = show(&[args, &[&*option]].concat()).exits(1);
            let line = output.stderr.lines().next().unwrap();
            assert!(line.starts_with("nbdkit: error: --tls-priority: ") && line.contains(word), "{line}");
        }
    }
}

#[test]
fn what_a_captive_command_gets_to_know() {
    let (folder, _) = Folder::complete();
    let path = folder.path().display().to_string();
    let show = |args: &[&str]| show(&mut nbdkit(), args).ok().text().to_owned();
    assert_eq!(show(&[&folder.option()]), format!("1|{path}||nbd+unix"));
    assert_eq!(show(&["--tls=require", &folder.option()]), format!("2|{path}||nbds+unix"));
    assert_eq!(show(&["--tls=off", &folder.option()]), "|||nbd+unix");
    let mut command = nbdkit();
    command.args([
        "--tls=require",
        &folder.option(),
        "-e",
        "x y",
        "null",
        "--run",
        "echo \"$uri\"; nbdinfo \"$uri\"",
    ]);
    let output = run(command.env("PATH", "/usr/bin:/bin")).ok();
    let uri = output.text().lines().next().unwrap();
    assert!(uri.starts_with("nbds+unix:///x%20y?socket=/tmp/nbdkit"), "{uri}");
    assert!(uri.ends_with(&format!("&tls-certificates={path}")), "{uri}");
}

#[test]
fn options_that_contradict_each_other_and_what_is_told_of_the_build() {
    let (folder, _) = Folder::complete();
    show(&mut nbdkit(), &["-o", "--tls=require", &folder.option()]).exits(1).says("-o");
    show(&mut nbdkit(), &["-o", "--tls=on", &folder.option()]).ok();
    let config = run(nbdkit().arg("--dump-config")).ok();
    assert!(config.text().lines().any(|line| line == "tls=yes"), "{}", config.text());
    assert!(
        config.text().lines().any(|line| line.starts_with("root_tls_certificates_dir=/")),
        "{}",
        config.text()
    );
}
