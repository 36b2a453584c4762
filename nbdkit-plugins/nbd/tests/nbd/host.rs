// SPDX-License-Identifier: BSD-3-Clause
//! [`Host`]: the plugin, as a server leads it through its life.

use async_executor::Executor;
use futures_lite::future::block_on;
use nbdkit_nbd_plugin::PLUGIN;
use nbdkit_plugin::*;
use std::{fmt, future::Future, sync::mpsc, thread, time::Duration};

/// After this long without an answer a thing counts as hung.
pub const HANG: Duration = Duration::from_secs(60);

/// Nobody listens, but what is said is put into words.
struct Silence;

impl LogSink for Silence {
    fn error(&self, _: &str, message: fmt::Arguments<'_>) {
        drop(message.to_string());
    }

    fn debug(&self, who: &str, message: fmt::Arguments<'_>) {
        self.error(who, message);
    }

    fn verbose(&self) -> bool {
        true
    }
}

/// A plugin that serves.
#[derive(Clone)]
pub struct Host {
    plugin: Arc<dyn Plugin>,
    server: Server,
    executor: Arc<Executor<'static>>,
}

impl Host {
    /// Configures and starts it.
    pub fn start(params: &[(&str, &str)]) -> Result<Host> {
        let mut plugin = (PLUGIN.create)();
        for (key, value) in params {
            assert_eq!(plugin.config(key, value.as_ref())?, Taken::Yes, "{key}");
        }
        plugin.config_complete()?;
        plugin.get_ready()?;
        let executor: Arc<Executor<'static>> = Arc::default();
        let server = Server::new(executor.clone(), Arc::new(Silence));
        block_on(executor.run(async { plugin.after_fork(&server).await }))?;
        Ok(Host { plugin: plugin.into(), server, executor })
    }

    /// Runs a future to its end, which must come.
    #[track_caller]
    pub fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        let (executor, (done, wait)) = (self.executor.clone(), mpsc::channel());
        thread::spawn(move || done.send(block_on(executor.run(future))));
        wait.recv_timeout(HANG).expect("it hangs or has panicked")
    }

    pub fn connection(&self) -> Connection {
        Connection::new(&self.server, 1, Peer::Other)
    }

    pub fn request(&self, export: &str) -> OpenRequest {
        OpenRequest::new(&self.connection(), export).to("nbd")
    }

    pub fn open_for(&self, req: OpenRequest) -> Result<Arc<dyn Disk>> {
        let plugin = self.plugin.clone();
        self.run(async move { plugin.open(req).await })
    }

    pub fn open(&self, export: &str) -> Result<Arc<dyn Disk>> {
        self.open_for(self.request(export))
    }

    pub fn list(&self) -> Result<Option<Vec<Export>>> {
        let (plugin, req) = (self.plugin.clone(), self.request(""));
        self.run(async move { plugin.list_exports(req).await })
    }

    pub fn default_export(&self) -> Result<Option<String>> {
        let (plugin, req) = (self.plugin.clone(), self.request(""));
        self.run(async move { plugin.default_export(req).await })
    }

    pub fn cleanup(&self) -> Result<()> {
        let plugin = self.plugin.clone();
        self.run(async move { plugin.cleanup().await })
    }

    /// All bytes of a read.
    pub fn read(&self, disk: &Arc<dyn Disk>, offset: u64, len: u32) -> Result<Vec<u8>> {
        let disk = disk.clone();
        self.run(async move {
            let data = disk.pread(len, offset).await?;
            Ok(data.into_buf(&Pool::new()).await?.to_vec())
        })
    }
}
