// SPDX-License-Identifier: BSD-3-Clause
//! [`Rule`]: one term of a list, how it is written, and which clients it is about.

use crate::{Client, wildcard};
use nbdkit_filter::{Peer, Value};
use std::{
    ffi::OsStr,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Which clients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    Any,
    AnyIpv4,
    AnyIpv6,
    AnyUnix,
    AnyVsock,
    /// A network of addresses; those of IPv4 are never written in the form of IPv6 here.
    Network(IpAddr, u32),
    Loopback,
    Pid(i32),
    Uid(u32),
    Gid(u32),
    Security(String),
    VsockCid(u32),
    VsockPort(u32),
    /// A pattern for the subject of a certificate.
    Subject(String),
    /// The same for who has signed it.
    Issuer(String),
}

/// The rules of `key=value`.
///
/// # Errors
/// Says which rule is wrong, and why.
pub(crate) fn rules(key: &str, value: &str) -> Result<Vec<Rule>, String> {
    // Names in certificates have commas, so such a rule is a value by itself.
    if let Some(rule) = about_certificates(value) {
        return Ok(vec![rule]);
    }
    if value.is_empty() {
        return Ok(Vec::new());
    }
    value.split(',').map(|term| rule(key, term)).collect()
}

fn about_certificates(value: &str) -> Option<Rule> {
    let subject = prefixed(value, "dn:").map(|pattern| Rule::Subject(pattern.to_owned()));
    subject.or_else(|| prefixed(value, "issuer-dn:").map(|pattern| Rule::Issuer(pattern.to_owned())))
}

/// What follows `prefix`, which is in any case.
fn prefixed<'v>(value: &'v str, prefix: &str) -> Option<&'v str> {
    let (head, rest) = value.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn rule(key: &str, term: &str) -> Result<Rule, String> {
    let unknown = || {
        format!(
            "don't know how to parse rule: {key}={term}: should be a word such as all or anyunix, an address, \
             a network such as 10.0.0.0/8, or one of pid: uid: gid: security: vsock-cid: vsock-port: with a value"
        )
    };
    if term.is_empty() {
        return Err(format!("{key}: empty entry in rule list"));
    }
    if let Some(rule) = keyword(term) {
        return Ok(rule);
    }
    if let Some(rule) = about_certificates(term) {
        let (Rule::Subject(name) | Rule::Issuer(name)) = rule else { return Err(unknown()) };
        return Err(format!(
            "{key}: a rule about certificates stands alone: give '{name}' a {key}= of its own"
        ));
    }
    for (prefix, make) in NUMBERS {
        if let Some(text) = prefixed(term, prefix) {
            return number(key, term, prefix, text).map(make);
        }
    }
    if let Some(text) = prefixed(term, "pid:") {
        let pid = number(key, term, "pid:", text)?;
        return i32::try_from(pid).ok().filter(|pid| *pid > 0).map(Rule::Pid).ok_or_else(|| {
            format!("pid: parameter out of range: {key}={term}: should be 1 to {}", i32::MAX)
        });
    }
    if let Some(label) = prefixed(term, "security:") {
        return Ok(Rule::Security(label.to_owned()));
    }
    match term.split_once('/') {
        Some((address, prefix)) => network(key, term, address, prefix),
        None => term.parse().map(host).map_err(|_| unknown()),
    }
}

type Make = fn(u32) -> Rule;

const NUMBERS: [(&str, Make); 4] = [
    ("uid:", Rule::Uid),
    ("gid:", Rule::Gid),
    ("vsock-cid:", Rule::VsockCid),
    ("vsock-port:", Rule::VsockPort),
];

fn keyword(term: &str) -> Option<Rule> {
    Some(match term.to_ascii_lowercase().as_str() {
        "all" | "any" => Rule::Any,
        "allipv4" | "anyipv4" => Rule::AnyIpv4,
        "allipv6" | "anyipv6" => Rule::AnyIpv6,
        "allunix" | "anyunix" => Rule::AnyUnix,
        "allvsock" | "anyvsock" => Rule::AnyVsock,
        "loopback" => Rule::Loopback,
        "loopbackv4" | "loopbackipv4" | "loopback4" => Rule::Network(Ipv4Addr::new(127, 0, 0, 0).into(), 8),
        "loopbackv6" | "loopbackipv6" | "loopback6" => Rule::Network(Ipv6Addr::LOCALHOST.into(), 128),
        _ => return None,
    })
}

