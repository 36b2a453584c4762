// SPDX-License-Identifier: BSD-3-Clause
//! Distinguished names of certificates as text: RFC 4514, most specific part first.

use std::fmt::Write;

/// `CN=client,O=Example`, from the DER of a `Name`: a SEQUENCE of SETs of SEQUENCEs of a type and a value. `None` if it is
/// something else.
///
/// The signature of the certificate may not have been checked: nothing here trusts a length.
pub(crate) fn text(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut sets = name;
    while !sets.is_empty() {
        let mut set = element(&mut sets, SET)?;
        let mut part = String::new();
        while !set.is_empty() {
            let mut pair = element(&mut set, SEQUENCE)?;
            let kind = element(&mut pair, OID)?;
            let (tag, value) = next(&mut pair)?;
            if !part.is_empty() {
                part.push('+');
            }
            attribute(&mut part, kind, tag, value)?;
        }
        parts.push(part);
    }
    parts.reverse();
    Some(parts.join(","))
}

const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// Names of types: RFC 4514 section 3, and `EMAIL` as GnuTLS and OpenSSL know it.
const TYPES: [(&[u8], &str); 13] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 42], "givenName"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "EMAIL"),
];

fn attribute(text: &mut String, kind: &[u8], tag: u8, value: &[u8]) -> Option<()> {
    let name = TYPES.iter().find(|(oid, _)| *oid == kind).map(|(_, name)| *name);
    let string = match tag {
        // UTF8String, and those whose characters are ASCII: Numeric, Printable, IA5, Visible
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => std::str::from_utf8(value).ok().map(str::to_owned),
        // TeletexString, which is taken for Latin-1 by everybody
        0x14 => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString
        0x1e if value.len() % 2 == 0 => {
            let units = value
                .chunks_exact(2)
                .map(|two| two.iter().fold(0, |unit, byte| unit << 8 | u16::from(*byte)));
            String::from_utf16(&units.collect::<Vec<u16>>()).ok()
        }
        _ => None,
    };
    match (name, string) {
        (Some(name), Some(string)) => {
            let _ = write!(text, "{name}=");
            escape(text, &string);
        }
        // What has no name, or is no string, is written as it is encoded.
        (name, _) => {
            let name = name.map_or_else(|| dotted(kind), |name| Some(name.to_owned()))?;
            let _ = write!(text, "{name}=#");
            for byte in header(tag, value.len()).iter().chain(value) {
                let _ = write!(text, "{byte:02X}");
            }
        }
    }
    Some(())
}

/// RFC 4514 section 2.4. Control characters are written in hexadecimal, so that a name stays one line of a log.
fn escape(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            ' ' if i == 0 || i == last => text.push_str("\\ "),
            '#' if i == 0 => text.push_str("\\#"),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(text, "\\{byte:02X}");
                }
            }
            c => text.push(c),
        }
    }
}

/// An object identifier: `1.2.840.113549`.
fn dotted(oid: &[u8]) -> Option<String> {
    let (mut arcs, mut arc) = (Vec::new(), 0u64);
    for byte in oid {
        arc = arc.checked_mul(128)?.checked_add(u64::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            // The first number holds two arcs: X.690 section 8.19.4.
            match arcs.is_empty() {
                true => arcs.extend([(arc / 40).min(2), arc - 40 * (arc / 40).min(2)]),
                false => arcs.push(arc),
            }
            arc = 0;
        }
    }
    Some(arcs.iter().map(u64::to_string).collect::<Vec<_>>().join("."))
}

/// Tag and length, as they were read.
fn header(tag: u8, len: usize) -> Vec<u8> {
    let bytes = len.to_be_bytes();
    let significant: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
    match len {
        0..=127 => vec![tag, len as u8],
        _ => [vec![tag, 0x80 | significant.len() as u8], significant].concat(),
    }
}

