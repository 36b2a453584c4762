// SPDX-License-Identifier: BSD-3-Clause
//! The server half.
//!
//! A [`Handshake`] negotiates and ends in a [`Session`], which turns bytes into requests and results into
//! the heads of replies. The program that owns the socket is called the driver here.
//!
//! # Order of calls
//!
//! 1. [`Handshake::new`], then again and again [`Handshake::step`], doing what it says:
//!    - [`Step::Send`]: write [`output`](Handshake::output) to the client and report it with
//!      [`sent`](Handshake::sent).
//!    - [`Step::NeedInput`]: read from the client and [`feed`](Handshake::feed); at its end call
//!      [`eof`](Handshake::eof). `feed` takes what belongs to the next message and no more. Keep the rest and
//!      feed it when input is needed again.
//!    - [`Step::Ask`]: find out and answer. Until then the step stays the same.
//!    - [`Step::StartTls`]: do the TLS handshake, then call [`tls_started`](Handshake::tls_started). Bytes
//!      that were received but not taken are the client's first TLS bytes. On failure close the connection.
//!    - [`Step::Abort`]: close. Everything queued before has been sent.
//!    - [`Step::Done`]: go on with the session. Bytes that were received but not taken are its first
//!      requests.
//! 2. [`Session::decode`] on the buffered bytes, again and again, doing what [`Decoded`] says. The payload of
//!    a write follows its head and is the driver's to read, straight to where it shall go.
//! 3. For each [`Request`](crate::Request) exactly one reply, in any order: [`Session::ok`],
//!    [`Session::read`] followed by the data, [`Session::block_status`], [`Session::error`], or a reply in
//!    [chunks](Session::chunks). What the request needs of itself in the reply is its [`Tag`](crate::Tag).
//!
//! No method panics, blocks, or allocates more than its documentation says, whatever the client sends.

mod abort;
mod answers;
mod check;
mod config;
mod decode;
mod handshake;
mod options;
mod reply;
mod session;
mod step;

pub use abort::Abort;
pub use config::{Config, Style, Tls};
pub use decode::{Decoded, Fatal, Refusal};
pub use handshake::Handshake;
pub use reply::Chunks;
pub use session::Session;
pub use step::{Ask, Step};
