// SPDX-License-Identifier: BSD-3-Clause
//! [`RuleList`]: how help and manual name what the parameters take.

use nbdkit_filter::{Value, values::text};
use std::ffi::OsStr;

/// As it was written; [`rules`](crate::rule::rules) reads it.
#[derive(Clone, Debug, Default)]
pub struct RuleList(String);

impl Value for RuleList {
    const KIND: &'static str = "RULE[,RULE...]";

    fn parse(value: &OsStr) -> Result<Self, String> {
        text(value).map(|text| RuleList(text.to_owned()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}
