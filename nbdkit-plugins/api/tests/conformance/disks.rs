// SPDX-License-Identifier: BSD-3-Clause
//! Disks: good ones pass, each broken one is found out for what is wrong with it.

use crate::reference::{Fault, Image, PAGE, Reference};
use nbdkit_plugin::{conformance::*, *};
use std::time::Duration;

const SIZE: u64 = 200_001;

type Change = fn(&mut Info);

/// What a disk says of itself when it is opened to be read only.
fn for_reading(read_only: bool, mut info: Info) -> Info {
    if read_only {
        info.without_writing();
    }
    info
}

/// A kit over reference disks with `fault`.
fn kit(size: u64, fault: Fault, change: Change) -> Kit {
    kit_without_holes(size, fault, change).granule(PAGE)
}

fn kit_without_holes(size: u64, fault: Fault, change: Change) -> Kit {
    let image = Arc::new(Image::default());
    Kit::disks(move |read_only, _| {
        let info = Reference::info(size).with(change);
        let info = for_reading(read_only, info);
        Ok(Arc::new(Reference::new(image.clone(), fault, info)))
    })
    .size(size)
    .content(Content::Zeroes)
    .operations(200)
}

#[test]
fn good_disks_pass() {
    for size in [0, 1, 511, 4096, 4097, SIZE, 1 << 20] {
        kit(size, Fault::None, |_| {}).run();
    }
    let without: Change =
        |info| (info.extents, info.trim, info.flush, info.multi_conn) = (false, false, false, false);
    kit_without_holes(SIZE, Fault::None, without).run();
    let less: [Change; 6] = [
        |info| info.zero = Support::Emulate,
        |info| (info.fua, info.cache) = (Support::Emulate, Support::Emulate),
        |info| (info.zero, info.fast_zero) = (Support::None, false),
        |info| info.block = Some(BlockSize { minimum: 512, preferred: 4096, maximum: 8192 }),
        |info| info.block = Some(BlockSize { minimum: 65536, preferred: 65536, maximum: u32::MAX }),
        Info::without_writing,
    ];
    for change in less {
        kit(SIZE, Fault::None, change).run();
    }
}

#[test]
fn a_good_disk_of_eight_exbibytes_passes() {
    kit(i64::MAX as u64, Fault::None, |_| {}).operations(40).run();
}

#[test]
fn disks_of_their_own_pass_when_they_are_announced() {
    let open = |read_only, _| {
        let info = Reference::info(SIZE).with(|info| info.multi_conn = false);
        let info = for_reading(read_only, info);
        Ok(Arc::new(Reference::new(Arc::default(), Fault::None, info)) as Arc<dyn Disk>)
    };
    Kit::disks(open).content(Content::Zeroes).image_per_open().operations(100).run();
}

/// What the kit says of a disk with `fault`.
fn report(fault: Fault) -> String {
    let size = if fault == Fault::ReadsAreLostBehindFourGigabytes { 1 << 33 } else { SIZE };
    let kit = kit(size, fault, |_| {});
    // A disk that never answers does so however long one waits.
    let kit = if fault == Fault::ReadsHang { kit.patience(Duration::from_secs(3)) } else { kit };
    kit.check().expect_err(&format!("{fault:?} should have been found"))
}

