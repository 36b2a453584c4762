// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

/// The bytes that `text` stands for; `None` if it is not base64.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let digits = &text[..text.iter().rposition(|c| *c != b'=').map_or(0, |last| last + 1)];
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for digit in group {
            bits = bits << 6 | value(*digit)?;
        }
        // Four digits are three bytes, three are two, two are one.
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4648_section_10() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode(b"++//AP8="), Some(vec![0xfb, 0xef, 0xff, 0x00, 0xff]));
    }

    #[test]
    fn what_is_not_base64() {
        for text in ["Z", "Zg", "Zm8", "Z===", "====", "Zg=v", "=Zm9", "Zm9v\n", "Zm9-", "Zm9_", "é=="] {
            assert_eq!(decode(text.as_bytes()), None, "{text:?}");
        }
    }
}
