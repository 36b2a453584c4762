// SPDX-License-Identifier: BSD-3-Clause
//! [`Settings`]: the parameters, checked, as what is to be done.

use crate::{
    endpoint::{Endpoint, check_socket, tcp_port, vsock_port},
    params::Params,
    program,
    uri::{Place, Uri},
};
use nbd_proto::{client::Tls, wire::MAX_STRING};
use nbdkit_plugin::{Error, Result};
use std::path::{Path, PathBuf};

const NONE: &str = "exactly one of ‘socket’, ‘hostname’, ‘vsock’, ‘command’, ‘socket-fd’ and ‘uri’ parameters must be specified";
const MIXED: &str =
    "cannot mix Unix ‘socket’, TCP ‘hostname’/‘port’, ‘vsock’, ‘command’, ‘socket-fd’ and ‘uri’ parameters";
const PORT: &str = "‘port’ parameter should only be used with ‘hostname’ or ‘vsock’";

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Settings {
    pub endpoint: Endpoint,
    /// Which export; `None`: the one that the client names.
    pub export: Option<String>,
    /// How often a connection is tried again.
    pub retry: u32,
    /// One connection for all clients.
    pub shared: bool,
    pub tls: Tls,
    pub trust: Trust,
}

/// How the server proves who it is, and we who we are.
#[derive(Debug, PartialEq)]
pub(crate) enum Trust {
    Certificates {
        directory: Option<PathBuf>,
        verify: bool,
        /// The name that the certificate must have.
        server: String,
    },
    Psk {
        file: PathBuf,
        /// `None`: the user's own name.
        username: Option<String>,
    },
}

impl Settings {
    /// # Errors
    /// Parameters that do not go together or are missing; values that cannot be right.
    pub(crate) fn new(params: &Params) -> Result<Settings> {
        let uri = params.uri.as_deref().map(Uri::parse).transpose()?;
        let endpoint = endpoint(params, uri.as_ref())?;
        let spawned = matches!(endpoint, Endpoint::Command { .. } | Endpoint::SocketFd(_));
        let shared = params.shared.unwrap_or(spawned);
        let export = export(params, uri.as_ref())?;
        if export.is_none() && shared {
            return Err(Error::invalid("cannot use 'dynamic-export' with shared connection"));
        }
        if spawned && !shared {
            return Err(Error::invalid(
                "shared=false cannot be used with ‘command’ and ‘socket-fd’, which make one connection",
            ));
        }
        let (tls, trust) = tls(params, uri.as_ref(), &endpoint)?;
        Ok(Settings { endpoint, export, retry: params.retry, shared, tls, trust })
    }
}

fn endpoint(params: &Params, uri: Option<&Uri>) -> Result<Endpoint> {
    let given = [
        uri.is_some(),
        params.socket.is_some(),
        params.hostname.is_some(),
        params.vsock.is_some(),
        params.command.is_some(),
        params.socket_fd.is_some(),
    ];
    match given.iter().filter(|given| **given).count() {
        0 => return Err(Error::invalid(NONE)),
        1 if params.args.is_empty() || params.command.is_some() => {}
        _ => return Err(Error::invalid(MIXED)),
    }
    if params.port.is_some() && params.hostname.is_none() && params.vsock.is_none() {
        return Err(Error::invalid(PORT));
    }
    let port = params.port.as_deref();
    let of_uri = uri.map(|uri| match &uri.place {
        Place::Tcp { host, port } => {
            Ok(Endpoint::Tcp { host: host.clone(), port: tcp_port(port.as_deref())? })
        }
        Place::Unix(path) => Ok(Endpoint::Unix(check_socket(Path::new(path))?)),
        Place::Vsock { cid, port } => Ok(Endpoint::Vsock { cid: *cid, port: vsock_port(port.as_deref())? }),
    });
    match (of_uri, params) {
        (Some(of_uri), _) => of_uri,
        (_, Params { socket: Some(path), .. }) => Ok(Endpoint::Unix(check_socket(path)?)),
        (_, Params { hostname: Some(host), .. }) => {
            Ok(Endpoint::Tcp { host: host.clone(), port: tcp_port(port)? })
        }
        (_, Params { vsock: Some(cid), .. }) => Ok(Endpoint::Vsock { cid: *cid, port: vsock_port(port)? }),
        (_, Params { command: Some(command), args, .. }) => {
            Ok(Endpoint::Command { program: program::find(command)?, args: args.clone() })
        }
        (_, Params { socket_fd: Some(fd), .. }) => Ok(Endpoint::SocketFd(fd.0)),
        _ => Err(Error::invalid(NONE)),
    }
}

fn export(params: &Params, uri: Option<&Uri>) -> Result<Option<String>> {
    if params.dynamic_export {
        return match &params.export {
            Some(_) => Err(Error::invalid("cannot mix 'dynamic-export' with explicit export name")),
            None => Ok(None),
        };
    }
    let of_uri = uri.map(|uri| &uri.export).filter(|export| !export.is_empty());
    let export = match (of_uri, &params.export) {
        (Some(of_uri), Some(given)) if of_uri != given => {
            return Err(Error::invalid(format!(
                "export={given} contradicts the URI, which names the export {of_uri}"
            )));
        }
        (Some(export), _) | (None, Some(export)) => export.clone(),
        (None, None) => String::new(),
    };
    if export.len() > MAX_STRING {
        let len = export.len();
        return Err(Error::invalid(format!("export name too long: {len} bytes, at most {MAX_STRING}")));
    }
    Ok(Some(export))
}

