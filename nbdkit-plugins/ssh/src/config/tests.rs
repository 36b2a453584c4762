// SPDX-License-Identifier: BSD-3-Clause
//! What a configuration says of a host.

use super::*;
use proptest::prelude::*;
use std::fs;

fn parse(text: &str, host: &str) -> Config {
    let directory = Path::new("/nowhere");
    let mut config = Config::default();
    let place = Place { directory, home: directory };
    config.parse(text, Path::new("config"), host, &place, &mut Include::default());
    config
}

const CONFIG: &str = "\
User everybody-before
Host *.example.com !secret.example.com
    HostName %h.internal
    Port 2222
    IdentityFile ~/.ssh/first
    IdentityFile ~/.ssh/second
    UserKnownHostsFile /one /two
Host www.example.com
    Port 3333
    User nobody
host=other
    port=4444
Host *
    User late
    IdentityFile ~/.ssh/all
";

#[test]
fn the_first_value_counts_and_every_identity() {
    let config = parse(CONFIG, "www.example.com");
    assert_eq!(config.host_name.as_deref(), Some("%h.internal"));
    assert_eq!(config.port, Some(2222));
    assert_eq!(config.user.as_deref(), Some("everybody-before"));
    assert_eq!(config.identities, ["~/.ssh/first", "~/.ssh/second", "~/.ssh/all"]);
    assert_eq!(config.known_hosts.unwrap(), ["/one", "/two"]);
    assert_eq!(config.remarks, []);
}

#[test]
fn other_hosts_and_exceptions() {
    let config = parse(CONFIG, "secret.example.com");
    assert_eq!((config.port, config.host_name), (None, None));
    assert_eq!(parse(CONFIG, "other").port, Some(4444));
}

#[test]
fn what_has_no_effect_is_remarked_once_a_line() {
    let text = "ForwardAgent yes\nHost a\nProxyJump b\nMatch user c\nPort 5\nMatch all\nPort 70000\nUser\nUser \"x\n";
    let config = parse(text, "a");
    let remarks: Vec<_> = config.remarks.iter().map(|r| (r.serious, r.text.as_str())).collect();
    assert_eq!(
        remarks,
        [
            (false, "config:1: 'forwardagent' has no effect here"),
            (true, "config:3: 'proxyjump' has no effect here"),
            (true, "config:4: 'Match' is not understood, its lines are left out"),
            (false, "config:7: port '70000' should be 1 to 65535"),
            (false, "config:8: 'user' has no value"),
            (false, "config:9: a quote is not closed"),
        ]
    );
    assert_eq!(config.port, None);
}

#[test]
fn files_include_files() {
    let dir = tempfile::tempdir().unwrap();
    let place = Place { directory: dir.path(), home: dir.path() };
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write(
        "config",
        "Include conf.d/*.conf ~/missing\nHost a\n  Include more\nHost b\n  Include more\nPort 9\n",
    );
    fs::create_dir(dir.path().join("conf.d")).unwrap();
    write("conf.d/2.conf", "Port 2\n");
    write("conf.d/1.conf", "Host other\nPort 1\n");
    write("conf.d/.hidden.conf", "Port 7\n");
    write("more", "User more\n");
    let mut config = Config::default();
    config.read(&dir.path().join("config"), "b", &place);
    assert_eq!((config.port, config.user.as_deref()), (Some(2), Some("more")));

    write("config", "Include config config\nPort 4\n");
    let mut config = Config::default();
    config.read(&dir.path().join("config"), "b", &place);
    assert_eq!(config.port, Some(4));
    assert!(config.remarks.iter().any(|remark| remark.text.contains("16 files deep")));
}

proptest! {
    #[test]
    fn any_text_is_read(text in "(?s).{0,200}", host in ".{0,9}") {
        parse(&text, &host);
    }

    #[test]
    fn any_lines_are_read(lines in prop::collection::vec(
        "(Host|Port|User|Match|IdentityFile|HostName|UserKnownHostsFile|x)[ =\"\t]{0,3}[a-z*!?0-9\"#]{0,6}", 0..9)) {
        let config = parse(&lines.join("\n"), "a");
        prop_assert!(config.port != Some(0));
        prop_assert!(config.remarks.len() <= lines.len());
    }
}
