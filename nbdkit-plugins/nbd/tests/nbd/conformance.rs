// SPDX-License-Identifier: BSD-3-Clause
//! Through every style of the protocol the plugin keeps what every disk promises.

use crate::peer::{ALL, GRANULE, Ram};
use nbd_proto::{
    BlockSize,
    server::{Config, Style},
    wire::TransmissionFlags as F,
};
use nbdkit_nbd_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

const SIZE: usize = (1 << 20) + 4096 + 123;

fn ram(config: Config) -> Ram {
    Ram { config, ..Ram::new(SIZE) }
}

fn kit(ram: Ram) -> (Kit, crate::peer::Peer) {
    let peer = ram.serve();
    let kit = Kit::new(PLUGIN).param("socket", &peer.path()).size(SIZE as u64).content(Content::Zeroes);
    (kit, peer)
}

#[test]
fn extended_headers() {
    let (kit, _peer) = kit(ram(Config::default()));
    kit.granule(GRANULE as u64).run();
}

#[test]
fn structured_replies() {
    let (kit, _peer) = kit(ram(Config::default().extended_headers(false)));
    kit.granule(GRANULE as u64).run();
}

#[test]
fn simple_replies() {
    let (kit, _peer) = kit(ram(Config::default().extended_headers(false).structured_replies(false)));
    kit.run();
}

#[test]
fn oldstyle() {
    let (kit, _peer) = kit(ram(Config::default().style(Style::Oldstyle)));
    kit.run();
}

#[test]
fn one_connection_for_all() {
    let (kit, _peer) = kit(ram(Config::default()));
    kit.param("shared", "true").granule(GRANULE as u64).run();
}

#[test]
fn a_server_that_can_do_little() {
    let mut little = ram(Config::default());
    little.info.flags = F::NONE;
    let (kit, _peer) = kit(little);
    kit.run();
}

#[test]
fn a_server_that_only_reads() {
    let mut reader = ram(Config::default());
    reader.info.flags = ALL.with(F::READ_ONLY).with(F::ROTATIONAL);
    reader.info.description = Some("for reading".to_owned());
    let (kit, _peer) = kit(reader);
    kit.granule(GRANULE as u64).run();
}

#[test]
fn a_server_with_small_messages() {
    let mut small = ram(Config::default());
    small.info.block_size = Some(BlockSize { min: 1, preferred: 4096, max: 8192 });
    small.config.max_payload = 8192;
    let (kit, _peer) = kit(small);
    kit.granule(GRANULE as u64).run();
}

#[test]
fn an_empty_disk_is_a_disk() {
    let peer = Ram::new(0).serve();
    Kit::new(PLUGIN).param("socket", &peer.path()).size(0).run();
}
