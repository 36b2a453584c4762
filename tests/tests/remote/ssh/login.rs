// SPDX-License-Identifier: BSD-3-Clause
//! Who is let in: keys in files and in an agent, and what ~/.ssh/config says.

use super::*;
use nbdkit_tests::{Launch, until};
use std::fs;
use std::process::{Child, Command, Stdio};

fn ready() -> Sshd {
    let sshd = Sshd::start();
    fs::write(sshd.path("disk.img"), [0; 4096]).unwrap();
    sshd
}

/// The parameter for a key beside those of the server.
fn identity(sshd: &Sshd, name: &str) -> String {
    format!("identity={}", sshd.path(name).display())
}

#[test]
fn keys_of_every_kind() {
    let sshd = ready();
    for kind in sshd::KINDS {
        let key = identity(&sshd, &format!("user_{kind}"));
        opens(&Server::start(but(beside(&sshd, "disk.img"), "identity", &[&key])));
    }
}

#[test]
fn the_first_key_that_fits() {
    let sshd = ready();
    sshd::keygen("ed25519", &sshd.path("wrong"));
    let keys = ["wrong", "missing", "user_rsa"].map(|name| identity(&sshd, name));
    opens(&Server::start(but(beside(&sshd, "disk.img"), "identity", &keys.each_ref().map(String::as_str))));
}

#[test]
fn wrong_keys_are_named_in_one_line() {
    let sshd = ready();
    sshd::keygen("ed25519", &sshd.path("wrong"));
    sshd::keygen("ed25519", &sshd.path("locked"));
    run(tool("ssh-keygen").args(["-p", "-N", "a phrase", "-f"]).arg(sshd.path("locked"))).ok();
    fs::write(sshd.path("nonsense"), "not a key\n").unwrap();
    for name in ["wrong", "missing", "nonsense", "locked"] {
        let why =
            refuses(&Server::start(but(beside(&sshd, "disk.img"), "identity", &[&identity(&sshd, name)])));
        let named = sshd.path(name).display().to_string();
        assert!(
            why.starts_with("open: all possible authentication methods failed") && why.contains(&named),
            "{why}"
        );
    }
    let why = refuses(&Server::start(but(beside(&sshd, "disk.img"), "", &["user=nobody-of-that-name"])));
    assert!(why.contains("failed for nobody-of-that-name at 127.0.0.1"), "{why}");
}

#[test]
fn keys_of_an_agent() {
    let sshd = ready();
    let socket = sshd.path("agent");
    let mut agent = Agent(
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap(),
    );
    until("the agent listens", || socket.exists());
    let add = |key: &str| run(tool("ssh-add").env("SSH_AUTH_SOCK", &socket).arg(sshd.path(key))).ok();
    let with_agent = || {
        let environment = format!("SSH_AUTH_SOCK={}", socket.display());
        Launch::new(but(beside(&sshd, "disk.img"), "identity", &[])).under(["env", &environment]).start()
    };
    sshd::keygen("ed25519", &sshd.path("wrong"));
    add("wrong");
    let why = refuses(&with_agent());
    assert!(why.contains("agent's key"), "{why}");
    add("user_ecdsa");
    opens(&with_agent());
    agent.0.kill().unwrap();
}

struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_configuration() {
    let sshd = ready();
    let known = sshd.known_hosts("known hosts", &["ed25519"]);
    sshd::keygen("ed25519", &sshd.path("wrong"));
    let text = format!(
        "# mine\nInclude {}\nHost nothing\n  Port 1\nHost=store* !store9\n  HostName 127.0.0.1\n  Port {}\n  UserKnownHostsFile \"{}\"\n  Compression yes\nHost *\n  Port 2\n",
        sshd.path("included").display(),
        sshd.port(),
        known.display(),
    );
    fs::write(
        sshd.path("included"),
        format!("Host store1\nIdentityFile {}\n", sshd.path("user_%u-key").display()),
    )
    .unwrap();
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    fs::copy(sshd.path("user_rsa"), sshd.path(&format!("user_{user}-key"))).unwrap();
    fs::write(sshd.path("config file"), text).unwrap();
    let config = format!("config={}", sshd.path("config file").display());
    let path = format!("path={}", sshd.path("disk.img").display());
    opens(&Server::start(["ssh", "host=store1", &config, &path]));
    // No key is known for it.
    let why = refuses(&Server::start(["ssh", "host=store2", &config, &path]));
    assert!(why.contains("all possible authentication methods failed"), "{why}");
    // Nor a port.
    let why = refuses(&Server::start(["ssh", "host=store9", &config, &path]));
    assert!(why.contains("failed to connect to remote host: store9"), "{why}");
    // What was given goes before what is configured.
    let why = refuses(&Server::start(["ssh", "host=store1", &config, &path, "port=1"]));
    assert!(why.contains("failed to connect to remote host: 127.0.0.1"), "{why}");
    let why = refuses(&Server::start(["ssh", "host=store1", &config, &path, "user=nobody-of-that-name"]));
    assert!(why.contains("failed for nobody-of-that-name"), "{why}");
}

#[test]
fn a_configuration_that_goes_another_way_is_warned_of() {
    let sshd = ready();
    fs::write(sshd.path("config"), "ProxyJump elsewhere\nForwardAgent yes\n").unwrap();
    let config = format!("config={}", sshd.path("config").display());
    let server = Server::start(but(beside(&sshd, "disk.img"), "config", &[&config]));
    opens(&server);
    let stderr = server.stderr();
    assert!(
        stderr.contains("warning: ") && stderr.contains("config:1: 'proxyjump' has no effect here"),
        "{stderr}"
    );
    assert!(!stderr.contains("forwardagent"), "{stderr}");
}

#[test]
fn a_debug_flag_tells_more() {
    let sshd = ready();
    let serve = |args: &[&str]| {
        let flags = args.iter().map(|arg| (*arg).to_owned()).collect();
        let server = Server::start([flags, beside(&sshd, "disk.img")].concat());
        opens(&server);
        server.stderr()
    };
    let (agreement, step) = (": cipher to the server: ", "SFTP: the server knows fsync@openssh.com");
    let said = serve(&["-v", "-D", "ssh.log=2"]);
    for wanted in [agreement, ": key exchange: ", step, "disk.img is open: 4096 bytes", "bytes at once"] {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let said = serve(&["-v", "-D", "ssh.log=1"]);
    assert!(said.contains(agreement) && !said.contains(step), "{said}");
    let said = serve(&["-v"]);
    assert!(!said.contains(agreement) && !said.contains("was not used"), "{said}");
    assert_eq!(serve(&["-D", "ssh.log=2"]), "");
}

#[test]
fn what_must_be_given() {
    let wrong = |args: &[&str], why: &str| {
        let mut command = nbdkit_tests::nbdkit();
        run(command.arg("ssh").args(args).args(["--run", "true"])).fails().says(why);
    };
    let missing = "you must supply the host and path parameters after the plugin name on the command line";
    wrong(&[], missing);
    wrong(&["host=a"], missing);
    wrong(&["path=a"], missing);
    wrong(&["a"], missing);
    let create =
        "if using create=true, you must specify the size of the new remote file using create-size=SIZE";
    wrong(&["host=a", "b", "create=true"], create);
    wrong(&["host=a", "b", "create-mode=01000"], "create-mode must be <= 0777");
    wrong(&["host=a", "b", "port=0"], "port: '0' should be 1 to 65535");
    wrong(&["host=a", "b", "timeout=x"], "timeout: ");
    wrong(&["host=a b", "c"], "host: 'a b' should be a name or an address");
    wrong(&["host=a", "b", "identity=/%x"], "identity: '/%x' has a % that stands for nothing");
}
