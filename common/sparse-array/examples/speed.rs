// SPDX-License-Identifier: BSD-3-Clause
//! How long reads and writes take, with one thread and with two.
//!
//! `cargo run --release -p nbdkit-sparse-array --example speed`

use std::error::Error;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use nbdkit_sparse_array::{OutOfMemory, SparseArray};

/// Bytes of the array in use.
const SIZE: u64 = 1 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let array = SparseArray::new();
    let begin = Instant::now();
    write_all(&array)?;
    report("first write, 256 KiB in order", 1, SIZE / (256 << 10), 256 << 10, begin.elapsed());
    for threads in [1, 2] {
        for (shift, order) in [(12, Order::Random), (18, Order::Sequential)] {
            for (name, write) in [("read", false), ("write", true)] {
                let ops = (SIZE >> shift) * if shift == 12 { 4 } else { 8 };
                let took = run(&array, threads, ops, 1 << shift, order, write);
                let name = format!("{name}, {} KiB {order:?}", (1 << shift) >> 10);
                report(&name, threads, ops, 1 << shift, took);
            }
        }
    }
    let begin = Instant::now();
    let runs = array.extents(0, u64::MAX).count();
    println!("{runs} extents of the whole array: {:?}", begin.elapsed());
    let begin = Instant::now();
    array.zero(SIZE, 1 << 62);
    println!("zero 2^62 bytes of nothing: {:?}", begin.elapsed());
    let begin = Instant::now();
    array.zero(0, SIZE);
    println!("zero {SIZE} bytes in use: {:?}", begin.elapsed());
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Order {
    Random,
    Sequential,
}

fn write_all(array: &SparseArray) -> Result<(), OutOfMemory> {
    let data = vec![0x5a; 256 << 10];
    (0..SIZE).step_by(data.len()).try_for_each(|offset| array.write(&data, offset))
}

/// Runs `ops` operations on each thread, and says how long all of them took.
fn run(array: &SparseArray, threads: u64, ops: u64, len: usize, order: Order, write: bool) -> Duration {
    let barrier = Barrier::new(threads as usize);
    let work = |seed: u64| {
        let (mut buf, mut random, slots) = (vec![1; len], seed, SIZE / len as u64);
        barrier.wait();
        let begin = Instant::now();
        for n in 0..ops {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let offset = len as u64
                * match order {
                    Order::Random => random % slots,
                    Order::Sequential => n % slots,
                };
            if write {
                let _ = array.write(&buf, offset); // no page is missing, so none can fail
            } else {
                array.read(&mut buf, offset);
            }
        }
        begin.elapsed()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (1..=threads)
            .map(|n| {
                scope.spawn({
                    let work = &work;
                    move || work(n * 0x9e37_79b9_7f4a_7c15)
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).max().unwrap_or_default()
    })
}

fn report(name: &str, threads: u64, ops: u64, len: u64, took: Duration) {
    let ns = took.as_secs_f64() * 1e9 / ops as f64;
    let rate = (ops * threads * len) as f64 / took.as_secs_f64() / 1e9;
    println!("{threads} thread(s), {name}: {ns:.0} ns each, {rate:.1} GB/s together");
}