/// The content of the next element, which must have this tag.
fn element<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    next(der).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// Tag and content of the next element.
fn next<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    let len = match first {
        0..=127 => usize::from(*first),
        0x81..=0x83 => {
            let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
            rest = after;
            bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte))
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(len)?;
    *der = after;
    Some((*tag, content))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        [header(tag, content.len()), content.to_vec()].concat()
    }

    /// One set of one pair.
    fn pair(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        wrap(SET, &wrap(SEQUENCE, &[wrap(OID, oid), wrap(tag, value)].concat()))
    }

    const CN: &[u8] = &[0x55, 4, 3];
    const O: &[u8] = &[0x55, 4, 10];

    #[test]
    fn most_specific_first() {
        let name = [pair(O, 0x13, b"Org"), pair(CN, 0x0c, "J\u{fc}rgen".as_bytes())].concat();
        assert_eq!(text(&name).unwrap(), "CN=J\u{fc}rgen,O=Org");
        assert_eq!(text(b"").unwrap(), "");
    }

    #[test]
    fn several_types_in_one_part() {
        let one = |oid, value| wrap(SEQUENCE, &[wrap(OID, oid), wrap(0x13, value)].concat());
        let name = wrap(SET, &[one(CN, b"a"), one(O, b"b")].concat());
        assert_eq!(text(&name).unwrap(), "CN=a+O=b");
    }

    #[test]
    fn what_would_be_taken_for_something_else_is_escaped() {
        for (value, shown) in [
            ("a,b+c", "a\\,b\\+c"),
            ("\"<;>\\", "\\\"\\<\\;\\>\\\\"),
            (" x ", "\\ x\\ "),
            (" ", "\\ "),
            ("#a#", "\\#a#"),
            ("two\nlines\0", "two\\0Alines\\00"),
            ("\u{85}", "\\C2\\85"),
        ] {
            assert_eq!(text(&pair(CN, 0x0c, value.as_bytes())).unwrap(), format!("CN={shown}"));
        }
    }

    #[test]
    fn other_strings_and_types() {
        assert_eq!(text(&pair(CN, 0x14, b"J\xfcrgen")).unwrap(), "CN=J\u{fc}rgen");
        assert_eq!(text(&pair(CN, 0x1e, &[0, b'a', 0x20, 0xac])).unwrap(), "CN=a\u{20ac}");
        // Not UTF-8, and not a string: as encoded.
        assert_eq!(text(&pair(CN, 0x0c, &[0xff])).unwrap(), "CN=#0C01FF");
        assert_eq!(text(&pair(CN, 0x02, &[5])).unwrap(), "CN=#020105");
        // 1.2.840.113549.1.9.8 and 2.999.3 have no name here.
        let unknown = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 8];
        assert_eq!(text(&pair(&unknown, 0x0c, b"x")).unwrap(), "1.2.840.113549.1.9.8=#0C0178");
        assert_eq!(text(&pair(&[0x88, 0x37, 3], 0x0c, b"x")).unwrap(), "2.999.3=#0C0178");
        let long = [b'x'; 300];
        let shown = format!("1.1=#0C82012C{}", "78".repeat(300));
        assert_eq!(text(&pair(&[41], 0x0c, &long)).unwrap(), shown);
    }

    #[test]
    fn lengths_that_lie() {
        for der in
            [&[SET][..], &[SET, 5, 0], &[SET, 0x80], &[SET, 0x84, 0, 0, 0, 1, 0], &[SET, 0x82, 1], &[0x30, 0]]
        {
            assert_eq!(text(der), None);
        }
    }

    proptest! {
        #[test]
        fn anything(der in prop::collection::vec(any::<u8>(), 0..200), cut in any::<prop::sample::Index>()) {
            let _ = text(&der);
            let valid = [pair(O, 0x13, b"Org"), pair(CN, 0x0c, &der)].concat();
            prop_assert!(!text(&valid).unwrap().contains('\n'));
            let _ = text(&valid[..cut.index(valid.len())]);
        }
    }
}
