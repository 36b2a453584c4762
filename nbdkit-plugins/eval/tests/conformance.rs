// SPDX-License-Identifier: BSD-3-Clause
//! A disk made on the command line keeps what every disk promises.

use nbdkit_eval_plugin::PLUGIN;
use nbdkit_plugin::conformance::{Content, Kit};

#[test]
fn a_disk_in_ram() {
    const WRITE: &str =
        "dd of=$tmpdir/disk seek=$4 conv=notrunc oflag=seek_bytes bs=64K iflag=fullblock status=none";
    const READ: &str = "dd if=$tmpdir/disk skip=$4 count=$3 iflag=skip_bytes,count_bytes bs=64K status=none";
    Kit::new(PLUGIN)
        .param("get_ready", "truncate -s 30001 $tmpdir/disk")
        .param("get_size", "stat -c %s $tmpdir/disk")
        .param("thread_model", "echo parallel")
        .param("can_multi_conn", "exit 0")
        .param("pread", READ)
        .param("pwrite", WRITE)
        .param("flush", "exit 0")
        .param("trim", "exit 0")
        .param("zero", "fallocate -p -o $4 -l $3 $tmpdir/disk")
        .param("cache", "exit 0")
        .size(30001)
        .content(Content::Zeroes)
        .operations(60)
        .run();
}
