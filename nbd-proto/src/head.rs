// SPDX-License-Identifier: BSD-3-Clause
//! The fixed part of a message, on the stack.

use core::fmt;
use core::ops::Deref;

/// The head of a request or a reply: at most 48 bytes, held in place; payload goes beside it.
///
/// Dereferences to the bytes to send.
#[derive(Clone, Copy)]
pub struct Head {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Head {
    /// The longest head in bytes: an extended reply with the fixed part of its payload.
    pub const MAX: usize = 48;

    pub(crate) const fn new() -> Self {
        Self { bytes: [0; Self::MAX], len: 0 }
    }

    /// Appends; what would not fit is dropped, which the tests of every head rule out.
    #[must_use]
    pub(crate) fn put<const N: usize>(mut self, bytes: [u8; N]) -> Self {
        let start = usize::from(self.len);
        if let Some(room) = self.bytes.get_mut(start..start + N) {
            room.copy_from_slice(&bytes);
            self.len += N as u8;
        }
        self
    }
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl AsRef<[u8]> for Head {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Head {}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Head(")?;
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
