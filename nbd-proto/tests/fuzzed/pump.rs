// SPDX-License-Identifier: BSD-3-Clause
//! Both halves of a handshake against each other, in memory.

use nbd_proto::server::Ask;
use nbd_proto::wire::{Rep, TransmissionFlags};
use nbd_proto::{BlockSize, ExportInfo, client, server};

/// How the driver of a server answers.
#[derive(Clone)]
pub struct Answers {
    pub exports: Vec<(String, String)>,
    pub export: ExportInfo,
    pub contexts: Vec<&'static str>,
    /// Refuse everything.
    pub refuse: Option<(Rep, &'static str)>,
}

impl Answers {
    /// One export of 1 MiB that can do everything.
    pub fn everything() -> Self {
        let flags =
            TransmissionFlags::ALL.without(TransmissionFlags::READ_ONLY | TransmissionFlags::SEND_RESIZE);
        Self {
            exports: vec![("".into(), "".into()), ("disk".into(), "a disk".into())],
            export: ExportInfo {
                size: 1 << 20,
                flags,
                block_size: Some(BlockSize { min: 1, preferred: 4096, max: u32::MAX }),
                name: Some("disk".into()),
                description: Some("a disk".into()),
            },
            contexts: vec!["base:allocation", "qemu:dirty-bitmap:x", "x-test:y"],
            refuse: None,
        }
    }

    pub fn answer(&self, server: &mut server::Handshake, ask: &Ask) {
        if let Some((reply, text)) = self.refuse {
            return server.refuse(reply, text);
        }
        match ask {
            Ask::List => {
                self.exports.iter().for_each(|(name, description)| server.list_export(name, description));
                server.list_done();
            }
            Ask::Contexts { .. } => server.contexts(&self.contexts),
            Ask::Info { .. } | Ask::Go { .. } | Ask::ExportName { .. } => server.open(self.export.clone()),
        }
    }
}

/// How a handshake went.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub server: server::Step,
    pub client: client::Step,
    pub events: Vec<client::Event>,
    /// All that the client said.
    pub said: Vec<u8>,
    /// All that the server said.
    pub heard: Vec<u8>,
}

/// Lets both halves talk, at most `chunk` bytes at a time, until neither goes on. TLS is pretended.
pub fn pump(server: server::Config, client: client::Config, answers: &Answers, chunk: usize) -> Outcome {
    let mut server = server::Handshake::new(server);
    let mut client = client::Handshake::new(client);
    let (mut said, mut heard, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let (mut read, mut got) = (0usize, 0usize);
    loop {
        let at_server = server.step();
        let mut moved = match &at_server {
            server::Step::NeedInput => {
                let end = said.len().min(read.saturating_add(chunk));
                let taken = server.feed(&said[read..end]);
                read += taken;
                taken != 0
            }
            server::Step::Send => {
                let n = server.output().len().min(chunk);
                heard.extend_from_slice(&server.output()[..n]);
                server.sent(n);
                true
            }
            server::Step::Ask(ask) => {
                answers.answer(&mut server, ask);
                true
            }
            server::Step::StartTls | server::Step::Done(_) | server::Step::Abort(_) => false,
        };
        let at_client = client.step();
        moved |= match &at_client {
            client::Step::NeedInput if got < heard.len() => {
                let end = heard.len().min(got.saturating_add(chunk));
                got += client.feed(&heard[got..end]);
                true
            }
            client::Step::NeedInput if matches!(at_server, server::Step::Abort(_)) => {
                client.eof();
                true
            }
            client::Step::Send => {
                let n = client.output().len().min(chunk);
                said.extend_from_slice(&client.output()[..n]);
                client.sent(n);
                true
            }
            client::Step::Event(event) => {
                events.push(event.clone());
                true
            }
            client::Step::StartTls if at_server == server::Step::StartTls => {
                client.tls_started();
                server.tls_started();
                true
            }
            client::Step::Finished | client::Step::Failed(_)
                if at_server == server::Step::NeedInput && !moved =>
            {
                server.eof();
                true
            }
            _ => false,
        };
        if !moved {
            return Outcome { server: at_server, client: at_client, events, said, heard };
        }
    }
}

/// Sessions of both halves, or a panic with what went wrong.
pub fn sessions(
    server: server::Config,
    client: client::Config,
    answers: &Answers,
) -> (server::Session, client::Session) {
    let outcome = pump(server, client, answers, usize::MAX);
    match (outcome.server, outcome.client) {
        (server::Step::Done(server), client::Step::Done(client)) => (server, client),
        (server, client) => panic!("no session: server {server:?}, client {client:?}"),
    }
}
