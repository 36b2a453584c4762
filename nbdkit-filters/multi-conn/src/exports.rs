// SPDX-License-Identifier: BSD-3-Clause
//! [`Exports`]: which connections belong together, and what has happened on them.

use crate::together::Member;
use nbdkit_filter::Arc;
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

/// Connections that may see the same data.
#[derive(Default)]
pub(crate) struct Group {
    /// How many writes were answered.
    writes: AtomicU64,
    /// How many of them all connections have flushed.
    pub(crate) flushed: AtomicU64,
    members: Mutex<Vec<Weak<Member>>>,
}

impl Group {
    /// A write, zero or trim is about to be answered, well or not.
    pub(crate) fn wrote(&self) {
        self.writes.fetch_add(1, SeqCst);
    }

    /// Changes with every write.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(SeqCst)
    }

    pub(crate) fn join(&self, member: &Arc<Member>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| member.strong_count() > 0);
        members.push(Arc::downgrade(member));
    }

    /// Those that are still there.
    pub(crate) fn members(&self) -> Vec<Arc<Member>> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.iter().filter_map(Weak::upgrade).collect()
    }
}

/// An export that some connections have open.
pub(crate) struct Export {
    /// Those that may see the same data: that of this export alone, or all.
    pub(crate) group: Arc<Group>,
    /// How many of the group's writes one connection has flushed on behalf of those that have this export open.
    pub(crate) flushed: AtomicU64,
}

/// All that are open.
#[derive(Default)]
pub(crate) struct Exports {
    all: Arc<Group>,
    open: Mutex<HashMap<Arc<str>, Weak<Export>>>,
}

impl Exports {
    /// A connection opens the export called `name`.
    pub(crate) fn enter(&self, name: &Arc<str>, by_name: bool) -> Arc<Export> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(export) = open.get(name).and_then(Weak::upgrade) {
            return export;
        }
        // Clients choose names: one that nobody has open must not cost memory.
        open.retain(|_, export| export.strong_count() > 0);
        let group = match by_name {
            // What earlier clients wrote may not be flushed: one write more than were flushed.
            true => Arc::new(Group { writes: AtomicU64::new(1), ..Group::default() }),
            false => self.all.clone(),
        };
        let export = Arc::new(Export { group, flushed: AtomicU64::new(0) });
        open.insert(name.clone(), Arc::downgrade(&export));
        export
    }
}
