// SPDX-License-Identifier: BSD-3-Clause
//! Servers that mean no good: whatever they send ends in one clear line, in bounded memory, and soon.

use crate::{
    host::Host,
    peer::{ALL, Peer, negotiate, next_request},
};
use nbd_proto::{
    ExportInfo, Request,
    server::{Config, Session},
    wire::{ErrorCode, IHAVEOPT, NBDMAGIC, OPTION_REPLY},
};
use nbdkit_plugin::*;
use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
};

const SIZE: u64 = 1 << 30;

/// Asserts that this is one line which says `text`.
#[track_caller]
fn says(why: &Error, text: &str) {
    let why = why.to_string();
    assert!(why.contains(text) && why.lines().count() == 1 && why.len() < 9000, "{text}: {why}");
}

/// Opening an export of this server fails.
#[track_caller]
fn refuses(params: &[(&str, &str)], serve: fn(&mut UnixStream) -> io::Result<()>) -> Error {
    let peer = Peer::new(move |mut socket| serve(&mut socket));
    let mut all = vec![("socket", peer.socket().to_str().unwrap().to_owned())];
    all.extend(params.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let all: Vec<_> = all.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let host = Host::start(&all).unwrap();
    match params.contains(&("dynamic-export", "true")) {
        true => host.list().unwrap_err(),
        false => host.open("").err().expect("this server cannot be used"),
    }
}

fn greet(socket: &mut UnixStream) -> io::Result<()> {
    socket.write_all(&NBDMAGIC.to_be_bytes())?;
    socket.write_all(&IHAVEOPT.to_be_bytes())?;
    socket.write_all(&3u16.to_be_bytes())?;
    socket.read_exact(&mut [0; 4])
}

/// The number of the next option.
fn next_option(socket: &mut UnixStream) -> io::Result<u32> {
    let mut head = [0; 16];
    socket.read_exact(&mut head)?;
    let mut payload = vec![0; u32::from_be_bytes(head[12..].try_into().unwrap()) as usize];
    socket.read_exact(&mut payload)?;
    Ok(u32::from_be_bytes(head[8..12].try_into().unwrap()))
}

fn reply(option: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
    let len = payload.len() as u32;
    [&OPTION_REPLY.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes(), &len.to_be_bytes(), payload]
        .concat()
}

const LIST: u32 = 3;
const STARTTLS: u32 = 5;
const GO: u32 = 7;
const UNSUP: u32 = 0x8000_0001;

/// Refuses everything until `option`.
fn until_option(socket: &mut UnixStream, option: u32) -> io::Result<()> {
    greet(socket)?;
    loop {
        let asked = next_option(socket)?;
        if asked == option {
            return Ok(());
        }
        socket.write_all(&reply(asked, UNSUP, b""))?;
    }
}

#[test]
fn what_is_no_nbd_server() {
    says(
        &refuses(&[], |socket| socket.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")),
        "not an NBD server",
    );
    says(&refuses(&[], |_| Ok(())), "server closed the connection");
    says(&refuses(&[], |socket| socket.write_all(&NBDMAGIC.to_be_bytes())), "server closed the connection");
}

#[test]
fn sizes_beyond_all_disks() {
    for size in [1u64 << 63, u64::MAX] {
        let info = ExportInfo::new(size, ALL);
        let peer = Peer::new(move |mut socket| {
            negotiate(&mut socket, Config::default(), &info)?;
            // Until the client has gone.
            io::copy(&mut socket, &mut io::sink()).map(drop)
        });
        let host = Host::start(&[("socket", &peer.path())]).unwrap();
        let why = host.open("").err().unwrap();
        says(&why, &format!("server's export has {size} bytes, more than 2^63 - 1"));
        assert_eq!(why.errno(), EOVERFLOW);
    }
}

#[test]
fn lists_without_end() {
    let endless = |socket: &mut UnixStream| {
        until_option(socket, LIST)?;
        loop {
            socket.write_all(&reply(LIST, 2, b"\0\0\0\x04disk"))?;
        }
    };
    says(&refuses(&[("dynamic-export", "true")], endless), "more than 10000 exports");
}

#[test]
fn information_without_end() {
    let endless = |socket: &mut UnixStream| {
        until_option(socket, GO)?;
        let many = reply(GO, 3, b"\0\x02words").repeat(1000);
        loop {
            socket.write_all(&many)?;
        }
    };
    says(&refuses(&[], endless), "it does not end");
}

#[test]
fn strings_without_measure() {
    let name = |socket: &mut UnixStream| {
        until_option(socket, LIST)?;
        socket.write_all(&reply(LIST, 2, &[&8000u32.to_be_bytes()[..], &[b'x'; 8000]].concat()))
    };
    says(&refuses(&[("dynamic-export", "true")], name), "longer than 4096 bytes");
    let announced = |socket: &mut UnixStream| {
        until_option(socket, GO)?;
        let mut head = reply(GO, 3, b"");
        head.splice(16.., u32::MAX.to_be_bytes());
        socket.write_all(&head)
    };
    says(&refuses(&[], announced), "too long");
    // What a server says in refusing may be long, and have lines.
    let excuse = |socket: &mut UnixStream| {
        until_option(socket, GO)?;
        socket.write_all(&reply(GO, UNSUP + 5, &b"line\n".repeat(3000)))
    };
    says(&refuses(&[], excuse), "NBD_REP_ERR_UNKNOWN: line line");
}

#[test]
fn tls_that_is_refused_is_not_done_without() {
    let refusing = |socket: &mut UnixStream| {
        until_option(socket, STARTTLS)?;
        socket.write_all(&reply(STARTTLS, UNSUP + 1, b"no need"))?;
        // The client is polite, and says no more than that.
        assert_eq!(next_option(socket)?, 2);
        Ok(())
    };
    says(
        &refuses(&[("tls", "require")], refusing),
        "server refused NBD_OPT_STARTTLS with NBD_REP_ERR_POLICY: no need",
    );
    // A server that agrees and goes on in plain text.
    let plain = |socket: &mut UnixStream| {
        until_option(socket, STARTTLS)?;
        let mut both = reply(STARTTLS, 1, b"");
        both.extend(reply(GO, 3, b"\0\0\0\0\0\0\0\x10\0\0\0\x01"));
        both.extend(reply(GO, 1, b""));
        socket.write_all(&both)?;
        io::copy(socket, &mut io::sink()).map(drop)
    };
    says(&refuses(&[("tls", "on")], plain), "TLS handshake");
    let oldstyle = |socket: &mut UnixStream| {
        let config = Config::default().style(nbd_proto::server::Style::Oldstyle);
        negotiate(socket, config, &ExportInfo::new(SIZE, ALL)).map(drop)
    };
    says(&refuses(&[("tls", "require")], oldstyle), "without TLS");
}

/// Nothing comes, not even an end. The client that waits goes.
#[test]
fn a_server_that_is_silent_keeps_nobody() {
    let peer = Peer::new(|mut socket| io::copy(&mut socket, &mut io::sink()).map(drop));
    let host = Host::start(&[("socket", &peer.path())]).unwrap();
    let req = host.request("");
    let connection = req.connection.clone();
    let opened = std::thread::scope(|scope| {
        let opening = scope.spawn(|| host.open_for(req));
        connection.disconnect();
        opening.join().unwrap()
    });
    assert_eq!(opened.err().unwrap().errno(), ESHUTDOWN);
}

/// Answers the first request, a read of 64 KiB or a flush or a block status of all, with `answer`.
#[track_caller]
fn answered(
    config: Config,
    ask: impl FnOnce(&Host, Arc<dyn Disk>) -> Result<()>,
    answer: fn(&mut UnixStream, &Session, &Request) -> io::Result<()>,
) -> Error {
    let peer = Peer::new(move |mut socket| {
        let (session, mut input) = negotiate(&mut socket, config.clone(), &ExportInfo::new(SIZE, ALL))?;
        let request = next_request(&mut socket, &session, &mut input)?;
        answer(&mut socket, &session, &request)?;
        io::copy(&mut socket, &mut io::sink()).map(drop)
    });
    let host = Host::start(&[("socket", &peer.path())]).unwrap();
    let disk = host.open("").unwrap();
    ask(&host, disk).expect_err("this is no answer")
}

fn read(host: &Host, disk: Arc<dyn Disk>) -> Result<()> {
    host.read(&disk, 1 << 20, 65536).map(drop)
}

fn structured() -> Config {
    Config::default().extended_headers(false)
}

fn simple() -> Config {
    structured().structured_replies(false)
}

#[test]
fn answers_to_nothing() {
    let unasked = |socket: &mut UnixStream, session: &Session, request: &Request| {
        let other = Request { cookie: request.cookie ^ 1, ..*request };
        socket.write_all(&session.ok(other.tag()))
    };
    for config in [simple(), structured(), Config::default()] {
        says(&answered(config, read, unasked), "not in flight");
    }
    // One that has been answered before.
    let twice = |socket: &mut UnixStream, session: &Session, request: &Request| {
        let ok = session.ok(request.tag());
        socket.write_all(&[&*ok, &*ok].concat())
    };
    let flush_twice = |host: &Host, disk: Arc<dyn Disk>| {
        host.run(async move {
            disk.flush().await?;
            disk.flush().await
        })
    };
    for config in [simple(), structured(), Config::default()] {
        says(&answered(config, flush_twice, twice), "not in flight");
    }
    let garbage = |socket: &mut UnixStream, _: &Session, _: &Request| socket.write_all(&[0x55; 64]);
    says(&answered(simple(), read, garbage), "0x55555555");
}

#[test]
fn data_of_wrong_lengths() {
    type Answer = fn(&mut UnixStream, &Session, &Request) -> io::Result<()>;
    let cases: [(Answer, &str); 6] = [
        (
            |socket, session, request| {
                let head = session.chunks().unwrap().data(request.tag(), request.offset, 65537, true);
                socket.write_all(&head)
            },
            "not within the range",
        ),
        (
            |socket, session, request| {
                let head = session.chunks().unwrap().data(request.tag(), request.offset - 1, 512, true);
                socket.write_all(&head)
            },
            "not within the range",
        ),
        (
            |socket, session, request| {
                let head = session.chunks().unwrap().hole(request.tag(), request.offset, u32::MAX, true);
                socket.write_all(&head)
            },
            "not within the range",
        ),
        (
            |socket, session, request| {
                let hole = session.chunks().unwrap().hole(request.tag(), request.offset, 512, true);
                socket.write_all(&hole)
            },
            "data for 512",
        ),
        (
            |socket, session, request| {
                let chunks = session.chunks().unwrap();
                socket.write_all(&chunks.hole(request.tag(), request.offset, 1024, false))?;
                socket.write_all(&chunks.hole(request.tag(), request.offset + 1023, 1024, false))
            },
            "overlaps",
        ),
        (
            |socket, session, request| {
                let chunks = session.chunks().unwrap();
                (0..32768).try_for_each(|n| {
                    socket.write_all(&chunks.hole(request.tag(), request.offset + 2 * n + 1, 1, false))
                })
            },
            "too many gaps",
        ),
    ];
    for (answer, text) in cases {
        for config in [structured(), Config::default()] {
            says(&answered(config, read, answer), text);
        }
    }
    let short = |socket: &mut UnixStream, session: &Session, request: &Request| {
        socket.write_all(&session.read(request.tag(), 65536))?;
        socket.write_all(&[1; 1000])?;
        socket.shutdown(std::net::Shutdown::Both)
    };
    for config in [simple(), structured(), Config::default()] {
        says(&answered(config, read, short), "server closed the connection");
    }
}

#[test]
fn extents_that_make_no_sense() {
    let extents = |host: &Host, disk: Arc<dyn Disk>| {
        host.run(async move { disk.extents(Span::new(0, 1 << 20), Flags::default()).await }).map(drop)
    };
    let nothing = |socket: &mut UnixStream, session: &Session, request: &Request| {
        socket.write_all(&session.chunks().unwrap().done(request.tag()))
    };
    let twice = |socket: &mut UnixStream, session: &Session, request: &Request| {
        let mut out = Vec::new();
        let context = session.contexts()[0].id;
        session.block_status(request, context, [(1 << 20, 0)], false, &mut out);
        session.block_status(request, context, [(1 << 20, 3)], true, &mut out);
        socket.write_all(&out)
    };
    let foreign = |socket: &mut UnixStream, session: &Session, request: &Request| {
        let mut out = Vec::new();
        session.block_status(request, session.contexts()[0].id + 1, [(1 << 20, 0)], true, &mut out);
        socket.write_all(&out)
    };
    for config in [structured(), Config::default()] {
        says(&answered(config.clone(), extents, nothing), "did not say where the holes are");
        says(&answered(config.clone(), extents, twice), "two replies");
        says(&answered(config, extents, foreign), "was not negotiated");
    }
}

/// A million extents are as many as there may be, and they are taken.
#[test]
fn extents_to_the_limit() {
    let peer = Peer::new(move |mut socket| {
        let (session, mut input) = negotiate(&mut socket, Config::default(), &ExportInfo::new(SIZE, ALL))?;
        for count in [1u64 << 20, 1] {
            let request = next_request(&mut socket, &session, &mut input)?;
            let mut out = Vec::new();
            let each = (0..count).map(|n| (SIZE / count, n % 2));
            session.block_status(&request, session.contexts()[0].id, each, true, &mut out);
            socket.write_all(&out)?;
        }
        io::copy(&mut socket, &mut io::sink()).map(drop)
    });
    let host = Host::start(&[("socket", &peer.path())]).unwrap();
    let disk = host.open("").unwrap();
    for count in [1 << 20, 1] {
        let disk = disk.clone();
        let extents =
            host.run(async move { disk.extents(Span::new(0, SIZE), Flags::default()).await }).unwrap();
        assert_eq!((extents.count(), extents.len()), (count, SIZE));
    }
}

/// Errors to one request without end cost neither memory nor the other clients of the connection their turn.
#[test]
fn errors_without_end() {
    let peer = Peer::new(move |mut socket| {
        let (session, mut input) = negotiate(&mut socket, Config::default(), &ExportInfo::new(SIZE, ALL))?;
        let endless = next_request(&mut socket, &session, &mut input)?;
        let other = next_request(&mut socket, &session, &mut input)?;
        let mut chunk = Vec::new();
        session.chunks().unwrap().error(endless.tag(), ErrorCode::EIO, &"x".repeat(4096), false, &mut chunk);
        let many = chunk.repeat(1000);
        socket.write_all(&many)?;
        socket.write_all(&session.ok(other.tag()))?;
        loop {
            socket.write_all(&many)?;
        }
    });
    let host = Host::start(&[("socket", &peer.path()), ("shared", "true")]).unwrap();
    let (one, other) = (host.open("").unwrap(), host.open("").unwrap());
    let stopped = host.run(async move {
        use std::future::IntoFuture;
        let mut endless = one.flush().into_future();
        assert!(futures_lite::future::poll_once(&mut endless).await.is_none());
        let answered = futures_lite::future::or(async { Some(endless.await) }, async {
            other.flush().await.unwrap();
            None
        });
        answered.await.is_none()
    });
    assert!(stopped);
    host.cleanup().unwrap();
}
