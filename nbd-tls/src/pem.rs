// SPDX-License-Identifier: BSD-3-Clause
//! Files of certificates, keys and revocations.

use crate::{Error, ErrorKind, error, private_key::PrivateKey};
use rustls::{RootCertStore, crypto::ring::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer,
    pem::{Error as PemError, PemObject},
};
use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
};
use zeroize::Zeroizing;

/// The largest file: lists of revoked certificates grow to megabytes.
const LARGEST: u64 = 32 << 20;

/// The whole file. Room is made beforehand: a vector that grows leaves copies of a key behind.
fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, u32), Error> {
    let load = || -> io::Result<_> {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(LARGEST) as usize + 1));
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok((bytes, metadata.mode()))
    };
    let (bytes, mode) = load().map_err(|failure| error::file(path, &failure))?;
    if bytes.len() as u64 > LARGEST {
        return Err(malformed(path, format_args!("larger than {} MiB", LARGEST >> 20)));
    }
    Ok((bytes, mode))
}

pub(crate) fn malformed(path: &Path, why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, format!("{}: {why}", path.display()))
}

fn items<T: PemObject>(path: &Path, bytes: &[u8], what: &str) -> Result<Vec<T>, Error> {
    let items: Result<Vec<T>, PemError> = T::pem_slice_iter(bytes).collect();
    match items {
        Ok(items) if items.is_empty() => Err(malformed(path, format_args!("no {what} in PEM format"))),
        Ok(items) => Ok(items),
        Err(error) => Err(malformed(path, format_args!("not a {what} in PEM format: {error}"))),
    }
}

/// One or more certificates.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    items(path, &read(path)?.0, "certificate")
}

/// One or more certificates of authorities.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| malformed(path, error))?;
    }
    Ok(roots)
}

/// One or more lists of revoked certificates; none if there is no such file.
pub(crate) fn revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    match read(path) {
        Ok((bytes, _)) => {
            let lists: Vec<CertificateRevocationListDer<'static>> = items(path, &bytes, "revocation list")?;
            for list in &lists {
                webpki::BorrowedCertRevocationList::from_der(list).map_err(|error| {
                    malformed(path, format_args!("not a usable revocation list: {error}"))
                })?;
            }
            Ok(lists)
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A certificate (or a chain, its own first) and its private key, which are checked to belong together.
pub(crate) fn pair(
    certificate: &Path,
    key: &Path,
    warnings: &mut Vec<String>,
) -> Result<CertifiedKey, Error> {
    let chain = certificates(certificate)?;
    let (bytes, mode) = read(key)?;
    let read = PrivateKey::from_pem(&bytes).map_err(|error| malformed(key, error))?;
    let signer = any_supported_type(&read.der()).map_err(|error| malformed(key, error))?;
    let pair = CertifiedKey::new(chain, signer);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(malformed(
                key,
                format_args!("this key does not belong to the certificate {}", certificate.display()),
            ));
        }
        Err(error) => return Err(malformed(certificate, error)),
    }
    if mode & 0o004 != 0 {
        warnings.push(format!("{}: everybody may read this private key: chmod o-r", key.display()));
    }
    Ok(pair)
}
