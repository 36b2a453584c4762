// SPDX-License-Identifier: BSD-3-Clause
//! Becoming another user and group (`-u`, `-g`), once the sockets are bound.

use nbdkit_plugin::{Error, Result};
use nix::unistd::{Gid, Group, Uid, User, setgid, setgroups, setuid};

/// The group first: who has become another user may not change groups any more.
pub fn become_other(user: Option<&str>, group: Option<&str>) -> Result<()> {
    if let Some(name) = group {
        let gid = match Group::from_name(name) {
            Ok(Some(group)) => group.gid,
            _ => Gid::from_raw(number(name, "group", "-g")?),
        };
        let failed = |errno: nix::Error| Error::io(errno.into(), format!("-g: changing to group {name}"));
        setgid(gid).map_err(failed)?;
        setgroups(&[gid]).map_err(failed)?;
    }
    if let Some(name) = user {
        let uid = match User::from_name(name) {
            Ok(Some(user)) => user.uid,
            _ => Uid::from_raw(number(name, "user", "-u")?),
        };
        setuid(uid).map_err(|errno| Error::io(errno.into(), format!("-u: changing to user {name}")))?;
    }
    Ok(())
}

fn number(name: &str, what: &str, option: &str) -> Result<u32> {
    name.parse().map_err(|_| {
        Error::invalid(format!(
            "{option}: there is no {what} '{name}', should be the name of one or its number"
        ))
    })
}
