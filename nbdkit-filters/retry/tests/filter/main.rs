// SPDX-License-Identifier: BSD-3-Clause
//! A disk that breaks is opened again, once, and clients notice nothing but the time; what cannot be mended is said.
#![allow(clippy::unwrap_used)]

mod flaky;

use flaky::{Chain, Flaky, OPERATIONS, SIZE};
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::Kit;
use nbdkit_retry_filter::Retry;

const SOON: (&str, &str) = ("retry-delay", "1us");
const HOUR: (&str, &str) = ("retry-delay", "3600");

/// With a gate in front of the filter (the disk behind is parallel) and without one (it has its own).
const MODELS: [ThreadModel; 2] = [ThreadModel::Parallel, ThreadModel::SerializeRequests];

#[test]
fn sixteen_in_flight_come_through_and_the_disk_is_opened_again_once() {
    for model in MODELS {
        for breaks_after in [0, 1, 7, 15] {
            let chain = Chain::new(Flaky { model, ..Flaky::breaking([breaks_after]) }, &[SOON]);
            let disk = chain.open().unwrap();
            let write = |n: u64| {
                let disk = disk.clone();
                async move { disk.pwrite(Buf::from(vec![n as u8; 512]), n * 512, Flags::default()).await }
            };
            chain.all((1..=16).map(write)).into_iter().for_each(|written| written.unwrap());
            let read = |n: u64| {
                let disk = disk.clone();
                async move { disk.pread(512, n * 512).await?.into_buf(&Pool::new()).await }
            };
            let bytes = chain.all((1..=16).map(read));
            for (n, bytes) in (1..=16).zip(bytes) {
                assert_eq!(*bytes.unwrap(), [n; 512], "{model} {breaks_after}");
            }
            assert_eq!(chain.flaky.opens(), 2, "{model} {breaks_after}");
            chain.close(&disk);
            // That no operation meets a closed disk, and none is closed under an operation, the disk itself asserts.
            assert_eq!(chain.flaky.closes(), 2);
        }
    }
}

#[test]
fn every_operation_is_tried_again() {
    for (name, operation) in OPERATIONS {
        let chain = Chain::new(Flaky::breaking([0]), &[SOON]);
        let disk = chain.open().unwrap();
        chain.bench.run(async { operation(&*disk).await }).unwrap();
        assert_eq!(chain.flaky.opens(), 2, "{name}");
        assert!(chain.bench.lines().contains(&format!("retry[1]: {name} failed: broken")), "{name}");
    }
}

#[test]
fn waits_longer_each_time_unless_told_otherwise() {
    for (exponential, delays) in [("yes", ["3ms", "6ms", "12ms"]), ("no", ["3ms", "3ms", "3ms"])] {
        let params = [("retry-delay", "3ms"), ("retries", "3"), ("retry-exponential", exponential)];
        let chain = Chain::new(Flaky::breaking([0; 9]), &params);
        let disk = chain.open().unwrap();
        let error = chain.read(&disk).unwrap_err();
        assert_eq!((error.errno(), error.to_string().as_str()), (ENOSPC, "broken"), "the disk's own error");
        let mut lines: Vec<_> = (1..)
            .zip(delays)
            .flat_map(|(n, delay)| {
                [
                    "retry[1]: pread failed: broken".to_owned(),
                    format!("retry[1]: retry {n}: waiting {delay} before retrying"),
                ]
            })
            .collect();
        lines.push("retry[1]: pread failed: broken".to_owned());
        lines.push("retry[1]: could not recover after 3 retries".to_owned());
        assert_eq!(chain.bench.lines(), lines);
        assert_eq!(chain.flaky.opens(), 4);
        // Every operation has all its retries.
        chain.read(&disk).unwrap_err();
        assert_eq!(chain.flaky.opens(), 7);
    }
}

#[test]
fn none_means_none() {
    let params = [("retries", "0")];
    let chain = Chain::new(Flaky::breaking([0]), &params);
    assert_eq!(chain.next.thread_model(), ThreadModel::Parallel);
    let disk = chain.open().unwrap();
    assert!(matches!(disk.flush(), Op::Ready(Err(_))));
    assert_eq!(chain.flaky.opens(), 1);
    assert_eq!(Chain::new(Flaky::default(), &[]).next.thread_model(), ThreadModel::SerializeRequests);
}

#[test]
fn a_disk_of_another_size_is_not_the_disk() {
    let flaky = Flaky { sizes: vec![SIZE, SIZE + 1, 0, SIZE], ..Flaky::breaking([0]) };
    let chain = Chain::new(flaky.clone(), &[SOON, ("retries", "2")]);
    let disk = chain.open().unwrap();
    let error = chain.read(&disk).unwrap_err();
    assert_eq!(error.errno(), EIO);
    assert_eq!(error.to_string(), format!("the disk has 0 bytes after opening it again, and had {SIZE}"));
    assert_eq!((flaky.opens(), flaky.closes()), (3, 3), "the wrong ones are closed");
    // The next operation finds the right one, and the client never saw another size.
    chain.read(&disk).unwrap();
    assert_eq!((flaky.opens(), disk.info().size), (4, SIZE));
}

#[test]
fn a_disk_that_cannot_be_opened_again_is_an_error() {
    let flaky = Flaky { refuses: 1..=3, ..Flaky::breaking([0]) };
    let chain = Chain::new(flaky.clone(), &[SOON, ("retries", "2")]);
    let disk = chain.open().unwrap();
    let error = chain.read(&disk).unwrap_err();
    assert_eq!(error.errno(), ESHUTDOWN);
    assert_eq!(error.to_string(), "the disk could not be opened again: refused");
    chain.read(&disk).unwrap();
    assert_eq!((flaky.opens(), flaky.closes()), (5, 1));
    chain.close(&disk);
    assert_eq!(flaky.closes(), 2);
    assert!(chain.bench.lines().contains(&"retry[1]: reopens needed: 4".to_owned()));
}

