// SPDX-License-Identifier: BSD-3-Clause
//! Reading, writing and the rest: what a script is given, and what it answers.

use crate::bench::{Bench, Client, Script, wait};
use nbdkit_plugin::*;

/// A script that can do everything, with the handle `h`.
fn able(body: &str) -> (Script, Bench, Client) {
    let script = Script::new(&format!(
        "open) echo h ;; get_size) echo 1M ;; can_fua|can_cache) echo native ;; can_*) ;;\n{body}"
    ));
    let bench = Bench::new(&script).unwrap();
    let client = bench.open().unwrap();
    (script, bench, client)
}

const FUA: Flags = Flags { fua: true, may_trim: false, fast_zero: false, req_one: false };

#[test]
fn arguments() {
    let (script, _bench, client) =
        able("pread) head -c $3 /dev/zero ;; extents) echo $4 $3 ;; pwrite|flush|trim|zero|cache) ;;");
    let before = script.calls().len();
    let none = Flags::default();
    let span = Span::new(1 << 19, 512);
    client.read(512, 1000).unwrap();
    client.write(b"abc", 7, none).unwrap();
    client.write(b"abc", 7, FUA).unwrap();
    wait(client.disk.flush()).unwrap();
    wait(client.disk.trim(span, none)).unwrap();
    wait(client.disk.trim(span, FUA)).unwrap();
    wait(client.disk.cache(span)).unwrap();
    client.extents(0, 4096, none).unwrap();
    client.extents(0, 4096, Flags { req_one: true, ..none }).unwrap();
    for bits in 0..8 {
        let flags = Flags { fua: bits & 1 != 0, may_trim: bits & 2 != 0, fast_zero: bits & 4 != 0, ..none };
        client.zero(flags).unwrap();
    }
    assert_eq!(
        script.calls()[before..],
        [
            "[pread][h][512][1000]",
            "[pwrite][h][3][7][]",
            "[pwrite][h][3][7][fua]",
            "[flush][h]",
            "[trim][h][512][524288][]",
            "[trim][h][512][524288][fua]",
            "[cache][h][512][524288]",
            "[extents][h][4096][0][]",
            "[extents][h][4096][0][req_one]",
            "[zero][h][512][4096][]",
            "[zero][h][512][4096][fua]",
            "[zero][h][512][4096][may_trim]",
            "[zero][h][512][4096][fua,may_trim]",
            "[zero][h][512][4096][fast]",
            "[zero][h][512][4096][fua,fast]",
            "[zero][h][512][4096][may_trim,fast]",
            "[zero][h][512][4096][fua,may_trim,fast]",
        ]
    );
}

#[test]
fn values_are_never_more_than_values() {
    let script = Script::new(
        "open) printf '%s\\n\\n' '-n $(id) `id` *' ;; get_size) echo 1 ;; config|pread) printf x ;;",
    );
    let mut plugin = crate::bench::configured(&script.path, &[]).unwrap();
    for value in ["-c", "--help", "$(touch x); `id` && 'a' \"b\" * \\", "", "two words", "a=b"] {
        plugin.config("key", value.as_ref()).unwrap();
        assert_eq!(script.calls().last().unwrap(), &format!("[config][key][{value}]"));
    }
    plugin.config("key", "new\nline".as_ref()).unwrap();
    assert!(script.calls().ends_with(&["[config][key][new".into(), "line]".into()]));
    let bench = Bench::ready(plugin).unwrap();
    for export in ["-c", "--", "$HOME", "*", "a b"] {
        bench.open_as(bench.request(export)).unwrap();
        assert!(script.calls().contains(&format!("[open][false][{export}][false]")));
    }
    // Of the handle, one newline is removed.
    bench.open().unwrap().read(1, 0).unwrap();
    assert!(script.calls().ends_with(&["[pread][-n $(id) `id` *".into(), "][1][0]".into()]));
}

#[test]
fn a_read_is_exactly_as_long_as_asked() {
    let (_script, _bench, client) = able(
        "pread) case $4 in
           0) head -c $3 /dev/zero | tr '\\0' 'a' ;;
           1) printf short ;;
           2) head -c $3 /dev/zero; printf x ;;
           3) exec yes ;;
           4) ;;
           5) exit 3 ;;
           *) exit 2 ;;
         esac ;;",
    );
    for len in [1, 511, 65536, 65537, 1 << 20] {
        assert_eq!(client.read(len, 0).unwrap(), vec![b'a'; len as usize]);
    }
    for (offset, why) in [
        (1, "incorrect amount of data read: expecting 512 bytes but received 5 bytes from the script"),
        (2, "pread printed more than 512 bytes"),
        (3, "pread printed more than 512 bytes"),
        (4, "incorrect amount of data read: expecting 512 bytes but received 0 bytes from the script"),
        (5, "pread method returned unexpected code (3/false)"),
        (6, "the pread method is required"),
    ] {
        let error = client.read(512, offset).unwrap_err();
        assert_eq!(error.errno(), EIO);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn what_is_written_comes_on_standard_input() {
    let (script, _bench, client) =
        able("pwrite) case $4 in 0) cat > $dir/data ;; 1) exit 0 ;; *) exec <&-; exit 0 ;; esac ;;");
    for len in [1, 4096, 65537, 3_000_000] {
        let bytes: Vec<u8> = (0..len).map(|n: u32| ((n * 31) >> 5) as u8).collect();
        client.write(&bytes, 0, Flags::default()).unwrap();
        assert!(std::fs::read(script.file("data")).unwrap() == bytes, "{len}");
        // It may leave its input unread.
        client.write(&bytes, 1, Flags::default()).unwrap();
        client.write(&bytes, 2, Flags::default()).unwrap();
    }
}

#[test]
fn what_is_declared_and_missing() {
    let (_script, _bench, client) = able("");
    let span = Span::new(0, 512);
    wait(client.disk.flush()).unwrap();
    wait(client.disk.trim(span, FUA)).unwrap();
    wait(client.disk.cache(span)).unwrap();
    let error = client.zero(Flags::default()).unwrap_err();
    assert_eq!(error.errno(), EOPNOTSUPP, "so that zeroes are written instead");
    let error = client.write(b"x", 0, FUA).unwrap_err();
    assert_eq!((error.errno(), error.to_string().as_str()), (EIO, "pwrite not implemented"));
    let error = client.extents(0, 512, FUA).unwrap_err();
    assert_eq!(error.to_string(), "can_extents returned true, but extents method is not defined");
}

#[test]
fn zero_may_refuse() {
    for word in ["ENOTSUP", "eopnotsupp not here"] {
        let (_script, _bench, client) = able(&format!("zero) echo '{word}' >&2; exit 1 ;;"));
        assert_eq!(client.zero(FUA).unwrap_err().errno(), EOPNOTSUPP);
    }
}

#[test]
fn extents_of_a_script() {
    let (_script, _bench, client) =
        able("extents) echo 0 4096 hole,zero; echo 4K 4K; echo '# end'; echo 8K 1016K 2 ;;");
    let extents: Vec<Extent> = client.extents(2048, 1 << 19, FUA).unwrap().into_iter().collect();
    let zero = Extent { len: (1 << 19) - 6144, hole: false, zero: true };
    assert_eq!(extents, [Extent::hole(2048), Extent::data(4096), zero]);
    let (_script, _bench, client) = able("extents) echo 4K 4K ;;");
    assert!(client.extents(0, 512, FUA).unwrap_err().to_string().contains("should not start after 0"));
}
