// SPDX-License-Identifier: BSD-3-Clause
//! Through proxies: HTTP that is forwarded, HTTPS through a tunnel, and SOCKS.

use std::{
    io::{self, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use nbdkit_tests::{Server, nbdkit, run};

use super::{
    assert_serves_bytes_of,
    nginx::Nginx,
    open,
    origin::{Origin, Request, read, well},
};

#[test]
fn http_is_forwarded() {
    let proxy = Origin::of(vec![0; 4096]);
    let address = format!("proxy=127.0.0.1:{}", proxy.port());
    open(&["http://nowhere.invalid/disk", &address, "proxy-user=me", "proxy-password=p"]).ok();
    let request = &proxy.asked()[0];
    assert_eq!(request.target, "http://nowhere.invalid/disk");
    assert_eq!(request.header("proxy-authorization").unwrap(), "Basic bWU6cA==");
}

#[test]
fn the_password_may_be_in_a_file() {
    let proxy = Origin::of(vec![0; 4096]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "p\n").unwrap();
    let (address, password) =
        (format!("proxy=127.0.0.1:{}", proxy.port()), format!("proxy-password=+{}", file.path().display()));
    open(&["http://nowhere.invalid/disk", &address, "proxy-user=me", &password]).ok();
    assert_eq!(proxy.asked()[0].header("proxy-authorization").unwrap(), "Basic bWU6cA==");
}

#[test]
fn a_proxy_that_is_asked_over_tls() {
    // What is asked of a proxy for another host, nginx takes for its own.
    let nginx = Nginx::start("");
    let proxy = format!("proxy=https://localhost:{}", nginx.tls_port());
    let url = "http://nowhere.invalid/disk.img";
    let server = Server::start(["-r", "curl", url, &proxy, &nginx.cainfo()]);
    assert_serves_bytes_of(&server, &nginx.disk());
    open(&[url, &proxy]).fails().says("certificate verify failed");
}

#[test]
fn https_goes_through_a_tunnel() {
    let nginx = Nginx::start("");
    let (port, asked) = tunnel(nginx.tls_port());
    let url = "https://example.com/disk.img";
    let proxy = format!("proxy=http://me:p@127.0.0.1:{port}");
    let server = Server::start(["-r", "curl", url, &proxy, &nginx.cainfo()]);
    assert_serves_bytes_of(&server, &nginx.disk());
    let request = asked.lock().unwrap()[0].clone();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("CONNECT", "example.com:443"));
    assert_eq!(request.header("proxy-authorization").unwrap(), "Basic bWU6cA==");
}

#[test]
fn socks() {
    let nginx = Nginx::start("");
    let port = socks5(nginx.port());
    let proxy = format!("proxy=socks5h://127.0.0.1:{port}");
    let server = Server::start(["-r", "curl", "http://nowhere.invalid/disk.img", &proxy]);
    assert_serves_bytes_of(&server, &nginx.disk());
}

#[test]
fn of_the_environment() {
    let proxy = Origin::of(vec![0; 4096]);
    let address = proxy.url("");
    let ask = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = nbdkit();
        command.args(["-U", "-", "-r", "curl", "http://nowhere.invalid/"]).args(args);
        run(command.args(["--run", "nbdinfo --size \"$uri\""]).envs(variables.iter().copied()))
    };
    ask(&[], &[("http_proxy", &address)]).ok();
    ask(&["proxy="], &[("http_proxy", &address)]).fails().says("Could not resolve host");
    ask(&[], &[("http_proxy", &address), ("no_proxy", "nowhere.invalid")]).fails();
    let given = format!("proxy={address}");
    ask(&[&given], &[("no_proxy", "nowhere.invalid")]).fails();
    ask(&[&given], &[]).ok();
}

#[test]
fn a_proxy_that_refuses() {
    let proxy = Origin::start(|request| match request.method.as_str() {
        "CONNECT" => super::origin::reply("407 Proxy Authentication Required", "", b""),
        _ => well(request, &[0; 512]),
    });
    let address = format!("proxy=127.0.0.1:{}", proxy.port());
    open(&["https://example.com/", &address]).fails().says("proxy authorization required");
}

/// A proxy that connects every tunnel to `target`, and what it was asked.
fn tunnel(target: u16) -> (u16, Arc<Mutex<Vec<Request>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = asked.clone();
    let port = serve(move |mut client| {
        // Nothing follows before the answer, so that the buffer holds back nothing.
        let request = read(&mut BufReader::new(client.try_clone()?))?.ok_or(io::ErrorKind::UnexpectedEof)?;
        record.lock().unwrap().push(request);
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
        join(client, target)
    });
    (port, asked)
}

/// RFC 1928, without authentication, for names.
fn socks5(target: u16) -> u16 {
    serve(move |mut client| {
        let mut greeting = [0; 2];
        client.read_exact(&mut greeting)?;
        client.read_exact(&mut vec![0; greeting[1].into()])?;
        client.write_all(&[5, 0])?;
        let mut request = [0; 5];
        client.read_exact(&mut request)?;
        assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a name");
        client.read_exact(&mut vec![0; usize::from(request[4]) + 2])?;
        client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
        join(client, target)
    })
}

fn serve(each: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let each = Arc::new(each);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || each(client));
        }
    });
    port
}

/// Copies both ways until one side ends.
fn join(client: TcpStream, target: u16) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    let (mut from_client, mut to_client) = (client.try_clone()?, client);
    let (mut from_server, mut to_server) = (server.try_clone()?, server);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Write);
    });
    io::copy(&mut from_server, &mut to_client)?;
    to_client.shutdown(std::net::Shutdown::Write)
}
