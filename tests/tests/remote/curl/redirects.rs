// SPDX-License-Identifier: BSD-3-Clause
//! Where the server sends us, and where we do not go.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use nbdkit_tests::{Server, data::random};

use super::{
    assert_serves_bytes_of,
    nginx::Nginx,
    open,
    origin::{Origin, reply, well},
};

#[test]
fn are_resolved_once() {
    let nginx =
        Nginx::start("location /start { return 302 /next; } location /next { return 307 /disk.img; }");
    let server = Server::start(["-r", "curl", &nginx.http("/start")]);
    assert_serves_bytes_of(&server, &nginx.disk());
    let log = nginx.log();
    let opened = log.iter().filter(|line| line.contains(" HEAD /disk.img")).count();
    let started = log.iter().filter(|line| line.contains(" /start ")).count();
    assert_eq!((started, opened > 0), (opened, true), "{log:?}");
}

#[test]
fn lead_to_https() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    let first = Origin::start(move |_| reply("301 Moved Permanently", &format!("Location: {url}\r\n"), b""));
    let server = Server::start(["-r", "curl", &first.url("/"), &nginx.cainfo()]);
    assert_serves_bytes_of(&server, &nginx.disk());
}

#[test]
fn do_not_lead_to_what_is_not_allowed() {
    for (to, protocols, says) in [
        ("ftp://127.0.0.1/x", "protocols=http,https,ftp", "Protocol \"ftp\" not supported"),
        ("file:///etc/passwd", "protocols=http,file", "Protocol \"file\" not supported"),
        (
            "https://127.0.0.1/x",
            "protocols=http",
            "Protocol \"https\" not supported or disabled, should be http",
        ),
        ("http://", "protocols=http", "redirects to what is not a URL"),
    ] {
        let origin = Origin::start(move |_| reply("302 Found", &format!("Location: {to}\r\n"), b""));
        open(&[&origin.url("/"), protocols]).fails().says(says);
        assert_eq!(origin.asked().len(), 1);
    }
}

#[test]
fn are_not_followed_if_the_user_says_so() {
    let nginx = Nginx::start("location /start { return 302 /disk.img; }");
    open(&[&nginx.http("/start"), "followlocation=false"])
        .fails()
        .says("error: 302")
        .says("which followlocation=false does not allow");
}

#[test]
fn end_somewhere() {
    let origin = Origin::start(|_| reply("302 Found", "Location: /again\r\n", b""));
    open(&[&origin.url("/")]).fails().says("is redirected more than 30 times");
}

#[test]
fn that_expire_are_resolved_again() {
    // Like a store that signs URLs for a while: each is good for three reads.
    let bytes = random(9, 100_000);
    let (content, used) = (bytes.clone(), AtomicUsize::new(0));
    let origin = Origin::start(move |request| {
        if request.target == "/start" {
            let next = used.load(SeqCst) / 3;
            return reply("302 Found", &format!("Location: /signed?{next}\r\n"), b"");
        }
        let current = format!("/signed?{}", used.load(SeqCst) / 3);
        if request.target != current {
            return reply("403 Forbidden", "", b"");
        }
        if request.method == "GET" {
            used.fetch_add(1, SeqCst);
        }
        well(request, &content)
    });
    let server = Server::start(["-r", "curl", &origin.url("/start")]);
    let mut client = server.connect();
    client.structured("");
    for offset in (0..100_000).step_by(10_000) {
        assert_eq!(client.read(offset, 10_000).unwrap(), bytes[offset as usize..][..10_000], "{offset}");
    }
    client.disconnect();
    let started = origin.asked().iter().filter(|request| request.target == "/start").count();
    assert_eq!(started, 4);
}
