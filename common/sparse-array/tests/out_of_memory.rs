// SPDX-License-Identifier: BSD-3-Clause
//! Without memory a write fails; the process and the rest of the array live on.
#![cfg(target_os = "linux")] // where `ulimit -v` is obeyed

use std::env;
use std::process::Command;

use nbdkit_sparse_array::{OutOfMemory, PAGE_SIZE, SparseArray};

const PAGE: u64 = PAGE_SIZE as u64;

/// This test runs itself again in a shell that limits the address space.
#[test]
fn a_write_without_memory_is_an_error() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -v 400000 && exec \"$0\" --exact child --ignored --nocapture"])
        .arg(env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}{why}", output.status);
    assert!(said.contains("1 passed"), "{said}");
}

/// Fills the memory with pages in every place that costs directory tables too, then looks back.
#[test]
#[ignore = "run by the test above, with little memory"]
fn child() {
    let array = SparseArray::new();
    let offset = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1 & !(PAGE - 1);
    let written =
        (0..1_000_000).find(|n| array.write(&[*n as u8 | 1], offset(*n)) == Err(OutOfMemory)).unwrap();
    assert!(written > 100, "only {written} pages");
    for n in 0..written {
        let mut byte = [0];
        array.read(&mut byte, offset(n));
        assert_eq!(byte, [n as u8 | 1]);
    }
    // What is freed can be used again, to the last page.
    array.zero(0, u64::MAX);
    assert_eq!(array.allocated(), 0);
    (0..written).try_for_each(|n| array.write(b"again", offset(n))).unwrap();
    assert_eq!(array.allocated(), written * PAGE);
}
