// SPDX-License-Identifier: BSD-3-Clause
//! The plugin lives and takes its parameters as every plugin does. What its disks hold, its unit tests ask the kit.

use nbdkit_pattern_plugin::PLUGIN;
use nbdkit_plugin::conformance::Kit;

#[test]
fn keeps_its_promises() {
    Kit::new(PLUGIN).size(0).run();
    Kit::new(PLUGIN).magic("0").param("stride", "4k").param("upper", "random").size(0).run();
}
