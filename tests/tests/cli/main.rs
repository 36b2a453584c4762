// SPDX-License-Identifier: BSD-3-Clause
//! The command line, one idea a file: what each option does, and what a mistake is answered with.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod brakes;
mod callers;
mod captive;
mod daemon;
mod guards;
mod information;
mod logging;
mod mistakes;
mod negotiation;
mod parameters;
mod said;
mod scripts;
mod service;
mod signals;
mod single;
mod sockets;
mod threads;
mod timeout;

use nbdkit_tests::{Output, nbdkit, run};

/// Runs `nbdkit ARGS` to its end. With `--run` say also where to listen: an old original would take port 10809.
#[track_caller]
fn run_nbdkit(args: &[&str]) -> Output {
    run(nbdkit().args(args))
}
