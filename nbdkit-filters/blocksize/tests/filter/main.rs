// SPDX-License-Identifier: BSD-3-Clause
//! Requests of any size arrive as requests that the disk takes, and lose nothing on the way.
#![allow(clippy::unwrap_used)]

mod edges;
mod strict;

use nbdkit_blocksize_filter::Blocksize;
use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use strict::{Chain, Strict};

const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };
const FUA: Flags = Flags { fua: true, ..NONE };

fn kit(strict: Strict, params: &[(&str, &str)]) -> Kit {
    let size = strict.size / strict.minimum * strict.minimum;
    let Chain { bench, next, .. } = Chain::new(strict, params);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(size)
    .content(Content::Zeroes)
}

#[test]
fn a_disk_of_blocks_is_a_disk_of_bytes() {
    for minimum in ["1", "512", "4k", "64k"] {
        let bytes = Size::parse(minimum.as_ref()).unwrap().0;
        kit(Strict::new(300_000, bytes), &[("minblock", minimum)]).operations(300).run();
    }
}

#[test]
fn a_disk_that_takes_little_at_once_is_a_disk() {
    let little = || Strict { maxdata: 3 * 512, maxlen: 5 * 512, ..Strict::new(100_000, 512) };
    for fua in [Support::Native, Support::Emulate] {
        let params = [("minblock", "512"), ("maxdata", "1536"), ("maxlen", "2560")];
        kit(Strict { fua, ..little() }, &params).operations(300).run();
    }
    // The same when the disk says so itself.
    let block = Some(BlockSize { minimum: 512, preferred: 512, maximum: 1536 });
    kit(Strict { block, ..little() }, &[("maxlen", "2560")]).operations(300).run();
}

/// Writes to parts of one block, from two connections at once: each is there afterwards.
#[test]
fn neighbours_in_a_block_do_not_write_over_each_other() {
    let chain = Chain::new(Strict::new(8192, 4096), &[("minblock", "4k")]);
    let disks = [chain.open(), chain.open()];
    let (mut model, mut tasks) = (vec![0; 8192], Vec::new());
    for (n, (at, len)) in (1..).zip((0..8192).step_by(64).map(|at| (at, 64 - at % 5))) {
        model[at..at + len].fill(n as u8);
        let disk = disks[n % 2].clone();
        tasks.push(chain.bench.server().spawn(async move {
            let (at, len) = (at as u64, len as u64);
            match n % 7 {
                // Zeroed first, and then written.
                0 => disk.zero(Span::new(at, len), NONE).await?,
                1 => disk.trim(Span::new(at, len), NONE).await?,
                _ => {}
            }
            disk.pwrite(Buf::from(vec![n as u8; len as usize]), at, NONE).await
        }));
    }
    chain.bench.run(async {
        for task in tasks {
            task.join().await.unwrap();
        }
    });
    assert!(chain.strict.bytes() == model);
    assert!(chain.strict.diary().iter().all(|asked| asked.contains("4096@")));
}

/// Polls `op` at most `turns` times. True when it is done.
async fn proceed(op: &mut Option<OpFuture<'_, ()>>, turns: u32) -> bool {
    for _ in 0..turns {
        if let Some(under_way) = op
            && let Some(result) = futures_lite::future::poll_once(under_way).await
        {
            result.unwrap();
            *op = None;
        }
    }
    op.is_none()
}

