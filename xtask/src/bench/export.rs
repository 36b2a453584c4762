// SPDX-License-Identifier: BSD-3-Clause
//! What is served: a disk in a file or in memory, full of data or nearly empty.

use std::fs::{self, OpenOptions};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use nbd_proto::Command;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::connection::{Address, Connection};
use super::content::Content;
use super::load::{Job, Until, drive};
use super::source::Source;
use super::walk::Order;
use crate::process::{Context, Result};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Bytes of the requests that fill a disk; each run of data is made of such pieces.
const PIECE: u64 = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Memory,
    /// A file that somebody else serves.
    Remote(Source),
}

/// A disk to be served.
#[derive(Clone, Debug)]
pub struct Export {
    pub kind: Kind,
    /// As the tables of the report call it.
    pub name: &'static str,
    /// Where the file is; unused for memory.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Data fills the first bytes of every so many; the rest is never written.
    data: (u64, u64),
    /// Plugin and parameters that serve it.
    pub plugin: Vec<String>,
    pub filters: Vec<&'static str>,
    /// Of the filters.
    pub parameters: Vec<&'static str>,
}

impl Export {
    fn new(kind: Kind, name: &'static str, size: u64, data: (u64, u64), folder: &Path) -> Export {
        let path = folder.join(format!("{}.img", name.replace(' ', "-")));
        let plugin = match kind {
            Kind::Memory => vec!["memory".to_owned(), size.to_string()],
            // That of something remote is known when its source is up.
            Kind::File | Kind::Remote(_) => vec!["file".to_owned(), path.display().to_string()],
        };
        Export { kind, name, path, size, data, plugin, filters: Vec::new(), parameters: Vec::new() }
    }

    /// 1 GiB of data in the page cache, or in memory.
    pub fn full(kind: Kind, folder: &Path) -> Export {
        let name = if kind == Kind::File { "file" } else { "memory" };
        Export::new(kind, name, GIB, (1, 1), folder)
    }

    /// 1 GiB of data that somebody else serves.
    pub fn remote(source: Source, folder: &Path) -> Export {
        let name = match source {
            Source::Http => "curl from nginx",
            Source::FarHttp => "curl from nginx 20 ms away",
            Source::Ssh => "ssh from sshd",
            Source::Nbd => "nbd from qemu-nbd",
        };
        Export::new(Kind::Remote(source), name, GIB, (1, 1), folder)
    }

    /// The file behind something remote, to be filled.
    pub fn behind(&self) -> Export {
        let plugin = vec!["file".to_owned(), self.path.display().to_string()];
        Export { kind: Kind::File, plugin, ..self.clone() }
    }

    /// 64 GiB with 1 GiB of data in runs of 1 MiB.
    pub fn sparse(kind: Kind, folder: &Path) -> Export {
        let name = if kind == Kind::File { "sparse file" } else { "sparse memory" };
        Export::new(kind, name, 64 * GIB, (MIB, 64 * MIB), folder)
    }

    /// 16 GiB with 1 % of data in runs of 1 MiB.
    pub fn empty(kind: Kind, folder: &Path) -> Export {
        let name = if kind == Kind::File { "empty file" } else { "empty memory" };
        Export::new(kind, name, 16 * GIB, (MIB, 100 * MIB), folder)
    }

    /// 8 GiB of data that is to be on disk and not in the page cache.
    pub fn cold(folder: &Path) -> Export {
        Export::new(Kind::File, "cold file", 8 * GIB, (1, 1), folder)
    }

    /// Memory whose reads wait for a millisecond.
    pub fn slow(folder: &Path) -> Export {
        let slow = Export::new(Kind::Memory, "slow memory", 64 * MIB, (1, 1), folder);
        Export { filters: vec!["delay"], parameters: vec!["rdelay=1ms"], ..slow }
    }

    /// 64 MiB of data in memory.
    pub fn small(folder: &Path) -> Export {
        Export::new(Kind::Memory, "small memory", 64 * MIB, (1, 1), folder)
    }

    /// Makes the file, empty; whatever was there is gone.
    pub fn create(&self) -> Result {
        if self.kind == Kind::Memory {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&self.path);
        file.and_then(|file| file.set_len(self.size)).context(self.path.display())
    }

    /// Writes the data, through the server.
    pub fn fill(&self, address: &Address) -> Result<Content> {
        let content = Content::new(self.size);
        let job = Job {
            command: Command::Write,
            order: Order::Sequential,
            size: PIECE as usize,
            depth: 8,
            connections: 1,
        };
        let (run, every) = self.data;
        let places = (0..self.size / PIECE).map(|place| place * PIECE).filter(|at| at % every < run);
        let until = Until::Requests(places.clone().count() as u64);
        drive(&mut Connection::open(address)?, &content, job, until, places)?;
        Ok(content)
    }

    /// Brings what was written to the disk, so that this does not happen while another server is measured.
    pub fn settle(&self) -> Result {
        if self.kind == Kind::Memory {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&self.path);
        file.and_then(|file| file.sync_data()).context(self.path.display())
    }

    /// Drops the file from the page cache. No server may have it open: pages in use stay.
    pub fn chill(&self) -> Result {
        self.settle()?;
        let file = fs::File::open(&self.path).context(self.path.display())?;
        posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .map_err(|e| format!("{}: posix_fadvise: {e}", self.path.display()).into())
    }

    /// Removes the file.
    pub fn remove(&self) {
        if self.kind != Kind::Memory {
            let _ = fs::remove_file(&self.path);
        }
    }
}
