# SPDX-License-Identifier: BSD-3-Clause
# The least that a disk can do. No first line names a shell, and there is no thread model.

case "$1" in
    get_size) echo 20000; [ -e "$tmpdir/disk" ] || truncate -s 20000 "$tmpdir/disk" ;;
    pread) dd if="$tmpdir/disk" skip="$4" count="$3" iflag=skip_bytes,count_bytes bs=64K status=none ;;
    can_write) ;;
    pwrite) dd of="$tmpdir/disk" seek="$4" conv=notrunc oflag=seek_bytes bs=64K iflag=fullblock status=none ;;
    *) exit 2 ;;
esac
