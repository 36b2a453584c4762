// SPDX-License-Identifier: BSD-3-Clause
//! Options that change what is offered to clients: `-r`, `-n`, `-o`, `--no-sr`, `--no-mc`, `--mask-handshake`.

use nbdkit_tests::raw::{ACK, cmd, err, greeting_flags, meta_payload, opt, option, rep};
use nbdkit_tests::{Feature, Server, run, supports, tool};

const NO_TAIL: u32 = 2;

#[test]
fn readonly_offers_and_allows_no_change() {
    for option in ["-r", "--readonly", "--read-only"] {
        let server = Server::start([option, "memory", "1M"]);
        let mut client = server.connect();
        let export = client.structured("");
        assert_eq!(export.flags & 2, 2, "not marked read-only");
        assert_eq!(export.flags & (8 | 32 | 64 | 2048), 0, "FUA, trim or zero offered: {:#x}", export.flags);
        assert_eq!(client.write(0, &[1; 512], 0), Err(err::EPERM));
        assert!(matches!(client.call(cmd::WRITE_ZEROES, 0, 0, 512), Err(err::EPERM | err::EINVAL)));
        assert!(matches!(client.call(cmd::TRIM, 0, 0, 512), Err(err::EPERM | err::EINVAL)));
        assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
        server.assert_serves();
    }
}

#[test]
fn the_export_name_of_the_command_line_limits_nobody() {
    let server = Server::start(["-e", "one", "memory", "1M"]);
    for name in ["", "one", "two"] {
        assert_eq!(server.connect().structured(name).size, 1 << 20, "{name:?}");
    }
}

#[test]
fn oldstyle_sends_everything_at_once() {
    for option in ["-o", "--old-style", "--oldstyle"] {
        let server = Server::start([option, "memory", "1M"]);
        let mut client = server.connect();
        let head = client.recv(152).unwrap();
        assert_eq!(&head[..8], b"NBDMAGIC");
        assert_eq!(head[8..16], 0x0000_4202_8186_1253_u64.to_be_bytes());
        assert_eq!(head[16..24], (1_u64 << 20).to_be_bytes());
        assert_eq!(head[24..26], [0, 0], "no handshake flags in the old style");
        assert_eq!(head[27] & 1, 1, "NBD_FLAG_HAS_FLAGS");
        assert_eq!(head[28..], [0; 124]);
        client.write(100, b"old", 0).unwrap();
        assert_eq!(client.read(99, 5).unwrap(), b"\0old\0");
        client.disconnect();
        let size = run(tool("nbdinfo").arg("--size").arg(server.uri())).ok();
        assert_eq!(size.text(), "1048576");
    }
}

#[test]
fn newstyle_is_the_default_and_cancels_oldstyle() {
    for args in [
        &["memory", "1M"][..],
        &["-n", "memory", "1M"],
        &["-o", "-n", "memory", "1M"],
        &["-o", "--newstyle", "memory", "1M"],
    ] {
        assert_eq!(greeting_flags(&mut Server::start(args).connect()).unwrap(), 3, "{args:?}");
    }
}

#[test]
fn structured_replies_can_be_withheld() {
    let server = Server::start(["--no-sr", "memory", "1M"]);
    let mut client = server.connect();
    client.hello().unwrap();
    assert_eq!(client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap().kind, rep::ERR_UNSUP);
    assert_eq!(client.verdict(opt::EXTENDED_HEADERS, &[]).unwrap().kind, rep::ERR_UNSUP);
    assert_eq!(
        client.verdict(opt::SET_META_CONTEXT, &meta_payload(b"", b"base:allocation")).unwrap().kind,
        rep::ERR_INVALID
    );
    let export = client.go(b"").unwrap().unwrap();
    assert_eq!(export.flags & 128, 0, "DF offered without structured replies");
    assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
    assert_eq!(run(tool("nbdinfo").arg("--json").arg(server.uri())).ok().json()["structured"], false);
}

#[test]
fn meta_contexts_can_be_withheld() {
    if !supports(Feature::NoMetaContexts) {
        return;
    }
    for option in ["--no-mc", "--no-meta-contexts"] {
        let server = Server::start([option, "memory", "1M"]);
        let mut client = server.connect();
        client.hello().unwrap();
        assert_eq!(client.verdict(opt::STRUCTURED_REPLY, &[]).unwrap().kind, ACK);
        for code in [opt::SET_META_CONTEXT, opt::LIST_META_CONTEXT] {
            assert_eq!(
                client.verdict(code, &meta_payload(b"", b"base:allocation")).unwrap().kind,
                rep::ERR_UNSUP
            );
        }
        assert_eq!(client.go(b"").unwrap().unwrap().size, 1 << 20);
    }
}

#[test]
fn the_handshake_can_be_masked() {
    // Without NO_ZEROES the reply to NBD_OPT_EXPORT_NAME has its 124 zeroes.
    let server = Server::start(["--mask-handshake=1", "memory", "1M"]);
    let mut client = server.connect();
    assert_eq!(greeting_flags(&mut client).unwrap(), 1);
    client.send(&1_u32.to_be_bytes()).unwrap();
    client.send(&option(opt::EXPORT_NAME, b"")).unwrap();
    let reply = client.recv(10 + 124).unwrap();
    assert_eq!(reply[..8], (1_u64 << 20).to_be_bytes());
    assert_eq!(reply[10..], [0; 124]);
    assert_eq!(client.read(0, 512).unwrap(), [0; 512]);

    // Without FIXED_NEWSTYLE it is the only option.
    let server = Server::start(["--mask-handshake=0", "memory", "1M"]);
    let mut client = server.connect();
    assert_eq!(greeting_flags(&mut client).unwrap(), 0);
    client.send(&0_u32.to_be_bytes()).unwrap();
    client.send(&option(opt::EXPORT_NAME, b"")).unwrap();
    assert_eq!(client.recv(10 + 124).unwrap()[..8], (1_u64 << 20).to_be_bytes());
    // A client may not choose what was not offered.
    let mut client = server.connect();
    greeting_flags(&mut client).unwrap();
    client.send(&3_u32.to_be_bytes()).unwrap();
    client.assert_closed("flags that were not offered");
}

#[test]
fn no_zeroes_is_honoured() {
    let server = Server::start(["memory", "1M"]);
    let mut client = server.connect();
    greeting_flags(&mut client).unwrap();
    client.send(&(1 | NO_TAIL).to_be_bytes()).unwrap();
    client.send(&option(opt::EXPORT_NAME, b"")).unwrap();
    client.recv(10).unwrap();
    assert_eq!(client.read(0, 512).unwrap(), [0; 512]);
}
