// SPDX-License-Identifier: BSD-3-Clause
//! Authorities, certificates and the folders they are kept in: made anew for each test, never kept.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nbdkit_tests::raw::Address;
use nbdkit_tests::{Server, run, tool};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

/// Who signs certificates.
pub struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: String,
}

/// For whom a certificate is, and from when to when.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    name: &'a str,
    hosts: &'a [&'a str],
    years: (i32, i32),
    serial: u64,
    rsa: bool,
}

impl<'a> Subject<'a> {
    /// With a key for ECDSA.
    pub fn new(name: &'a str) -> Self {
        Subject { name, hosts: &["localhost", "127.0.0.1"], years: (2000, 2100), serial: 1, rsa: false }
    }

    /// With a key for RSA.
    pub fn rsa(self) -> Self {
        Subject { rsa: true, ..self }
    }

    pub fn hosts(self, hosts: &'a [&'a str]) -> Self {
        Subject { hosts, ..self }
    }

    pub fn expired(self) -> Self {
        Subject { years: (2000, 2001), ..self }
    }

    pub fn serial(self, serial: u64) -> Self {
        Subject { serial, ..self }
    }
}

/// A new key for RSA, which only openssl makes for us.
fn rsa_key() -> KeyPair {
    let mut command = tool("openssl");
    command.args(["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    KeyPair::from_pem(run(&mut command).ok().text()).unwrap()
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Authority::with_key(name, KeyPair::generate().unwrap())
    }

    /// Signs by RSA.
    pub fn rsa(name: &str) -> Self {
        Authority::with_key(name, rsa_key())
    }

    /// One that `self` vouches for.
    pub fn intermediate(&self, name: &str) -> Self {
        let authority = Authority::new(name);
        let certificate = authority.params.signed_by(&authority.key, &self.issuer()).unwrap().pem();
        Authority { certificate, ..authority }
    }

    fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Authority { params, key, certificate }
    }

    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        Issuer::from_params(&self.params, &self.key)
    }

    /// A certificate and its key.
    fn sign(&self, subject: Subject<'_>, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let hosts: Vec<String> = subject.hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject.name);
        params.extended_key_usages = vec![purpose];
        // qemu wants the second, although nothing is encrypted to the key any more.
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.not_before = date_time_ymd(subject.years.0, 1, 1);
        params.not_after = date_time_ymd(subject.years.1, 1, 1);
        params.serial_number = Some(subject.serial.into());
        let key = if subject.rsa { rsa_key() } else { KeyPair::generate().unwrap() };
        (params.signed_by(&key, &self.issuer()).unwrap().pem(), key.serialize_pem())
    }

    /// The list of certificates that are not to be trusted any more.
    fn revoke(&self, serial: u64) -> String {
        let revoked = RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![revoked],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer()).unwrap().pem().unwrap()
    }
}

/// A folder with the files that servers and clients look for.
pub struct Folder(TempDir);

impl Folder {
    /// Only the certificate of `authority`.
    pub fn trusting(authority: &Authority) -> Self {
        let dir = tempfile::Builder::new().prefix("nbdkit-tls").tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let folder = Folder(dir);
        folder.put("ca-cert.pem", &authority.certificate, 0o644);
        folder
    }

    /// For a server and for clients, all in order.
    pub fn complete() -> (Self, Authority) {
        let authority = Authority::new("Authority of the tests");
        let folder = Folder::trusting(&authority)
            .server(&authority, Subject::new("server"))
            .client(&authority, Subject::new("client").serial(2));
        (folder, authority)
    }

    pub fn server(self, authority: &Authority, subject: Subject<'_>) -> Self {
        self.pair("server", "", authority.sign(subject, ExtendedKeyUsagePurpose::ServerAuth))
    }

    /// One more pair: `server-cert-N.pem`.
    pub fn further_server(self, number: u32, authority: &Authority, subject: Subject<'_>) -> Self {
        let pair = authority.sign(subject, ExtendedKeyUsagePurpose::ServerAuth);
        self.pair("server", &format!("-{number}"), pair)
    }

    pub fn client(self, authority: &Authority, subject: Subject<'_>) -> Self {
        self.pair("client", "", authority.sign(subject, ExtendedKeyUsagePurpose::ClientAuth))
    }

    pub fn revoking(self, authority: &Authority, serial: u64) -> Self {
        self.put("ca-crl.pem", &authority.revoke(serial), 0o644);
        self
    }

    /// The certificates of the server and of clients have that of `authority` behind them.
    pub fn with_chains(self, authority: &Authority) -> Self {
        for name in ["server-cert.pem", "client-cert.pem"] {
            self.put(name, &(self.read(name) + &authority.certificate), 0o644);
        }
        self
    }

    fn pair(self, whose: &str, suffix: &str, (certificate, key): (String, String)) -> Self {
        self.put(&format!("{whose}-cert{suffix}.pem"), &certificate, 0o644);
        self.put(&format!("{whose}-key{suffix}.pem"), &key, 0o600);
        self
    }

    /// Writes a file with this mode.
    pub fn put(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).unwrap()
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `--tls-certificates=` of this folder.
    pub fn option(&self) -> String {
        format!("--tls-certificates={}", self.path().display())
    }

    /// The URI of `server` for a client with these certificates.
    pub fn uri(&self, server: &Server) -> String {
        uri(server, "", &format!("tls-certificates={}", self.path().display()))
    }
}

/// The URI of `server` for a client who encrypts, with a user name and a query.
pub fn uri(server: &Server, user: &str, query: &str) -> String {
    let at = if user.is_empty() { "" } else { "@" };
    match server.address() {
        Address::Unix(path) => format!("nbds+unix://{user}{at}/?socket={}&{query}", path.display()),
        Address::Tcp(port) => format!("nbds://{user}{at}localhost:{port}/?{query}"),
    }
}
