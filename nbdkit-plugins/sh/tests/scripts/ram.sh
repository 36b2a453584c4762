#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# A disk of zeroes in the temporary directory, with all operations there are.

disk=$tmpdir/disk
granule=4096

case "$1" in
    config) [ "$2" = size ] && truncate -s "$3" "$disk" ;;
    magic_config_key) echo size ;;
    thread_model) echo parallel ;;
    list_exports) printf 'INTERLEAVED\n\nthe disk\n' ;;
    get_size) stat -c %s "$disk" ;;
    block_size) echo 1 4K 32M ;;
    can_fua | can_cache) echo native ;;
    can_*) ;;
    pread) dd if="$disk" skip="$4" count="$3" iflag=skip_bytes,count_bytes bs=64K status=none ;;
    pwrite) dd of="$disk" seek="$4" conv=notrunc oflag=seek_bytes bs=64K iflag=fullblock status=none ;;
    trim | zero) fallocate -p -o "$4" -l "$3" "$disk" ;;
    flush | cache) ;;
    extents)
        # All granules of the disk that hold nothing but zeroes are holes.
        size=$(stat -c %s "$disk")
        at=0
        while [ $at -lt "$size" ]; do
            len=$granule
            [ $((at + len)) -gt "$size" ] && len=$((size - at))
            if cmp -s -i "$at:0" -n $len "$disk" /dev/zero; then
                echo $at $len hole,zero
            else
                echo $at $len
            fi
            at=$((at + len))
        done
        ;;
    *) exit 2 ;;
esac
