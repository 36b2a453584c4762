// SPDX-License-Identifier: BSD-3-Clause
//! Certificates for one test: an authority, and folders with what it has signed.

use nbd_tls::{Acceptor, ClientCertificates, Connector, Directory, Priority};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

pub struct Pki {
    authority: Issuer<'static, KeyPair>,
    pub authority_pem: String,
    folders: TempDir,
}

/// What is special about a certificate.
#[derive(Clone, Copy)]
pub struct Leaf {
    pub common_name: &'static str,
    pub names: &'static [&'static str],
    pub serial: u64,
    /// First and last year.
    pub years: (i32, i32),
    pub algorithm: &'static SignatureAlgorithm,
}

pub const LEAF: Leaf = Leaf {
    common_name: "leaf",
    names: &["localhost", "127.0.0.1", "::1"],
    serial: 7,
    years: (2020, 4000),
    algorithm: &rcgen::PKCS_ECDSA_P256_SHA256,
};

impl Pki {
    pub fn new(name: &str) -> Pki {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Testing");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority_pem = params.self_signed(&key).unwrap().pem();
        Pki { authority: Issuer::new(params, key), authority_pem, folders: TempDir::new().unwrap() }
    }

    /// Certificate and key.
    pub fn leaf(&self, leaf: &Leaf) -> (String, String) {
        let names: Vec<String> = leaf.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Testing, and more");
        params.distinguished_name.push(DnType::CommonName, leaf.common_name);
        params.serial_number = Some(leaf.serial.into());
        params.not_before = date_time_ymd(leaf.years.0, 1, 1);
        params.not_after = date_time_ymd(leaf.years.1, 1, 1);
        let key = KeyPair::generate_for(leaf.algorithm).unwrap();
        (params.signed_by(&key, &self.authority).unwrap().pem(), key.serialize_pem())
    }

    /// A list that revokes these.
    pub fn revocations(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2022, 1, 1), // long ago: it counts nevertheless
            crl_number: 1.into(),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.authority).unwrap().pem().unwrap()
    }

    /// A folder with these files.
    pub fn folder(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let path = self.folders.path().join(name);
        fs::create_dir_all(&path).unwrap();
        for (name, content) in files {
            fs::write(path.join(name), content).unwrap();
        }
        path
    }

    /// A folder of a server with this certificate.
    pub fn server_folder(&self, leaf: &Leaf) -> PathBuf {
        let (certificate, key) = self.leaf(leaf);
        let files = [
            ("ca-cert.pem", self.authority_pem.as_str()),
            ("server-cert.pem", &certificate),
            ("server-key.pem", &key),
        ];
        self.folder("server", &files)
    }

    /// A folder of a client, with a certificate or without.
    pub fn client_folder(&self, leaf: Option<&Leaf>) -> PathBuf {
        let path = self.folder("client", &[("ca-cert.pem", &self.authority_pem)]);
        if let Some((certificate, key)) = leaf.map(|leaf| self.leaf(leaf)) {
            self.folder("client", &[("client-cert.pem", &certificate), ("client-key.pem", &key)]);
        }
        path
    }

    pub fn acceptor(&self, leaf: &Leaf, verify_peer: bool, priority: &str) -> Acceptor {
        let directory = Directory::load(&self.server_folder(leaf)).unwrap();
        Acceptor::certificates(&directory, verify_peer, &words(priority)).unwrap()
    }

    pub fn connector(&self, leaf: Option<&Leaf>, verify: bool, priority: &str) -> Connector {
        let folder = self.client_folder(leaf);
        let certificates = ClientCertificates { directory: Some(&folder), verify };
        Connector::certificates(certificates, &words(priority)).unwrap()
    }
}

pub fn words(priority: &str) -> Priority {
    priority.parse().unwrap()
}
