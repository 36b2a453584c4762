// SPDX-License-Identifier: BSD-3-Clause
//! What good servers say, with mistakes in it: nothing panics and nothing hangs. The fuzzer goes on from here.

use crate::peer::ALL;
use nbd_proto::{
    Command, ExportInfo, Request,
    server::{Ask, Config, Handshake, Session, Step},
};
use nbdkit_nbd_plugin::fuzz;
use std::{sync::mpsc, thread};

/// What a server says to the client of the fuzzer, which always asks the same.
fn transcript(bits: u8) -> Vec<u8> {
    let config = Config::default().extended_headers(bits & 1 == 0).structured_replies(bits & 2 == 0);
    let mut client = nbd_proto::client::Handshake::new(
        nbd_proto::client::Config::new("")
            .context("base:allocation")
            .extended_headers(bits & 1 == 0)
            .structured_replies(bits & 2 == 0),
    );
    let mut server = Handshake::new(config);
    let mut said = vec![bits];
    let session = loop {
        match server.step() {
            Step::NeedInput => {
                use nbd_proto::client::Step as Client;
                match client.step() {
                    Client::Send => assert!(server.feed(client.output()) > 0),
                    _ => unreachable!("the client has something to say"),
                }
                // What the server has taken is sent; messages are taken one by one.
                let taken = client.take_output();
                feed(&mut server, &taken);
            }
            Step::Send => {
                let output = server.take_output();
                said.extend_from_slice(&output);
                let mut rest = &output[..];
                while !rest.is_empty() {
                    match client.step() {
                        nbd_proto::client::Step::NeedInput => rest = &rest[client.feed(rest)..],
                        _ => {}
                    }
                }
                let _ = client.step();
            }
            Step::Ask(Ask::Contexts { .. }) => server.contexts(&["base:allocation"]),
            Step::Ask(_) => server.open(ExportInfo::new(1 << 30, ALL)),
            Step::Done(session) => break session,
            step => unreachable!("{step:?}"),
        }
    };
    said.extend(replies(&session));
    said
}
