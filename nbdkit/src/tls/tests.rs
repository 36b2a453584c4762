// SPDX-License-Identifier: BSD-3-Clause
use super::*;

fn options(line: &str) -> Options {
    Options::parse(line.split_whitespace().map(Into::into)).unwrap()
}

#[test]
fn a_build_without_tls_says_so_once() {
    for (line, option) in [
        ("--tls=on", "--tls"),
        ("--tls=require --tls-psk=/x", "--tls"),
        ("--tls-certificates=/x", "--tls-certificates"),
        ("--tls-psk=/x", "--tls-psk"),
        ("--tls-priority=NORMAL", "--tls-priority"),
        ("--tls-verify-peer", "--tls-verify-peer"),
    ] {
        let error = refuse(&options(line)).unwrap_err().to_string();
        assert_eq!(error, format!("{option}: this nbdkit was built without TLS (cargo feature 'tls')"));
    }
    refuse(&options("")).unwrap();
    refuse(&options("--tls=off --tls-certificates=/x")).unwrap();
}
