// SPDX-License-Identifier: BSD-3-Clause
//! Caches in front of a slow disk: what reaches it is counted, and what they keep is weighed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nbdkit_tests::data::{assert_bytes, assert_same, random};
use nbdkit_tests::files::{read_at, scratch, sparse};
use nbdkit_tests::peers::nbdsh;
use nbdkit_tests::raw::cmd;
use nbdkit_tests::{Launch, Server, run, tool, until};
use tempfile::TempDir;

use crate::curl::nginx::Nginx;

const MIB: u64 = 1 << 20;
/// Of the disk, and that of the requests of nbdcopy.
const SIZE: u64 = 16 * MIB;
const REQUEST: u64 = 64 << 10;

/// A server with a disk that takes its time, and a log of all that reaches it.
struct Slow {
    dir: TempDir,
    server: Server,
}

impl Slow {
    /// With `filters` in front of the log.
    #[track_caller]
    fn new(filters: &[&str], params: &[&str]) -> Slow {
        let dir = scratch();
        let image = dir.path().join("image");
        sparse(&image, SIZE, &[(0, &random(1, SIZE as usize))]);
        let log = format!("logfile={}", dir.path().join("log").display());
        let filters = filters.iter().map(|name| format!("--filter={name}"));
        let args = filters.chain(["log", "nocache", "delay"].map(|name| format!("--filter={name}")));
        let args = args.chain(["file".into(), image.display().to_string(), log, "rdelay=5ms".into()]);
        // The file alone could prefetch, and nobody would see whether it does.
        let args = args.chain(["cache-mode=none".into()]).chain(params.iter().map(|param| param.to_string()));
        Slow { server: Server::start(args), dir }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// How often something (`Read`, `Write` ...) was begun so far.
    fn count(&self, what: &str) -> usize {
        let begun = |line: &&str| line.contains(&format!(" {what} id=")) && line.ends_with(" ...");
        self.log().lines().filter(begun).count()
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Copies the disk, one request after the other, and sees that the copy is right.
    #[track_caller]
    fn copy(&self) {
        let to = self.dir.path().join("copy");
        let one_by_one = ["--connections=1", "--requests=1", &format!("--request-size={REQUEST}")];
        run(tool("nbdcopy").args(one_by_one).arg(self.server.uri()).arg(&to)).ok();
        assert_bytes("copy", &fs::read(&to).unwrap(), &fs::read(self.image()).unwrap());
    }

    /// Four connections with many requests each.
    #[track_caller]
    fn copy_in_parallel(&self) {
        let to = self.dir.path().join("copy");
        run(tool("nbdcopy").arg(self.server.uri()).arg(&to)).ok();
        assert_bytes("copy", &fs::read(&to).unwrap(), &fs::read(self.image()).unwrap());
    }
}

#[test]
fn without_a_cache_every_copy_reads_everything() {
    let slow = Slow::new(&[], &[]);
    for copies in 1..=2 {
        slow.copy();
        assert_eq!(slow.count("Read") as u64, copies * SIZE / REQUEST);
    }
}

#[test]
fn a_second_copy_reads_nothing_from_the_source() {
    for (filter, param) in [("cache", "cache-on-read=true"), ("cow", "cow-on-read=true")] {
        let slow = Slow::new(&[filter], &[param]);
        slow.copy();
        assert_eq!(slow.count("Read") as u64, SIZE / REQUEST, "{filter}");
        slow.copy();
        slow.copy_in_parallel();
        assert_eq!(slow.count("Read") as u64, SIZE / REQUEST, "{filter}: nothing a second time");
    }
}

#[test]
fn clients_who_copy_at_the_same_time_read_the_source_once() {
    let slow = Slow::new(&["cache"], &["cache-on-read=true"]);
    let copy = || {
        run(tool("nbdcopy").arg(slow.server.uri()).arg("null:")).ok();
    };
    thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(copy)));
    });
    let mut ranges = reads(&slow.log());
    ranges.sort();
    assert!(ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0), "something was read twice: {ranges:x?}");
    assert_eq!(ranges.iter().map(|(start, end)| end - start).sum::<u64>(), SIZE);
}

