// SPDX-License-Identifier: BSD-3-Clause
//! What wants a machine of its own: mounts, a network and processes that nobody else sees. The user's home, the hosts file and
//! the passwords are the test's.

use super::*;
use nbdkit_tests::data::{assert_same, random};
use nbdkit_tests::{nbdkit, run};
use std::fs;
use std::path::Path;
use std::process::Command;

const MANUAL: &str = include_str!("../../../../nbdkit-plugins/ssh/README.md");
const PASSWORD: &str = "correct horse battery";

/// Only root may have such a machine. Says so where it cannot be; where the tests count, that is a failure.
fn may_have_one() -> bool {
    let root = nix::unistd::getuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "the tests of a private machine want root");
    if !root {
        println!("SKIP: a private machine wants root");
    }
    root
}

/// Runs `script` there. In `$here` are `home`, `hosts`, `passwd`, `shadow`, `disk.img` and the keys; sshd serves port 22.
fn on_a_machine(here: &Path, sshd: &str, script: &str) -> Command {
    let root = format!("root:x:0:0:root:{}/home:/bin/sh\n", here.display());
    let others = "sshd:x:1:65534::/:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n";
    fs::write(here.join("passwd"), root + others).unwrap();
    let hash = run(tool("openssl").args(["passwd", "-6", PASSWORD])).ok();
    fs::write(here.join("shadow"), format!("root:{}:1::::::\n", hash.text())).unwrap();
    fs::write(here.join("hosts"), "127.0.0.1 localhost example.com\n::1 localhost\n").unwrap();
    fs::create_dir_all(here.join("home/.ssh")).unwrap();
    fs::write(here.join("disk.img"), random(1, 8 << 20)).unwrap();
    sshd::keygen("ed25519", &here.join("host"));
    sshd::keygen("ed25519", &here.join("home/.ssh/id_ed25519"));
    let key = fs::read_to_string(here.join("host.pub")).unwrap();
    fs::write(here.join("home/.ssh/known_hosts"), format!("example.com {key}")).unwrap();
    fs::copy(here.join("home/.ssh/id_ed25519.pub"), here.join("home/.ssh/authorized_keys")).unwrap();
    let config = "HostKey host\nStrictModes no\nPidFile none\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n";
    let config = format!("{sshd}\n{}", config.replace("host\n", &format!("{}/host\n", here.display())));
    fs::write(here.join("sshd_config"), config).unwrap();
    let prepare = "set -e\n\
        for file in passwd shadow hosts; do mount --bind $here/$file /etc/$file; done\n\
        mount -t tmpfs none /run; mkdir -m 755 /run/sshd\n\
        mount -t tmpfs none /var/tmp; cp $here/disk.img /var/tmp/disk.img\n\
        ip link set lo up\n\
        /usr/sbin/sshd -f $here/sshd_config -E $here/log\n";
    let mut command = tool("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c"]);
    command.arg(format!("{prepare}{script}")).env("here", here).env_remove("SSH_AUTH_SOCK");
    fs::create_dir_all(here.join("bin")).unwrap();
    std::os::unix::fs::symlink(nbdkit().get_program(), here.join("bin/nbdkit")).unwrap();
    command.env("PATH", format!("{}/bin:/usr/bin:/usr/sbin:/bin:/sbin", here.display()));
    command
}

#[test]
fn the_example_of_the_manual_as_it_is_typed() {
    let example = "nbdkit ssh host=example.com /var/tmp/disk.img";
    assert!(MANUAL.lines().any(|line| line == example), "the manual has the line {example}");
    if !may_have_one() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!("{example}\nnbdcopy nbd://localhost $here/copy\n");
    run(&mut on_a_machine(dir.path(), "", &script)).ok();
    assert_same(&dir.path().join("disk.img"), &dir.path().join("copy"));
}

#[test]
fn passwords_in_every_form_and_never_shown() {
    if !may_have_one() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("password file"), format!("{PASSWORD}\n")).unwrap();
    let forms = [
        format!("'password={PASSWORD}'"),
        "\"password=+$here/password file\"".to_owned(),
        "password=-5 5<\"$here/password file\"".to_owned(),
    ];
    let serve = "-v -U - ssh host=example.com /var/tmp/disk.img";
    let mut script = String::new();
    for (i, form) in forms.iter().enumerate() {
        script += &format!("nbdkit {serve} {form} --run 'nbdcopy \"$uri\" $here/copy{i}'\n");
    }
    let output =
        run(&mut on_a_machine(dir.path(), "PubkeyAuthentication no\nPasswordAuthentication yes", &script))
            .ok();
    assert!(!output.stderr.contains("battery"), "{}", output.stderr);
    for i in 0..forms.len() {
        assert_same(&dir.path().join("disk.img"), &dir.path().join(format!("copy{i}")));
    }

    let dir = tempfile::tempdir().unwrap();
    let script = format!("nbdkit {serve} password=wrong-guess --run 'nbdinfo \"$uri\"'");
    let output =
        run(&mut on_a_machine(dir.path(), "PubkeyAuthentication no\nPasswordAuthentication yes", &script))
            .fails();
    let output = output.says("all possible authentication methods failed").says("password: ");
    assert!(!output.stderr.contains("guess"), "{}", output.stderr);
}

#[test]
fn a_server_that_wants_a_key_and_a_password() {
    if !may_have_one() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = format!(
        "nbdkit -U - ssh host=example.com /var/tmp/disk.img 'password={PASSWORD}' --run 'nbdcopy \"$uri\" $here/copy'"
    );
    run(&mut on_a_machine(dir.path(), "AuthenticationMethods publickey,password", &script)).ok();
    assert_same(&dir.path().join("disk.img"), &dir.path().join("copy"));
}

#[test]
fn a_server_that_lets_anybody_in() {
    if !may_have_one() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // With an empty password `none` is a method.
    let open = "echo root::1:::::: > $here/shadow; rm $here/home/.ssh/id_ed25519\n";
    let script = format!(
        "{open}nbdkit -U - ssh host=example.com /var/tmp/disk.img --run 'nbdcopy \"$uri\" $here/copy'"
    );
    run(&mut on_a_machine(dir.path(), "PermitEmptyPasswords yes\nPasswordAuthentication yes", &script)).ok();
    assert_same(&dir.path().join("disk.img"), &dir.path().join("copy"));
}

#[test]
fn the_user_s_configuration_is_read() {
    if !may_have_one() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "cat > $here/home/.ssh/config <<EOF\n\
        Host store\n  HostName example.com\n  IdentityFile ~/.ssh/moved\nEOF\n\
        mv $here/home/.ssh/id_ed25519 $here/home/.ssh/moved\n\
        nbdkit -U - ssh host=store /var/tmp/disk.img --run 'nbdcopy \"$uri\" $here/copy'\n\
        ! nbdkit -U - ssh host=store config= /var/tmp/disk.img --run 'nbdinfo \"$uri\"'\n";
    let output = run(&mut on_a_machine(dir.path(), "", script)).ok();
    assert_same(&dir.path().join("disk.img"), &dir.path().join("copy"));
    assert!(output.stderr.contains("failed to connect to remote host: store"), "{}", output.report());
}
