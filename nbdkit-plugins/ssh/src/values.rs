// SPDX-License-Identifier: BSD-3-Clause
//! Values of parameters that only this plugin has: a port by number or name, permissions.

use nbdkit_plugin::{Value, values::text};
use std::ffi::OsStr;

/// A TCP port, 1 to 65535.
#[derive(Clone, Copy)]
pub(crate) struct Port(pub(crate) u16);

impl Value for Port {
    const KIND: &'static str = "PORT";

    fn parse(value: &OsStr) -> Result<Port, String> {
        let value = text(value)?;
        let number = match value.starts_with(|c: char| c.is_ascii_digit()) {
            true => value.parse().ok().filter(|port| *port > 0),
            false => std::fs::read_to_string("/etc/services").ok().and_then(|list| service(&list, value)),
        };
        number.map(Port).ok_or_else(|| {
            format!("'{value}' should be 1 to 65535, or a TCP service of services(5) such as ssh")
        })
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Looks a name up in services(5).
fn service(list: &str, name: &str) -> Option<u16> {
    list.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (first, port) = (words.next()?, words.next()?.strip_suffix("/tcp")?);
        (first == name || words.any(|alias| alias == name)).then(|| port.parse().ok())?
    })
}

/// Permissions of a new file, 0 to 0777.
#[derive(Clone, Copy)]
pub(crate) struct Mode(pub(crate) u32);

impl Value for Mode {
    const KIND: &'static str = "MODE";

    fn parse(value: &OsStr) -> Result<Mode, String> {
        match u32::parse(value)? {
            mode @ ..=0o777 => Ok(Mode(mode)),
            mode => Err(format!("create-mode must be <= 0777, not 0{mode:o}")),
        }
    }

    fn show(&self) -> String {
        format!("{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        let port = |value: &str| Port::parse(value.as_ref()).map(|port| port.0).ok();
        assert_eq!(port("2222"), Some(2222));
        for wrong in ["0", "65536", "-1", "", "22x", "no such service"] {
            assert_eq!(port(wrong), None, "{wrong}");
        }
        let list = "# a list\nssh 22/tcp # Secure Shell\ndomain 53/udp\ndomain\t53/tcp  dns names\n";
        let cases =
            [("ssh", Some(22)), ("domain", Some(53)), ("names", Some(53)), ("Secure", None), ("#", None)];
        for (name, port) in cases {
            assert_eq!(service(list, name), port, "{name}");
        }
    }

    #[test]
    fn modes() {
        assert_eq!(Mode::parse("0644".as_ref()).unwrap().show(), "0644");
        assert_eq!(Mode::parse("384".as_ref()).unwrap().0, 0o600);
        assert!(Mode::parse("01777".as_ref()).err().unwrap().contains("create-mode must be <= 0777"));
    }
}
