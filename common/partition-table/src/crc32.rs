// SPDX-License-Identifier: BSD-3-Clause
//! The CRC32 of a GPT: the one of Ethernet and zip, reflected polynomial 0xedb88320.

/// The checksum of some bytes, which may be in several pieces.
pub(crate) fn crc32(pieces: &[&[u8]]) -> u32 {
    !pieces
        .iter()
        .copied()
        .flatten()
        .fold(u32::MAX, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ (crc >> 8))
}

/// The remainder of each byte.
static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    #[test]
    fn check_value() {
        assert_eq!(super::crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
        assert_eq!(super::crc32(&[]), 0);
    }
}
