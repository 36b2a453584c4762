// SPDX-License-Identifier: BSD-3-Clause
//! [`PrivateKey`]: read from PEM (RFC 7468) in a way that leaves no copies behind, which parsers for certificates do.

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use zeroize::Zeroizing;

/// A private key as it is encoded, wiped when done.
pub(crate) struct PrivateKey {
    kind: Kind,
    der: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pkcs1,
    Pkcs8,
    Sec1,
}

/// What follows BEGIN and END.
const LABELS: [(&[u8], Kind); 3] = [
    (b"PRIVATE KEY-----", Kind::Pkcs8),
    (b"RSA PRIVATE KEY-----", Kind::Pkcs1),
    (b"EC PRIVATE KEY-----", Kind::Sec1),
];
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";

impl PrivateKey {
    /// The first one in `pem`.
    ///
    /// # Errors
    /// What is wrong, and nothing of what it is.
    pub fn from_pem(pem: &[u8]) -> Result<PrivateKey, &'static str> {
        let mut lines = pem.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let label = |line: &[u8], mark| {
            let label = line.strip_prefix(mark)?;
            LABELS.iter().find(|(known, _)| *known == label).map(|(_, kind)| *kind)
        };
        let kind = lines.find_map(|line| label(line, BEGIN)).ok_or(match encrypted(pem) {
            true => ENCRYPTED,
            false => "no private key in PEM format",
        })?;
        // Room is made beforehand: a vector that grows leaves copies behind.
        let mut body =
            Body { der: Zeroizing::new(Vec::with_capacity(pem.len())), bits: 0, digits: 0, pads: 0 };
        for line in lines {
            if line.starts_with(END) {
                return match label(line, END) == Some(kind) && body.is_complete() {
                    true => Ok(PrivateKey { kind, der: body.der }),
                    false => Err("the private key is cut off or damaged"),
                };
            }
            if line.contains(&b':') && encrypted(line) {
                return Err(ENCRYPTED);
            }
            line.iter().try_for_each(|digit| body.take(*digit))?;
        }
        Err("the private key has no end")
    }

    pub fn der(&self) -> PrivateKeyDer<'_> {
        let der = self.der.as_slice();
        match self.kind {
            Kind::Pkcs1 => PrivatePkcs1KeyDer::from(der).into(),
            Kind::Pkcs8 => PrivatePkcs8KeyDer::from(der).into(),
            Kind::Sec1 => PrivateSec1KeyDer::from(der).into(),
        }
    }
}

const ENCRYPTED: &str = "the private key is encrypted: decrypt it, nobody can be asked for its password";

/// `BEGIN ENCRYPTED PRIVATE KEY`, or in files of older programs `Proc-Type: 4,ENCRYPTED`.
fn encrypted(text: &[u8]) -> bool {
    text.windows(9).any(|word| word == b"ENCRYPTED")
}

/// Digits of base64 on their way to bytes.
struct Body {
    der: Zeroizing<Vec<u8>>,
    /// Those that do not make a byte yet are the lowest.
    bits: u32,
    digits: usize,
    pads: usize,
}

impl Body {
    /// No tables and no branches on digits that are right, so that time tells little about a key.
    fn take(&mut self, digit: u8) -> Result<(), &'static str> {
        if digit == b'=' {
            self.pads += 1;
            return Ok(());
        }
        let (mut value, mut valid) = (0, 0);
        for (first, last, meaning) in
            [(b'A', b'Z', 0), (b'a', b'z', 26), (b'0', b'9', 52), (b'+', b'+', 62), (b'/', b'/', 63)]
        {
            let offset = digit.wrapping_sub(first);
            let mask = u8::from(offset <= last - first).wrapping_neg();
            value |= mask & offset.wrapping_add(meaning);
            valid |= mask;
        }
        if valid == 0 || self.pads > 0 {
            return Err("the private key is not in base64");
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.digits += 1;
        let spare = self.digits * 6 % 8;
        if spare != 6 {
            self.der.push((self.bits >> spare) as u8);
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        !self.der.is_empty() && self.pads <= 2 && (self.digits + self.pads) % 4 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    fn read(pem: &str) -> Result<(Kind, Vec<u8>), &'static str> {
        PrivateKey::from_pem(pem.as_bytes()).map(|key| (key.kind, key.der.to_vec()))
    }

    #[test]
    fn of_three_kinds_among_other_things() {
        for (label, kind) in
            [("PRIVATE", Kind::Pkcs8), ("RSA PRIVATE", Kind::Pkcs1), ("EC PRIVATE", Kind::Sec1)]
        {
            let pem = format!(
                "about it: x\n-----BEGIN EC PARAMETERS-----\nBg==\n-----END EC PARAMETERS-----\n\
                 -----BEGIN {label} KEY-----\r\nAAEC\n  Az9/ \n//79+A==\n-----END {label} KEY-----\n\
                 -----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----"
            );
            let der = vec![0, 1, 2, 3, 0x3f, 0x7f, 0xff, 0xfe, 0xfd, 0xf8];
            assert_eq!(read(&pem), Ok((kind, der)), "{label}");
        }
    }

    #[test]
    fn what_is_none() {
        let key = |body: &str| format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
        for body in [
            "",
            "A",
            "AA",
            "AAA",
            "AAAAA",
            "AA==A",
            "AA=A",
            "A===",
            "A=",
            "AA.A",
            "AA\u{e9}A",
            "====",
            "AAAA====",
        ] {
            assert!(read(&key(body)).is_err(), "{body}");
        }
        assert_eq!(read(""), Err("no private key in PEM format"));
        assert_eq!(
            read(&key("AAAA").replace("END", "END RSA")),
            Err("the private key is cut off or damaged")
        );
        assert_eq!(read("-----BEGIN PRIVATE KEY-----\nAAAA\n"), Err("the private key has no end"));
        assert_eq!(read(&key("AAAA").replace(" PRIVATE", " ENCRYPTED PRIVATE")), Err(ENCRYPTED));
        assert_eq!(read(&key("Proc-Type: 4,ENCRYPTED\n\nAAAA")), Err(ENCRYPTED));
    }

    proptest! {
        /// What others read in the same text.
        #[test]
        fn every_digit(text in "[A-Za-z0-9+/]{4,200}") {
            let text = &text[..text.len() / 4 * 4];
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
            let other = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
            prop_assert_eq!(read(&pem).unwrap(), (Kind::Pkcs8, other.secret_pkcs8_der().to_vec()));
        }

        #[test]
        fn anything(text in "(-----BEGIN PRIVATE KEY-----|-----END PRIVATE KEY-----|[A-Za-z=:\n]|\\PC){0,40}") {
            let _ = read(&text);
        }
    }
}
