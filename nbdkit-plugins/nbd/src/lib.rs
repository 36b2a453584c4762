// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![deny(unsafe_code)] // but in `descriptor`

mod client;
mod descriptor;
mod disk;
mod endpoint;
mod fuzz;
mod info;
mod negotiate;
mod params;
mod program;
mod remote;
mod settings;
mod text;
mod transport;
mod uri;

use client::Client;
use disk::NbdDisk;
use endpoint::Endpoint;
#[doc(hidden)]
pub use fuzz::fuzz;
use nbdkit_plugin::*;
use nbdkit_subprocess::Companion;
use params::Params;
use remote::Remote;
use settings::Settings;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<Nbd>("nbd", "the disk of another NBD server").callbacks(&[
        "dump_plugin",
        "after_fork",
        "cleanup",
        "list_exports",
        "default_export",
        "export_description",
        "block_size",
        "can_write",
        "can_flush",
        "is_rotational",
        "can_trim",
        "can_zero",
        "can_fast_zero",
        "can_extents",
        "can_fua",
        "can_multi_conn",
        "can_cache",
        "pwrite",
        "flush",
        "trim",
        "zero",
        "extents",
        "cache",
    ]);

/// A server that was started by us may have much to write out before it ends.
const LAST_WORDS: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Nbd {
    params: Params,
    /// Set by `config_complete`.
    settings: Option<Settings>,
    /// Set by `get_ready`.
    remote: Option<Remote>,
    /// Set by `after_fork` if there is one connection for all.
    shared: Option<Arc<Client>>,
    /// The server, if it was started by us.
    companion: Mutex<Option<Companion>>,
}

impl Nbd {
    fn remote(&self) -> Result<&Remote> {
        self.remote.as_ref().ok_or_else(|| Error::new(ESHUTDOWN, "get_ready was not called"))
    }

    async fn client(&self, req: &OpenRequest) -> Result<Arc<Client>> {
        if let Some(client) = &self.shared {
            client.check()?;
            return Ok(client.clone());
        }
        let remote = self.remote()?;
        let export = remote.settings.export.as_deref().unwrap_or(&req.export);
        let connected = remote.open(export, req.log(), req.connection.gone()).await?;
        Ok(Arc::new(connected.client))
    }

    fn companion(&self) -> Option<Companion> {
        self.companion.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Plugin for Nbd {
    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.settings = Some(Settings::new(&self.params)?);
        Ok(())
    }

    fn get_ready(&mut self) -> Result<()> {
        let settings =
            self.settings.take().ok_or_else(|| Error::invalid("config_complete was not called"))?;
        let inherited = match settings.endpoint {
            Endpoint::SocketFd(number) => Some(descriptor::take_socket(number)?),
            _ => None,
        };
        self.remote = Some(Remote::new(settings, inherited)?);
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        let Nbd { remote: Some(remote), shared, companion, .. } = self else { return Op::ok(()) };
        let (remote, log) = (&*remote, server.log().named("nbd"));
        remote.warnings().iter().for_each(|warning| log.error(format_args!("{warning}")));
        let Some(export) = remote.settings.export.as_deref().filter(|_| remote.settings.shared) else {
            return Op::ok(());
        };
        Op::wait(async move {
            let connected = remote.open(export, &log, server.stopped()).await?;
            *shared = Some(Arc::new(connected.client));
            *companion = Mutex::new(connected.companion);
            Ok(())
        })
    }

    fn list_exports(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        Op::wait(async move {
            let remote = self.remote()?;
            match remote.settings.export {
                Some(_) => Ok(None),
                None => remote.list(req.log(), req.connection.gone()).await.map(Some),
            }
        })
    }

    fn default_export(self: Arc<Self>, req: OpenRequest) -> Op<'static, Option<String>> {
        Op::wait(async move {
            let remote = self.remote()?;
            match &remote.settings.export {
                Some(export) => Ok(Some(export.clone())),
                None => {
                    let name = remote.default_export(req.log(), req.connection.gone()).await;
                    // A server may open its default export, and not tell its name.
                    Ok(Some(name.ok().flatten().unwrap_or_default()))
                }
            }
        })
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        Op::wait(async move {
            let client = self.client(&req).await?;
            let shared = self.shared.is_some();
            let info = info::info(client.session(), shared).map(|mut info| {
                if req.read_only {
                    info.without_writing();
                }
                info
            });
            match info {
                Ok(info) => Ok(Arc::new(NbdDisk::new(client, info, req.pool(), shared)) as Arc<dyn Disk>),
                Err(error) => {
                    if !shared {
                        client.close();
                    }
                    Err(error)
                }
            }
        })
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        if let Some(client) = &self.shared {
            client.close();
        }
        match self.companion() {
            None => Op::ok(()),
            Some(companion) => Op::blocking(move || {
                companion
                    .end(LAST_WORDS)
                    .map_err(|error| Error::io(error, "waiting for the server to end"))?;
                Ok(())
            }),
        }
    }

    /// What scripts look for to know whether the plugin can do it.
    fn dump(&self) -> Vec<(&'static str, String)> {
        ["libnbd_tls", "libnbd_uri", "libnbd_vsock", "libnbd_dynamic_list"]
            .map(|key| (key, "1".to_owned()))
            .into()
    }
}
