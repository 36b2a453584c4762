// SPDX-License-Identifier: BSD-3-Clause
//! What the author of an nbdkit filter sees.
//!
//! A **filter** ([`Filter`]) stands between the client and what is behind it: the plugin or another filter, which it
//! sees as [`Next`]. For each connection it opens the disk behind and may put a **layer** in front of it.
//! Everything of `nbdkit-plugin` is re-exported here.
//!
//! ```
//! use nbdkit_filter::*;
//!
//! /// Hides that a disk can be written.
//! #[derive(Default)]
//! struct ReadOnly;
//! impl Filter for ReadOnly {
//!     fn open(self: Arc<Self>, next: Next, req: OpenRequest) -> Opened {
//!         next.open(req).layer(|next| {
//!             let info = next.info().with(Info::without_writing);
//!             Ok(Hidden { next, info })
//!         })
//!     }
//! }
//!
//! struct Hidden { next: Arc<dyn Disk>, info: Info }
//! impl Layer for Hidden {
//!     fn next(&self) -> &dyn Disk { &*self.next }
//!     fn info(&self) -> &Info { &self.info }
//! }
//!
//! pub static FILTER: FilterEntry = FilterEntry::new::<ReadOnly>("readonly", "hides that a disk can be written");
//! ```
//!
//! A filter whose disk is replaced while it is open (one that reopens after an error) implements [`Disk`] itself:
//! it has no `&dyn Disk` to lend.
#![forbid(unsafe_code)]

mod filter;
mod gate;
mod ground;
mod next;
mod window;

#[cfg(feature = "testing")]
pub mod testing;

pub use filter::{Filter, FilterEntry, OpenedExt};
pub use nbdkit_plugin::*;
pub use next::{Below, Next};
pub use window::Window;
