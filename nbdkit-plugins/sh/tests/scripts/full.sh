#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Reads and never takes a byte.

case "$1" in
    thread_model) echo serialize_requests ;;
    get_size) echo 1M ;;
    can_write | can_zero | can_trim) ;;
    pread) head -c "$3" /dev/zero | tr '\0' x ;;
    pwrite | zero | trim) echo ENOSPC the disk is full >&2; exit 1 ;;
    *) exit 2 ;;
esac
