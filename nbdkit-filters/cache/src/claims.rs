// SPDX-License-Identifier: BSD-3-Clause
//! [`Claims`]: who may touch which blocks. Readers share, whoever changes a block has it alone.

use crate::blocks::Blocks;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// Locks on runs of blocks, first come first served.
///
/// A claim waits only for those that came before it, and nobody waits for a claim while holding another: so all come to
/// their turn. There are as many claims as operations in flight, which is few, so they are simply looked through.
#[derive(Default)]
pub(crate) struct Claims(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    /// By when they came.
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

struct Entry {
    blocks: Blocks,
    alone: bool,
    /// How many that came before are in the way.
    ahead: usize,
    waker: Option<Waker>,
}

impl Entry {
    fn collides(&self, blocks: &Blocks, alone: bool) -> bool {
        (self.alone || alone) && self.blocks.overlaps(blocks)
    }
}

/// A place in the queue; the blocks, once it is its turn. Leaves when dropped.
pub(crate) struct Claim<'a> {
    claims: &'a Claims,
    ticket: u64,
}

impl Claims {
    /// The blocks, together with others who only share them.
    pub(crate) async fn share(&self, blocks: Blocks) -> Claim<'_> {
        self.turn(blocks, false).await
    }

    /// The blocks, with nobody else.
    pub(crate) async fn alone(&self, blocks: Blocks) -> Claim<'_> {
        self.turn(blocks, true).await
    }

    /// The same, if nobody has or awaits any of them.
    pub(crate) fn try_alone(&self, blocks: Blocks) -> Option<Claim<'_>> {
        let mut queue = self.queue();
        let free = !queue.entries.values().any(|entry| entry.collides(&blocks, true));
        free.then(|| Claim { claims: self, ticket: queue.enter(blocks, true) })
    }

    async fn turn(&self, blocks: Blocks, alone: bool) -> Claim<'_> {
        let ticket = self.queue().enter(blocks, alone);
        let claim = Claim { claims: self, ticket };
        poll_fn(|cx| match self.queue().entries.get_mut(&ticket) {
            Some(entry) if entry.ahead > 0 => {
                entry.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        })
        .await;
        claim
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing under this lock panics half-way; a poisoned one is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn enter(&mut self, blocks: Blocks, alone: bool) -> u64 {
        let ahead = self.entries.values().filter(|entry| entry.collides(&blocks, alone)).count();
        let ticket = self.next;
        self.next += 1;
        self.entries.insert(ticket, Entry { blocks, alone, ahead, waker: None });
        ticket
    }

    /// Those whose turn it is now are to be woken.
    fn leave(&mut self, ticket: u64) -> Vec<Waker> {
        let Some(gone) = self.entries.remove(&ticket) else { return Vec::new() };
        let behind = self.entries.range_mut(ticket..).map(|(_, entry)| entry);
        let freed = behind.filter(|entry| entry.collides(&gone.blocks, gone.alone)).filter_map(|entry| {
            entry.ahead -= 1;
            if entry.ahead == 0 { entry.waker.take() } else { None }
        });
        freed.collect()
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let freed = self.claims.queue().leave(self.ticket);
        freed.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::{
        pin::pin,
        sync::atomic::{AtomicI32, Ordering::SeqCst},
        thread,
    };

    fn blocks(first: u64, end: u64) -> Blocks {
        Blocks::new(0, first, end)
    }

    #[test]
    fn first_come_first_served() {
        let claims = Claims::default();
        block_on(async {
            let (one, two) = (claims.share(blocks(0, 4)).await, claims.share(blocks(2, 6)).await);
            let mut alone = pin!(claims.alone(blocks(3, 5)));
            assert!(poll_once(&mut alone).await.is_none());
            let mut late = pin!(claims.share(blocks(4, 9)));
            assert!(poll_once(&mut late).await.is_none(), "behind the one who wants them alone");
            assert!(poll_once(claims.share(blocks(5, 9))).await.is_some());
            assert!(poll_once(claims.alone(Blocks::new(1, 0, 9))).await.is_some(), "another export");
            assert!(claims.try_alone(blocks(4, 5)).is_none());
            drop(one);
            assert!(poll_once(&mut alone).await.is_none());
            drop(two);
            drop(poll_once(&mut alone).await.unwrap());
            assert!(poll_once(&mut late).await.is_some());
        });
        assert!(claims.try_alone(blocks(0, 9)).is_some());
        assert!(claims.0.lock().unwrap().entries.is_empty());
    }

    #[test]
    fn who_gives_up_waiting_is_in_nobodys_way() {
        let claims = Claims::default();
        block_on(async {
            let held = claims.alone(blocks(0, 2)).await;
            {
                let mut never = pin!(claims.alone(blocks(0, 9)));
                assert!(poll_once(&mut never).await.is_none());
                assert!(claims.try_alone(blocks(8, 9)).is_none());
            }
            assert!(claims.try_alone(blocks(8, 9)).is_some());
            drop(held);
            claims.alone(blocks(0, 9)).await;
        });
    }

    #[test]
    fn many_threads_keep_to_it() {
        let claims = Claims::default();
        // How many share each block; -1 for one who has it alone.
        let users: Vec<AtomicI32> = (0..16).map(|_| AtomicI32::new(0)).collect();
        thread::scope(|scope| {
            for number in 0..4u64 {
                let (claims, users) = (&claims, &users);
                scope.spawn(move || {
                    let mut seed = number;
                    for _ in 0..5000 {
                        seed = seed
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let (first, len, alone) = (seed >> 33 & 15, seed >> 40 & 3, seed >> 50 & 1 == 0);
                        let blocks = blocks(first, (first + len + 1).min(16));
                        let mine = &users[blocks.first as usize..blocks.end as usize];
                        block_on(async {
                            let _claim = match alone {
                                true => claims.alone(blocks).await,
                                false => claims.share(blocks).await,
                            };
                            for user in mine {
                                let before = user.fetch_add(if alone { -1 } else { 1 }, SeqCst);
                                assert!(if alone { before == 0 } else { before >= 0 });
                            }
                            futures_lite::future::yield_now().await;
                            for user in mine {
                                user.fetch_add(if alone { 1 } else { -1 }, SeqCst);
                            }
                        });
                    }
                });
            }
        });
    }
}
