// SPDX-License-Identifier: BSD-3-Clause
//! Proves that `nbd-proto` needs nothing but `core` and `alloc`: this library has its own allocator and its
//! own panic handler, so it builds only if nothing it links brings the standard library with it.
//!
//! ```sh
//! cargo build --manifest-path nbd-proto/nostd-probe/Cargo.toml
//! ```
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::panic::PanicInfo;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicUsize, Ordering};

use nbd_proto::{ExportInfo, client, server, wire};

/// Gives out a piece of memory from its start to its end and takes nothing back.
struct Bump {
    used: AtomicUsize,
}

const SIZE: usize = 1 << 20;

#[repr(align(16))]
struct Memory(#[expect(dead_code, reason = "used by address")] [u8; SIZE]);

static mut MEMORY: Memory = Memory([0; SIZE]);

#[global_allocator]
static ALLOCATOR: Bump = Bump { used: AtomicUsize::new(0) };

// SAFETY: every call gets bytes of `MEMORY` that no other call gets, aligned as asked for, or null.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = &raw mut MEMORY as *mut u8;
        let aligned = |used: usize| (base as usize + used).next_multiple_of(layout.align()) - base as usize;
        let taken = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            aligned(used).checked_add(layout.size()).filter(|end| *end <= SIZE)
        });
        match taken {
            // SAFETY: the end of this piece was checked above.
            Ok(used) => unsafe { base.add(aligned(used)) },
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {}
}

/// Lets both halves of a handshake talk; returns the size of the export as the client learned it, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn nbd_proto_probe(size: u64) -> u64 {
    let mut server = server::Handshake::new(server::Config::default());
    let mut client = client::Handshake::new(client::Config::new("disk"));
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    loop {
        match server.step() {
            server::Step::NeedInput => drop(said.drain(..server.feed(&said))),
            server::Step::Send => heard.extend(server.take_output()),
            server::Step::Ask(_) => server.open(ExportInfo::new(size, wire::TransmissionFlags::NONE)),
            server::Step::Done(_) => {}
            _ => return 0,
        }
        match client.step() {
            client::Step::NeedInput => drop(heard.drain(..client.feed(&heard))),
            client::Step::Send => said.extend(client.take_output()),
            client::Step::Event(_) => {}
            client::Step::Done(session) => return session.size(),
            _ => return 0,
        }
    }
}
