// SPDX-License-Identifier: BSD-3-Clause
//! [`Target`]: which file on which machine, as whom; from the parameters and from the user's ssh configuration.

use crate::{
    Params,
    chatter::{Chatter, DebugFlags},
    config::{Config, Place, Remark},
    expand::Tokens,
};
use nbdkit_plugin::{Error, Log, Result, Secret};
use nix::unistd::{User, gethostname, getuid};
use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::Duration,
};

const SYSTEM: &str = "/etc/ssh";
/// What ssh tries, in that order, below `~/.ssh`.
const IDENTITIES: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];
/// How long a server may say nothing while we log in.
const LOGIN: Duration = Duration::from_secs(30);

/// All that is needed to open the file. Made once, before the server leaves the user's directory.
#[derive(Debug)]
pub(crate) struct Target {
    /// Name or address of the machine.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    /// Private keys the user has named on the command line.
    pub identities: Vec<PathBuf>,
    /// Those from the configuration, or the usual ones.
    pub more_identities: Vec<PathBuf>,
    pub known_hosts: Vec<PathBuf>,
    pub verify: bool,
    pub compression: bool,
    /// For every request.
    pub timeout: Option<Duration>,
    /// Bytes, as the server will get them.
    pub path: Vec<u8>,
    pub chatter: Chatter,
    remarks: Vec<Remark>,
}

impl Target {
    /// Reads the configuration.
    pub(crate) fn new(params: &Params, debug: &DebugFlags) -> Result<Target> {
        let me = User::from_uid(getuid()).ok().flatten();
        let home = me.as_ref().map(|me| me.dir.clone()).or_else(std::env::home_dir).unwrap_or("/".into());
        let directory = home.join(".ssh");
        let local_user = me.map(|me| me.name).or_else(|| std::env::var("USER").ok());
        let local_host = gethostname().unwrap_or_default().to_string_lossy().into_owned();

        let mut tokens = Tokens {
            home: &home,
            directory: &directory,
            local_user: local_user.as_deref().unwrap_or_default(),
            local_host: &local_host,
            host: &params.host,
            user: params.user.as_deref().unwrap_or_default(),
            port: params.port.map_or(22, |port| port.0),
        };
        let config = config(params, &tokens)?;
        let host = match &config.host_name {
            Some(name) => name.replace("%h", &params.host).replace("%%", "%"),
            None => params.host.to_string(),
        };
        if host.is_empty() || host.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(Error::invalid(format!(
                "host: '{}' should be a name or an address",
                host.escape_debug()
            )));
        }
        let user = params.user.clone().or(config.user).or(local_user.clone()).ok_or_else(|| {
            Error::invalid("user: you must supply the user parameter, because the local user has no name")
        })?;
        let port = params.port.map(|port| port.0).or(config.port).unwrap_or(22);
        (tokens.host, tokens.user, tokens.port) = (&host, &user, port);

        let given = |key: &str, name: &OsStr| {
            tokens.path(&name.to_string_lossy()).map_err(|why| Error::invalid(format!("{key}: {why}")))
        };
        let identities =
            params.identities.iter().map(|name| given("identity", name)).collect::<Result<_>>()?;
        let mut remarks = config.remarks;
        // In a configuration %d is the home itself (ssh_config(5)).
        let mut paths = |names: Vec<String>| {
            let in_config = Tokens { directory: &home, ..tokens };
            let paths = names.iter().filter(|name| !name.eq_ignore_ascii_case("none"));
            let paths = paths.filter_map(|name| {
                let remark = |text| remarks.push(Remark { serious: false, text });
                in_config.path(name).map_err(remark).ok()
            });
            paths.collect::<Vec<_>>()
        };
        let more_identities = match config.identities.is_empty() {
            true => IDENTITIES.map(|name| directory.join(name)).into(),
            false => paths(config.identities),
        };
        let known_hosts = match (&params.known_hosts, config.known_hosts) {
            (Some(file), _) => vec![given("known-hosts", file)?],
            (None, names) => {
                let mut files = names.map_or_else(|| vec![directory.join("known_hosts")], paths);
                files.push(Path::new(SYSTEM).join("ssh_known_hosts"));
                files
            }
        };
        Ok(Target {
            port,
            password: params.password.clone(),
            identities,
            more_identities,
            known_hosts,
            verify: params.verify,
            compression: params.compression,
            timeout: params.timeout.filter(|timeout| !timeout.is_zero()),
            path: params.path.as_bytes().to_vec(),
            chatter: Chatter::new(debug),
            remarks,
            host,
            user,
        })
    }

    /// How long the server may say nothing before we are logged in.
    pub(crate) fn login_timeout(&self) -> Duration {
        self.timeout.unwrap_or(LOGIN)
    }

    /// The path for messages.
    pub(crate) fn shown_path(&self) -> String {
        String::from_utf8_lossy(&self.path).escape_debug().to_string()
    }

    /// Says what in the configuration has no effect: aloud where it changes which machine is reached.
    pub(crate) fn speak(&self, log: &Log) {
        for remark in &self.remarks {
            match remark.serious {
                true => log.error(format_args!("warning: {}", remark.text)),
                false => log.debug(format_args!("{}", remark.text)),
            }
        }
    }
}

fn config(params: &Params, tokens: &Tokens) -> Result<Config> {
    let mut config = Config::default();
    let mut read = |path: &Path, directory: &Path| {
        config.read(path, &params.host, &Place { directory, home: tokens.home });
    };
    match &params.config {
        None => {
            read(&tokens.directory.join("config"), tokens.directory);
            read(&Path::new(SYSTEM).join("ssh_config"), Path::new(SYSTEM));
        }
        Some(none) if none.is_empty() => {}
        Some(name) => {
            let path = tokens.path(&name.to_string_lossy());
            let path = path.map_err(|why| Error::invalid(format!("config: {why}")))?;
            read(&path, tokens.directory);
        }
    }
    Ok(config)
}