/// A block is written or zeroed as a whole while a part of it is changed, at every moment of that: what lies around the
/// part is as the former left it.
#[test]
fn a_changed_part_brings_no_old_bytes_back() {
    type Try = fn(&dyn Disk) -> Op<'_, ()>;
    let wholes: [(u8, Try); 3] = [
        (2, |disk| disk.pwrite(Buf::from(vec![2; 512]), 512, NONE)),
        (2, |disk| disk.pwrite(Buf::from(vec![2; 1024]), 0, NONE)),
        (0, |disk| disk.zero(Span::new(512, 512), NONE)),
    ];
    for (around, whole) in wholes {
        for turns in 0..40 {
            let params = [("minblock", "512"), ("maxdata", "512")];
            let chain = Chain::new(Strict::new(1024, 512), &params);
            let disk = chain.open();
            chain.bench.run(async {
                disk.pwrite(Buf::from(vec![9; 1024]), 0, NONE).await.unwrap();
                // So many of what follows are answered at once.
                for _ in 0..turns % 5 {
                    disk.pread(512, 0).await.unwrap();
                }
                let mut part = Some(disk.pwrite(Buf::from(vec![1; 10]), 600, NONE).into_future());
                proceed(&mut part, turns / 5).await;
                let mut whole = Some(whole(&*disk).into_future());
                proceed(&mut whole, 20).await;
                assert!(proceed(&mut part, 20).await && proceed(&mut whole, 20).await);
            });
            let bytes = chain.strict.bytes();
            let is_around = |bytes: &[u8]| bytes.iter().all(|byte| *byte == around);
            assert!(is_around(&bytes[512..600]) && is_around(&bytes[610..]), "{turns}");
        }
    }
}

#[test]
fn what_arrives() {
    let params = [("minblock", "512"), ("maxdata", "1k"), ("maxlen", "2k")];
    let chain = Chain::new(Strict::default(), &params);
    let disk = chain.open();
    let bytes = |len| Buf::from(vec![7; len]);
    for (asked, arrives) in [
        (chain.asked(disk.pread(512, 512)), "read 512@512"),
        (chain.asked(disk.pread(10, 1020)), "read 1024@512"),
        (chain.asked(disk.pread(2000, 100)), "read 1024@0 read 1024@1024 read 512@2048"),
        (chain.asked(disk.pwrite(bytes(1024), 512, FUA)), "write 1024@512 fua"),
        (
            chain.asked(disk.pwrite(bytes(2000), 100, NONE)),
            "read 512@0 write 512@0 write 1024@512 write 512@1536 read 512@2048 write 512@2048",
        ),
        (chain.asked(disk.pwrite(bytes(10), 100, FUA)), "read 512@0 write 512@0 fua"),
        (chain.asked(disk.zero(Span::new(0, 2048), NONE)), "zero 2048@0"),
        (
            chain.asked(disk.zero(Span::new(1, 4096), NONE)),
            "read 512@0 write 512@0 zero 2048@512 zero 1536@2560 read 512@4096 write 512@4096",
        ),
        (chain.asked(disk.zero(Span::new(1, 3), NONE)), "read 512@0 write 512@0"),
        (chain.asked(disk.trim(Span::new(1, 4096), FUA)), "trim 2048@512 fua trim 1536@2560 fua"),
        (chain.asked(disk.trim(Span::new(1, 1022), NONE)), ""),
        (chain.asked(disk.cache(Span::new(1, 1030))), "cache 1024@0 cache 512@1024"),
        (chain.asked(disk.extents(Span::new(1, 100), NONE)), "extents 512@0"),
        (chain.asked(disk.extents(Span::new(600, 9000), NONE)), "extents 2048@512"),
        (chain.asked(disk.flush()), "flush"),
    ] {
        assert_eq!(asked.join(" "), arrives);
    }
}

#[test]
fn emulated_fua_flushes_once() {
    let params = [("minblock", "512"), ("maxdata", "1k"), ("maxlen", "1k")];
    let chain = Chain::new(Strict { fua: Support::Emulate, ..Strict::default() }, &params);
    let disk = chain.open();
    for asked in [
        chain.asked(disk.pwrite(Buf::from(vec![7; 9000]), 100, FUA)),
        chain.asked(disk.zero(Span::new(100, 9000), FUA)),
        chain.asked(disk.trim(Span::new(100, 9000), FUA)),
    ] {
        assert!(asked.len() > 8);
        assert_eq!(asked.iter().position(|asked| asked == "flush"), Some(asked.len() - 1));
    }
}

