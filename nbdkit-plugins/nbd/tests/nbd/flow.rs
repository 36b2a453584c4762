// SPDX-License-Identifier: BSD-3-Clause
//! Many requests on one connection: how they leave, how answers find their way, and what becomes of them when the server
//! goes.

use crate::{
    host::Host,
    peer::{ALL, Peer, Ram, error, negotiate, next_request},
};
use nbd_proto::{
    Command, ExportInfo,
    server::Config,
    wire::{CommandFlags, ErrorCode, Rep, TransmissionFlags as F},
};
use nbdkit_plugin::*;
use std::{
    collections::HashMap,
    future::{Future, IntoFuture, poll_fn},
    io::{Read, Write},
    os::unix::net::UnixStream,
    pin::Pin,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

const SIZE: u64 = 1 << 20;

/// A server that lets `talk` answer after the handshake.
fn talker(
    talk: impl Fn(&mut UnixStream, nbd_proto::server::Session, Vec<u8>) + Send + Sync + 'static,
) -> Peer {
    Peer::new(move |mut socket| {
        let (session, rest) = negotiate(&mut socket, Config::default(), &ExportInfo::new(SIZE, ALL))?;
        talk(&mut socket, session, rest);
        Ok(())
    })
}

fn host(peer: &Peer) -> Host {
    Host::start(&[("socket", &peer.path())]).unwrap()
}

/// What is polled by itself, and how often it was woken.
struct Single<'a> {
    future: Pin<Box<dyn Future<Output = Result<Data>> + Send + 'a>>,
    woken: Arc<Count>,
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl<'a> Single<'a> {
    fn new(op: Op<'a, Data>) -> Single<'a> {
        Single { future: Box::pin(op.into_future()), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<Result<Data>> {
        let waker = Waker::from(self.woken.clone());
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn woken(&self) -> usize {
        self.woken.0.load(SeqCst)
    }
}

#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !condition() {
        assert!(start.elapsed() < crate::host::HANG, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn requests_begun_together_leave_together_and_one_left_behind_keeps_nobody() {
    let (heads, arrived) = mpsc::channel();
    let peer = talker(move |socket, _, _| {
        let mut buf = [0; 4096];
        while let Ok(count @ 1..) = socket.read(&mut buf) {
            heads.send(count / 32).unwrap();
        }
    });
    let host = host(&peer);
    let disk = host.open("").unwrap();
    let mut four: Vec<_> = (0..4).map(|n| Single::new(disk.pread(512, n * 512))).collect();
    assert!(four.iter_mut().all(|one| one.poll().is_pending()));
    assert_eq!(arrived.recv().unwrap(), 4, "in one system call");
    assert_eq!(four[0].woken(), 1, "the first would have come again");

    // One that was made and is not polled: the first of the others comes again, and sends.
    let idle = disk.pread(512, 0);
    let mut three: Vec<_> = (0..3).map(|n| Single::new(disk.pread(512, n * 512))).collect();
    assert!(three.iter_mut().all(|one| one.poll().is_pending()));
    assert_eq!(three.iter().map(Single::woken).collect::<Vec<_>>(), [1, 0, 0]);
    assert!(three[0].poll().is_pending());
    assert_eq!(arrived.recv().unwrap(), 3);

    // It has begun nothing, and is forgotten.
    drop(idle);
    assert!(Single::new(disk.pread(512, 0)).poll().is_pending());
    assert_eq!(arrived.recv().unwrap(), 1);
}

/// Whoever is polled reads for all: those whose answers have come are woken, and the bell goes to one who still waits.
#[test]
fn whoever_is_left_waiting_is_woken_by_the_socket() {
    let (go, wait) = mpsc::channel::<usize>();
    let wait = Mutex::new(wait);
    let peer = talker(move |socket, session, mut input| {
        let requests: Vec<_> = (0..3).map(|_| next_request(socket, &session, &mut input).unwrap()).collect();
        for which in wait.lock().unwrap().iter() {
            let request = &requests[which];
            let mut reply = session.read(request.tag(), request.len as u32).to_vec();
            reply.resize(reply.len() + request.len as usize, which as u8);
            socket.write_all(&reply).unwrap();
        }
    });
    let host = host(&peer);
    let disk = host.open("").unwrap();
    let mut all: Vec<_> = (0..3).map(|n| Single::new(disk.pread(512, n * 512))).collect();
    assert!(all.iter_mut().all(|one| one.poll().is_pending()));
    // The last one polled answers the bell, though the answer is not for it.
    let before: Vec<_> = all.iter().map(Single::woken).collect();
    go.send(0).unwrap();
    until("the last is woken", || all[2].woken() > before[2]);
    assert_eq!(all[0].woken(), before[0]);
    assert!(all[2].poll().is_pending());
    assert_eq!(all[0].woken(), before[0] + 1, "its answer has come");
    assert!(matches!(all[0].poll(), Poll::Ready(Ok(data)) if data.len() == 512));
    // It answers its own, and then the one that is left does.
    go.send(2).unwrap();
    until("the last is woken again", || all[2].woken() > before[2] + 1);
    assert!(matches!(all[2].poll(), Poll::Ready(Ok(_))));
    go.send(1).unwrap();
    until("who is left is woken", || all[1].woken() > before[1]);
    assert!(matches!(all[1].poll(), Poll::Ready(Ok(_))));
}

#[test]
fn an_operation_that_is_dropped_harms_nobody() {
    let peer = Ram::new(SIZE as usize).serve();
    let host = host(&peer);
    let disk = host.open("").unwrap();
    for _ in 0..100 {
        let mut dropped = Single::new(disk.pread(65536, 0));
        let mut kept = Single::new(disk.pread(512, 0));
        assert!(kept.poll().is_pending() && dropped.poll().is_pending());
        drop(dropped);
        until("the other is answered", || kept.poll().is_ready());
    }
    assert_eq!(host.read(&disk, 0, 512).unwrap(), [0; 512]);
}

/// Two threads with many requests each on one connection, out of order.
#[test]
fn every_answer_finds_its_request() {
    let ram = Ram::new(SIZE as usize);
    for (at, byte) in ram.bytes.lock().unwrap().iter_mut().enumerate() {
        *byte = (at / 512 * 7 + at) as u8;
    }
    let expected = ram.bytes.lock().unwrap().clone();
    let peer = ram.serve();
    let host = Host::start(&[("socket", &peer.path()), ("shared", "true")]).unwrap();
    let disks = [host.open("").unwrap(), host.open("").unwrap()];
    std::thread::scope(|scope| {
        for (seed, disk) in (1u64..).zip(&disks) {
            let (host, disk, expected) = (host.clone(), disk.clone(), expected.clone());
            scope.spawn(move || {
                let work = async move {
                    let mut state = seed;
                    for _ in 0..200 {
                        let mut reads: Vec<_> = (0..16)
                            .map(|_| {
                                state =
                                    state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                                let offset = (state >> 33) % (SIZE - 131072);
                                let len =
                                    1 + (state >> 17) as u32 % if state & 63 == 0 { 131072 } else { 8192 };
                                (offset, len, Some(disk.pread(len, offset).into_future()))
                            })
                            .collect();
                        poll_fn(|cx| {
                            for (offset, len, slot) in &mut reads {
                                let Some(read) = slot else { continue };
                                let Poll::Ready(data) = Pin::new(read).poll(cx) else { continue };
                                let bytes = futures_lite::future::block_on(async {
                                    data.unwrap().into_buf(&Pool::new()).await.unwrap()
                                });
                                assert!(
                                    *bytes == expected[*offset as usize..][..*len as usize],
                                    "{offset}+{len}"
                                );
                                *slot = None;
                            }
                            if reads.iter().all(|(.., slot)| slot.is_none()) {
                                Poll::Ready(())
                            } else {
                                Poll::Pending
                            }
                        })
                        .await;
                    }
                };
                host.run(work);
            });
        }
    });
}

#[test]
fn flags_and_lengths_arrive_as_they_were_asked() {
    let ram = Ram::new(SIZE as usize);
    let asked = ram.asked.clone();
    let peer = ram.serve();
    let host = host(&peer);
    let disk = host.open("").unwrap();
    let work = async move {
        let all = Flags { fua: true, may_trim: false, fast_zero: true, req_one: true };
        let none = Flags { may_trim: true, ..Flags::default() };
        for flags in [all, none] {
            disk.pwrite(vec![1; 512].into(), 512, flags).await.unwrap();
            disk.trim(Span::new(512, 512), flags).await.unwrap();
            disk.zero(Span::new(512, 512), flags).await.unwrap();
            disk.extents(Span::new(512, 512), flags).await.unwrap();
        }
        disk.cache(Span::new(512, 512)).await.unwrap();
        disk.flush().await.unwrap();
    };
    host.run(work);
    use CommandFlags as C;
    let expected = [
        (Command::Write, C::FUA),
        (Command::Trim, C::FUA),
        (Command::WriteZeroes, C::FUA | C::NO_HOLE | C::FAST_ZERO),
        (Command::BlockStatus, C::REQ_ONE),
        (Command::Write, C::NONE),
        (Command::Trim, C::NONE),
        (Command::WriteZeroes, C::NONE),
        (Command::BlockStatus, C::NONE),
        (Command::Cache, C::NONE),
        (Command::Flush, C::NONE),
    ];
    let asked: Vec<_> =
        asked.lock().unwrap().iter().map(|request| (request.command, request.flags)).collect();
    assert_eq!(asked, expected);
}

#[test]
fn errors_come_through_with_their_words() {
    let codes = [
        (ErrorCode::EPERM, EPERM),
        (ErrorCode::EIO, EIO),
        (ErrorCode::ENOMEM, ENOMEM),
        (ErrorCode::EINVAL, EINVAL),
        (ErrorCode::ENOSPC, ENOSPC),
        (ErrorCode::EOVERFLOW, EOVERFLOW),
        (ErrorCode::ENOTSUP, EOPNOTSUPP),
        (ErrorCode::ESHUTDOWN, ESHUTDOWN),
        (ErrorCode(9999), EINVAL),
    ];
    let peer = talker(move |socket, session, mut input| {
        for (code, _) in codes {
            let request = next_request(socket, &session, &mut input).unwrap();
            socket.write_all(&error(&session, &request, code, "disk\nmade of \x1b[7mcheese")).unwrap();
        }
        let request = next_request(socket, &session, &mut input).unwrap();
        socket.write_all(&session.ok(request.tag())).unwrap();
    });
    let host = host(&peer);
    let disk = host.open("").unwrap();
    for (code, errno) in codes {
        let failed = disk.clone();
        let why = host
            .run(async move { failed.pwrite(vec![0; 512].into(), 0, Flags::default()).await })
            .unwrap_err();
        assert_eq!(why.errno(), errno, "{code}");
        let text = why.to_string();
        assert!(text.contains("disk made of  [7mcheese") && text.contains(&code.to_string()), "{text}");
    }
    host.run(async move { disk.flush().await }).unwrap();
}

/// Sixteen requests are in flight when the server dies: all fail, later ones at once, and opening again helps.
#[test]
fn a_server_that_dies_fails_what_is_in_flight() {
    for shared in ["false", "true"] {
        let peer = talker(|socket, session, mut input| {
            for _ in 0..16 {
                next_request(socket, &session, &mut input).unwrap();
            }
        });
        let host = Host::start(&[("socket", &peer.path()), ("shared", shared)]).unwrap();
        let disk = host.open("").unwrap();
        let flight = disk.clone();
        let errors = host.run(async move {
            let mut reads: Vec<_> = (0..16).map(|n| Some(flight.pread(512, n * 512).into_future())).collect();
            let mut errors = Vec::new();
            poll_fn(|cx| {
                for slot in &mut reads {
                    let Some(read) = slot else { continue };
                    if let Poll::Ready(result) = Pin::new(read).poll(cx) {
                        errors.push(result.unwrap_err().errno());
                        *slot = None;
                    }
                }
                if errors.len() == 16 { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            errors
        });
        assert_eq!(errors, [ESHUTDOWN; 16]);
        let mut later = Single::new(disk.pread(512, 0));
        assert!(matches!(later.poll(), Poll::Ready(Err(why)) if why.errno() == ESHUTDOWN));
        assert_eq!(host.open("").is_ok(), shared == "false");
        host.cleanup().unwrap();
    }
}

#[test]
fn closing_says_goodbye() {
    for shared in ["false", "true"] {
        let (said, heard) = mpsc::channel();
        let peer = talker(move |socket, session, mut input| {
            let why = next_request(socket, &session, &mut input).unwrap_err();
            said.send(why.to_string()).unwrap();
        });
        let host = Host::start(&[("socket", &peer.path()), ("shared", shared)]).unwrap();
        let disk = host.open("").unwrap();
        host.run(async move { disk.close().await }).unwrap();
        if shared == "true" {
            assert!(heard.try_recv().is_err(), "others use the connection");
        }
        host.cleanup().unwrap();
        assert!(heard.recv_timeout(crate::host::HANG).unwrap().contains("Disconnect"));
    }
}

#[test]
fn what_the_server_says_of_itself() {
    let ram = Ram::new(SIZE as usize);
    let peer = ram.clone().serve();
    let dynamic = Host::start(&[("socket", &peer.path()), ("dynamic-export", "true")]).unwrap();
    let list = dynamic.list().unwrap().unwrap();
    assert_eq!(list, [Export { name: String::new(), description: Some("a disk in memory".into()) }]);
    assert_eq!(dynamic.default_export().unwrap().as_deref(), Some(""));
    let refused = dynamic.open("nothing").err().unwrap();
    assert_eq!(refused.errno(), ENOENT);
    assert!(refused.to_string().contains("there is no such export"), "{refused}");

    let fixed = Host::start(&[("socket", &peer.path()), ("export", "")]).unwrap();
    assert_eq!(fixed.list().unwrap(), None);
    assert!(fixed.open("nothing").is_ok(), "clients cannot choose");

    let mut reader = ram;
    reader.info.flags = F::READ_ONLY | F::ROTATIONAL;
    reader.info.description = Some("words".into());
    let peer = reader.serve();
    let disk = host(&peer).open("").unwrap();
    let info = disk.info();
    assert!(!info.write && info.rotational && !info.flush && info.extents && info.size == SIZE);
    assert_eq!(info.description.as_deref(), Some("words"));
    let mut req = dynamic.request("");
    req.read_only = true;
    let disk = dynamic.open_for(req).unwrap();
    assert!(!disk.info().write && !disk.info().trim && disk.info().multi_conn);
}

#[test]
fn a_list_that_is_refused_is_an_error() {
    let peer = Peer::new(|mut socket| {
        let mut handshake = nbd_proto::server::Handshake::new(Config::default());
        let mut rest = Vec::new();
        loop {
            use nbd_proto::server::{Ask, Step};
            match handshake.step() {
                Step::NeedInput if rest.is_empty() => crate::peer::receive(&mut socket, &mut rest, 1)?,
                Step::NeedInput => drop(rest.drain(..handshake.feed(&rest))),
                Step::Send => socket.write_all(&handshake.take_output())?,
                Step::Ask(Ask::List) => handshake.refuse(Rep::ERR_POLICY, "not to you"),
                _ => return Ok(()),
            }
        }
    });
    let host = Host::start(&[("socket", &peer.path()), ("dynamic-export", "true")]).unwrap();
    let why = host.list().unwrap_err().to_string();
    assert!(why.contains("NBD_REP_ERR_POLICY: not to you") && why.contains(&peer.path()), "{why}");
}

/// The server comes up after the second attempt.
#[test]
fn a_server_that_is_late_is_tried_again() {
    let attempts = Arc::new(Mutex::new(HashMap::new()));
    let ram = Ram::new(SIZE as usize);
    let (counted, served) = (attempts.clone(), ram.clone());
    let peer = Peer::new(move |mut socket| {
        let attempt = {
            let mut attempts = counted.lock().unwrap();
            let count = attempts.entry("").or_insert(0);
            *count += 1;
            *count
        };
        if attempt < 3 {
            return Ok(());
        }
        let (session, rest) = negotiate(&mut socket, served.config.clone(), &served.info)?;
        served.transmit(&mut socket, &session, rest)
    });
    let impatient = Host::start(&[("socket", &peer.path())]).unwrap();
    assert!(impatient.open("").is_err());
    let patient = Host::start(&[("socket", &peer.path()), ("retry", "5")]).unwrap();
    let disk = patient.open("").unwrap();
    assert_eq!(patient.read(&disk, 0, 512).unwrap(), [0; 512]);
    assert_eq!(attempts.lock().unwrap()[""], 3);
}
