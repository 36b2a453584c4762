// SPDX-License-Identifier: BSD-3-Clause
//! The empty disk keeps what every disk promises, as far as there is anything to ask of it.

use nbdkit_plugin::{Taken, conformance::Kit};
use nbdkit_zero_plugin::PLUGIN;

#[test]
fn an_empty_disk_is_a_disk() {
    Kit::new(PLUGIN).size(0).run();
}

#[test]
fn it_has_no_parameters() {
    let mut plugin = (PLUGIN.create)();
    assert!(plugin.params().is_none());
    assert!(matches!(plugin.config("size", "1M".as_ref()), Ok(Taken::No)));
}
