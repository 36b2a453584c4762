// SPDX-License-Identifier: BSD-3-Clause
//! [`Note`]: a text that is served as a disk.

use nbdkit_filter::*;
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

/// The size of the disk in bytes.
const SIZE: usize = 512;
const DEFAULT: &[u8] = b"This NBD server requires TLS authentication before it will serve useful data.\n";

/// A disk of 512 bytes: a text, and zeroes behind it.
#[derive(Clone, Debug)]
pub struct Note([u8; SIZE]);

impl Note {
    fn new(text: &[u8]) -> Option<Note> {
        let mut note = [0; SIZE];
        note.get_mut(..text.len())?.copy_from_slice(text);
        Some(Note(note))
    }
}

impl Default for Note {
    fn default() -> Note {
        Note::new(DEFAULT).unwrap_or(Note([0; SIZE])) // it fits
    }
}

impl Value for Note {
    const KIND: &'static str = "TEXT";

    fn parse(value: &OsStr) -> Result<Note, String> {
        Note::new(value.as_bytes())
            .ok_or_else(|| format!("the text has {} bytes, should be at most {SIZE}", value.len()))
    }

    fn show(&self) -> String {
        String::from_utf8_lossy(&self.0).trim_end_matches(['\0', '\n']).to_owned()
    }
}

impl SyncDisk for Note {
    fn info(&self) -> Result<Info> {
        let mut info = Info::read_only(SIZE as u64);
        info.block = Some(BlockSize { minimum: 1, preferred: SIZE as u32, maximum: u32::MAX });
        info.multi_conn = true;
        Ok(info)
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)?.get(..buf.len()));
        buf.copy_from_slice(from.ok_or_else(|| Error::new(EIO, "read past the end of the note"))?);
        Ok(())
    }
}
