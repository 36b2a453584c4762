// SPDX-License-Identifier: BSD-3-Clause
//! What is secret is in no message, however many of them one asks for.

use nbdkit_tests::{nbdkit, run};

use super::origin::{Origin, reply, well};

#[test]
fn are_never_shown() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/broken?key=SECRET" => reply("500 Oops", "X: SECRET\r\n", b"SECRET"),
        "/login?key=SECRET" => {
            reply("302 Found", "Location: /disk?signature=SECRET\r\nSet-Cookie: session=SECRET\r\n", b"")
        }
        _ => well(request, &[0; 4096]),
    });
    let with_user = |path: &str| origin.url(path).replace("http://", "http://me:SECRET@");
    for url in [
        with_user("/login?key=SECRET"),
        with_user("/broken?key=SECRET"),
        "http://me:SECRET@nowhere.invalid/?SECRET".into(),
    ] {
        for args in [
            &["header=Authorization: SECRET", "cookie=SECRET=SECRET", "cookiefile="][..],
            &["header-script=echo X: SECRET", "cookie-script=echo a=SECRET"],
            &["password=SECRET", "user=me"],
            &["proxy=http://me:SECRET@127.0.0.1:1"],
            &["proxy=127.0.0.1:1", "proxy-user=me", "proxy-password=SECRET"],
            &["proxy=bad://me:SECRET@127.0.0.1:1"],
            &["header=SECRET"],
        ] {
            // A script's own text is the user's and may be repeated; what it prints is not.
            let verbose = nbdkit_with(&url, args);
            let scripts = args.iter().any(|arg| arg.contains("-script="));
            let lines: Vec<_> = verbose
                .lines()
                .filter(|line| line.contains("SECRET") && !(scripts && line.contains("config key=")))
                .collect();
            assert!(lines.is_empty(), "{url} {args:?}: {lines:#?}");
        }
    }
}

fn nbdkit_with(url: &str, args: &[&str]) -> String {
    let mut command = nbdkit();
    for flag in ["verbose", "verbose.ids", "times", "scripts"] {
        command.arg("-D").arg(format!("curl.{flag}=1"));
    }
    command.args(["-v", "-U", "-", "-r", "curl", url]).args(args).args(["--run", "nbdinfo \"$uri\""]);
    run(&mut command).stderr
}

#[test]
fn debug_flags_show_the_rest() {
    let origin = Origin::of(vec![0; 4096]);
    let args = ["header-script=echo X-Token: SECRET"];
    let said = nbdkit_with(&origin.url("/disk"), &args);
    for wanted in [
        &format!("[1] HEAD {}", origin.url("/disk")),
        "[1] > x-token: ***",
        "[1] HTTP/1.1 200 OK",
        "[1] < content-length: 4096",
        "header-script printed X-Token: ***",
        "times: ",
    ] {
        assert!(said.contains(wanted), "expected {wanted:?} in {said}");
    }
}
