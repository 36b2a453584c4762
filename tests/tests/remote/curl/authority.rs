// SPDX-License-Identifier: BSD-3-Clause
//! [`Authority`]: a CA that lives as long as a test.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

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
        self.sign(parameters(names), certificate, key);
    }

    /// The same, of long ago.
    pub fn issue_expired(&self, names: &[&str], certificate: &Path, key: &Path) {
        let mut params = parameters(names);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.sign(params, certificate, key);
    }

    fn sign(&self, params: CertificateParams, certificate: &Path, key: &Path) {
        let own = KeyPair::generate().unwrap();
        fs::write(certificate, params.signed_by(&own, &self.0).unwrap().pem()).unwrap();
        fs::write(key, own.serialize_pem()).unwrap();
    }
}

fn parameters(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}