#[test]
fn a_fast_zero_is_one_request_or_none() {
    let chain = Chain::new(Strict::default(), &[("minblock", "512"), ("maxlen", "1k")]);
    let disk = chain.open();
    let fast = Flags { fast_zero: true, ..NONE };
    assert_eq!(chain.asked(disk.zero(Span::new(512, 1024), fast)), ["zero 1024@512"]);
    for (offset, len) in [(0, 1536), (1, 511), (1, 512), (0, 1)] {
        let Op::Ready(Err(error)) = disk.zero(Span::new(offset, len), fast) else { panic!("{len}@{offset}") };
        assert_eq!(error.errno(), EOPNOTSUPP);
    }
    assert_eq!(chain.strict.diary(), [""; 0]);
}

#[test]
fn what_clients_are_told() {
    let told = |strict, params: &[_]| {
        let info = Chain::new(strict, params).open().info().clone();
        let BlockSize { minimum, preferred, maximum } = info.block.unwrap();
        assert_eq!((minimum, maximum), (1, u32::MAX));
        (info.size, preferred)
    };
    let of = |minimum, preferred| {
        let block = Some(BlockSize { minimum, preferred, maximum: 1 << 20 });
        Strict { block, ..Strict::new(100_000, minimum.into()) }
    };
    assert_eq!(told(Strict::default(), &[]), (100_000, 4096));
    assert_eq!(told(Strict::default(), &[("minblock", "64k")]), (65536, 65536));
    assert_eq!(told(Strict::new(511, 512), &[("minblock", "512")]), (0, 4096));
    assert_eq!(told(of(512, 32768), &[]), (99840, 32768));
    assert_eq!(told(of(4096, 4096), &[("minblock", "512")]), (98304, 4096), "the larger minimum counts");
}

#[test]
fn limits_that_leave_nothing_are_refused() {
    let refusal = |strict, params: &[_]| {
        let chain = Chain::new(strict, params);
        match chain.bench.open(&chain.next) {
            Ok(_) => panic!("{params:?} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    let block = Some(BlockSize { minimum: 4096, preferred: 4096, maximum: 8192 });
    let of = Strict { block, ..Strict::default() };
    let text = |min, most, name| {
        format!(
            "requests cannot be at least {min} bytes long, as minblock or the disk say, and at most {most}, as {name} \
             or the disk say"
        )
    };
    assert_eq!(refusal(of.clone(), &[("maxdata", "512")]), text(4096, 512, "maxdata"));
    assert_eq!(refusal(of.clone(), &[("maxlen", "512"), ("maxdata", "4k")]), text(4096, 512, "maxlen"));
    assert_eq!(refusal(of, &[("minblock", "64k")]), text(65536, 8192, "maxdata"));
}

#[test]
fn bad_parameters() {
    let refusal = |params: &[(&str, &str)]| {
        let bench = Bench::default();
        let next = bench.plugin::<Strict>("strict", &[]).unwrap();
        match bench.filter::<Blocksize>("blocksize", params, next) {
            Ok(_) => panic!("{params:?} should be refused"),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(refusal(&[("minblock", "3")]), "minblock must be a power of 2, not 3");
    assert_eq!(refusal(&[("minblock", "128k")]), "minblock must not exceed 65536, and is 131072");
    assert_eq!(refusal(&[("minblock", "0")]), "parameter 'minblock' must be non-zero if specified");
    assert_eq!(refusal(&[("maxlen", "4G")]), "parameter 'maxlen' too large: 4294967296, should be below 4G");
    for name in ["maxdata", "maxlen"] {
        let params = [("minblock", "4k"), (name, "5k")];
        assert_eq!(refusal(&params), format!("{name} must be a multiple of 4096, not 5120"));
    }
}
