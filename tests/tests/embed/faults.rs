// SPDX-License-Identifier: BSD-3-Clause
//! A plugin that fails, lies or panics costs one request, not the server.

use nbdkit::embed::Embedded;
use nbdkit_plugin::*;
use nbdkit_tests::raw::{Address, Client, cmd, err};

struct Faulty;

/// What happens depends on where one reads.
struct FaultyDisk(Info);

const FINE: u64 = 0;
const ERROR: u64 = 4096;
const PANIC: u64 = 2 * 4096;
const PANIC_LATER: u64 = 3 * 4096;
const PANIC_ON_THE_POOL: u64 = 4 * 4096;
const SHORT: u64 = 5 * 4096;
const LONG: u64 = 6 * 4096;

impl Plugin for Faulty {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        if &*req.export == "panic" {
            panic!("open");
        }
        let mut info = Info::writable(1 << 20);
        (info.extents, info.flush) = (true, true);
        match &*req.export {
            "info" => req.ready(Rotten(None)),
            "drop" => req.ready(Rotten(Some(info))),
            "background" => {
                drop(req.connection.server().spawn(async { panic!("in the background") }));
                req.ready(FaultyDisk(info))
            }
            _ => req.ready(FaultyDisk(info)),
        }
    }
}

/// Panics where no operation runs: when asked for its size, or when dropped.
struct Rotten(Option<Info>);

impl Disk for Rotten {
    fn info(&self) -> &Info {
        self.0.as_ref().expect("a panic in info")
    }

    fn pread(&self, len: u32, _: u64) -> Op<'_, Data> {
        Op::ok(Data::zero(len.into()))
    }
}

impl Drop for Rotten {
    fn drop(&mut self) {
        if self.0.is_some() {
            panic!("a panic in drop");
        }
    }
}

impl Disk for FaultyDisk {
    fn info(&self) -> &Info {
        &self.0
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        match offset {
            ERROR => Op::err(Error::new(EIO, "the disk is broken")),
            PANIC => panic!("pread"),
            PANIC_LATER => Op::wait(async { panic!("a pread that had begun") }),
            PANIC_ON_THE_POOL => Op::blocking(|| panic!("a pread on the pool")),
            SHORT => Op::ok(Data::zero(u64::from(len) - 1)),
            LONG => Op::ok(Data::from(Buf::from(vec![1; len as usize + 1]))),
            _ => Op::ok(Data::zero(len.into())),
        }
    }

    fn extents(&self, _: Span, _: Flags) -> Op<'_, Extents> {
        Op::ok(Extents::new())
    }
}

fn serve(check: impl FnOnce(&Address)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let running = Embedded::new("faulty", Faulty).unix(&path).unwrap();
    check(&Address::Unix(path));
    running.stop().unwrap();
}

#[test]
fn a_failing_request_fails_alone() {
    serve(|address| {
        let mut client = Client::connect(address).unwrap();
        client.structured("");
        for offset in [ERROR, PANIC, PANIC_LATER, PANIC_ON_THE_POOL, SHORT, LONG] {
            assert_eq!(client.read(offset, 512), Err(err::EIO), "at {offset}");
            assert_eq!(client.read(FINE, 512).unwrap(), [0; 512], "after {offset}");
        }
    });
}

#[test]
fn no_extents_at_all_are_reported_as_data() {
    serve(|address| {
        let mut client = Client::connect(address).unwrap();
        client.structured("");
        let cookie = client.request(cmd::BLOCK_STATUS, 0, 0, 4096).unwrap();
        let reply = client.reply().unwrap();
        assert_eq!((reply.cookie(), reply.error()), (cookie, None));
        assert_eq!(client.read(FINE, 512).unwrap(), [0; 512]);
    });
}

#[test]
fn a_panic_in_open_is_a_refusal() {
    serve(|address| {
        let mut client = Client::connect(address).unwrap();
        client.hello().unwrap();
        let reply =
            client.verdict(nbdkit_tests::raw::opt::GO, &nbdkit_tests::raw::go_payload(b"panic")).unwrap();
        assert!(reply.is_error());
        let mut good = Client::connect(address).unwrap();
        good.structured("");
        assert_eq!(good.read(FINE, 512).unwrap(), [0; 512]);
    });
}

#[test]
fn a_panic_beside_the_operations_costs_one_connection() {
    serve(|address| {
        // More often than there are threads that one each could cost.
        for export in ["info", "drop", "background"].repeat(4) {
            let mut client = Client::connect(address).unwrap();
            client.hello().unwrap();
            let _ = client.go(export.as_bytes());
            drop(client);
        }
        let mut good = Client::connect(address).unwrap();
        good.structured("");
        assert_eq!(good.read(FINE, 512).unwrap(), [0; 512]);
    });
}
