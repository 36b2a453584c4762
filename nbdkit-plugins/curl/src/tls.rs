// SPDX-License-Identifier: BSD-3-Clause
//! TLS: whom to trust, and what to speak. The crypto provider is handed over, never a default of the process.

use crate::params::Params;
use nbdkit_plugin::{
    Error, Result, Value,
    values::{one_of, text},
};
use rustls::{
    CipherSuite, ClientConfig, RootCertStore, SupportedCipherSuite, SupportedProtocolVersion,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    version::TLS13,
};
use std::{ffi::OsStr, marker::PhantomData, path::Path, sync::Arc};

use crate::{trust_all::TrustAll, words::HttpVersion};

/// What the parameters ask for. Reads the files with certificates.
pub(crate) fn config(params: &Params) -> Result<ClientConfig> {
    let provider = Arc::new(provider(params));
    let failed = |error: rustls::Error| Error::invalid(format!("TLS: {error}"));
    let verifier: Arc<dyn ServerCertVerifier> = match params.sslverify {
        true => verifier(roots(params)?, &provider)?,
        false => Arc::new(TrustAll::new(&provider)),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(params.ssl_version.list())
        .map_err(failed)?
        // "Dangerous" because it may be the one that trusts all; that is what sslverify=false asks for.
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = match params.http_version {
        HttpVersion::Any => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        HttpVersion::Http10 | HttpVersion::Http11 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![b"h2".to_vec()],
    };
    Ok(config)
}

fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
    if roots.is_empty() {
        // Nobody is trusted: only HTTPS fails, and says so.
        return Ok(Arc::new(TrustAll::nobody(provider)));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    Ok(verifier.map_err(|error| Error::invalid(format!("TLS: {error}")))?)
}

/// `cainfo` and `capath` together if given, else what the system trusts.
fn roots(params: &Params) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let file = params.cainfo.as_ref().and_then(|path| path.get());
    let dir = params.capath.as_deref();
    if params.cainfo.is_none() && dir.is_none() {
        // A system may have files in there that are no certificates; those that are will do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    }
    for (key, path, file, dir) in [("cainfo", file, file, None), ("capath", dir, None, dir)] {
        let Some(path) = path else { continue };
        let found = rustls_native_certs::load_certs_from_paths(file, dir);
        readable(key, path)?;
        let (added, _) = roots.add_parsable_certificates(found.certs);
        // A directory may be filled later, and hold other things.
        if added == 0 && dir.is_none() {
            let path = path.display();
            return Err(Error::invalid(format!(
                "{key}: no certificate in {path}, should be a file in PEM format"
            )));
        }
    }
    Ok(roots)
}

fn readable(key: &str, path: &Path) -> Result<()> {
    let result = match key {
        "capath" => path.read_dir().map(drop),
        _ => std::fs::File::open(path).map(drop),
    };
    result.map_err(|error| Error::io(error, format!("{key}: {}", path.display())))
}

fn provider(params: &Params) -> CryptoProvider {
    let mut provider = ring::default_provider();
    let listed = |suite: &SupportedCipherSuite| match suite.tls13() {
        Some(_) => params.tls13_ciphers.as_ref().is_none_or(|list| list.has(suite.suite())),
        None => params.ssl_cipher_list.as_ref().is_none_or(|list| list.has(suite.suite())),
    };
    provider.cipher_suites.retain(listed);
    provider
}

/// `ssl-version`: the oldest that will do. All that are older than TLS 1.2 are met by TLS 1.2.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Versions {
    Default,
    From12,
    From13,
}

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Versions::Default | Versions::From12 => rustls::ALL_VERSIONS,
            Versions::From13 => const { &[&TLS13] },
        }
    }
}

impl Value for Versions {
    const KIND: &'static str = "tlsv1|tlsv1.0|tlsv1.1|tlsv1.2|tlsv1.3";

    fn parse(value: &OsStr) -> Result<Self, String> {
        use Versions::*;
        if value.to_str().is_some_and(|value| value.starts_with("sslv")) {
            return Err(format!(
                "{} is broken and not available, should be tlsv1.2 or tlsv1.3",
                value.display()
            ));
        }
        let words = [
            ("default", Default),
            ("tlsv1", From12),
            ("tlsv1.0", From12),
            ("tlsv1.1", From12),
            ("tlsv1.2", From12),
        ];
        one_of(value, &[&words[..], &[("tlsv1.3", From13)]].concat())
    }

