// SPDX-License-Identifier: BSD-3-Clause
//! [`TrustAll`]: a verifier for `sslverify=false`, and for when no certificate is trusted at all.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Takes every server for the right one, or none.
#[derive(Debug)]
pub(crate) struct TrustAll {
    anybody: bool,
    schemes: Vec<SignatureScheme>,
}

impl TrustAll {
    pub(crate) fn new(provider: &CryptoProvider) -> TrustAll {
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        TrustAll { anybody: true, schemes }
    }

    /// A verifier of rustls refuses to be made without anybody to trust.
    pub(crate) fn nobody(provider: &CryptoProvider) -> TrustAll {
        TrustAll { anybody: false, ..TrustAll::new(provider) }
    }
}

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.anybody {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    // Who is in the way can show a certificate of his own: his signature proves nothing. And certificates that nobody
    // checks are often of a form that the library cannot read.
    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
