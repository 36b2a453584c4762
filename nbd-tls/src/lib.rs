// SPDX-License-Identifier: BSD-3-Clause
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod acceptor;
mod buffer;
mod certificates;
mod connector;
mod directory;
mod engine;
mod error;
mod library;
mod name;
mod pem;
mod priority;
mod private_key;
mod psk;
mod session;

pub use acceptor::Acceptor;
pub use connector::{ClientCertificates, Connector};
pub use directory::Directory;
pub use engine::{Engine, Read};
pub use error::{Error, ErrorKind};
pub use priority::Priority;
pub use session::{PeerCertificate, Session};
