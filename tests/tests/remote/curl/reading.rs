// SPDX-License-Identifier: BSD-3-Clause
//! Every way to the same bytes.

use std::fs;

use nbdkit_tests::{Launch, Server, data::assert_bytes};

use super::{assert_serves_bytes_of, nginx::Nginx, nginx::random_file, open, origin::Origin};

#[test]
fn over_http() {
    let nginx = Nginx::start("");
    assert_serves_bytes_of(&Server::start(["-r", "curl", &nginx.http("/disk.img")]), &nginx.disk());
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/1.1 ")), "{:?}", nginx.log());
}

#[test]
fn over_http_1_0() {
    let nginx = Nginx::start("");
    let server = Server::start(["-r", "curl", &nginx.http("/disk.img"), "http-version=1.0"]);
    assert_serves_bytes_of(&server, &nginx.disk());
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/1.0 ")), "{:?}", nginx.log());
}

#[test]
fn over_https_with_http_2_if_the_server_has_it() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    assert_serves_bytes_of(&Server::start(["-r", "curl", &url, &nginx.cainfo()]), &nginx.disk());
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/2.0 ")), "{:?}", nginx.log());
}

#[test]
fn over_https_with_http_1_1_if_the_user_says_so() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    let server = Server::start(["-r", "curl", &url, &nginx.cainfo(), "http-version=1.1"]);
    assert_serves_bytes_of(&server, &nginx.disk());
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/1.1 ")), "{:?}", nginx.log());
}

#[test]
fn every_name_of_http_2() {
    let nginx = Nginx::start("");
    let url = nginx.https("/disk.img");
    for version in ["none", "2.0", "2TLS", "2-prior-knowledge"] {
        open(&[&url, &nginx.cainfo(), &format!("http-version={version}")]).ok();
    }
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/2.0 ")), "{:?}", nginx.log());
}

#[test]
fn over_http_2_without_tls_if_the_user_knows_that_the_server_has_it() {
    let nginx = Nginx::start("listen unix:DIR/http2 http2;");
    let socket = format!("unix-socket-path={}", nginx.path("http2").display());
    let args = ["-r", "curl", "http://nowhere.invalid/disk.img", &socket, "http-version=2-prior-knowledge"];
    assert_serves_bytes_of(&Server::start(args), &nginx.disk());
    assert!(nginx.log().iter().all(|line| line.starts_with("HTTP/2.0 ")), "{:?}", nginx.log());
}

#[test]
fn what_the_kernel_is_told_of_a_connection() {
    let nginx = Nginx::start("");
    for (args, keepalive, nodelay) in
        [(&[][..], false, true), (&["tcp-keepalive=true", "tcp-nodelay=false"], true, false)]
    {
        let url = nginx.http("/disk.img");
        let trace = nginx.path("trace");
        let strace = ["strace", "-f", "-e", "trace=setsockopt", "-o", trace.to_str().unwrap()];
        let server = Launch::new([&["-r", "curl", &url], args].concat()).under(strace).start();
        assert_serves_bytes_of(&server, &nginx.disk());
        drop(server);
        let trace = fs::read_to_string(trace).unwrap();
        for (option, wanted) in [("SO_KEEPALIVE, [1]", keepalive), ("TCP_NODELAY, [1]", nodelay)] {
            assert_eq!(trace.contains(option), wanted, "{args:?}: {option} in {trace}");
        }
    }
}

#[test]
fn over_a_unix_socket() {
    let nginx = Nginx::start("");
    let socket = format!("unix-socket-path={}", nginx.path("socket").display());
    let server = Server::start(["-r", "curl", "http://nowhere.invalid/disk.img", &socket]);
    assert_serves_bytes_of(&server, &nginx.disk());
}

#[test]
fn a_name_with_an_address_of_the_user() {
    let nginx = Nginx::start("");
    let port = nginx.tls_port();
    let url = format!("https://example.com:{port}/disk.img");
    let resolve = format!("resolve=example.com:{port}:127.0.0.1");
    let server = Server::start(["-r", "curl", &url, &resolve, &nginx.cainfo(), "ipresolve=v4"]);
    assert_serves_bytes_of(&server, &nginx.disk());
    open(&[&url, &format!("resolve=*:{port}:127.0.0.1"), &nginx.cainfo()]).ok();
    open(&[&url, &resolve, &nginx.cainfo(), "ipresolve=v6"])
        .fails()
        .says("no address that ipresolve=v6 allows");
}

