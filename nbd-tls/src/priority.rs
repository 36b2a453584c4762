// SPDX-License-Identifier: BSD-3-Clause
//! Which versions and ciphers may be used, in words of GnuTLS.

use crate::{Error, ErrorKind};
use rustls::{
    CipherSuite, NamedGroup, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    version,
};
use std::{str::FromStr, sync::Arc};

/// Which versions and ciphers may be used. `Default` is `NORMAL`.
///
/// In words of GnuTLS, separated by colons. The first says where to begin:
///
/// | word | versions | ciphers | key exchange |
/// |---|---|---|---|
/// | `NORMAL`, `SECURE128` | TLS 1.2 and 1.3 | all three | X25519, P-256, P-384 |
/// | `SECURE192`, `SECURE256` | TLS 1.2 and 1.3 | those with keys of 256 bits | P-384 |
///
/// The others take away (`-` or `!`) or add (`+`): `VERS-TLS1.2`, `VERS-TLS1.3`, `VERS-ALL` (or `VERS-TLS-ALL`), `AES-128-GCM`,
/// `AES-256-GCM`, `CHACHA20-POLY1305`, `CIPHER-ALL`. Versions that never are there (`VERS-SSL3.0`, `VERS-TLS1.0`,
/// `VERS-TLS1.1`) may be taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    pub(crate) tls12: bool,
    pub(crate) tls13: bool,
    pub(crate) aes_128: bool,
    pub(crate) aes_256: bool,
    pub(crate) chacha20: bool,
    /// No key exchange that is easier to break than a cipher with keys of 192 bits.
    pub(crate) strong_groups: bool,
}

impl Default for Priority {
    fn default() -> Priority {
        Priority {
            tls12: true,
            tls13: true,
            aes_128: true,
            aes_256: true,
            chacha20: true,
            strong_groups: false,
        }
    }
}

impl FromStr for Priority {
    type Err = Error;

    /// # Errors
    /// [`ErrorKind::Config`], naming the word; or there is no version or no cipher left.
    fn from_str(text: &str) -> Result<Priority, Error> {
        let unknown = |word: &str| {
            config(format!(
                "{word:?} in {text:?} is not known; should be NORMAL, SECURE128, SECURE192 or SECURE256, then + or - with \
                 VERS-TLS1.2, VERS-TLS1.3, VERS-ALL, AES-128-GCM, AES-256-GCM, CHACHA20-POLY1305 or CIPHER-ALL"
            ))
        };
        let mut words = text.split(':');
        let first = words.next().unwrap_or_default();
        let mut priority = Priority::beginning(first).ok_or_else(|| unknown(first))?;
        for word in words {
            priority.apply(word).ok_or_else(|| unknown(word))?;
        }
        match &priority {
            p if !(p.tls12 || p.tls13) => Err(config(format!("{text:?} leaves no version of TLS"))),
            p if !(p.aes_128 || p.aes_256 || p.chacha20) => Err(config(format!("{text:?} leaves no cipher"))),
            _ => Ok(priority),
        }
    }
}

fn config(message: String) -> Error {
    Error::new(ErrorKind::Config, format!("TLS priority {message}"))
}

impl Priority {
    fn beginning(word: &str) -> Option<Priority> {
        match word {
            "NORMAL" | "SECURE128" => Some(Priority::default()),
            "SECURE192" | "SECURE256" => {
                Some(Priority { aes_128: false, strong_groups: true, ..Priority::default() })
            }
            _ => None,
        }
    }

    fn apply(&mut self, word: &str) -> Option<()> {
        let add = match word.as_bytes().first()? {
            b'+' => true,
            b'-' | b'!' => false,
            _ => return None,
        };
        match word.get(1..)? {
            "VERS-TLS1.2" => self.tls12 = add,
            "VERS-TLS1.3" => self.tls13 = add,
            "VERS-ALL" | "VERS-TLS-ALL" => (self.tls12, self.tls13) = (add, add),
            "VERS-SSL3.0" | "VERS-TLS1.0" | "VERS-TLS1.1" if !add => {}
            "AES-128-GCM" => self.aes_128 = add,
            "AES-256-GCM" => self.aes_256 = add,
            "CHACHA20-POLY1305" => self.chacha20 = add,
            "CIPHER-ALL" => (self.aes_128, self.aes_256, self.chacha20) = (add, add, add),
            _ => return None,
        }
        Some(())
    }

