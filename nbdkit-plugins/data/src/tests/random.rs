// SPDX-License-Identifier: BSD-3-Clause
//! Random expressions mean what plain vectors of bytes say.

use super::rope;
use crate::fill::pages;
use nbdkit_ram_image::PAGE_SIZE;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// A group: its text, and its bytes.
fn group(random: &mut Random, depth: u32, mut names: Vec<(String, Vec<u8>)>) -> (String, Vec<u8>) {
    let (mut text, mut disk, mut at) = (String::new(), Vec::new(), 0);
    for _ in 0..=random.below(5) {
        if random.below(4) == 0 {
            let n: usize = [0, 1, 3, 4, 100, 40_000][random.below(6) as usize];
            let (sign, to) = match random.below(4) {
                0 => ("", n),
                1 => ("+", at + n),
                2 if n <= at => ("-", at - n),
                _ => ("^", at.next_multiple_of(n.next_power_of_two())),
            };
            let n = if sign == "^" { n.next_power_of_two() } else { n };
            text += &format!("@{sign}{n} ");
            at = to;
            disk.resize(disk.len().max(at), 0);
            continue;
        }
        let (word, mut bytes) = match random.below(6) {
            0 | 1 if depth > 0 => {
                let (inner, bytes) = group(random, depth - 1, names.clone());
                (format!("({inner})"), bytes)
            }
            2 if !names.is_empty() => {
                let (name, bytes) = &names[random.below(names.len() as u64) as usize];
                (format!("\\{name}"), bytes.clone())
            }
            3 => (r#""a\x00b""#.to_owned(), b"a\0b".to_vec()),
            4 => ("le32:7".to_owned(), vec![7, 0, 0, 0]),
            _ => {
                let byte = random.below(3) as u8;
                (byte.to_string(), vec![byte])
            }
        };
        text += &word;
        for _ in 0..random.below(3) {
            if random.below(2) == 0 {
                let count =
                    [0, 1, 2, 3, 50, 20_000][random.below(6) as usize].min(200_000 / (bytes.len() + 1));
                text += &format!("*{count}");
                bytes = bytes.repeat(count);
            } else {
                let end = random.below(bytes.len() as u64 + 1) as usize;
                let start = random.below(end as u64 + 1) as usize;
                text += &format!("[{start}:{end}]");
                bytes = bytes[start..end].to_vec();
            }
        }
        if random.below(5) == 0 {
            let name = ["a", "b", "c"][random.below(3) as usize];
            text += &format!(" -> \\{name} ");
            names.retain(|(other, _)| other != name);
            names.push((name.to_owned(), bytes));
            continue;
        }
        text += " ";
        let end = at + bytes.len();
        disk.resize(disk.len().max(end), 0);
        disk[at..end].copy_from_slice(&bytes);
        at = end;
    }
    (text, disk)
}

#[test]
fn random_expressions() {
    let mut random = Random(0x6e62_646b_6974);
    let mut large = 0;
    for _ in 0..2000 {
        let (text, expected) = group(&mut random, 3, Vec::new());
        let rope = rope(&[("data", &text)]).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rope.len(), expected.len() as u64, "{text}");
        large += u32::from(expected.len() > 3 * PAGE_SIZE);

        // Piece by piece.
        let mut answer = vec![0xcc; expected.len()];
        let mut at = 0;
        while at < answer.len() {
            let len = (1 + random.below(50_000) as usize).min(answer.len() - at);
            rope.read(at as u64, &mut answer[at..at + len]);
            at += len;
        }
        assert!(answer == expected, "{text}");

        // What is no hole, and only that.
        for _ in 0..20 {
            let end = random.below(rope.len() + 1);
            let from = random.below(end + 1);
            let answer = rope.data(from, end);
            let first = expected[from as usize..end as usize].iter().position(|byte| *byte != 0);
            // A literal with a zero in it is no hole there.
            assert!(answer.is_none_or(|at| (from..end).contains(&at)), "{text}: {from}..{end}: {answer:?}");
            assert!(first.is_none_or(|first| answer.is_some_and(|at| at <= from + first as u64)), "{text}");
        }
        let full = expected.chunks(PAGE_SIZE).zip(0..).filter(|(page, _)| page.iter().any(|byte| *byte != 0));
        let full = full.map(|(_, number)| number * PAGE_SIZE as u64);
        let listed: Vec<u64> = pages(&rope).collect();
        assert!(listed.is_sorted_by(|one, next| one < next), "{text}: {listed:?}");
        assert!(full.into_iter().all(|page| listed.contains(&page)), "{text}: {listed:?}");
    }
    assert!(large > 50, "{large} of more than a page");
}
