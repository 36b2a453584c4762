// SPDX-License-Identifier: BSD-3-Clause
//! Headers, cookies, and the scripts that print them, as the server sees them.

use std::fs;

use nbdkit_tests::{Server, run, tool};

use super::{
    nginx::Nginx,
    open,
    origin::{Origin, Request, reply, well},
};

/// What the server is asked when a client opens the disk.
#[track_caller]
fn asked(args: &[&str]) -> Vec<Request> {
    let origin = Origin::of(vec![0; 4096]);
    open(&[&[origin.url("/?it's&\"$x").as_str()], args].concat()).ok();
    origin.asked()
}

#[track_caller]
fn header(args: &[&str], name: &str) -> Option<String> {
    asked(args)[0].header(name)
}

#[test]
fn of_the_user() {
    assert_eq!(header(&["header=X-Name: John Doe"], "x-name").unwrap(), "John Doe");
    assert_eq!(header(&["header=X-Many: 1", "header=X-Many: 2"], "x-many").unwrap(), "1|2");
    assert_eq!(header(&["header=X-Empty;"], "x-empty").unwrap(), "");
    assert_eq!(header(&["header=Accept: text/x"], "accept").unwrap(), "text/x");
    assert_eq!(header(&["header=Host: other"], "host").unwrap(), "other");
    assert_eq!(header(&["user-agent=me/1.0"], "user-agent").unwrap(), "me/1.0");
    assert_eq!(header(&["user-agent=me/1.0", "header=User-Agent:"], "user-agent"), None);
    assert_eq!(header(&[], "user-agent"), None);
    assert_eq!(header(&["header=Authorization: Bearer x", "user=a"], "authorization").unwrap(), "Bearer x");
    assert_eq!(header(&["user=a", "password="], "authorization").unwrap(), "Basic YTo=");
}

#[test]
fn cookies_of_the_user() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("cookie"), "a=1; b=2\n").unwrap();
    let from_file = format!("cookie=+{}", dir.path().join("cookie").display());
    for cookie in ["cookie=a=1; b=2", &from_file, "cookie-script=echo 'a=1; b=2'"] {
        assert_eq!(header(&[cookie], "cookie").unwrap(), "a=1; b=2", "{cookie}");
    }
    assert_eq!(header(&["cookie-script=true"], "cookie"), None);
}

#[test]
fn from_a_script() {
    let requests =
        asked(&["header-script=echo X-A: 1; echo; echo X-B: \"$iteration\"; printf 'X-Url: %s' \"$url\""]);
    assert_eq!(requests[0].header("x-a").unwrap(), "1");
    assert_eq!(requests[0].header("x-b").unwrap(), "0");
    // As it was typed, whatever it contains.
    assert!(requests[0].header("x-url").unwrap().ends_with("/?it's&\"$x"));
}

#[test]
fn a_script_is_a_script_even_if_it_looks_like_an_option() {
    // With `sh -c -x` the shell would take the URL of the server for a script.
    let origin = Origin::of(vec![0; 4096]);
    open(&[&origin.url("/"), "header-script=-x"]).fails().says("header-script failed: exit status: 127");
    assert!(origin.asked().is_empty());
}

#[test]
fn scripts_that_fail() {
    let origin = Origin::of(vec![0; 4096]);
    for (script, says) in [
        ("echo no >&2; exit 3", "header-script failed: exit status: 3"),
        ("echo no token >&2; exit 3", "header-script: no token"),
        ("echo not a header", "header-script failed: a header should be"),
        ("yes X: y", "it printed more than 65536 bytes"),
        ("kill -9 $$", "signal: 9"),
    ] {
        open(&[&origin.url("/"), &format!("header-script={script}")]).fails().says(says);
    }
    assert!(origin.asked().is_empty());
}

#[test]
fn a_script_that_hangs_is_not_started_again() {
    let origin = Origin::of(vec![0; 4096]);
    let dir = tempfile::tempdir().unwrap();
    let (ran, pipe) = (dir.path().join("ran"), dir.path().join("pipe"));
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = format!("header-script=echo x >> {}; read line < {}", ran.display(), pipe.display());
    let server = Server::start(["-r", "curl", &origin.url("/"), &script, "timeout=1"]);
    for _ in 0..3 {
        run(tool("nbdinfo").arg(server.uri())).fails();
        assert!(server.stderr().contains("Timeout was reached"), "{}", server.stderr());
    }
    assert_eq!(fs::read_to_string(&ran).unwrap(), "x\n");
    // Now it ends.
    fs::write(&pipe, "\n").unwrap();
}

