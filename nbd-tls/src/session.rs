// SPDX-License-Identifier: BSD-3-Clause
//! What a handshake has agreed on.

use crate::name;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// What a handshake has agreed on, and who the peer has proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// `TLS1.2` or `TLS1.3`.
    pub version: &'static str,
    /// The cipher suite, by its name in the IANA registry: `TLS13_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// The certificate that the peer has shown, if it did. Whether it was verified is as the half was configured.
    pub certificate: Option<PeerCertificate>,
    /// The name of the pre-shared key.
    pub psk_identity: Option<String>,
}

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCertificate {
    /// The distinguished name as in RFC 4514, most specific part first: `CN=client,O=Example`.
    pub subject: String,
    /// That of the authority which signed it.
    pub issuer: String,
}

/// Whose certificate this is. `None` if it cannot be read, which a peer's that was verified always can.
pub(crate) fn describe(certificate: &CertificateDer<'_>) -> Option<PeerCertificate> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    Some(PeerCertificate {
        subject: name::text(certificate.subject())?,
        issuer: name::text(certificate.issuer())?,
    })
}
