// SPDX-License-Identifier: BSD-3-Clause
//! The program `nbdkit`.

fn main() -> std::process::ExitCode {
    nbdkit::main()
}
