// SPDX-License-Identifier: BSD-3-Clause
//! Errors say what the server said, and mistakes of the user what would be right.

use std::{fs, net::TcpListener};

use nbdkit_tests::{Server, nbdkit, raw::err, run};

use super::{nginx::Nginx, nginx::free_port, open};

const STATUS: &str = "HTTP response code said error: The requested URL returned error: ";

#[test]
fn statuses_are_named() {
    let nginx = Nginx::start(
        "location /403 { return 403; } location /410 { return 410; } location /500 { return 500; }
         location /503 { return 503; } location /401 { auth_basic x; auth_basic_user_file DIR/users; }",
    );
    fs::write(nginx.path("users"), "me:{PLAIN}secret\n").unwrap();
    for status in [401, 403, 404, 410, 500, 503] {
        let url = nginx.http(&format!("/{status}"));
        open(&[&url]).fails().says(&format!("{STATUS}{status}")).says(&format!("URL [{url}]"));
    }
}

#[test]
fn users_and_passwords() {
    let nginx = Nginx::start("auth_basic x; auth_basic_user_file DIR/users;");
    fs::write(nginx.path("users"), "me:{PLAIN}p@ss\n").unwrap();
    fs::write(nginx.path("password"), "p@ss\n").unwrap();
    let url = nginx.http("/disk.img");
    let from_file = format!("password=+{}", nginx.path("password").display());
    let in_url = url.replace("http://", "http://me:p%40ss@");
    let half_in_url = url.replace("http://", "http://me@");
    for args in [
        &[&url, "user=me", "password=p@ss"][..],
        &[&url, "user=me", &from_file],
        &[&in_url],
        &[&half_in_url, &from_file],
    ] {
        open(args).ok();
    }
    open(&[&url, "user=me", "password=other"]).fails().says(&format!("{STATUS}401"));
}

#[test]
fn a_file_that_shrinks() {
    let nginx = Nginx::start("");
    let server = Server::start(["-r", "curl", &nginx.http("/disk.img")]);
    let mut client = server.connect();
    let size = client.structured("").size;
    fs::File::options().write(true).open(nginx.disk()).unwrap().set_len(1000).unwrap();
    assert_eq!(client.read(size - 512, 512), Err(err::EIO));
    assert!(server.stderr().contains(&format!("{STATUS}416")), "{}", server.stderr());
    assert_eq!(client.read(0, 512), Err(err::EIO));
    assert!(server.stderr().contains("the size at the server has changed"), "{}", server.stderr());
    client.disconnect();
}

#[test]
fn a_server_without_ranges() {
    let nginx = Nginx::start("max_ranges 0;");
    open(&[&nginx.http("/disk.img")]).fails().says("server does not support 'range' (byte range) requests");
}

#[test]
fn nobody_listens() {
    let port = free_port();
    open(&[&format!("http://127.0.0.1:{port}/")])
        .fails()
        .says(&format!("Couldn't connect to server: Failed to connect to 127.0.0.1 port {port}"))
        .says("Connection refused");
    open(&["http://nowhere.invalid/"]).fails().says("Could not resolve host: nowhere.invalid");
}

#[test]
fn a_server_that_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    open(&[&url, "timeout=1"]).fails().says("Timeout was reached");
}

#[test]
fn a_server_that_does_not_answer_holds_nobody_up_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut server = Server::start(["-r", "curl", &url]);
    let mut client = server.connect();
    client.hello().unwrap();
    client
        .send(&nbdkit_tests::raw::option(nbdkit_tests::raw::opt::GO, &nbdkit_tests::raw::go_payload(b"")))
        .unwrap();
    // It has been asked, and says nothing.
    let _asked = listener.accept().unwrap();
    server.signal(nix::sys::signal::Signal::SIGTERM);
    server.wait();
}

#[test]
fn mistakes_on_the_command_line() {
    let url = "http://127.0.0.1/x";
    for (args, says) in [
        (&[][..], "you must supply the url=<URL> parameter after the plugin name on the command line"),
        (
            &[url, "header=A: b", "header-script=x"],
            "header and header-script cannot be used at the same time",
        ),
        (&[url, "cookie=a=b", "cookie-script=x"], "cookie and cookie-script cannot be used at the same time"),
        (&[url, "cookie-script-renew=3"], "cookie-script-renew cannot be used without cookie-script"),
        (&[url, "header-script-renew=3"], "header-script-renew cannot be used without header-script"),
        (&[url, "protocols=bogus"], "protocols: protocol name not found: bogus"),
        (&[url, "protocols=https"], "Protocol \"http\" not supported or disabled"),
        (&[url, "timeout=-1"], "timeout: "),
        (&[url, "connections=0"], "connections cannot be 0"),
        (&[url, "ssl-version=sslv3"], "sslv3 is broken"),
        (&[url, "ssl-cipher-list=DEFAULT"], "unknown cipher suite 'DEFAULT'"),
        (&[url, "tls13-ciphers=X"], "unknown cipher suite 'X', should be of TLS_AES_256_GCM_SHA384"),
        (&[url, "http-version=3"], "HTTP/3 is not available"),
        (&[url, "header=Range: bytes=0-1"], "Range cannot be changed"),
        (&[url, "resolve=x"], "should be HOST:PORT:ADDRESS"),
        (&[url, "cainfo=/nowhere/ca.pem"], "cainfo: /nowhere/ca.pem: No such file"),
        (&[url, "capath=/nowhere"], "capath: /nowhere: No such file"),
        (&[url, "proxy-cainfo=x"], "proxy-cainfo: there is one list of trusted certificates"),
        (&[url, "proxy-user=x"], "need proxy="),
        (&[url, "proxy=gopher://h"], "proxy: its scheme is not known"),
        (&[url, "user=a:b"], "has a colon"),
        (&["ftp://127.0.0.1/x"], "Protocol \"ftp\" not supported, should be http or https"),
        (&["sftp://127.0.0.1/x"], "use the ssh plugin"),
    ] {
        // `--run` so that what is accepted by mistake ends, with success.
        let output = run(nbdkit().args(["-U", "-", "-r", "curl"]).args(args).args(["--run", "true"])).fails();
        let found = output.stderr.to_lowercase().contains(&says.to_lowercase());
        assert!(found, "expected {says:?} in\n{}", output.report());
    }
}