fn number(key: &str, term: &str, prefix: &str, text: &str) -> Result<u32, String> {
    let number = i64::parse(OsStr::new(text)).map_err(|why| format!("{prefix} {why} in {key}={term}"))?;
    u32::try_from(number)
        .map_err(|_| format!("{prefix} parameter out of range: {key}={term}: should be 0 to {}", u32::MAX))
}

fn network(key: &str, term: &str, address: &str, prefix: &str) -> Result<Rule, String> {
    let address: IpAddr = address.parse().map_err(|_| {
        format!(
            "cannot parse address \"{address}\" from {key}={term}: should be IPv4 or IPv6, such as 10.0.0.0/8"
        )
    })?;
    let prefix = u32::parse(OsStr::new(prefix))
        .map_err(|why| format!("{key}: cannot parse prefix length: {prefix}: {why} in {key}={term}"))?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if prefix > most {
        return Err(format!("prefix is > {most} in {key}={term}"));
    }
    // All of the network is IPv4 in disguise.
    match (address, address.to_canonical(), prefix.checked_sub(96)) {
        (IpAddr::V6(_), IpAddr::V4(v4), Some(prefix)) => Ok(Rule::Network(v4.into(), prefix)),
        _ => Ok(Rule::Network(address, prefix)),
    }
}

fn host(address: IpAddr) -> Rule {
    let address = address.to_canonical();
    Rule::Network(address, if address.is_ipv4() { 32 } else { 128 })
}

impl Rule {
    pub(crate) fn is_about_certificates(&self) -> bool {
        matches!(self, Rule::Subject(_) | Rule::Issuer(_))
    }

    pub(crate) fn matches(&self, client: Client<'_>) -> bool {
        let peer = client.connection.peer();
        let address = match peer {
            // A socket that serves both families shows clients of IPv4 with addresses of IPv6.
            Peer::Ip(address) => Some(address.ip().to_canonical()),
            _ => None,
        };
        let process = client.connection.credentials();
        match self {
            Rule::Any => true,
            Rule::AnyIpv4 => address.is_some_and(|address| address.is_ipv4()),
            Rule::AnyIpv6 => address.is_some_and(|address| address.is_ipv6()),
            Rule::AnyUnix => peer == Peer::Unix,
            Rule::AnyVsock => matches!(peer, Peer::Vsock { .. }),
            Rule::Network(network, prefix) => {
                address.is_some_and(|address| within(address, *network, *prefix))
            }
            Rule::Loopback => address.is_some_and(|address| address.is_loopback()),
            Rule::Pid(pid) => process.is_some_and(|process| process.pid == *pid),
            Rule::Uid(uid) => process.is_some_and(|process| process.uid == *uid),
            Rule::Gid(gid) => process.is_some_and(|process| process.gid == *gid),
            Rule::Security(label) => client.connection.security_label() == Some(label),
            Rule::VsockCid(cid) => matches!(peer, Peer::Vsock { cid: theirs, .. } if theirs == *cid),
            Rule::VsockPort(port) => matches!(peer, Peer::Vsock { port: theirs, .. } if theirs == *port),
            Rule::Subject(pattern) => {
                client.certificate.is_some_and(|certificate| wildcard::matches(pattern, &certificate.subject))
            }
            Rule::Issuer(pattern) => {
                client.certificate.is_some_and(|certificate| wildcard::matches(pattern, &certificate.issuer))
            }
        }
    }
}