    fn show(&self) -> String {
        match self {
            Versions::Default => "default",
            Versions::From12 => "tlsv1.2",
            Versions::From13 => "tlsv1.3",
        }
        .to_owned()
    }
}

/// The cipher suites that one version of TLS has, by the names that OpenSSL gives them.
pub(crate) trait Table {
    const NAMES: &'static [(&'static str, CipherSuite)];
}

/// TLS 1.2.
pub(crate) struct Tls12;

impl Table for Tls12 {
    const NAMES: &'static [(&'static str, CipherSuite)] = &[
        ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
        ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
        ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
        ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
        ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    ];
}

/// TLS 1.3.
pub(crate) struct Tls13;

impl Table for Tls13 {
    const NAMES: &'static [(&'static str, CipherSuite)] = &[
        ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
        ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
        ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ];
}

/// Some of them.
pub(crate) struct Ciphers<T>(Vec<CipherSuite>, PhantomData<T>);

impl<T> Ciphers<T> {
    fn has(&self, suite: CipherSuite) -> bool {
        self.0.contains(&suite)
    }
}

impl<T: Table> Value for Ciphers<T> {
    const KIND: &'static str = "CIPHER[:CIPHER...]";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let find = |word: &str| {
            let found = T::NAMES.iter().find(|(name, _)| *name == word).map(|(_, suite)| *suite);
            found.ok_or_else(|| {
                let known: Vec<_> = T::NAMES.iter().map(|(name, _)| *name).collect();
                format!("unknown cipher suite '{word}', should be of {}", known.join(":"))
            })
        };
        let suites: Result<_, String> = text(value)?.split(':').map(find).collect();
        Ok(Ciphers(suites?, PhantomData))
    }

    fn show(&self) -> String {
        let names = T::NAMES.iter().filter(|(_, suite)| self.has(*suite));
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(":")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbdkit_plugin::ParamSet;

    fn with(pairs: &[(&str, &str)]) -> Params {
        let mut params = Params::default();
        for (key, value) in pairs {
            params.set(key, value.as_ref()).unwrap();
        }
        params
    }

    #[test]
    fn every_cipher_suite_of_the_provider_has_a_name() {
        let names: Vec<_> = [Tls12::NAMES, Tls13::NAMES].concat();
        for suite in ring::default_provider().cipher_suites {
            assert!(names.iter().any(|(_, named)| *named == suite.suite()), "{suite:?}");
        }
    }

    #[test]
    fn a_list_of_ciphers_holds_for_its_version() {
        let params = with(&[("ssl-cipher-list", "ECDHE-RSA-AES128-GCM-SHA256"), ("sslverify", "no")]);
        let suites: Vec<_> = provider(&params).cipher_suites.iter().map(|suite| suite.suite()).collect();
        assert_eq!(suites.len(), 4);
        assert!(suites.contains(&CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256));
        assert!(config(&params).is_ok());
        let why = Params::default().set("ssl-cipher-list", "HIGH:!aNULL".as_ref()).unwrap_err().to_string();
        assert!(why.contains("unknown cipher suite 'HIGH', should be of ECDHE-"), "{why}");
    }

    #[test]
    fn old_versions() {
        let why = Params::default().set("ssl-version", "sslv3".as_ref()).unwrap_err().to_string();
        assert!(why.contains("sslv3 is broken"), "{why}");
        assert!(with(&[("ssl-version", "tlsv1.0")]).ssl_version == Versions::From12);
        assert_eq!(Versions::From13.list(), [&TLS13]);
    }

    #[test]
    fn files_with_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let with_file = || with(&[("cainfo", path.to_str().unwrap())]);
        assert!(roots(&with_file()).unwrap_err().to_string().contains("No such file"));
        std::fs::write(&path, "nothing").unwrap();
        assert!(roots(&with_file()).unwrap_err().to_string().contains("no certificate in"));
        let key = rcgen::KeyPair::generate().unwrap();
        let ca = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        std::fs::write(&path, ca.pem()).unwrap();
        assert_eq!(roots(&with_file()).unwrap().len(), 1);
        let by_dir = with(&[("capath", dir.path().to_str().unwrap()), ("cainfo", "")]);
        assert_eq!(roots(&by_dir).unwrap().len(), 1);
        assert_eq!(roots(&with(&[("cainfo", "")])).unwrap().len(), 0);
    }
}
