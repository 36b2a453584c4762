// SPDX-License-Identifier: BSD-3-Clause
//! Four writers in the same blocks, each with bytes of its own: none may lose what it wrote to the copying, reclaiming or
//! flushing of another.

use crate::{
    Chain, FUA,
    disk::{Behind, SIZE, byte},
    read,
};
use nbdkit_filter::*;
use std::thread;

const WRITERS: u64 = 4;
const STEPS: u64 = 2000;
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
        let stripes = self.model.len() as u64 / STRIPE / WRITERS;
        let stripe = (self.random.below(stripes) * WRITERS + self.number) * STRIPE;
        let start = self.random.below(STRIPE);
        Span::new(stripe + start, 1 + self.random.below(STRIPE - start))
    }

    fn known(&mut self, span: Span) -> &mut [u8] {
        &mut self.model[span.offset as usize..span.end() as usize]
    }

    async fn step(&mut self) {
        let span = self.somewhere();
        match self.random.below(8) {
            kind @ 0..3 => {
                let data: Vec<u8> = (0..span.len).map(|_| self.random.below(256) as u8).collect();
                self.known(span).copy_from_slice(&data);
                let flags = if kind == 0 { FUA } else { Flags::default() };
                self.disk.pwrite(Buf::from(data), span.offset, flags).await.unwrap();
            }
            3 => {
                self.known(span).fill(0);
                self.disk.zero(span, Flags::default()).await.unwrap();
            }
            4 => self.disk.cache(span).await.unwrap(),
            5 if self.random.below(4) == 0 => self.disk.flush().await.unwrap(),
            _ => {
                let found = read(&*self.disk, span.offset, span.len as u32).await;
                assert!(found == self.known(span), "writer {} misses its bytes at {span:?}", self.number);
            }
        }
    }
}

fn compete(size: u64, params: &[(&str, &str)]) {
    let chain = Chain::over(Behind::new(size), params);
    let models = thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|number| {
                let (bench, disk) = (chain.bench.clone(), chain.open());
                let model = (0..size).map(byte).collect();
                let mut writer = Writer { number, disk, model, random: Random(number + 1) };
                scope.spawn(move || {
                    bench.run(async {
                        for _ in 0..STEPS {
                            writer.step().await;
                        }
                    });
                    (writer.disk, writer.model)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });

    let expected: Vec<u8> =
        (0..size).map(|at| models[(at / STRIPE % WRITERS) as usize].1[at as usize]).collect();
    let odd = |found: &[u8]| found.iter().zip(&expected).position(|(found, expected)| found != expected);
    let found = chain.read(&*models[0].0, 0, size as u32);
    assert_eq!(odd(&found), None, "the first byte that is not as its writer left it, {params:?}");
    if !params.contains(&("cache", "unsafe")) {
        chain.flush(&*models[1].0).unwrap();
        let found = chain.behind.bytes(0, size);
        assert_eq!(odd(&found), None, "the same, on the disk behind, {params:?}");
    }
}

#[test]
fn writers_lose_nothing_to_each_other() {
    let size = SIZE / 4 + 300;
    compete(size, &[]);
    compete(size, &[("cache", "writethrough"), ("cache-on-read", "true"), ("cache-min-block-size", "4k")]);
    compete(size, &[("cache-on-read", "true"), ("cache-min-block-size", "8k"), ("cache-max-size", "64k")]);
    compete(size, &[("cache", "unsafe"), ("cache-min-block-size", "4k"), ("cache-max-size", "40k")]);
    compete(size, &[("cache-max-size", "64k")]);
}
