// SPDX-License-Identifier: BSD-3-Clause
//! What good servers say, with mistakes in it: nothing panics and nothing hangs. The fuzzer goes on from here.

use crate::{
    corpus::{good, transcript},
    host::HANG,
};
use nbdkit_nbd_plugin::fuzz;
use std::{sync::mpsc, thread};

/// Each byte changed in some ways, and each prefix; then bytes exchanged at random.
#[test]
fn mistakes_in_what_good_servers_say() {
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        for (_, config, succeed) in good() {
            let good = transcript(config);
            assert_eq!(fuzz(&good), succeed, "without mistakes");
            for at in 0..good.len() {
                fuzz(&good[..at]);
                for change in [0x01, 0x80, 0xff] {
                    let mut bad = good.clone();
                    bad[at] ^= change;
                    fuzz(&bad);
                }
            }
            let mut state = 0x9e37_79b9_7f4a_7c15u64;
            let mut random = |limit: usize| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 33) as usize % limit
            };
            for _ in 0..2000 {
                let mut bad = good.clone();
                let (from, to, len) = (random(good.len() - 40), random(good.len() - 40), 1 + random(32));
                bad.copy_within(from..from + len, to);
                fuzz(&bad);
            }
        }
        done.send(()).unwrap();
    });
    wait.recv_timeout(HANG).expect("it hangs or has panicked");
}