/// Start and end of all reads in a log.
fn reads(log: &str) -> Vec<(u64, u64)> {
    let begun = log.lines().filter(|line| line.contains(" Read id=") && line.ends_with(" ..."));
    let number = |line: &str, key: &str| {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(key)).unwrap();
        u64::from_str_radix(word.trim_start_matches("0x"), 16).unwrap()
    };
    let range = |line| (number(line, "offset="), number(line, "offset=") + number(line, "count="));
    begun.map(range).collect()
}

#[test]
fn cache_requests_fetch_what_is_read_later() {
    for (filter, param) in [("cache", "cache=writeback"), ("cow", "cow-on-cache=true")] {
        let slow = Slow::new(&[filter], &[param]);
        nbdsh(&slow.server.uri(), "for i in range(4): h.cache(1 << 20, i << 20)").ok();
        let fetched = slow.count("Read");
        assert!(fetched <= 4, "{filter}: {fetched}");
        nbdsh(&slow.server.uri(), "for i in range(1024): h.pread(4096, i * 4096)").ok();
        assert_eq!(slow.count("Read"), fetched, "{filter}");
        nbdsh(&slow.server.uri(), "h.pread(4096, 4 << 20)").ok();
        assert_eq!(slow.count("Read"), fetched + 1, "{filter}: not more than that");
    }
}

#[test]
fn writes_come_back_from_the_cache_and_reach_the_source_on_a_flush() {
    let slow = Slow::new(&["cache"], &[]);
    let new = random(9, MIB as usize);
    let mut client = slow.server.connect();
    client.structured("");
    client.write(3 * MIB, &new, 0).unwrap();
    assert_bytes("from the cache", &client.read(3 * MIB, MIB as u32).unwrap(), &new);
    assert_eq!((slow.count("Write"), slow.count("Read")), (0, 0));
    assert!(read_at(&slow.image(), 3 * MIB, new.len()) != new, "not written yet");
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    assert_eq!((slow.count("Write"), slow.count("Flush")), (1, 1));
    assert_bytes("in the image", &read_at(&slow.image(), 3 * MIB, new.len()), &new);
    client.write(5 * MIB, &new, 0).unwrap();
    client.disconnect();
    // Nobody flushed, and nobody is left to do it.
    until("the image has it", || read_at(&slow.image(), 5 * MIB, new.len()) == new);
}

#[test]
fn a_cow_never_writes() {
    let slow = Slow::new(&["cow"], &["cow-on-read=true"]);
    let before = fs::read(slow.image()).unwrap();
    nbdsh(&slow.server.uri(), "h.pwrite(b'x' * 100000, 12345); h.flush(); h.pread(1 << 20, 0)").ok();
    assert_eq!((slow.count("Write"), slow.count("Flush")), (0, 0));
    assert_bytes("image", &fs::read(slow.image()).unwrap(), &before);
}

#[test]
fn readahead_makes_few_requests_of_many() {
    for (filters, params, most) in [
        (&["readahead", "cache"][..], &[][..], 20),
        (&["readahead", "cache"], &["cache-on-read=true"], 20),
        // A cow copies at most 1 MiB at once, and does not make readers wait for it.
        (&["readahead", "cow"], &["cow-on-cache=true"], 60),
    ] {
        let slow = Slow::new(filters, params);
        slow.copy();
        let (plain, ahead) = (SIZE / REQUEST, slow.count("Read"));
        assert!(ahead <= most, "{filters:?} {params:?}: {ahead} reads instead of {plain}");
    }
}

#[test]
fn readahead_adds_nothing_to_random_reads() {
    // Every block once, none behind its neighbour.
    let random = "for i in range(256): h.pread(65536, (i * 101 % 256) * 65536)";
    let slow = Slow::new(&["readahead", "cache"], &[]);
    nbdsh(&slow.server.uri(), random).ok();
    let found = reads(&slow.log());
    assert_eq!(found.len(), 256);
    assert!(found.iter().all(|(start, end)| end - start == REQUEST));
}