    /// The versions, for rustls.
    pub(crate) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        [(self.tls13, &version::TLS13), (self.tls12, &version::TLS12)]
            .into_iter()
            .filter_map(|(on, version)| on.then_some(version))
            .collect()
    }

    /// The ciphers and groups, for rustls: never the default of the process.
    pub(crate) fn provider(&self) -> Arc<CryptoProvider> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|suite| match suite.suite() {
            CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => self.aes_128,
            CipherSuite::TLS13_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => self.aes_256,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => self.chacha20,
            _ => false,
        });
        if self.strong_groups {
            provider.kx_groups.retain(|group| group.name() == NamedGroup::secp384r1);
        }
        Arc::new(provider)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Priority, String> {
        text.parse().map_err(|error: Error| error.to_string())
    }

    #[test]
    fn words() {
        let normal = Priority::default();
        assert_eq!(parse("NORMAL"), Ok(normal.clone()));
        assert_eq!(parse("SECURE128:-VERS-TLS1.1:!VERS-SSL3.0"), Ok(normal.clone()));
        assert_eq!(parse("NORMAL:-VERS-TLS1.2"), Ok(Priority { tls12: false, ..normal.clone() }));
        assert_eq!(parse("NORMAL:-VERS-ALL:+VERS-TLS1.2"), Ok(Priority { tls13: false, ..normal.clone() }));
        let strong = Priority { aes_128: false, strong_groups: true, ..normal.clone() };
        assert_eq!(parse("SECURE192"), Ok(strong.clone()));
        assert_eq!(parse("SECURE256:+AES-128-GCM"), Ok(Priority { aes_128: true, ..strong }));
        let only = Priority { aes_256: false, chacha20: false, ..normal };
        assert_eq!(parse("NORMAL:-CIPHER-ALL:+AES-128-GCM"), Ok(only));
    }

    #[test]
    fn what_is_refused_is_named() {
        for (text, named) in [
            ("", "\"\""),
            ("normal", "\"normal\""),
            ("+VERS-TLS1.3", "\"+VERS-TLS1.3\""),
            ("NORMAL:", "\"\""),
            ("NORMAL:VERS-TLS1.3", "\"VERS-TLS1.3\""),
            ("NORMAL:+VERS-TLS1.1", "\"+VERS-TLS1.1\""),
            ("NORMAL:%SERVER_PRECEDENCE", "\"%SERVER_PRECEDENCE\""),
            ("NORMAL:-\u{e9}", "\"-\u{e9}\""),
            ("NORMAL:+", "\"+\""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(&format!("TLS priority {named} in ")), "{text}: {error}");
        }
        assert_eq!(
            parse("NORMAL:-VERS-ALL"),
            Err("TLS priority \"NORMAL:-VERS-ALL\" leaves no version of TLS".into())
        );
        let none = "SECURE256:-AES-256-GCM:-CHACHA20-POLY1305";
        assert_eq!(parse(none), Err(format!("TLS priority {none:?} leaves no cipher")));
    }

    /// No suite of rustls is forgotten here.
    #[test]
    fn every_cipher_has_its_word() {
        let all = ring::default_provider().cipher_suites.len();
        assert_eq!(Priority::default().provider().cipher_suites.len(), all);
        for word in ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"] {
            let one = parse(&format!("NORMAL:-CIPHER-ALL:+{word}")).unwrap().provider();
            assert_eq!(one.cipher_suites.len(), 3, "{word}");
        }
    }

    #[test]
    fn strong_words_take_strong_groups() {
        let groups = |text| {
            parse(text).unwrap().provider().kx_groups.iter().map(|group| group.name()).collect::<Vec<_>>()
        };
        assert_eq!(groups("SECURE192"), [NamedGroup::secp384r1]);
        assert!(groups("SECURE128").contains(&NamedGroup::X25519));
    }
}
