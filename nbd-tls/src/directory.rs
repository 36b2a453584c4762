// SPDX-License-Identifier: BSD-3-Clause
//! A folder with certificates, loaded.

use crate::{Error, ErrorKind, certificates::Resolver, pem};
use rustls::RootCertStore;
use rustls_pki_types::CertificateRevocationListDer;
use std::{fmt, fs::File, path::Path, sync::Arc};

/// The files that make a folder one of certificates of a server.
const NEEDED: [&str; 3] = ["ca-cert.pem", "server-cert.pem", "server-key.pem"];

/// The certificates, keys and revocations of a server, read from a folder.
///
/// `ca-cert.pem`, `server-cert.pem` and `server-key.pem` make it one; `ca-crl.pem`, and pairs `server-cert-N.pem` with
/// `server-key-N.pem` (N = 0, 1, ... without a gap), may be there. With several pairs a client is shown the first that names the
/// host it asks for and whose kind of key it knows.
pub struct Directory {
    pub(crate) authorities: RootCertStore,
    pub(crate) revocations: Vec<CertificateRevocationListDer<'static>>,
    pub(crate) pairs: Arc<Resolver>,
    warnings: Vec<String>,
}

impl Directory {
    /// Reads the files of a server.
    ///
    /// # Errors
    /// With the path: [`ErrorKind::NotADirectory`], [`ErrorKind::Unreadable`] or [`ErrorKind::Malformed`].
    pub fn load(path: &Path) -> Result<Directory, Error> {
        let mut warnings = Vec::new();
        let authorities = pem::authorities(&path.join("ca-cert.pem"))?;
        let mut pair = |suffix: &str| {
            let (certificate, key) = (format!("server-cert{suffix}.pem"), format!("server-key{suffix}.pem"));
            pem::pair(&path.join(certificate), &path.join(key), &mut warnings).map(Arc::new)
        };
        let mut pairs = vec![pair("")?];
        for n in 0.. {
            let there = |what| path.join(format!("server-{what}-{n}.pem")).exists();
            if !there("cert") && !there("key") {
                break;
            }
            // The folder is one; half a pair is a mistake in it.
            pairs.push(pair(&format!("-{n}")).map_err(|error| error.within(ErrorKind::Malformed))?);
        }
        let revocations = pem::revocations(&path.join("ca-crl.pem"))?;
        Ok(Directory { authorities, revocations, pairs: Arc::new(Resolver(pairs)), warnings })
    }

    /// Whether the three files that make a folder of certificates are there and can be read.
    pub fn is_one(path: &Path) -> bool {
        NEEDED.iter().all(|name| File::open(path.join(name)).is_ok())
    }

    /// What the operator should know, one line each: a private key that everybody may read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("authorities", &self.authorities.len())
            .field("revocations", &self.revocations.len())
            .field("pairs", &self.pairs)
            .field("warnings", &self.warnings)
            .finish()
    }
}