#[test]
fn readahead_warns_and_passes_on_where_it_can_do_nothing() {
    for filters in [&["readahead"][..], &["readahead", "retry", "cache"]] {
        let slow = Slow::new(filters, &[]);
        slow.copy();
        slow.copy();
        assert_eq!(slow.count("Read") as u64, 2 * SIZE / REQUEST, "{filters:?}");
        let stderr = slow.server.stderr();
        let warnings = stderr.matches("does not support NBD_CMD_CACHE or PARALLEL thread model").count();
        assert_eq!(warnings, 1, "{filters:?}: {stderr}");
    }
}

#[test]
fn a_scan_covers_the_disk_while_a_client_is_there() {
    let slow = Slow::new(&["scan", "cache"], &[]);
    let mut client = slow.server.connect();
    client.structured("");
    until("all is prefetched", || {
        reads(&slow.log()).iter().map(|(start, end)| end - start).sum::<u64>() == SIZE
    });
    assert_eq!(slow.count("Read") as u64, SIZE / (2 * MIB));
    client.disconnect();
    slow.copy();
    slow.copy_in_parallel();
    assert_eq!(slow.count("Read") as u64, SIZE / (2 * MIB), "nothing was left to read");
}

#[test]
fn cacheextents_asks_once_for_a_walk() {
    let dir = scratch();
    let (image, log) = (dir.path().join("image"), dir.path().join("log"));
    let piece = random(1, 65536);
    let pieces: Vec<(u64, &[u8])> = (0..100).map(|n| (n * 2 * 65536, &piece[..])).collect();
    sparse(&image, SIZE, &pieces);
    for (filters, most) in [(&["--filter=cacheextents", "--filter=log"][..], 2), (&["--filter=log"], 1000)] {
        let args = filters.iter().map(|filter| filter.to_string());
        let args =
            args.chain(["file".into(), image.display().to_string(), format!("logfile={}", log.display())]);
        let server = Server::start(args);
        run(tool("qemu-img").args(["map", "-f", "raw"]).arg(server.uri())).ok();
        let asked =
            fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains(" Extents id=")).count();
        assert!(asked <= most && (most < 1000 || asked >= 100), "{filters:?}: {asked}");
    }
}

/// How many parts of the disk the web server was asked for so far.
fn parts(nginx: &Nginx) -> usize {
    nginx.log().iter().filter(|line| line.contains(" GET /disk.img 206 ")).count()
}

#[test]
fn a_web_server_is_asked_for_nothing_twice() {
    let nginx = Nginx::start("");
    let url = nginx.http("/disk.img");
    let requests = fs::metadata(nginx.disk()).unwrap().len().div_ceil(REQUEST) as usize;
    let one_by_one = ["--connections=1", "--requests=1", &format!("--request-size={REQUEST}")];
    for (args, copies) in [
        (&["curl", &url][..], [requests, requests]),
        (&["--filter=cache", "curl", &url, "cache-on-read=true"], [requests, 0]),
        (&["--filter=cow", "curl", &url, "cow-on-read=true"], [requests, 0]),
    ] {
        let server = Server::start([&["-r"], args].concat());
        for expected in copies {
            let before = parts(&nginx);
            let copy = tempfile::NamedTempFile::new().unwrap();
            run(tool("nbdcopy").args(one_by_one).arg(server.uri()).arg(copy.path())).ok();
            assert_same(copy.path(), &nginx.disk());
            assert_eq!(parts(&nginx) - before, expected, "{args:?}");
        }
    }
}

