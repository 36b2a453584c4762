// SPDX-License-Identifier: BSD-3-Clause
//! What a person reads who made a mistake, word for word: `said.txt` holds command lines and what follows them.
//!
//! `NBDKIT_UPDATE=1 cargo test -p nbdkit-tests --test cli said` writes the file anew; read the difference before
//! committing it.

use std::fs;
use std::path::Path;

use nbdkit_tests::{Feature, nbdkit, run, supports};

/// A path that is in the way of every test of "there is something else".
const BUSY: &str = "BUSY";

#[test]
fn every_mistake_is_answered_as_before() {
    if !supports(Feature::ErrorText) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let busy = dir.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&busy).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let number = port.local_addr().unwrap().port().to_string();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/said.txt");
    let before = fs::read_to_string(&path).unwrap();
    let mut now = String::new();
    for line in before.lines().filter(|line| line.starts_with("$ ")) {
        let words = line[2..].split_whitespace().skip(1);
        let words = words.map(|word| word.replace(BUSY, busy.to_str().unwrap()).replace("PORT", &number));
        let output = run(nbdkit().args(words).current_dir(dir.path())).exits(1);
        assert_eq!(output.text(), "", "{line}");
        let said = output.stderr.replace(busy.to_str().unwrap(), BUSY).replace(&number, "PORT");
        let said = said.replace(dir.path().to_str().unwrap(), "/DIRECTORY");
        assert!((1..=2).contains(&said.lines().count()), "{line}: one line and perhaps a hint, not\n{said}");
        now += &format!("{line}\n{said}\n");
    }
    if std::env::var_os("NBDKIT_UPDATE").is_some() {
        fs::write(&path, &now).unwrap();
    }
    let normal = |text: &str| text.trim_end().to_owned();
    assert_eq!(normal(&now), normal(&before));
}