/// Whether the first `prefix` bits are the same.
fn within(address: IpAddr, network: IpAddr, prefix: u32) -> bool {
    let (differences, bits) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits() ^ b.to_bits()), 32u32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits(), 128),
        _ => return false,
    };
    // Shifting by all of the bits, for a prefix of 0, leaves nothing.
    differences.checked_shr(bits.saturating_sub(prefix)).unwrap_or(0) == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists() {
        assert_eq!(rules("allow", "").unwrap(), []);
        assert_eq!(
            rules("deny", "ALL,anyIPv4,uid:0,Pid:0x10").unwrap(),
            [Rule::Any, Rule::AnyIpv4, Rule::Uid(0), Rule::Pid(16)]
        );
        assert_eq!(rules("allow", "dn:CN=a,O=b").unwrap(), [Rule::Subject("CN=a,O=b".into())]);
        assert_eq!(rules("allow", "issuer-dn:*,any").unwrap(), [Rule::Issuer("*,any".into())]);
        let v4 = |a, prefix| Rule::Network(Ipv4Addr::from(a).into(), prefix);
        assert_eq!(
            rules("allow", "::ffff:1.2.3.4,::ffff:10.0.0.0/104,1.2.3.4/0").unwrap(),
            [v4([1, 2, 3, 4], 32), v4([10, 0, 0, 0], 8), v4([1, 2, 3, 4], 0)]
        );
    }

    #[test]
    fn mistakes() {
        for (value, said) in [
            (",", "allow: empty entry in rule list"),
            ("any,", "allow: empty entry in rule list"),
            ("foo", "don't know how to parse rule: allow=foo"),
            (" 1.2.3.4", "don't know how to parse rule: allow= 1.2.3.4"),
            ("127.1", "don't know how to parse rule: allow=127.1"),
            ("[::1]", "don't know how to parse rule: allow=[::1]"),
            ("fe80::1%eth0", "don't know how to parse rule: allow=fe80::1%eth0"),
            ("any,1.2.3.4/33", "prefix is > 32 in allow=1.2.3.4/33"),
            ("::1/129", "prefix is > 128 in allow=::1/129"),
            ("1.2.3.4/x", "allow: cannot parse prefix length: x"),
            ("1.2.3.4/-1", "allow: cannot parse prefix length: -1"),
            ("1.2.3.4/", "allow: cannot parse prefix length: "),
            ("1.2.3/8", "cannot parse address \"1.2.3\" from allow=1.2.3/8"),
            ("pid:x", "pid: could not parse number: \"x\""),
            ("pid:0", "pid: parameter out of range"),
            ("pid:2147483648", "pid: parameter out of range"),
            ("uid:-1", "uid: parameter out of range"),
            ("gid:4294967296", "gid: parameter out of range"),
            ("vsock-cid:", "vsock-cid: could not parse number"),
            ("vsock-port:4294967296", "vsock-port: parameter out of range"),
            ("any,dn:CN=a", "allow: a rule about certificates stands alone"),
        ] {
            let error = rules("allow", value).unwrap_err();
            assert!(error.starts_with(said), "{value}: {error}");
        }
    }

    #[test]
    fn networks() {
        for (address, network, expected) in [
            ("10.255.0.1", "10.0.0.0/8", true),
            ("11.0.0.1", "10.0.0.0/8", false),
            ("10.0.0.1", "10.99.99.99/8", true),
            ("255.255.255.255", "0.0.0.0/0", true),
            ("192.168.1.2", "192.168.1.2/32", true),
            ("192.168.1.3", "192.168.1.2/32", false),
            ("192.168.1.3", "192.168.1.2/31", true),
            ("::1", "0.0.0.0/0", false),
            ("1.2.3.4", "::/0", false),
            ("fe80::1", "fe80::/10", true),
            ("fec0::1", "fe80::/10", false),
            ("::2", "::1/127", false),
            ("ffff::", "::/0", true),
            ("::1", "::1/128", true),
        ] {
            let Ok(Rule::Network(network, prefix)) = rule("allow", network) else { panic!("{network}") };
            assert_eq!(within(address.parse().unwrap(), network, prefix), expected, "{address} {network}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(value in any::<String>()) {
            let _ = rules("allow", &value);
        }

        #[test]
        fn nor_does_something_alike(value in "([a-z0-9:./*-]|pid:|uid:|security:|vsock-|dn:|/|,|::|é){0,12}") {
            if let Err(error) = rules("deny", &value) {
                prop_assert!(error.contains("deny"));
            }
        }

        #[test]
        fn a_network_has_its_addresses(address in any::<u32>(), flip in 0u32..32) {
            let network = IpAddr::from(Ipv4Addr::from_bits(address));
            let other = IpAddr::from(Ipv4Addr::from_bits(address ^ (1 << flip)));
            for prefix in 0..=32 {
                prop_assert!(within(network, network, prefix));
                prop_assert_eq!(within(other, network, prefix), prefix < 32 - flip);
            }
        }
    }
}