#[test]
fn every_broken_disk_is_found_out() {
    use Fault::*;
    for (fault, why) in [
        (ReadsTooLittle, "raw disk: read 200001@0: answers 200000 bytes"),
        (ReadsLastByteAsZero, "the byte at 200000 is 0x00"),
        (ReadsAreLostBehindFourGigabytes, "raw disk: after write"),
        (ReadsFailAtOddOffsets, "[errno 5] odd"),
        (ReadsPanic, "read 3@1: panicked: three"),
        (ReadsHang, "read 3@1: no answer after 3s"),
        (WritesOneByteTooMany, "is 0x00, should be"),
        (WritesTheFirstPageOnly, "raw disk: after write"),
        (WritesBeforeItIsPolled, "raw disk: read"),
        (WritesWholePagesBack, "many at once:"),
        (WritesOnlyForThisConnection, "opened again:"),
        (FlushFails, "raw disk: flush: [errno 5] broken on purpose"),
        (FuaFails, " fua: fails with [errno 5] fua, but writes are Kept"),
        (ZeroDoesNothing, "raw disk: "),
        (ZeroIsShort, "raw disk: "),
        (ZeroIsShortWhenFast, " fast_zero: read"),
        (ZeroForgetsPages, "may_trim: extents do not report the hole"),
        (FastZeroFailsOtherwise, " fast_zero: fails with [errno 5] fast"),
        (TrimLeavesRubbish, "is 0xff, should be"),
        (TrimReachesTooFar, "after trim"),
        (CacheFails, "cache"),
        (ExtentsAreNone, "answers no extent"),
        (ExtentsAreAllHoles, "is said to be zero, but the byte at"),
        (ExtentsAreAllData, "nothing was written yet: extents do not report the hole 4096@0"),
        (ExtentsBeginAtThePage, "is said to be zero, but the byte at"),
        (InfoChanges, "info was"),
        (CloseFails, "close: [errno 5] broken on purpose"),
        (CloseLosesWrites, "opened again:"),
    ] {
        let report = report(fault);
        assert!(report.contains(why), "{fault:?}: '{report}' should contain '{why}'");
        assert!(report.ends_with("(seed 0x6e62646b6974)"), "{report}");
    }
}

#[test]
fn contradictions_in_info_are_found() {
    let contradictions: [(Change, &str); 9] = [
        (|info| info.extents = false, "holes are expected"),
        (|info| info.size = u64::MAX, "below 2^63"),
        (|info| info.size = 7, "size is 7, should be 200001"),
        (|info| info.write = false, "make no sense without write"),
        (|info| info.zero = Support::None, "fast_zero makes no sense without zero"),
        (|info| (info.fua, info.flush) = (Support::Emulate, false), "only with flush"),
        (
            |info| info.block = Some(BlockSize { minimum: 512, preferred: 512, maximum: 700 }),
            "maximum block size 700",
        ),
        (|info| info.description = Some("x".repeat(4097).into()), "description should be at most 4096"),
        (
            |info| info.block = Some(BlockSize { minimum: 0, preferred: 512, maximum: 512 }),
            "minimum block size 0",
        ),
    ];
    for (change, why) in contradictions {
        let report = kit(SIZE, Fault::None, change).check().expect_err(why);
        assert!(report.contains(why), "'{report}' should contain '{why}'");
    }
}

#[test]
fn content_and_writes_that_are_not_as_expected_are_found() {
    let image = Arc::new(Image::default());
    image.write(70_000, b"x");
    let written = image.clone();
    let open = move |_, _| {
        let info = Reference::info(SIZE).with(Info::without_writing);
        Ok(Arc::new(Reference::new(written.clone(), Fault::None, info)) as Arc<dyn Disk>)
    };
    let report = Kit::disks(open.clone()).content(Content::Zeroes).check().unwrap_err();
    assert!(report.contains("the byte at 70000 is 0x78, should be 0x00"), "{report}");
    let mut bytes = vec![0; SIZE as usize];
    bytes[70_000] = b'x';
    Kit::disks(open.clone()).content(Content::Bytes(bytes)).run();
    Kit::disks(open).content(Content::Rule(|at| if at == 70_000 { b'x' } else { 0 })).run();

    for (writes, why) in
        [(Writes::Dropped, "after write"), (Writes::Fail(ENOSPC), "succeeds, but writes are Fail(28)")]
    {
        let report = kit(SIZE, Fault::None, |_| {}).writes(writes).check().unwrap_err();
        assert!(report.contains(why), "{report}");
    }
}

#[test]
fn a_read_only_open_that_may_be_written_is_found() {
    let image = Arc::new(Image::default());
    let open = move |_, _| {
        Ok(Arc::new(Reference::new(image.clone(), Fault::None, Reference::info(SIZE))) as Arc<dyn Disk>)
    };
    let report = Kit::disks(open).check().unwrap_err();
    assert!(report.contains("opened read-only: info says write"), "{report}");
}
