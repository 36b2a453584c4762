// SPDX-License-Identifier: BSD-3-Clause
//! As many clients as are allowed, and one more when one has gone.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_limit_filter::Limit;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: u64 = 100_001;

fn memory() -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    Next::plugin("memory", memory.into())
}

struct Chain {
    bench: Bench,
    next: Next,
}

impl Chain {
    fn new(params: &[(&str, &str)]) -> Chain {
        let bench = Bench::default();
        let next = bench.filter::<Limit>("limit", params, memory()).unwrap();
        Chain { bench, next }
    }

    /// A client that has connected, and nothing more.
    fn connect(&self) -> Result<Connection> {
        let connection = self.bench.request(1, "").connection;
        self.bench.run(async { self.next.preconnect(connection.clone()).await })?;
        Ok(connection)
    }

    fn refuses(&self) -> bool {
        match self.connect() {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.to_string(), "limit: too many clients connected, connection rejected");
                true
            }
        }
    }
}

#[test]
fn one_unless_said_otherwise() {
    let chain = Chain::new(&[]);
    let first = chain.connect().unwrap();
    assert!(chain.refuses());
    assert!(chain.refuses(), "who was refused does not count");
    first.end();
    let second = chain.connect().unwrap();
    assert!(chain.refuses());
    drop(second);
    assert!(!chain.refuses());
}

#[test]
fn as_many_as_were_allowed() {
    let chain = Chain::new(&[("limit", "3")]);
    let mut clients: Vec<_> = (0..3).map(|_| chain.connect().unwrap()).collect();
    assert!(chain.refuses());
    clients.swap_remove(1).end();
    clients.push(chain.connect().unwrap());
    assert!(chain.refuses());
}

#[test]
fn zero_is_no_limit() {
    let chain = Chain::new(&[("limit", "0")]);
    let clients: Vec<_> = (0..100).map(|_| chain.connect().unwrap()).collect();
    assert_eq!(clients.len(), 100);
}

/// Says no to every client.
#[derive(Default)]
struct Closed;

impl Plugin for Closed {
    fn preconnect(self: Arc<Self>, _: Connection) -> Op<'static, ()> {
        Op::err(Error::new(EPERM, "closed"))
    }

    fn open(self: Arc<Self>, _: OpenRequest) -> Opened {
        Op::err(Error::new(EIO, "never opened"))
    }
}

#[test]
fn who_is_refused_behind_leaves_too() {
    let bench = Bench::default();
    let closed = bench.plugin::<Closed>("closed", &[]).unwrap();
    let next = bench.filter::<Limit>("limit", &[], closed).unwrap();
    let chain = Chain { bench, next };
    for _ in 0..3 {
        assert_eq!(chain.connect().map(drop).unwrap_err().to_string(), "closed");
    }
}

#[test]
fn bad_parameters() {
    for bad in ["-1", "x", "", "4294967296"] {
        let result = Bench::default().filter::<Limit>("limit", &[("limit", bad)], memory());
        assert!(result.map(drop).unwrap_err().to_string().starts_with("limit: "), "{bad}");
    }
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let Chain { bench, next } = Chain::new(&[]);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
    .run();
}
