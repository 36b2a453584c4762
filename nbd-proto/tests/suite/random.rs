// SPDX-License-Identifier: BSD-3-Clause
//! Random input to what the fuzz targets call: pure noise, sequences of messages that are nearly right, and
//! seeds with a few bytes changed. Whatever comes, nothing panics and all that `fuzzed` asserts holds.

use nbd_proto::wire::{InfoType, Opt};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::fuzzed::{self, Seen};
use crate::raw::{contexts, info, message};
use crate::seeds;

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(b"disk".to_vec()), Just(vec![]), vec(any::<u8>(), 0..9), Just(vec![b'n'; 4097])]
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    let infos = vec(select(InfoType::ALL), 0..5);
    let queries = select(vec![&b"base:"[..], b"base:allocation", b"x-test:y", b"", b"nonsense"]);
    let payload = prop_oneof![
        2 => Just(vec![]),
        2 => (name(), infos).prop_map(|(name, infos)| info(&name, &infos)),
        2 => (name(), vec(queries, 0..4)).prop_map(|(name, queries)| contexts(&name, &queries)),
        1 => name(),
        1 => vec(any::<u8>(), 0..64),
        1 => (0..40_000usize).prop_map(|len| vec![0; len]),
    ];
    let option = prop_oneof![9 => select(Opt::ALL), 1 => any::<u32>().prop_map(Opt)];
    (option, payload).prop_map(|(option, payload)| message(option, &payload))
}

fn request(extended: bool) -> impl Strategy<Value = Vec<u8>> {
    let number = || {
        prop_oneof![0..9u64, (0..9u64).prop_map(|n| (1 << 20) - n), any::<u64>(), Just(512), Just(1 << 26)]
    };
    let flags = prop_oneof![3 => Just(0), 1 => (0..6u16).prop_map(|bit| 1 << bit), 1 => any::<u16>()];
    let command = prop_oneof![9 => 0..9u16, 1 => any::<u16>()];
    (flags, command, any::<u64>(), number(), number()).prop_map(
        move |(flags, command, cookie, offset, len)| {
            let magic = if extended { 0x21e4_1c71u32 } else { 0x2560_9513 }.to_be_bytes();
            let len = if extended { len.to_be_bytes().to_vec() } else { (len as u32).to_be_bytes().to_vec() };
            let fixed =
                [&magic[..], &flags.to_be_bytes(), &command.to_be_bytes(), &cookie.to_be_bytes()].concat();
            [fixed, offset.to_be_bytes().to_vec(), len].concat()
        },
    )
}

/// A seed of the target in this place with some bytes changed, and perhaps cut.
fn mutated(target: usize) -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<Vec<u8>> = seeds::all()[target].1.iter().map(|(_, bytes)| bytes.clone()).collect();
    (select(seeds), vec((any::<Index>(), any::<u8>()), 0..4), any::<Option<Index>>()).prop_map(
        |(mut seed, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(seed.len());
                seed[at] = byte;
            }
            if let Some(cut) = cut {
                seed.truncate(cut.index(seed.len()));
            }
            seed
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise(bytes in vec(any::<u8>(), 0..200)) {
        fuzzed::handshake::handshake(&bytes, &mut Seen::default());
        fuzzed::transmission::transmission(&bytes, &mut Seen::default());
        fuzzed::client::client(&bytes, &mut Seen::default());
    }

    #[test]
    fn options(head in any::<[u8; 2]>(), flags in 0..5u32, options in vec(option(), 0..12)) {
        let input = [&head[..], &flags.to_be_bytes(), &options.concat()].concat();
        fuzzed::handshake::handshake(&input, &mut Seen::default());
    }

    #[test]
    fn compact_requests(bits in 0..64u8, requests in vec(request(false), 0..12)) {
        fuzzed::transmission::transmission(&[&[bits & !2][..], &requests.concat()].concat(), &mut Seen::default());
    }

    #[test]
    fn extended_requests(bits in 0..64u8, requests in vec(request(true), 0..12)) {
        fuzzed::transmission::transmission(&[&[bits | 2][..], &requests.concat()].concat(), &mut Seen::default());
    }

    #[test]
    fn mutated_handshakes(input in mutated(0)) {
        fuzzed::handshake::handshake(&input, &mut Seen::default());
    }

    #[test]
    fn mutated_requests(input in mutated(1)) {
        fuzzed::transmission::transmission(&input, &mut Seen::default());
    }

    #[test]
    fn mutated_servers(input in mutated(2)) {
        fuzzed::client::client(&input, &mut Seen::default());
    }
}
