// SPDX-License-Identifier: BSD-3-Clause
//! What differs between two buffers, in hexadecimal, for people.

use std::fmt::Write;

/// Bytes in a line.
const LINE: usize = 16;
/// Lines that are shown of one write.
const MOST: usize = 64;

/// Two lines for every 16 bytes that differ: `-` what is there, `+` what was written. `offset` is where the buffers
/// begin on the disk. What is more than 64 differences is not shown.
pub(crate) fn diff(there: &[u8], written: &[u8], offset: u64) -> String {
    let pairs = there.chunks(LINE).zip(written.chunks(LINE)).enumerate();
    let mut odd = pairs.filter(|(_, (there, written))| there != written);
    let mut text = String::new();
    for (number, (there, written)) in odd.by_ref().take(MOST) {
        let at = offset + (number * LINE) as u64;
        for (sign, bytes) in [('-', there), ('+', written)] {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{sign}{at:08x}: {}", line(bytes));
        }
    }
    let more = odd.count();
    if more > 0 {
        let _ = writeln!(text, "and {more} lines more");
    }
    text
}

/// `30 31 ..  |01..|`
fn line(bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
    let seen = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
    let text: String = bytes.iter().map(seen).collect();
    format!("{hex:48} |{text}|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ() {
        let there: Vec<u8> = (0..40).collect();
        assert_eq!(diff(&there, &there, 0), "");
        let mut written = there.clone();
        (written[17], written[39]) = (b'A', 0xff);
        assert_eq!(
            diff(&there, &written, 0x1000),
            "\
-00001010: 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f  |................|
+00001010: 10 41 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f  |.A..............|
-00001020: 20 21 22 23 24 25 26 27                          | !\"#$%&'|
+00001020: 20 21 22 23 24 25 26 ff                          | !\"#$%&.|
"
        );
        let text = diff(&[0; 4096], &[1; 4096], 0);
        assert_eq!(text.lines().count(), 2 * MOST + 1);
        assert!(text.ends_with("and 192 lines more\n"));
    }
}
