// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod client;
mod cookies;
mod disk;
mod failure;
mod header;
mod locate;
mod location;
mod params;
mod range;
mod remote;
mod resolver;
mod script;
mod tls;
mod trust_all;
mod watch;
mod words;
mod worker;

use disk::CurlDisk;
use location::{Location, allowed, shown};
use nbdkit_plugin::*;
use params::{DebugFlags, Params};
use remote::Remote;
use worker::Worker;

/// The plugin, for the server's registry.
pub static PLUGIN: PluginEntry = PluginEntry::new::<Curl>("curl", "a disk behind an HTTP or HTTPS URL")
    .callbacks(&["dump_plugin", "can_write", "can_multi_conn", "pwrite"]);

#[derive(Default)]
struct Curl {
    params: Params,
    debug: DebugFlags,
    /// Set by `get_ready`: files are read while paths mean what the user meant.
    remote: Option<Arc<Remote>>,
    /// Set by `after_fork`.
    worker: Option<Arc<Worker>>,
    log: Option<Log>,
}

impl Plugin for Curl {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.debug)
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn config_complete(&mut self) -> Result<()> {
        self.params.complete()?;
        self.params.go_together()?;
        let location = Location::parse(&self.params.url.0)?;
        allowed(&location.url, self.params.protocols)
    }

    fn get_ready(&mut self) -> Result<()> {
        self.remote = Some(Arc::new(Remote::new(&self.params, &self.debug)?));
        Ok(())
    }

    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        Op::now(|| {
            let log = server.log().named(PLUGIN.name);
            if let Some(remote) = &self.remote {
                log.debug(format_args!("url: {}", shown(&remote.url)));
            }
            self.worker = Some(Arc::new(Worker::start()?));
            self.log = Some(log);
            Ok(())
        })
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        match (&self.remote, &self.worker) {
            (Some(remote), Some(worker)) => CurlDisk::open(remote.clone(), worker.clone(), req),
            _ => Op::err(Error::invalid("after_fork was not called")),
        }
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        Op::blocking(move || {
            if let Some(worker) = &self.worker {
                worker.stop();
            }
            if let (Some(remote), Some(log)) = (&self.remote, &self.log) {
                remote.watch.sum_up(log);
            }
            Ok(())
        })
    }

    fn dump(&self) -> Vec<(&'static str, String)> {
        vec![("curl_protocols", "http,https".to_owned())]
    }
}
