// SPDX-License-Identifier: BSD-3-Clause
//! Four writers in the same blocks, each with bytes of its own: none may lose what it wrote to the copying of another.

use crate::{
    BLOCK, Chain, TRIM,
    disk::{SIZE, byte},
    read,
};
use nbdkit_filter::*;
use std::thread;

const WRITERS: u64 = 4;
const STEPS: u64 = 3000;
/// Bytes belong to the writers in turn, in stripes of this many.
const STRIPE: u64 = 1000;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// What one writer knows of its bytes.
struct Writer {
    number: u64,
    disk: Arc<dyn Disk>,
    model: Vec<u8>,
    random: Random,
}

impl Writer {
    /// A part of one of its stripes.
    fn somewhere(&mut self) -> Span {
        let stripes = SIZE / STRIPE / WRITERS;
        let stripe = (self.random.below(stripes) * WRITERS + self.number) * STRIPE;
        let start = self.random.below(STRIPE);
        Span::new(stripe + start, 1 + self.random.below(STRIPE - start))
    }

    fn known(&self, span: Span) -> &[u8] {
        &self.model[span.offset as usize..span.end() as usize]
    }

    async fn step(&mut self) {
        let span = self.somewhere();
        match self.random.below(5) {
            0 | 1 => {
                let data: Vec<u8> = (0..span.len).map(|_| self.random.below(256) as u8).collect();
                self.model[span.offset as usize..span.end() as usize].copy_from_slice(&data);
                self.disk.pwrite(Buf::from(data), span.offset, Flags::default()).await.unwrap();
            }
            2 => {
                self.model[span.offset as usize..span.end() as usize].fill(0);
                self.disk.zero(span, TRIM).await.unwrap();
            }
            3 => self.disk.cache(span).await.unwrap(),
            _ => {
                let found = read(&*self.disk, span.offset, span.len as u32).await;
                assert!(found == self.known(span), "writer {} misses its bytes at {span:?}", self.number);
            }
        }
    }
}

fn compete(params: &[(&str, &str)]) {
    let chain = Chain::new(params);
    let models = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (bench, disk) = (chain.bench.clone(), chain.open());
                let model = (0..SIZE).map(byte).collect();
                let mut writer = Writer { number, disk, model, random: Random(number + 1) };
                scope.spawn(move || {
                    bench.run(async {
                        for _ in 0..STEPS {
                            writer.step().await;
                        }
                    });
                    writer.model
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });

    let expected: Vec<u8> =
        (0..SIZE).map(|at| models[(at / STRIPE % WRITERS) as usize][at as usize]).collect();
    let disk = chain.open();
    let found = chain.read(&*disk, 0, SIZE as u32);
    let odd = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    assert_eq!(odd, None, "the first byte that is not as its writer left it");
    chain.behind.assert_never_written();
}

#[test]
fn writers_lose_nothing_to_each_other() {
    compete(&[]);
    compete(&[("cow-block-size", "4k")]);
    compete(&[("cow-on-read", "true"), ("cow-on-cache", "true")]);
    compete(&[("cow-block-size", "1M")]);
}

/// The narrow case: both have read the block from behind before either has written it.
#[test]
fn two_first_writes_to_one_block() {
    let chain = Chain::new(&[]);
    let (one, two) = (chain.open(), chain.open());
    for block in 0..8 {
        let at = block * BLOCK;
        chain.bench.run(async {
            let write = |disk: &Arc<dyn Disk>, offset, byte| {
                let disk = disk.clone();
                async move { disk.pwrite(Buf::from(vec![byte; 10]), offset, Flags::default()).await.unwrap() }
            };
            let whole = async {
                if block % 2 == 1 {
                    two.zero(Span::new(at, BLOCK), TRIM).await.unwrap();
                    write(&two, at + 20, 3).await;
                }
            };
            futures_lite::future::zip(
                futures_lite::future::zip(write(&one, at, 1), write(&two, at + 10, 2)),
                whole,
            )
            .await;
        });
        if block % 2 == 0 {
            let expected = [vec![1; 10], vec![2; 10], (at + 20..at + 30).map(byte).collect()].concat();
            assert_eq!(chain.read(&*one, at, 30), expected);
        } else {
            assert_eq!(chain.read(&*one, at + 20, 11), [vec![3; 10], vec![0]].concat());
        }
    }
}
