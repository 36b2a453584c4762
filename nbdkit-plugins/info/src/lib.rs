// SPDX-License-Identifier: BSD-3-Clause
//! The info plugin: what the server knows of the client.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod image;
mod mode;

use image::Image;
use mode::Mode;
use nbdkit_plugin::*;
use std::time::Instant;

/// How the plugin is announced.
pub static PLUGIN: PluginEntry =
    PluginEntry::new::<InfoPlugin>("info", "what the server knows of the client").callbacks(&[
        "dump_plugin",
        "can_multi_conn",
        "can_cache",
    ]);

params! {
    struct Params {
        /// What the disk says: `exportname` or `base64exportname` (the name of the export, as it is or decoded),
        /// `address` (of the client), `time`, `uptime` (of the server), `conntime` (of the connection) or `version`.
        [magic] "mode" => mode: Mode = Mode::ExportName,
    }
}

struct InfoPlugin {
    params: Params,
    /// When the server was started.
    started: Instant,
}

impl Default for InfoPlugin {
    fn default() -> Self {
        InfoPlugin { params: Params::default(), started: Instant::now() }
    }
}

/// The version whose behaviour is ours, in the form that clients look for.
const VERSION: &str = "1.48.0";

impl InfoPlugin {
    /// What a client is told.
    ///
    /// # Errors
    /// When the name of the export is not base64, or the client has no address.
    fn image(&self, export: &str, peer: Peer) -> Result<Image> {
        Ok(match self.params.mode {
            Mode::ExportName => Image::Fixed(export.into()),
            Mode::Base64ExportName => {
                Image::Fixed(nbdkit_base64::decode(export.as_bytes()).ok_or_else(|| {
                    Error::invalid(format!("export name {export:?} should be base64, padded with ="))
                })?)
            }
            Mode::Address => Image::Fixed(address(peer)?.into()),
            Mode::Time => Image::Time,
            Mode::UpTime => Image::Since(self.started),
            Mode::ConnTime => Image::Since(Instant::now()),
            Mode::Version => Image::Fixed(VERSION.into()),
        })
    }
}

/// # Errors
/// When it has none.
fn address(peer: Peer) -> Result<String> {
    match peer {
        // Unlike `Display` of the whole, without the scope of link-local addresses.
        Peer::Ip(address) if address.is_ipv6() => Ok(format!("[{}]:{}", address.ip(), address.port())),
        Peer::Ip(address) => Ok(address.to_string()),
        Peer::Unix => Ok("unix".to_owned()),
        Peer::Vsock { cid, port } => Ok(format!("{cid}:{port}")),
        _ => Err(Error::invalid(
            "mode=address: this client has no address, it should come by TCP, vsock or a Unix domain socket",
        )),
    }
}

impl Plugin for InfoPlugin {
    fn dump(&self) -> Vec<(&'static str, String)> {
        // Not every build of nbdkit has these modes.
        ["info_address", "info_base64"].map(|key| (key, "yes".to_owned())).into()
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.params)
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        match self.image(&req.export, req.connection.peer()) {
            // Another connection has another time and perhaps another address.
            Ok(image) => req.inline(InfoDisk { image, multi_conn: self.params.mode.is_of_export() }),
            Err(error) => Op::err(error),
        }
    }
}

struct InfoDisk {
    image: Image,
    multi_conn: bool,
}

impl SyncDisk for InfoDisk {
    fn info(&self) -> Result<Info> {
        let mut info = Info::read_only(self.image.len());
        (info.multi_conn, info.cache) = (self.multi_conn, Support::Native);
        Ok(info)
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.image.read(buf, offset as usize);
        Ok(())
    }

    fn cache(&self, _span: Span) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
