// SPDX-License-Identifier: BSD-3-Clause
//! [`Authority`]: a CA that lives as long as a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

/// Signs certificates of servers.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes its own certificate to `ca.pem` in `dir`.
    pub fn save(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// Writes a certificate for `names`, and its key.
    pub fn issue(&self, names: &[&str], certificate: &Path, key: &Path) {
        let own = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let signed = CertificateParams::new(names).unwrap().signed_by(&own, &self.0).unwrap();
        fs::write(certificate, signed.pem()).unwrap();
        fs::write(key, own.serialize_pem()).unwrap();
    }
}