#[test]
fn readahead_asks_a_web_server_for_few_parts_in_order_and_no_more_at_random() {
    let nginx = Nginx::start("");
    let server =
        Server::start(["-r", "--filter=readahead", "--filter=cache", "curl", &nginx.http("/disk.img")]);
    nbdsh(&server.uri(), "for i in range(48): h.pread(65536, i * 65536)").ok();
    let in_order = parts(&nginx);
    assert!(in_order <= 16, "{in_order} parts for 48 reads");
    // Another server, whose cache is empty.
    let server =
        Server::start(["-r", "--filter=readahead", "--filter=cache", "curl", &nginx.http("/disk.img")]);
    nbdsh(&server.uri(), "for i in range(48): h.pread(65536, (i * 19 % 48) * 65536)").ok();
    assert_eq!(parts(&nginx) - in_order, 48);
}

/// The temporary file of a server: what it has open in `dir` and has no name.
fn temporary_file(server: &Server, dir: &Path) -> PathBuf {
    let fds = format!("/proc/{}/fd", server.process().0);
    let mut open = fs::read_dir(fds).unwrap().map(|entry| entry.unwrap().path());
    let dir = dir.to_str().unwrap();
    let nameless = |path: &PathBuf| {
        let to = fs::read_link(path).map(|to| to.to_string_lossy().into_owned()).unwrap_or_default();
        to.starts_with(dir) && to.ends_with(" (deleted)")
    };
    open.find(nameless).expect("a temporary file")
}

#[test]
fn the_temporary_file_stays_within_cache_max_size() {
    const MOST: u64 = 2 * MIB;
    let dir = scratch();
    let (image, tmp) = (dir.path().join("image"), dir.path().join("tmp"));
    fs::create_dir(&tmp).unwrap();
    sparse(&image, SIZE, &[(0, &random(1, SIZE as usize))]);
    let args = ["--filter=cache", "file", image.to_str().unwrap(), "cache-on-read=true", "cache-max-size=2M"];
    let server = Launch::new(args).under(["env", &format!("TMPDIR={}", tmp.display())]).start();
    let file = temporary_file(&server, &tmp);
    let space = || fs::metadata(&file).unwrap().blocks() * 512;

    // Four clients with four requests each, in a disk eight times as large; fio verifies what it reads.
    let mut fio = tool("fio");
    fio.current_dir(dir.path()).args(["--name=load", "--ioengine=nbd", "--uri", &server.uri()]);
    fio.args(["--rw=randrw", "--bsrange=512-128k", "--bs_unaligned=0", "--blockalign=512", "--size=4m"]);
    fio.args(["--numjobs=4", "--offset_increment=4m", "--iodepth=4", "--fsync=64"]);
    fio.args(["--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--verify_state_save=0"]);
    let most = thread::scope(|scope| {
        let work = scope.spawn(|| run(&mut fio));
        let mut most = 0;
        while !work.is_finished() {
            most = most.max(space());
            thread::yield_now();
        }
        work.join().unwrap().ok();
        most
    });
    assert!(most > MOST / 2, "{most} bytes: there was no load");
    // What the file system adds for its own tables: it is less than this everywhere.
    assert!(most <= MOST + 64 * 1024, "{most} bytes");
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0, "it has no name");
}

/// A limit on the size of files stands for a full file system: it needs neither root nor a mount.
#[test]
fn without_room_for_the_temporary_file_nothing_is_lost() {
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$@\"";
    let args = ["--filter=cache", "memory", "16M", "cache-on-read=true"];
    let server = Launch::new(args).under(["sh", "-c", script, "sh"]).start();
    let data = random(5, 5 * MIB as usize + 12345);
    let mut client = server.connect();
    client.structured("");
    for (at, piece) in (777..).step_by(300_000).zip(data.chunks(300_000)) {
        client.write(at, piece, 0).unwrap();
    }
    for (at, piece) in (777..).step_by(300_000).zip(data.chunks(300_000)) {
        assert_bytes(&format!("at {at}"), &client.read(at, piece.len() as u32).unwrap(), piece);
    }
    client.call(cmd::FLUSH, 0, 0, 0).unwrap();
    client.disconnect();
    let told = server.stderr().matches("not cached: write to the temporary file: File too large").count();
    assert_eq!(told, 1, "{}", server.stderr());
}
