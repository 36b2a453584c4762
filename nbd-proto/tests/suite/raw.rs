// SPDX-License-Identifier: BSD-3-Clause
//! A client that speaks raw bytes to the server half, and the messages it sends.

use nbd_proto::server::{Abort, Ask, Config, Handshake, Step};
use nbd_proto::wire::{ClientFlags, IHAVEOPT, InfoType, OPTION_REPLY, Opt, Rep};

use crate::fuzzed::pump::Answers;

/// A client that speaks raw bytes, and a server that answers everything.
pub struct Raw {
    pub server: Handshake,
    pub answers: Answers,
    pub asked: Vec<Ask>,
}

impl Raw {
    pub fn new(config: Config) -> Self {
        Self::with_flags(config, ClientFlags::ALL)
    }

    pub fn with_flags(config: Config, flags: ClientFlags) -> Self {
        let mut raw =
            Self { server: Handshake::new(config), answers: Answers::everything(), asked: Vec::new() };
        raw.go();
        raw.say(&flags.0.to_be_bytes());
        raw
    }

    /// Goes on until input is needed or it is over; gives the output.
    pub fn go(&mut self) -> (Step, Vec<u8>) {
        let mut output = Vec::new();
        loop {
            match self.server.step() {
                Step::Send => output.extend(self.server.take_output()),
                Step::Ask(ask) => {
                    self.answers.answer(&mut self.server, &ask);
                    self.asked.push(ask);
                }
                step => return (step, output),
            }
        }
    }

    pub fn say(&mut self, mut bytes: &[u8]) -> (Step, Vec<u8>) {
        let mut said = Vec::new();
        loop {
            let (step, output) = self.go();
            said.extend(output);
            match step {
                Step::NeedInput if !bytes.is_empty() => bytes = &bytes[self.server.feed(bytes)..],
                step => return (step, said),
            }
        }
    }

    /// Sends an option; gives the types and payloads of the replies.
    pub fn option(&mut self, option: Opt, payload: &[u8]) -> Vec<(Rep, Vec<u8>)> {
        let (step, said) = self.say(&message(option, payload));
        assert!(!matches!(step, Step::Abort(_)), "{step:?}");
        replies(option, &said)
    }

    /// Sends an option that has one reply without a payload that matters.
    pub fn one(&mut self, option: Opt, payload: &[u8]) -> Rep {
        let replies = self.option(option, payload);
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies[0].0
    }

    pub fn abort(&mut self, bytes: &[u8]) -> Abort {
        match self.say(bytes) {
            (Step::Abort(why), _) => why,
            other => panic!("goes on: {other:?}"),
        }
    }
}

pub fn message(option: Opt, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&IHAVEOPT.to_be_bytes()[..], &option.0.to_be_bytes(), &len, payload].concat()
}

pub fn replies(option: Opt, mut said: &[u8]) -> Vec<(Rep, Vec<u8>)> {
    let mut replies = Vec::new();
    while !said.is_empty() {
        let word = |at: usize| u32::from_be_bytes(said[at..at + 4].try_into().unwrap());
        assert_eq!(said[..8], OPTION_REPLY.to_be_bytes());
        assert_eq!(word(8), option.0);
        let len = word(16) as usize;
        replies.push((Rep(word(12)), said[20..20 + len].to_vec()));
        said = &said[20 + len..];
    }
    replies
}

pub fn string(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

pub fn info(name: &[u8], infos: &[InfoType]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((infos.len() as u16).to_be_bytes());
    infos.iter().for_each(|info| payload.extend(info.0.to_be_bytes()));
    payload
}

pub fn contexts(name: &[u8], queries: &[&[u8]]) -> Vec<u8> {
    let mut payload = string(name);
    payload.extend((queries.len() as u32).to_be_bytes());
    queries.iter().for_each(|query| payload.extend(string(query)));
    payload
}