#[test]
fn scripts_run_again_when_it_is_time() {
    // Answers only what has a token that it has not seen more than 5 times; a second later there is a new one.
    let origin = Origin::of(vec![0; 4096]);
    let dir = tempfile::tempdir().unwrap();
    let ran = dir.path().join("ran");
    let script = format!("header-script=echo $iteration >> {}; echo X-Token: $iteration", ran.display());
    let server = Server::start(["-r", "curl", &origin.url("/"), &script, "header-script-renew=1"]);
    let mut client = server.connect();
    client.structured("");
    nbdkit_tests::until("a second token", || {
        client.read(0, 512).unwrap();
        origin.asked().iter().any(|request| request.header("x-token").as_deref() == Some("1"))
    });
    client.disconnect();
    assert!(fs::read_to_string(&ran).unwrap().starts_with("0\n1\n"));

    fs::write(&ran, "").unwrap();
    let server = Server::start(["-r", "curl", &origin.url("/"), &script]);
    let mut client = server.connect();
    client.structured("");
    for _ in 0..20 {
        client.read(0, 512).unwrap();
    }
    client.disconnect();
    assert_eq!(fs::read_to_string(&ran).unwrap(), "0\n");
}

#[test]
fn scripts_for_cookies_run_again_as_well() {
    let origin = Origin::of(vec![0; 4096]);
    let args = ["-r", "curl", &origin.url("/"), "cookie-script=echo n=$iteration", "cookie-script-renew=1"];
    let server = Server::start(args);
    let mut client = server.connect();
    client.structured("");
    nbdkit_tests::until("a second cookie", || {
        client.read(0, 512).unwrap();
        origin.asked().iter().any(|request| request.header("cookie").as_deref() == Some("n=1"))
    });
    client.disconnect();
}

#[test]
fn values_that_look_like_options_are_values() {
    assert_eq!(header(&["user-agent=--help"], "user-agent").unwrap(), "--help");
    assert_eq!(header(&["header=-X: --y"], "-x").unwrap(), "--y");
    assert_eq!(header(&["user=-u", "password="], "authorization").unwrap(), "Basic LXU6");
    open(&["url=-x"]).fails().says("Could not resolve host: -x");
    // The last word of a script that is run.
    let origin = Origin::of(vec![0; 4096]);
    open(&[&origin.url("/"), "cookie-script=-c true"]).fails().says("cookie-script failed: exit status: 127");
    let dir = tempfile::tempdir().unwrap();
    let jar = format!("cookiejar={}", dir.path().join("-jar").display());
    open(&[&origin.url("/"), &jar]).ok();
    assert!(dir.path().join("-jar").exists());
}

/// Sends who comes without a cookie to another path, which sets one.
fn wants_a_cookie() -> Origin {
    Origin::start(|request| {
        let known = request.header("cookie").is_some_and(|cookie| cookie.contains("session=42"));
        match request.target.as_str() {
            "/login" => {
                reply("302 Found", "Location: /disk\r\nSet-Cookie: session=42; Path=/; Max-Age=600\r\n", b"")
            }
            "/disk" if known => well(request, &[7; 4096]),
            _ => reply("403 Forbidden", "", b""),
        }
    })
}

#[test]
fn cookies_that_the_server_sets() {
    let origin = wants_a_cookie();
    let url = origin.url("/login");
    open(&[&url]).fails().says("403");
    open(&[&url, "cookiefile="]).ok();
    open(&[&url, "cookiefile=", "cookie=own=1"]).ok();
    let last = origin.asked().pop().unwrap();
    assert_eq!(last.header("cookie").unwrap(), "own=1; session=42");
}

#[test]
fn a_jar_keeps_cookies_and_curl_can_read_it() {
    let origin = wants_a_cookie();
    let dir = tempfile::tempdir().unwrap();
    let jar = dir.path().join("jar");
    let jar_is = |key: &str| format!("{key}={}", jar.display());
    open(&[&origin.url("/login"), &jar_is("cookiejar")]).ok();
    open(&[&origin.url("/disk"), &jar_is("cookiefile")]).ok();
    // And the other way round.
    run(tool("curl").args(["-sf", "-I", "-b"]).arg(&jar).arg(origin.url("/disk"))).ok();
    fs::remove_file(&jar).unwrap();
    run(tool("curl").args(["-s", "-I", "-c"]).arg(&jar).arg(origin.url("/login"))).ok();
    open(&[&origin.url("/disk"), &jar_is("cookiefile")]).ok();
}

#[test]
fn secrets_stay_with_the_host_they_are_for() {
    let other = Origin::of(vec![0; 4096]);
    let to = other.url("/elsewhere");
    let first = Origin::start(move |_| reply("302 Found", &format!("Location: {to}\r\n"), b""));
    let args = ["user=me", "password=secret", "cookie=a=secret", "header=X-Other: 1", "user-agent=me"];
    open(&[&[first.url("/").as_str()], &args[..]].concat()).ok();
    let request = &first.asked()[0];
    assert!(request.header("authorization").is_some() && request.header("cookie").is_some());
    let request = &other.asked()[0];
    assert_eq!((request.header("authorization"), request.header("cookie")), (None, None));
    assert_eq!(
        (request.header("x-other").as_deref(), request.header("user-agent").as_deref()),
        (Some("1"), Some("me"))
    );
}

#[test]
fn real_servers_see_them_as_well() {
    let nginx = Nginx::start("if ($http_x_token != \"let me in\") { return 403; }");
    open(&[&nginx.http("/disk.img")]).fails().says("403");
    open(&[&nginx.http("/disk.img"), "header=X-Token: let me in"]).ok();
    open(&[&nginx.https("/disk.img"), &nginx.cainfo(), "header=X-Token: let me in"]).ok();
}
