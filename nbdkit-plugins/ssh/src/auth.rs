// SPDX-License-Identifier: BSD-3-Clause
//! Logging in: without anything, with a key, with the password.

use crate::target::Target;
use nbdkit_plugin::{EACCES, Error, Log, Result};
use ssh2::Session;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// As the original: `none`, `publickey`, `password`. There is nobody who could answer questions, hence no
/// `keyboard-interactive`.
pub(crate) fn authenticate(session: &Session, target: &Target, log: &Log) -> Result<()> {
    let mut attempt = Attempt { session, user: &target.user, log, tried: Vec::new() };
    let methods = attempt.none()?;
    // The keys that were named go first: an agent with many others would use up the server's patience.
    let done = session.authenticated()
        || methods.contains("publickey")
            && (attempt.files(&target.identities, true)
                || attempt.agent()
                || attempt.files(&target.more_identities, false))
        // Not only if it was offered: after a key a server may want a password, too.
        || target.password.as_ref().is_some_and(|password| attempt.password(password.expose()));
    if done {
        return Ok(());
    }
    let tried = match attempt.tried.is_empty() {
        true => "nothing to try".to_owned(),
        false => attempt.tried.join("; "),
    };
    Err(Error::new(
        EACCES,
        format!(
            "all possible authentication methods failed for {} at {}, which accepts {}: {tried}",
            target.user,
            target.host,
            methods.escape_debug()
        ),
    ))
}

struct Attempt<'a> {
    session: &'a Session,
    user: &'a str,
    log: &'a Log,
    /// What did not work, and why.
    tried: Vec<String>,
}

impl Attempt<'_> {
    /// Which methods the server accepts; it may let us in with none.
    fn none(&self) -> Result<String> {
        // The crate unwraps when the list is not UTF-8, and the server is to blame for that.
        let methods =
            catch_unwind(AssertUnwindSafe(|| self.session.auth_methods(self.user).map(str::to_owned)));
        match methods {
            Ok(Ok(methods)) => Ok(methods),
            Ok(Err(error)) => Err(Error::new(EACCES, format!("cannot log in: {}", error.message()))),
            Err(_) => Err(Error::new(EACCES, "cannot log in: the server's list of methods is not text")),
        }
    }

    /// Keys of the user's agent, if there is one.
    fn agent(&mut self) -> bool {
        let Ok(mut agent) = self.session.agent() else { return false };
        if let Err(error) = agent.connect().and_then(|()| agent.list_identities()) {
            self.log.debug(format_args!("no agent: {}", error.message()));
            return false;
        }
        let keys = agent.identities().unwrap_or_default();
        keys.iter().any(|key| {
            let result = agent.userauth(self.user, key);
            self.judge(&format!("agent's key {}", key.comment().escape_debug()), result)
        })
    }

    /// Private keys in files. Those that are `named` by the user should be there.
    fn files(&mut self, files: &[impl AsRef<Path>], named: bool) -> bool {
        files.iter().map(AsRef::as_ref).any(|file| {
            if !named && !file.exists() {
                return false;
            }
            let what = format!("key {}", file.display());
            // Looked at first: libssh2 says the same of a file that is not there and of one that is no key.
            if let Err(error) = std::fs::File::open(file) {
                self.tried.push(format!("{what}: {}", Error::from(error)));
                return false;
            }
            let result = self.session.userauth_pubkey_file(self.user, None, file, None);
            self.judge(&what, result)
        })
    }

    fn password(&mut self, password: &[u8]) -> bool {
        match std::str::from_utf8(password) {
            Ok(password) => {
                let result = self.session.userauth_password(self.user, password);
                self.judge("password", result)
            }
            Err(_) => {
                self.tried.push("password: not sent, because it is not UTF-8".to_owned());
                false
            }
        }
    }

    fn judge(&mut self, what: &str, result: std::result::Result<(), ssh2::Error>) -> bool {
        let why = match result {
            Ok(()) if self.session.authenticated() => return true,
            Ok(()) => "accepted, but something else is wanted as well".to_owned(),
            Err(error) => error.message().escape_debug().to_string(),
        };
        self.log.debug(format_args!("{what}: {why}"));
        self.tried.push(format!("{what}: {why}"));
        false
    }
}
