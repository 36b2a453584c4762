// SPDX-License-Identifier: BSD-3-Clause
//! [`Resolver`]: names of hosts into addresses, with what the user says about them.

use nbdkit_plugin::{
    Error, Result, Value,
    values::{one_of, text},
};
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{
    ffi::OsStr,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// `ipresolve`: which addresses will do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Family {
    Any,
    V4,
    V6,
}

impl Family {
    fn takes(self, ip: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        }
    }
}

impl Value for Family {
    const KIND: &'static str = "any|v4|v6";

    fn parse(value: &OsStr) -> Result<Self, String> {
        one_of(value, &[("any", Family::Any), ("v4", Family::V4), ("v6", Family::V6)])
    }

    fn show(&self) -> String {
        match self {
            Family::Any => "any",
            Family::V4 => "v4",
            Family::V6 => "v6",
        }
        .to_owned()
    }
}

/// `resolve`: the addresses of one host for one port.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rule {
    /// In lower case; `*` is any.
    host: String,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Value for Rule {
    const KIND: &'static str = "HOST:PORT:ADDRESS[,ADDRESS...]";

    fn parse(value: &OsStr) -> Result<Self, String> {
        let whole = text(value)?;
        let rule = || {
            let (host, rest) = whole.strip_prefix('+').unwrap_or(whole).split_once(':')?;
            let (port, addresses) = rest.split_once(':')?;
            let address = |text: &str| text.trim_start_matches('[').trim_end_matches(']').parse().ok();
            let addresses = addresses.split(',').map(address).collect::<Option<_>>()?;
            let port = port.parse().ok()?;
            (!host.is_empty()).then(|| Rule { host: host.to_ascii_lowercase(), port, addresses })
        };
        rule().ok_or_else(|| {
            format!("'{whole}' should be HOST:PORT:ADDRESS[,ADDRESS...], such as example.com:443:192.0.2.1")
        })
    }

    fn show(&self) -> String {
        let addresses: Vec<_> = self.addresses.iter().map(IpAddr::to_string).collect();
        format!("{}:{}:{}", self.host, self.port, addresses.join(","))
    }
}

/// What the HTTP library asks for addresses.
pub(crate) struct Resolver {
    rules: Arc<[Rule]>,
    family: Family,
}

impl Resolver {
    pub(crate) fn new(rules: &[Rule], family: Family) -> Resolver {
        Resolver { rules: rules.into(), family }
    }

    fn rule(&self, host: &str) -> Option<&Rule> {
        let named = |name: &str| self.rules.iter().rfind(|rule| rule.host == name);
        named(&host.to_ascii_lowercase()).or_else(|| named("*"))
    }

    /// What the resolver is not asked, or cannot know: the library asks for a name without a port, and does not ask for
    /// addresses.
    ///
    /// # Errors
    /// When the user's rules cannot be kept for this URL.
    pub(crate) fn check(&self, url: &Url) -> Result<()> {
        let host = url.host_str().unwrap_or_default();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return match self.family.takes(ip) {
                true => Ok(()),
                false => Err(self.none_left(host)),
            };
        }
        match self.rule(host) {
            Some(rule) if Some(rule.port) != url.port_or_known_default() => Err(Error::invalid(format!(
                "resolve: {} is for port {}, but {host} is now asked at port {}: should name that port",
                rule.show(),
                rule.port,
                url.port_or_known_default().unwrap_or_default(),
            ))),
            _ => Ok(()),
        }
    }

    fn none_left(&self, host: &str) -> Error {
        Error::new(
            nbdkit_plugin::EIO,
            format!("{host} has no address that ipresolve={} allows", self.family.show()),
        )
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        // Port 0 stands for that of the URL.
        let known = self
            .rule(name.as_str())
            .map(|rule| rule.addresses.iter().map(|ip| SocketAddr::new(*ip, 0)).collect::<Vec<_>>());
        let family = self.family;
        let none_left = self.none_left(name.as_str()).to_string();
        Box::pin(async move {
            let mut addresses = match known {
                Some(addresses) => addresses,
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            addresses.retain(|address| family.takes(address.ip()));
            match addresses.is_empty() {
                true => Err(io::Error::new(io::ErrorKind::NotFound, none_left).into()),
                false => Ok(Box::new(addresses.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Result<Rule, String> {
        Rule::parse(text.as_ref())
    }

    #[test]
    fn rules() {
        assert_eq!(rule("Example.com:443:192.0.2.1").unwrap().show(), "example.com:443:192.0.2.1");
        assert_eq!(rule("+h:80:::1,192.0.2.1").unwrap().show(), "h:80:::1,192.0.2.1");
        assert_eq!(rule("h:80:[::1]").unwrap().show(), "h:80:::1");
        for text in ["", "h", "h:80", "h:80:", "h:x:1.2.3.4", "h:80:name", ":80:1.2.3.4", "-h:80"] {
            assert!(rule(text).unwrap_err().contains("should be HOST:PORT:ADDRESS"), "{text}");
        }
    }

    #[test]
    fn a_rule_holds_for_its_port() {
        let resolver = Resolver::new(&[rule("h:443:192.0.2.1").unwrap()], Family::Any);
        let check = |url| resolver.check(&Url::parse(url).unwrap());
        assert!(check("https://h/").is_ok());
        assert!(check("https://H:443/").is_ok());
        assert!(check("https://other:8443/").is_ok());
        assert!(check("http://h/").unwrap_err().to_string().contains("now asked at port 80"));
    }

    #[test]
    fn a_family_holds_for_addresses_in_urls() {
        let resolver = Resolver::new(&[], Family::V6);
        assert!(resolver.check(&Url::parse("http://[::1]/").unwrap()).is_ok());
        let error = resolver.check(&Url::parse("http://127.0.0.1/").unwrap()).unwrap_err();
        assert!(error.to_string().contains("ipresolve=v6"), "{error}");
    }
}
