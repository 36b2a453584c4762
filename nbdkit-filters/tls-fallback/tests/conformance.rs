// SPDX-License-Identifier: BSD-3-Clause
//! Who encrypts sees the disk, who does not sees the note; both are disks that keep their promises.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_plugin::conformance::{Content, Kit};
use nbdkit_tls_fallback_filter::TlsFallback;

const SIZE: u64 = 100_000;

/// What the disk behind the filter holds.
fn byte(offset: u64) -> u8 {
    (offset % 251) as u8
}

#[derive(Default)]
struct Behind;

impl Plugin for Behind {
    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::ok(Some(vec![Export::new("secret")]))
    }

    fn default_export(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<String>> {
        Op::ok(Some("secret".into()))
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        assert!(req.tls, "opened for somebody who does not encrypt");
        req.inline(BehindDisk)
    }
}

struct BehindDisk;

impl SyncDisk for BehindDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(SIZE))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.iter_mut().zip(offset..).for_each(|(b, offset)| *b = byte(offset));
        Ok(())
    }
}

fn chain(bench: &Bench, params: &[(&str, &str)]) -> Next {
    let behind = bench.plugin::<Behind>("behind", &[]).unwrap();
    bench.filter::<TlsFallback>("tls-fallback", params, behind).unwrap()
}

fn request(bench: &Bench, tls: bool, export: &str) -> OpenRequest {
    let mut req = bench.request(1, export);
    req.tls = tls;
    req
}

fn conform(tls: bool, size: u64, content: Content) {
    let bench = Bench::default();
    let next = chain(&bench, &[("tlsreadme", "")]);
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "any");
        (req.read_only, req.tls) = (read_only, tls);
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(size)
    .content(content)
    .run();
}

#[test]
fn the_disk_keeps_the_promises_of_a_disk() {
    conform(true, SIZE, Content::Rule(byte));
}

#[test]
fn so_does_the_note() {
    conform(false, 512, Content::Zeroes);
}

#[test]
fn the_note_is_all_there_is_without_tls() {
    for (params, text) in [
        (&[][..], "This NBD server requires TLS authentication before it will serve useful data.\n"),
        (&[("tlsreadme", "come\nback")], "come\nback"),
    ] {
        let bench = Bench::default();
        let next = chain(&bench, params);
        let mut note = [0; 512];
        note[..text.len()].copy_from_slice(text.as_bytes());
        for name in ["", "secret", "no such thing"] {
            let disk = bench.run(async { next.open(request(&bench, false, name)).await }).unwrap();
            let info = disk.info();
            assert_eq!((info.size, info.write, info.block.unwrap().minimum), (512, false, 1));
            let data =
                bench.run(async { disk.pread(512, 0).await?.into_buf(&bench.request(1, "").pool()).await });
            assert_eq!(data.unwrap()[..], note);
        }
    }
}

#[test]
fn names_are_told_to_those_who_encrypt() {
    let bench = Bench::default();
    let next = chain(&bench, &[]);
    for (tls, name) in [(false, ""), (true, "secret")] {
        let list = bench.run(async { next.list_exports(request(&bench, tls, "")).await }).unwrap().unwrap();
        assert_eq!(list.iter().map(|export| &*export.name).collect::<Vec<_>>(), [name]);
        let default = bench.run(async { next.default_export(request(&bench, tls, "")).await }).unwrap();
        assert_eq!(default.as_deref(), Some(name));
    }
}

#[test]
fn one_client_must_not_keep_out_others() {
    let mut filter = TlsFallback::default();
    filter.thread_model(ThreadModel::SerializeConnections);
    let error = filter.get_ready().unwrap_err().to_string();
    assert!(
        error.starts_with("the tls-fallback filter needs a plugin that serves several connections"),
        "{error}"
    );
    filter.thread_model(ThreadModel::SerializeAllRequests);
    filter.get_ready().unwrap();
}

#[test]
fn a_note_has_its_limits() {
    let mut filter = TlsFallback::default();
    filter.config("tlsreadme", "x".repeat(512).as_ref()).unwrap();
    let error = filter.config("tlsreadme", "x".repeat(513).as_ref()).unwrap_err().to_string();
    assert_eq!(error, "tlsreadme: the text has 513 bytes, should be at most 512");
}
