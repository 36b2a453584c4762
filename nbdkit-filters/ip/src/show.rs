// SPDX-License-Identifier: BSD-3-Clause
//! How a rule is shown: as it could be written.

use crate::rule::Rule;
use std::{fmt, net::IpAddr};

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Any => f.write_str("any"),
            Rule::AnyIpv4 => f.write_str("anyipv4"),
            Rule::AnyIpv6 => f.write_str("anyipv6"),
            Rule::AnyUnix => f.write_str("anyunix"),
            Rule::AnyVsock => f.write_str("anyvsock"),
            Rule::Network(address @ IpAddr::V4(_), 32) | Rule::Network(address @ IpAddr::V6(_), 128) => {
                write!(f, "{address}")
            }
            Rule::Network(address, prefix) => write!(f, "{address}/{prefix}"),
            Rule::Loopback => f.write_str("loopback"),
            Rule::Pid(pid) => write!(f, "pid:{pid}"),
            Rule::Uid(uid) => write!(f, "uid:{uid}"),
            Rule::Gid(gid) => write!(f, "gid:{gid}"),
            Rule::Security(label) => write!(f, "security:{label}"),
            Rule::VsockCid(cid) => write!(f, "vsock-cid:{cid}"),
            Rule::VsockPort(port) => write!(f, "vsock-port:{port}"),
            Rule::Subject(pattern) => write!(f, "dn:{pattern}"),
            Rule::Issuer(pattern) => write!(f, "issuer-dn:{pattern}"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::rule::rules;

    #[test]
    fn what_is_shown_can_be_written() {
        for (value, shown) in [
            ("all", "any"),
            ("ANYIPV4", "anyipv4"),
            ("allipv6", "anyipv6"),
            ("allunix", "anyunix"),
            ("allvsock", "anyvsock"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1/32", "10.0.0.1"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("0::1", "::1"),
            ("fe80::/10", "fe80::/10"),
            ("::ffff:1.2.3.0/120", "1.2.3.0/24"),
            ("loopback", "loopback"),
            ("loopback4", "127.0.0.0/8"),
            ("loopback6", "::1"),
            ("pid:7", "pid:7"),
            ("uid:0", "uid:0"),
            ("gid:00", "gid:0"),
            ("security:a:b", "security:a:b"),
            ("vsock-cid:2", "vsock-cid:2"),
            ("vsock-port:3", "vsock-port:3"),
            ("DN:CN=a,O=*", "dn:CN=a,O=*"),
            ("issuer-dn:CN=a,O=*", "issuer-dn:CN=a,O=*"),
        ] {
            let rule = rules("allow", value).unwrap().remove(0);
            assert_eq!(rule.to_string(), shown);
            assert_eq!(rules("allow", shown).unwrap(), [rule]);
        }
    }
}
