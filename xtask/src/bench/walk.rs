// SPDX-License-Identifier: BSD-3-Clause
//! Where the requests of a load go: the same places in the same order for every server.

/// The order of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Sequential,
    /// Each place once before any comes again: two writes to one place are never in flight together, whose winner nobody
    /// could tell.
    Random,
}

/// An endless iterator over offsets in bytes. Several lanes share the places between them.
#[derive(Clone, Debug)]
pub struct Walk {
    order: Order,
    /// Bytes from a place to the next.
    size: u64,
    /// Binary logarithm of the number of places.
    bits: u32,
    next: u64,
    lanes: u64,
}

impl Walk {
    /// Walks over `space` bytes in requests of `size`; `space / size` is rounded down to a power of two, at least 1. `lane` is one of
    /// `lanes`. Another `round` begins elsewhere.
    pub fn new(order: Order, space: u64, size: u64, (lane, lanes): (u64, u64), round: u64) -> Walk {
        let bits = (space / size).max(1).ilog2();
        let skipped = round.wrapping_mul(0x9e37) * lanes;
        Walk { order, size, bits, next: lane + if order == Order::Random { skipped } else { 0 }, lanes }
    }
}

impl Iterator for Walk {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let place = self.next & mask(self.bits);
        self.next = self.next.wrapping_add(self.lanes);
        let place = if self.order == Order::Random { shuffle(place, self.bits) } else { place };
        Some(place * self.size)
    }
}

/// A permutation of the numbers of `bits` bits: multiplying by an odd number and folding high bits down can both be undone.
fn shuffle(place: u64, bits: u32) -> u64 {
    let fold = bits / 2 + 1;
    [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb].into_iter().fold(place, |x, odd| {
        let x = (x ^ 0x2545).wrapping_mul(odd) & mask(bits);
        x ^ x >> fold
    })
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once() {
        for order in [Order::Sequential, Order::Random] {
            for bits in [0, 1, 2, 7, 14] {
                let lanes = 1 << bits.min(2);
                let mut seen = vec![0; 1 << bits];
                for lane in 0..lanes {
                    let walk = Walk::new(order, 4096 << bits, 4096, (lane, lanes), 3);
                    walk.take((1usize << bits) / lanes as usize).for_each(|at| seen[at as usize / 4096] += 1);
                }
                assert!(seen.iter().all(|&times| times == 1), "{order:?}, {bits} bits");
            }
        }
    }

    #[test]
    fn random_is_not_sequential() {
        let walk = Walk::new(Order::Random, 1 << 30, 4096, (0, 1), 0);
        let places: Vec<u64> = walk.take(1001).collect();
        let forward = places.windows(2).filter(|pair| pair[0] < pair[1]).count();
        let near = places.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) < 1 << 24).count();
        assert!((400..600).contains(&forward), "{forward} of 1000 go up");
        assert!(near < 60, "{near} of 1000 are near the one before");
    }
}
