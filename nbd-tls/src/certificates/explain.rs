// SPDX-License-Identifier: BSD-3-Clause
//! Failures of rustls, in one line that says which and why.

use crate::{Error, ErrorKind};
use rustls::{AlertDescription, CertificateError, Error as Failure, PeerIncompatible};

/// `peer` is `client` or `server`.
pub(crate) fn explain(failure: Failure, peer: &str) -> Error {
    use ErrorKind::*;
    let (kind, message) = match failure {
        Failure::InvalidCertificate(error) => return certificate(error, peer),
        Failure::NoCertificatesPresented => (NoCertificate, format!("{peer} sent no certificate")),
        Failure::AlertReceived(alert) => (Alert, format!("peer sent alert: {}", alert_name(alert))),
        Failure::PeerIncompatible(why) => (NothingInCommon, incompatible(why, peer)),
        Failure::InvalidMessage(why) => {
            (Protocol, format!("{peer} sent what is not TLS ({})", words(&format!("{why:?}"))))
        }
        Failure::PeerMisbehaved(why) => {
            (Protocol, format!("{peer} broke the rules of TLS ({})", words(&format!("{why:?}"))))
        }
        Failure::DecryptError => {
            (Protocol, format!("{peer} sent a TLS record that was damaged or forged on its way"))
        }
        Failure::InappropriateMessage { .. } | Failure::InappropriateHandshakeMessage { .. } => {
            (Protocol, format!("{peer} sent a TLS message out of order ({failure})"))
        }
        Failure::PeerSentOversizedRecord => (Protocol, format!("{peer} sent a TLS record that is too large")),
        other => (Protocol, format!("TLS: {other}")),
    };
    Error::new(kind, message)
}

fn certificate(error: CertificateError, peer: &str) -> Error {
    use CertificateError as E;
    let (kind, why) = match error {
        E::Expired | E::ExpiredContext { .. } => (ErrorKind::Expired, "expired".into()),
        E::NotValidYet | E::NotValidYetContext { .. } => (ErrorKind::NotYetValid, "not valid yet".into()),
        E::Revoked => (ErrorKind::Revoked, "revoked".into()),
        E::UnknownIssuer => (ErrorKind::UnknownAuthority, "signed by an unknown CA".into()),
        E::NotValidForName => (ErrorKind::WrongHost, "for another host".into()),
        E::NotValidForNameContext { expected, presented } => {
            let shown = match presented.is_empty() {
                true => "it names no host".into(),
                false => format!("it is for {}", presented.join(", ")),
            };
            (ErrorKind::WrongHost, format!("not for {:?}: {shown}", expected.to_str()))
        }
        E::BadSignature => (ErrorKind::BadCertificate, "with a bad signature".into()),
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
            (ErrorKind::BadCertificate, format!("not made for a TLS {peer} (extended key usage)"))
        }
        other => (ErrorKind::BadCertificate, format!("bad: {other}")),
    };
    Error::new(kind, format!("{peer} certificate {why}"))
}

fn incompatible(why: PeerIncompatible, peer: &str) -> String {
    use PeerIncompatible as P;
    match why {
        P::Tls12NotOffered
        | P::Tls12NotOfferedOrEnabled
        | P::ServerDoesNotSupportTls12Or13
        | P::ServerTlsVersionIsDisabledByOurConfig
        | P::SupportedVersionsExtensionRequired => format!("no TLS version in common with the {peer}"),
        P::NoCipherSuitesInCommon => format!("no cipher in common with the {peer}"),
        P::NoKxGroupsInCommon => format!("no key exchange in common with the {peer}"),
        P::NoSignatureSchemesInCommon | P::NoCertificateRequestSignatureSchemesInCommon => {
            format!("no kind of certificate in common with the {peer}")
        }
        other => format!("nothing in common with the {peer} ({})", words(&format!("{other:?}"))),
    }
}

/// As the specification writes it: `bad certificate`, `unknown CA`.
pub(crate) fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => format!("number {number}"),
        known => words(&format!("{known:?}")),
    }
}

/// `BadRecordMac` as `bad record mac`, `UnknownPSKIdentity` as `unknown PSK identity`.
fn words(camel: &str) -> String {
    let letters: Vec<char> = camel.chars().collect();
    let upper = |at: usize| letters.get(at).is_some_and(char::is_ascii_uppercase);
    let mut words = vec![String::new()];
    for (i, letter) in letters.iter().enumerate() {
        let begins = i > 0 && upper(i) && (!upper(i - 1) || (i + 1 < letters.len() && !upper(i + 1)));
        if begins {
            words.push(String::new());
        }
        words.last_mut().into_iter().for_each(|word| word.push(*letter));
    }
    let abbreviation = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    for word in words.iter_mut().filter(|word| !abbreviation(word)) {
        word.make_ascii_lowercase();
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_camels() {
        for (camel, text) in [
            ("BadCertificate", "bad certificate"),
            ("UnknownCA", "unknown CA"),
            ("UnknownPSKIdentity", "unknown PSK identity"),
            ("BadRecordMac", "bad record mac"),
            ("HandshakeFailure", "handshake failure"),
        ] {
            assert_eq!(words(camel), text);
        }
    }
}
