// SPDX-License-Identifier: BSD-3-Clause
//! What the parameters take: [`Number`] and [`SectorSize`].

use nbdkit_filter::{Info, Value, values::one_of};
use std::ffi::OsStr;

/// Which partition, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number(pub u32);

impl Default for Number {
    fn default() -> Number {
        Number(1)
    }
}

impl Value for Number {
    const KIND: &'static str = u32::KIND;

    fn parse(value: &OsStr) -> Result<Self, String> {
        match u32::parse(value)? {
            0 => Err("invalid partition number 0, should be 1 or more".to_owned()),
            number => Ok(Number(number)),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// The unit in which partition tables count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SectorSize {
    /// 512 bytes: nearly all disks.
    Half,
    /// 4096 bytes: those without 512-byte emulation ("4K native").
    Four,
}

impl SectorSize {
    /// What a disk most likely uses.
    pub(crate) fn of(info: &Info) -> SectorSize {
        match info.block.map(|block| block.minimum) {
            Some(4096) => SectorSize::Four,
            _ => SectorSize::Half,
        }
    }

    /// In bytes.
    pub fn bytes(self) -> u32 {
        match self {
            SectorSize::Half => 512,
            SectorSize::Four => 4096,
        }
    }
}

impl Value for SectorSize {
    const KIND: &'static str = "512|4096";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &[("512", SectorSize::Half), ("4096", SectorSize::Four)])
    }

    fn show(&self) -> String {
        self.bytes().to_string()
    }
}