#[test]
fn an_empty_file_is_an_empty_disk() {
    let nginx = Nginx::start("");
    fs::write(nginx.path("www/empty"), "").unwrap();
    assert_eq!(open(&[&nginx.http("/empty")]).ok().text(), "0");
}

#[test]
fn a_slow_server() {
    let nginx = Nginx::start("location /slow { alias DIR/www; limit_rate 400k; }");
    let file = random_file(&nginx, "small", 600_000);
    assert_serves_bytes_of(&Server::start(["-r", "curl", &nginx.http("/slow/small")]), &file);
}

#[test]
fn what_the_server_could_compress_comes_as_it_is() {
    let nginx = Nginx::start("gzip on; gzip_types *; gzip_min_length 1;");
    let file = nginx.path("www/text");
    fs::write(&file, "a line that compresses well\n".repeat(10_000)).unwrap();
    assert_serves_bytes_of(&Server::start(["-r", "curl", &nginx.http("/text")]), &file);
}

#[test]
fn a_server_that_refuses_head() {
    for status in [400, 403, 405, 501] {
        let nginx = Nginx::start(&format!("if ($request_method = HEAD) {{ return {status}; }}"));
        assert_serves_bytes_of(&Server::start(["-r", "curl", &nginx.http("/disk.img")]), &nginx.disk());
    }
}

#[test]
fn a_server_that_does_not_mention_ranges_but_has_them() {
    let nginx = Nginx::start(
        "location /p/ { proxy_pass http://127.0.0.1:PORT/; proxy_force_ranges off; proxy_hide_header Accept-Ranges; }",
    );
    assert_serves_bytes_of(&Server::start(["-r", "curl", &nginx.http("/p/disk.img")]), &nginx.disk());
}

#[test]
fn only_as_many_connections_as_allowed_and_they_are_used_again() {
    let nginx = Nginx::start("location /n { return 200 $connection; }");
    let server = Server::start(["-r", "curl", &nginx.http("/disk.img"), "connections=2"]);
    assert_serves_bytes_of(&server, &nginx.disk());
    // nginx counts connections. Besides ours there are that of the harness, which has tried it, and this one.
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", nginx.port())).unwrap();
    let mut text = String::new();
    std::io::Write::write_all(&mut stream, b"GET /n HTTP/1.0\r\n\r\n").unwrap();
    std::io::Read::read_to_string(&mut stream, &mut text).unwrap();
    let number: usize = text.split("\r\n\r\n").nth(1).unwrap().parse().unwrap();
    let asked = nginx.log().len();
    assert!(number <= 4 && asked > 10, "connection {number} after {asked} requests");
}

#[test]
fn many_reads_wait_together() {
    // Sixteen must be there before one is answered: one after another they would hang.
    let bytes = nbdkit_tests::data::random(5, 1 << 20);
    let together = std::sync::Barrier::new(16);
    let content = bytes.clone();
    let origin = Origin::start(move |request| {
        if request.method == "GET" {
            together.wait();
        }
        super::origin::well(request, &content)
    });
    let server = Server::start(["-r", "curl", &origin.url("/")]);
    let mut client = server.connect();
    client.structured("");
    let cookies: Vec<_> =
        (0..16).map(|i| client.request(nbdkit_tests::raw::cmd::READ, 0, i * 4096, 4096).unwrap()).collect();
    let mut seen = 0;
    while seen < 16 {
        let nbdkit_tests::raw::Reply::Chunk(chunk) = client.reply().unwrap() else {
            panic!("a simple reply")
        };
        let index = cookies.iter().position(|cookie| *cookie == chunk.cookie).unwrap();
        let expected = &bytes[index * 4096..][..4096];
        assert_bytes("a read", &chunk.payload[8..], expected);
        seen += 1;
    }
    client.disconnect();
}
