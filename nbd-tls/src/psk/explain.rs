// SPDX-License-Identifier: BSD-3-Clause
//! Failures of OpenSSL, in one line that says which and why.

use super::halves::Lookup;
use crate::{Error, ErrorKind, certificates::alert_name};

/// `SSL_R_...` of `openssl/sslerr.h`, which are part of its interface.
mod reason {
    pub const NO_SUITABLE_SIGNATURE_ALGORITHM: i32 = 118;
    pub const BAD_PROTOCOL_VERSION_NUMBER: i32 = 116;
    pub const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    pub const DIGEST_CHECK_FAILED: i32 = 149;
    pub const NO_CIPHERS_AVAILABLE: i32 = 181;
    pub const NO_SHARED_CIPHER: i32 = 193;
    pub const PSK_IDENTITY_NOT_FOUND: i32 = 223;
    pub const BINDER_DOES_NOT_VERIFY: i32 = 253;
    pub const UNSUPPORTED_PROTOCOL: i32 = 258;
    pub const WRONG_VERSION_NUMBER: i32 = 267;
    pub const DECRYPTION_FAILED_OR_BAD_RECORD_MAC: i32 = 281;
    pub const VERSION_TOO_LOW: i32 = 396;
    /// An alert of the peer is this and its number.
    pub const ALERT: i32 = 1000;
}

/// `ERR_LIB_SSL`.
const LIBRARY: i32 = 20;

/// `peer` is `client` or `server`; `lookup` what became of the name of the key, for a server within the handshake.
pub(super) fn explain(error: &openssl::ssl::Error, peer: &str, lookup: Option<&Lookup>) -> Error {
    use ErrorKind::*;
    // Of several the last of the TLS part says what it means: in front of it stand those of the ciphers.
    let errors = error.ssl_error().map(openssl::error::ErrorStack::errors).unwrap_or_default();
    let last = errors.iter().rfind(|error| error.library_code() == LIBRARY).or(errors.last());
    let code = last.map_or(0, openssl::error::Error::reason_code);
    if let Some(Lookup::Failed(error)) = lookup {
        return error.clone();
    }
    if let Some(Lookup::Unknown(user)) = lookup {
        return Error::new(UnknownUser, format!("{peer} gave an unknown TLS-PSK user name {user:?}"));
    }
    let (kind, message) = match (code, lookup) {
        (
            reason::BINDER_DOES_NOT_VERIFY
            | reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC
            | reason::DIGEST_CHECK_FAILED,
            Some(Lookup::Found(user)),
        ) => (WrongKey, format!("{peer} has another TLS-PSK key for the user name {user:?}")),
        (reason::PSK_IDENTITY_NOT_FOUND, _) => (UnknownUser, format!("{peer} gave no TLS-PSK user name")),
        (
            reason::NO_SHARED_CIPHER | reason::NO_CIPHERS_AVAILABLE | reason::NO_SUITABLE_SIGNATURE_ALGORITHM,
            _,
        ) => (NothingInCommon, format!("no cipher for pre-shared keys in common with the {peer}")),
        (reason::UNSUPPORTED_PROTOCOL | reason::VERSION_TOO_LOW | reason::BAD_PROTOCOL_VERSION_NUMBER, _) => {
            (NothingInCommon, format!("no TLS version in common with the {peer}"))
        }
        (reason::CERTIFICATE_VERIFY_FAILED, _) => {
            (WrongKey, format!("{peer} showed a certificate instead of using the pre-shared key"))
        }
        (reason::WRONG_VERSION_NUMBER, _) => {
            (Protocol, format!("{peer} sent what is not TLS (wrong version number)"))
        }
        (reason::DECRYPTION_FAILED_OR_BAD_RECORD_MAC, _) => {
            (Protocol, format!("{peer} sent a TLS record that was damaged or forged on its way"))
        }
        (alert, _) if (reason::ALERT..reason::ALERT + 256).contains(&alert) => {
            let number = u8::try_from(alert - reason::ALERT).unwrap_or_default();
            (Alert, format!("peer sent alert: {}", alert_name(number.into())))
        }
        _ => {
            let why = last.and_then(|error| error.reason()).unwrap_or("no reason is given");
            (Protocol, format!("{peer} broke the rules of TLS ({why})"))
        }
    };
    Error::new(kind, message)
}
