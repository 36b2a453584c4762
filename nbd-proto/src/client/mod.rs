// SPDX-License-Identifier: BSD-3-Clause
//! The client half.
//!
//! A [`Handshake`] works towards a [`Goal`] and, if that is to use an export, ends in a [`Session`], which
//! turns requests into bytes and bytes into replies. The program that owns the socket is called the driver
//! here.
//!
//! # Order of calls
//!
//! 1. [`Handshake::new`], then again and again [`Handshake::step`], doing what it says:
//!    - [`Step::NeedInput`]: read from the server and [`feed`](Handshake::feed); at its end call
//!      [`eof`](Handshake::eof). `feed` takes what belongs to the next message and no more. Keep the rest and
//!      feed it when input is needed again.
//!    - [`Step::Send`]: write [`output`](Handshake::output) to the server and report it with
//!      [`sent`](Handshake::sent).
//!    - [`Step::StartTls`]: do the TLS handshake, then call [`tls_started`](Handshake::tls_started). On
//!      failure close the connection.
//!    - [`Step::Event`]: something the server said, to keep or to ignore.
//!    - [`Step::Finished`] or [`Step::Failed`]: close.
//!    - [`Step::Done`]: go on with the session. Bytes that were received but not taken are its first replies.
//! 2. For each request choose a cookie that is not in use, send [`Session::encode`], for a write followed by
//!    the payload, and remember the [`Request`](crate::Request).
//! 3. [`Session::decode`] on the received bytes, again and again, doing what [`Decoded`] says. The data of a
//!    read follows its head and is the driver's to receive, straight to where it shall go. A request is
//!    answered when a reply that is `last` has come, and has succeeded if none of its replies was an error. A
//!    read has succeeded only if data and holes add up to its length.
//! 4. When nothing is in flight any more, send [`Session::disconnect`] and close.
//!
//! No method panics, blocks, or allocates more than its documentation says, whatever the server sends.

mod config;
mod decode;
mod encode;
mod failure;
mod handshake;
mod options;
mod reply;
mod session;
mod step;

pub use config::{Config, Goal, Tls};
pub use decode::{Decoded, MAX_REPLY};
pub use encode::EncodeError;
pub use failure::Failure;
pub use handshake::Handshake;
pub use reply::{Extents, Fatal, Reply};
pub use session::Session;
pub use step::{Event, Step};
