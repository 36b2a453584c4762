// SPDX-License-Identifier: BSD-3-Clause
//! Words of others, for our messages.

/// `text` without what would begin a new line or do something to a terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
