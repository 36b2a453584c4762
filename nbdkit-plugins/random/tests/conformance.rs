// SPDX-License-Identifier: BSD-3-Clause
//! The plugin lives and takes its parameters as every plugin does. What its disks hold, its unit tests ask the kit.

use nbdkit_plugin::conformance::Kit;
use nbdkit_random_plugin::PLUGIN;

#[test]
fn keeps_its_promises() {
    Kit::new(PLUGIN).size(0).run();
    Kit::new(PLUGIN).magic("0").param("seed", "1").param("fast", "true").size(0).run();
}
