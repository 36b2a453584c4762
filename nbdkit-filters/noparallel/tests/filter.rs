// SPDX-License-Identifier: BSD-3-Clause
//! As little happens at once as was asked for.
#![allow(clippy::unwrap_used)]

use futures_lite::future::{yield_now, zip};
use nbdkit_filter::{testing::Bench, *};
use nbdkit_noparallel_filter::Noparallel;
use nbdkit_plugin::conformance::{Content, Kit};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

/// A disk that counts how many reads are under way.
#[derive(Clone)]
struct Crowd {
    info: Info,
    model: ThreadModel,
    now: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

impl Plugin for Crowd {
    fn thread_model(&self) -> ThreadModel {
        self.model
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.ready((*self).clone())
    }
}

impl Disk for Crowd {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::wait(async move {
            self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
            for _ in 0..10 {
                yield_now().await;
            }
            self.now.fetch_sub(1, SeqCst);
            Ok(Data::zero(len.into()))
        })
    }
}

fn crowd(model: ThreadModel) -> Arc<Crowd> {
    let info = Info::read_only(4096);
    Arc::new(Crowd { info, model, now: Arc::default(), most: Arc::default() })
}

fn chain(bench: &Bench, params: &[(&str, &str)], plugin: Arc<dyn Plugin>) -> Next {
    bench.filter::<Noparallel>("noparallel", params, Next::plugin("crowd", plugin)).unwrap()
}

/// The most reads at once, of two on one connection and of two on two.
fn most(params: &[(&str, &str)]) -> [u32; 2] {
    let both = |same: bool| {
        let bench = Bench::default();
        let crowd = crowd(ThreadModel::Parallel);
        let next = chain(&bench, params, crowd.clone());
        let one = bench.open(&next).unwrap();
        let other = if same { one.clone() } else { bench.open(&next).unwrap() };
        let (a, b) =
            bench.run(async { zip(one.pread(1, 0).into_future(), other.pread(1, 0).into_future()).await });
        a.and(b).unwrap();
        crowd.most.load(SeqCst)
    };
    [both(true), both(false)]
}

#[test]
fn serializes_what_it_should() {
    assert_eq!(most(&[]), [1, 2]);
    assert_eq!(most(&[("serialize", "requests")]), [1, 2]);
    assert_eq!(most(&[("serialize", "all-requests")]), [1, 1]);
}

#[test]
fn lowers_the_thread_model_and_never_raises_it() {
    use ThreadModel::*;
    for (word, asked) in [
        ("requests", SerializeRequests),
        ("all-requests", SerializeAllRequests),
        ("connections", SerializeConnections),
    ] {
        for below in [SerializeConnections, SerializeAllRequests, SerializeRequests, Parallel] {
            let next = chain(&Bench::default(), &[("serialize", word)], crowd(below));
            assert_eq!(next.thread_model(), asked.min(below), "{word} in front of {below}");
        }
    }
}

#[test]
fn keeps_the_promises_of_a_disk() {
    for mode in ["requests", "all-requests", "connections"] {
        let bench = Bench::default();
        let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
        memory.config("size", "100001".as_ref()).unwrap();
        memory.get_ready().unwrap();
        let next = chain(&bench, &[("serialize", mode)], memory.into());
        let (driver, model) = (bench.clone(), next.thread_model());
        Kit::disks(move |read_only, connection| {
            let mut req = bench.request(connection, "");
            req.read_only = read_only;
            bench.run(async { next.open(req).await })
        })
        .driver(move |task| driver.run(task))
        .thread_model(model)
        .size(100_001)
        .content(Content::Zeroes)
        .operations(300)
        .run();
    }
}

#[test]
fn bad_parameters() {
    let error = Noparallel::default().config("serialize", "all".as_ref()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "serialize: unknown noparallel serialize mode 'all', should be requests, all-requests or connections"
    );
}
