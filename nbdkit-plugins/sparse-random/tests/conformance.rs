// SPDX-License-Identifier: BSD-3-Clause
//! The plugin lives and takes its parameters as every plugin does. What its disks hold, its unit tests ask the kit.

use nbdkit_plugin::conformance::Kit;
use nbdkit_sparse_random_plugin::PLUGIN;

#[test]
fn keeps_its_promises() {
    Kit::new(PLUGIN).size(0).run();
    let all = Kit::new(PLUGIN).magic("0").param("seed", "1").param("percent", "1").param("runlength", "1M");
    all.param("random-content", "true").param("blocksize", "1k").size(0).run();
}
