// SPDX-License-Identifier: BSD-3-Clause
//! Where to listen: `-U`, `-p`, `-i`, `-4`, `-6`.

use std::net::{TcpListener, TcpStream};
use std::path::Path;

use nbdkit_tests::{Feature, Launch, Server, nbdkit, run, supports, tool};

use crate::run_nbdkit;

fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[test]
fn a_unix_socket_is_where_it_was_asked_for() {
    let server = Server::start(["memory", "1M"]);
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(server.uri())).ok().text(), "1048576");
}

#[test]
fn a_tcp_port_is_served() {
    let server = Launch::new(["memory", "1M"]).tcp().start();
    assert_eq!(run(tool("nbdinfo").arg("--size").arg(server.uri())).ok().text(), "1048576");
    server.assert_serves();
}

#[test]
fn without_an_address_both_families_are_served() {
    let port = free_port();
    for host in ["127.0.0.1", "[::1]"] {
        let script = format!("nbdinfo --size nbd://{host}:{port}");
        assert_eq!(
            run_nbdkit(&["-p", &port, "memory", "1M", "--run", &script]).ok().text(),
            "1048576",
            "{host}"
        );
    }
}

#[test]
fn one_family_can_be_chosen() {
    let port = free_port();
    let probe = |option: &str| {
        let mut hosts = Vec::new();
        for host in ["127.0.0.1", "[::1]"] {
            let script = format!("nbdinfo --size nbd://{host}:{port}");
            if run_nbdkit(&[option, "-p", &port, "memory", "1M", "--run", &script]).status.success() {
                hosts.push(host);
            }
        }
        hosts
    };
    assert_eq!(probe("-4"), ["127.0.0.1"]);
    assert_eq!(probe("--ipv6-only"), ["[::1]"]);
}

#[test]
fn port_0_lets_the_kernel_choose_and_tells() {
    if !supports(Feature::PortZero) {
        return;
    }
    let script = r#"echo "$port"; nbdinfo --size "nbd://127.0.0.1:$port""#;
    let output = run_nbdkit(&["-i", "127.0.0.1", "-p", "0", "memory", "1M", "--run", script]).ok();
    let (port, size) = output.text().split_once('\n').expect("two lines");
    assert_ne!(port.parse::<u16>().expect("a port"), 0);
    assert_eq!(size, "1048576");
}

#[test]
fn the_port_is_free_again_at_once() {
    // Connections in TIME_WAIT must not stand in the way of the next server.
    let port = free_port();
    for _ in 0..3 {
        let script = format!("nbdinfo --size nbd://127.0.0.1:{port}");
        run_nbdkit(&["-i", "127.0.0.1", "-p", &port, "memory", "1M", "--run", &script]).ok();
    }
    assert!(TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).is_err());
}

#[test]
fn no_directory_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("no/such/folder/pid");
    // With a command it may be over before the server has seen the mistake.
    for option in [&["-f"][..], &["--run", "true"]] {
        let mut command = nbdkit();
        command.args(option).args(["-U", "-", "--print-uri", "memory", "1M", "-P"]).arg(&nowhere);
        let output = run(&mut command);
        let (_, socket) =
            output.text().lines().next().and_then(|uri| uri.split_once("socket=")).expect("a URI");
        assert!(!Path::new(socket).parent().unwrap().exists(), "{}", output.report());
    }
}