fn tls(params: &Params, uri: Option<&Uri>, endpoint: &Endpoint) -> Result<(Tls, Trust)> {
    let directory = uri.and_then(|uri| uri.tls_certificates.as_ref()).or(params.tls_certificates.as_ref());
    let psk = uri.and_then(|uri| uri.tls_psk.as_ref()).or(params.tls_psk.as_ref());
    let username = uri.and_then(|uri| uri.username.as_ref()).or(params.tls_username.as_ref());
    let verify = uri.and_then(|uri| uri.tls_verify).or(params.tls_verify);
    let mentioned = directory.is_some() || psk.is_some() || username.is_some() || verify.is_some();
    let mode = match params.tls {
        _ if uri.is_some_and(|uri| uri.tls) => Tls::Required,
        Some(mode) => mode.0,
        None if mentioned => Tls::Preferred,
        None => Tls::Off,
    };
    let trust = match (psk, directory) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid(
                "cannot use both tls-psk and tls-certificates: the server has one or the other",
            ));
        }
        (Some(file), None) => Trust::Psk { file: file.clone(), username: username.cloned() },
        (None, directory) => Trust::Certificates {
            directory: directory.cloned(),
            verify: verify.unwrap_or(true),
            server: server_name(uri, endpoint),
        },
    };
    Ok((mode, trust))
}

/// The name that the server's certificate must have.
fn server_name(uri: Option<&Uri>, endpoint: &Endpoint) -> String {
    match (uri.and_then(|uri| uri.tls_hostname.clone()), endpoint) {
        (Some(name), _) => name,
        (None, Endpoint::Tcp { host, .. }) => host.clone(),
        // It is on this machine, and its certificate says so.
        (None, _) => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbdkit_plugin::ParamSet;

    fn settings(words: &[&str]) -> Result<Settings> {
        let mut params = Params::default();
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            params.set(key, value.as_ref())?;
        }
        Settings::new(&params)
    }

    #[test]
    fn one_server_and_no_contradictions() {
        let long = format!("export={}", "x".repeat(4097));
        let far = format!("socket=/{}", "x".repeat(108));
        for (words, why) in [
            (&[][..], NONE),
            (&["port=3"], NONE),
            (&["arg=x"], NONE),
            (&["hostname=a", "socket=b"], MIXED),
            (&["uri=nbd://h", "socket=b"], MIXED),
            (&["socket=b", "arg=x"], MIXED),
            (&["socket=b", "port=3"], PORT),
            (&["uri=nbd://h", "port=3"], PORT),
            (&["hostname=h", "port=no-such-service"], "no-such-service"),
            (&["hostname=h", "port=65536"], "65536"),
            (&["vsock=2", "port=nbd"], "nbd"),
            (&["vsock=2", "port=4294967296"], "4294967296"),
            (&["socket=b", "dynamic-export=true", "export=x"], "cannot mix 'dynamic-export'"),
            (&["socket=b", "dynamic-export=true", "shared=true"], "cannot use 'dynamic-export' with shared"),
            (&["command=true", "dynamic-export=true"], "cannot use 'dynamic-export' with shared"),
            (&["command=true", "shared=false"], "shared=false"),
            (&["command=no-such-program"], "no-such-program"),
            (&["uri=nbd://h/a", "export=b"], "contradicts"),
            (&["socket=b", &long], "4097"),
            (&[&far], "socket file name too large"),
            (&["socket-fd=-1"], "socket-fd must be >= 0"),
            (&["socket=b", "tls-psk=/p", "tls-certificates=/c"], "both"),
            (&["socket=b", "tls=perhaps"], "could not decipher boolean (perhaps)"),
        ] {
            let error = settings(words).unwrap_err().to_string();
            assert!(error.contains(why) && error.lines().count() == 1, "{words:?}: {error}");
        }
    }

    #[test]
    fn defaults_follow_from_what_is_given() {
        let plain = settings(&["socket=/s"]).unwrap();
        assert_eq!((plain.tls, plain.shared, plain.export.as_deref()), (Tls::Off, false, Some("")));
        assert!(settings(&["command=true"]).unwrap().shared);
        assert!(settings(&["socket-fd=3"]).unwrap().shared);
        assert_eq!(settings(&["socket=/s", "dynamic-export=1"]).unwrap().export, None);
        assert_eq!(settings(&["uri=nbd://h/a", "dynamic-export=1"]).unwrap().export, None);
        for (words, mode) in [
            (&["socket=/s", "tls-verify=false"][..], Tls::Preferred),
            (&["socket=/s", "tls-psk=/p"], Tls::Preferred),
            (&["socket=/s", "tls-psk=/p", "tls=off"], Tls::Off),
            (&["uri=nbds://h", "tls=off"], Tls::Required),
            (&["uri=nbd://h", "tls=require"], Tls::Required),
            (&["uri=nbd://h"], Tls::Off),
        ] {
            assert_eq!(settings(words).unwrap().tls, mode, "{words:?}");
        }
        let server = |words: &[&str]| match settings(words).unwrap().trust {
            Trust::Certificates { server, .. } => server,
            Trust::Psk { .. } => panic!("{words:?}"),
        };
        assert_eq!(server(&["hostname=a.example"]), "a.example");
        assert_eq!(server(&["uri=nbds://a.example/?tls-hostname=b.example"]), "b.example");
        assert_eq!(server(&["socket=/s"]), "localhost");
    }
}
