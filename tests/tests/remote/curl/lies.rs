// SPDX-License-Identifier: BSD-3-Clause
//! Servers that answer something else than they were asked. The client gets an error, never wrong bytes.

use nbdkit_tests::{Server, data::random, raw::err};

use super::{
    open,
    origin::{Origin, Request, ok, part, reply, well},
};

const SIZE: usize = 65536;

/// Reads 512 bytes from 1024, which `lie` answers, and must not get them; then the server still serves, because other
/// offsets are answered well.
#[track_caller]
fn read_fails(says: &str, lie: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) {
    let bytes = random(3, SIZE);
    let content = bytes.clone();
    let origin = Origin::start(move |request| match request.range() {
        Some((1024, _)) => lie(request),
        _ => well(request, &content),
    });
    let server = Server::start(["-r", "curl", &origin.url("/"), "timeout=30"]);
    let mut client = server.connect();
    client.structured("");
    assert_eq!(client.read(1024, 512), Err(err::EIO), "{says}");
    assert!(server.stderr().contains(says), "expected {says:?} in {}", server.stderr());
    assert_eq!(client.read(4096, 512).unwrap(), bytes[4096..][..512]);
    client.disconnect();
}

#[test]
fn more_than_was_asked_for() {
    read_fails("it is longer than the 512 bytes", |_| part(1024, 1535, "65536", &[0; 513]));
}

#[test]
fn more_than_was_asked_for_and_no_end() {
    read_fails("it is longer than the 512 bytes", |_| {
        let head =
            "HTTP/1.1 206 x\r\nContent-Range: bytes 1024-1535/65536\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = [b"10000\r\n", &[0; 65536][..], b"\r\n"].concat();
        [head.as_bytes(), &chunk.repeat(64)].concat()
    });
}

#[test]
fn less_than_was_asked_for() {
    read_fails("it ends after 511 of 512 bytes", |_| part(1024, 1535, "65536", &[0; 511]));
}

#[test]
fn the_connection_ends_in_the_middle() {
    read_fails("error reading a body from connection", |_| {
        let mut whole = part(1024, 1535, "65536", &[0; 512]);
        whole.truncate(whole.len() - 100);
        let text = String::from_utf8(whole).unwrap();
        text.replacen("\r\n", "\r\nConnection: close\r\n", 1).into()
    });
}

#[test]
fn another_part() {
    read_fails("it was asked for bytes 1024-1535 and sends 0-511", |_| part(0, 511, "65536", &[0; 512]));
}

#[test]
fn a_part_of_something_else() {
    read_fails("the size at the server has changed: it was 65536 bytes", |_| {
        part(1024, 1535, "9999", &[0; 512])
    });
}

#[test]
fn a_part_without_saying_which() {
    read_fails("does not say which, in Content-Range", |_| reply("206 Partial Content", "", &[0; 512]));
}

#[test]
fn the_whole() {
    read_fails("does not support 'range'", |_| reply("200 OK", "", &[0; 512]));
}

#[test]
fn what_is_not_http() {
    read_fails("invalid", |_| b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n".to_vec());
}

#[test]
fn headers_without_end() {
    read_fails("", |_| {
        let mut bytes = b"HTTP/1.1 206 Partial Content\r\n".to_vec();
        for i in 0..100_000 {
            bytes.extend(format!("X-{i}: x\r\n").bytes());
        }
        bytes
    });
}

#[test]
fn sizes_that_cannot_be() {
    for (status, headers, says) in [
        ("200 OK", "Content-Length: 9223372036854775808\r\nAccept-Ranges: bytes\r\n", "should be below 2^63"),
        ("405 Method Not Allowed", "Content-Length: 0\r\n", "makes no sense"),
    ] {
        let origin = Origin::start(move |request| match request.method.as_str() {
            "HEAD" => format!("HTTP/1.1 {status}\r\n{headers}\r\n").into(),
            _ => part(0, 0, "*", b"x"),
        });
        open(&[&origin.url("/")]).fails().says(says);
    }
}

#[test]
fn a_size_that_is_not_that_of_the_parts() {
    for claimed in [SIZE - 1, SIZE + 1, SIZE * 1000] {
        let origin = Origin::start(move |request| match request.method.as_str() {
            "HEAD" => ok(claimed),
            _ => well(request, &[0; SIZE]),
        });
        let server = Server::start(["-r", "curl", &origin.url("/")]);
        let mut client = server.connect();
        assert_eq!(client.structured("").size, claimed as u64);
        assert_eq!(client.read(0, 512), Err(err::EIO));
        let says = format!("it was {claimed} bytes when the disk was opened, and is {SIZE}");
        assert!(server.stderr().contains(&says), "expected {says:?} in {}", server.stderr());
        client.disconnect();
    }
}

#[test]
fn half_of_it_and_then_nothing() {
    let origin = Origin::start(|request| match request.range() {
        Some(_) => {
            let mut whole = part(0, 511, "65536", &[0; 512]);
            whole.truncate(whole.len() - 256);
            whole
        }
        None => well(request, &[0; SIZE]),
    });
    let server = Server::start(["-r", "curl", &origin.url("/"), "timeout=1"]);
    let mut client = server.connect();
    client.structured("");
    assert_eq!(client.read(0, 512), Err(err::EIO));
    assert!(server.stderr().contains("Timeout was reached"), "{}", server.stderr());
    client.disconnect();
}

#[test]
fn a_large_size_is_believed_and_costs_nothing() {
    let origin = Origin::start(|_| ok(i64::MAX as usize));
    assert_eq!(open(&[&origin.url("/")]).ok().text(), i64::MAX.to_string());
}

#[test]
fn a_server_that_closes_what_it_kept_is_asked_again() {
    // Every connection answers one request, and says nothing of it.
    let bytes = random(3, SIZE);
    let content = bytes.clone();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut input = std::io::BufReader::new(stream.try_clone().unwrap());
            if let Ok(Some(request)) = super::origin::read(&mut input) {
                let _ = std::io::Write::write_all(&mut stream, &well(&request, &content));
                // The next one is read, and not answered.
                let _ = super::origin::read(&mut input);
            }
        }
    });
    let server = Server::start(["-r", "curl", &url, "connections=1"]);
    let mut client = server.connect();
    client.structured("");
    for offset in (0..SIZE as u64).step_by(8192) {
        assert_eq!(client.read(offset, 512).unwrap(), bytes[offset as usize..][..512], "{offset}");
    }
    client.disconnect();
}
