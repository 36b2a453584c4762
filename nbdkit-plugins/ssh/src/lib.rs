// SPDX-License-Identifier: BSD-3-Clause
//! The ssh plugin: a file on another machine, over SFTP.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod auth;
mod chatter;
mod config;
mod disk;
mod expand;
mod known_hosts;
mod lane;
mod lanes;
mod link;
mod login;
mod pattern;
mod promise;
mod pump;
mod remote;
mod target;
mod traffic;
mod values;
mod wire;

use chatter::DebugFlags;
use disk::SshDisk;
use lanes::{Allowance, Lanes};
use nbdkit_plugin::*;
use remote::{How, Remote};
use std::{
    ffi::OsString,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use target::Target;
use values::{Mode, Port};

/// How the plugin is announced.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Ssh>("ssh", "a file on another machine, over SSH")
    .callbacks(&["pwrite", "flush", "can_flush", "can_multi_conn"]);

params! {
    pub(crate) struct Params {
        /// The file on the other machine. A relative path starts in the user's home there.
        [magic] [required "you must supply the host and path parameters after the plugin name on the command line"]
        "path" => path: Required<OsString>,
        /// Name or address of the machine, or a name from the configuration of ssh.
        [required "you must supply the host and path parameters after the plugin name on the command line"]
        "host" => host: Required<String>,
        /// Port of the SSH server: a number or a name of services(5). Without it, as configured, or 22.
        "port" => port: Option<Port>,
        /// User on the other machine. Without it, as configured, or the local user's name.
        "user" => user: Option<String>,
        /// Password to log in with, if no key does. `-` asks for it, `-FD` and `+FILE` read it.
        "password" => password: Option<Secret>,
        /// File with a private key, without a passphrase, to try first.
        "identity" => identities: Vec<OsString>,
        /// File with the keys of known machines, instead of the usual ones.
        "known-hosts" => known_hosts: Option<OsString>,
        /// Configuration of ssh, instead of the user's and the system's. An empty name means none.
        "config" => config: Option<OsString>,
        /// Whether to refuse machines whose keys are not known.
        "verify-remote-host" => verify: bool = true,
        /// Whether to compress. Makes fast connections slower.
        "compression" => compression: bool = false,
        /// How long the server may say nothing, when it has been asked something. Without it, 30 seconds until we are
        /// logged in, and for ever after.
        "timeout" => timeout: Option<Duration>,
        /// Whether to make the file when the first client connects, or replace it if it is there.
        "create" => create: bool = false,
        /// Permissions of the file that is made.
        "create-mode" => create_mode: Mode = Mode(0o600),
        /// Size of the file that is made.
        "create-size" => create_size: Option<Size>,
    }
}

#[derive(Default)]
struct Ssh {
    params: Params,
    debug: DebugFlags,
    /// From `get_ready` on.
    target: Option<Arc<Target>>,
    /// The file has yet to be made.
    create: Mutex<Option<How>>,
    allowance: Allowance,
}

impl Plugin for Ssh {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.complete()?;
        if self.params.path.is_empty() || self.params.host.is_empty() {
            return Err(Error::invalid("host and path must not be empty"));
        }
        let how = match (self.params.create, self.params.create_size) {
            (false, _) => None,
            (true, Some(Size(size))) => Some(How::Create { mode: self.params.create_mode.0, size }),
            (true, None) => {
                return Err(Error::invalid(
                    "if using create=true, you must specify the size of the new remote file using create-size=SIZE",
                ));
            }
        };
        self.create = Mutex::new(how);
        Ok(())
    }

    fn get_ready(&mut self) -> Result<()> {
        self.target = Some(Arc::new(Target::new(&self.params, &self.debug)?));
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        if let Some(target) = &self.target {
            target.speak(&server.log().named("ssh"));
        }
        Op::ok(())
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        Op::wait(async move {
            let Some(target) = self.target.clone() else {
                return Err(Error::invalid("opened before it was ready"));
            };
            let how = if req.read_only { How::Read } else { How::Write };
            let (plugin, log) = (self.clone(), req.log().clone());
            let remote =
                Op::blocking(move || plugin.open_file(&target, how, &log).map(|file| (target, file)));
            let (target, remote) = remote.await?;
            let info = disk::info(&remote, req.read_only);
            let (allowance, connection) = (self.allowance.clone(), req.connection.clone());
            let lanes = Lanes::new(remote, target, how, allowance, connection, req.log().clone());
            Ok(Arc::new(SshDisk::new(info, req.pool(), lanes)) as Arc<dyn Disk>)
        })
    }
}

impl Ssh {
    /// Blocks. Makes the file if nobody has done so yet; who comes meanwhile waits until it is there.
    fn open_file(&self, target: &Target, how: How, log: &Log) -> Result<Remote> {
        let mut create = self.create.lock().unwrap_or_else(PoisonError::into_inner);
        if create.is_none() {
            drop(create);
            return Remote::open(target, how, log);
        }
        let remote = Remote::open(target, create.unwrap_or(how), log)?;
        *create = None;
        Ok(remote)
    }
}