#[test]
fn afterwards_it_may_be_read_only() {
    let chain = Chain::new(Flaky::breaking([1]), &[SOON, ("retry-readonly", "yes")]);
    let disk = chain.open().unwrap();
    let write = || disk.pwrite(Buf::from(vec![1]), 0, Flags::default());
    chain.bench.run(async { write().await }).unwrap();
    for _ in 0..2 {
        let error = chain.bench.run(async { write().await }).unwrap_err();
        assert_eq!(error.errno(), EROFS);
        assert!(error.to_string().contains("retry-readonly"), "{error}");
        assert_eq!(chain.flaky.opens(), 2, "opened again once, and the refusal is final");
    }
    for operation in
        [disk.trim(Span::new(0, 1), Flags::default()), disk.zero(Span::new(0, 1), Flags::default())]
    {
        assert_eq!(chain.bench.run(operation.into_future()).unwrap_err().errno(), EROFS);
    }
    chain.read(&disk).unwrap();
    assert_eq!(chain.flaky.read_only(), [false, true]);
    assert!(disk.info().write, "what the client was told stays");
    // Another client starts as before.
    chain.open().unwrap();
    assert_eq!(chain.flaky.read_only(), [false, true, false]);
}

#[test]
fn what_a_later_disk_has_not_is_an_error() {
    let flaky = Flaky { poorer: true, ..Flaky::breaking([0]) };
    let chain = Chain::new(flaky, &[SOON, ("retries", "1")]);
    let disk = chain.open().unwrap();
    let errno = |operation: Op<'_, ()>| chain.bench.run(operation.into_future()).unwrap_err().errno();
    let (span, fua) = (Span::new(0, 1), Flags { fua: true, ..Flags::default() });
    assert_eq!(errno(disk.flush()), EIO);
    assert_eq!(errno(disk.zero(span, Flags::default())), EIO);
    assert_eq!(errno(disk.pwrite(Buf::from(vec![1]), 0, fua)), EIO);
    chain.bench.run(async {
        disk.trim(span, Flags::default()).await.unwrap();
        disk.cache(span).await.unwrap();
        assert_eq!(disk.extents(span, Flags::default()).await.unwrap(), Extents::data(1));
    });
}

#[test]
fn nobody_waits_for_a_client_that_has_gone() {
    let chain = Chain::new(Flaky::breaking([0]), &[HOUR]);
    let (disk, connection) = chain.connect();
    let error = chain.bench.run(async {
        let mut read = disk.pread(1, 0).into_future();
        assert!(futures_lite::future::poll_once(&mut read).await.is_none());
        connection.disconnect();
        read.await.unwrap_err()
    });
    assert_eq!(error.to_string(), "broken");
    assert_eq!(chain.flaky.opens(), 1);
}

#[test]
fn opening_is_tried_again() {
    let chain = Chain::new(Flaky { refuses: 0..=1, ..Flaky::default() }, &[SOON]);
    chain.open().unwrap();
    assert_eq!(chain.flaky.opens(), 3);

    let chain = Chain::new(Flaky { refuses: 0..=9, ..Flaky::default() }, &[SOON, ("retries", "3")]);
    let Err(error) = chain.open() else { panic!("opened") };
    assert_eq!((error.errno(), error.to_string().as_str()), (EACCES, "refused"));
    assert_eq!(chain.flaky.opens(), 4);

    let chain = Chain::new(Flaky { refuses: 0..=9, ..Flaky::default() }, &[HOUR]);
    let open = chain.next.open(chain.bench.request(1, ""));
    let result = chain.bench.run(async {
        let mut open = open.into_future();
        assert!(futures_lite::future::poll_once(&mut open).await.is_none());
        chain.bench.server().shutdown();
        open.await
    });
    assert_eq!(result.map(drop).unwrap_err().to_string(), "refused");
}

#[test]
fn no_is_an_answer() {
    let flaky = Flaky { errno: EOPNOTSUPP, ..Flaky::breaking([0]) };
    let chain = Chain::new(flaky, &[HOUR]);
    let disk = chain.open().unwrap();
    let fast = Flags { fast_zero: true, ..Flags::default() };
    let zero = async { disk.zero(Span::new(0, 1), fast).await };
    assert_eq!(chain.bench.run(zero).unwrap_err().errno(), EOPNOTSUPP);
    assert_eq!(chain.flaky.opens(), 1);
}

#[test]
fn a_disk_that_breaks_all_the_time_is_a_disk() {
    for model in MODELS {
        let chain = Chain::new(Flaky { model, ..Flaky::breaking([40; 10_000]) }, &[SOON]);
        let Chain { bench, next, flaky } = chain;
        let driver = bench.clone();
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .size(SIZE)
        .operations(300)
        .run();
        assert!(flaky.opens() > 100, "it did break");
    }
}

#[test]
fn bad_parameters() {
    let refusal = |key, value| {
        let bench = Bench::default();
        let next = bench.plugin::<Flaky>("flaky", &[]).unwrap();
        match bench.filter::<Retry>("retry", &[(key, value)], next) {
            Ok(_) => panic!("{key}={value} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal("retry-delay", "0"), "retry-delay cannot be 0, should be a delay such as 100ms");
    assert!(refusal("retry-delay", "soon").starts_with("retry-delay: could not parse delay"));
    assert!(refusal("retries", "-1").starts_with("retries: could not parse number: \"-1\""));
    assert!(refusal("retry-readonly", "maybe").starts_with("retry-readonly: could not decipher boolean"));
}
