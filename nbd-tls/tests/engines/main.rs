// SPDX-License-Identifier: BSD-3-Clause
//! The two halves against each other, in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod certificates;
mod data;
mod folders;
mod hostile;
mod new_keys;
mod pipe;
mod pki;
#[cfg(feature = "psk")]
mod psk;

/// Without OpenSSL both halves say so, in one line.
#[cfg(not(feature = "psk"))]
#[test]
fn a_build_without_keys_says_so() {
    use nbd_tls::{Acceptor, Connector, ErrorKind, Priority};
    let (file, priority) = (std::path::Path::new("/nowhere"), Priority::default());
    for error in
        [Acceptor::psk(file, &priority).unwrap_err(), Connector::psk("alice", file, &priority).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), "this build has no TLS-PSK (feature tls-psk)");
    }
}

/// Other users of rustls in the same program choose for themselves.
#[test]
fn nothing_is_chosen_for_the_whole_process() {
    let pki = pki::Pki::new("CA");
    let (acceptor, connector) =
        (pki.acceptor(&pki::LEAF, true, "NORMAL"), pki.connector(Some(&pki::LEAF), true, "NORMAL"));
    pipe::Pair::new(&acceptor, &connector, "localhost").expect();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

/// An engine may be part of a future that hops between threads.
#[test]
fn engines_may_travel() {
    fn travels<T: Send + Sync + 'static>() {}
    travels::<nbd_tls::Engine>();
    travels::<nbd_tls::Acceptor>();
    travels::<nbd_tls::Connector>();
    travels::<nbd_tls::Error>();
}
