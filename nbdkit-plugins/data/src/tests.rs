// SPDX-License-Identifier: BSD-3-Clause
//! The language: what each part of it means, what is refused, and with which words; and that nothing is without limit.

use super::*;
use std::time::{Duration, Instant};

mod random;

fn plugin(params: &[(&str, &str)]) -> Result<DataPlugin> {
    let mut plugin = DataPlugin::default();
    for (key, value) in params {
        assert_eq!(plugin.config(key, OsStr::new(value))?, Taken::Yes);
    }
    plugin.config_complete()?;
    Ok(plugin)
}

fn rope(params: &[(&str, &str)]) -> Result<Rope> {
    plugin(params)?.describe(&mut System { memory: 1 << 20, stdin: true })
}

fn bytes(params: &[(&str, &str)]) -> Result<Vec<u8>> {
    let rope = rope(params)?;
    let mut bytes = vec![0xcc; rope.len() as usize];
    rope.read(0, &mut bytes);
    Ok(bytes)
}

fn refusal(params: &[(&str, &str)]) -> String {
    bytes(params).map(|_| params.to_vec()).expect_err("should be refused").to_string()
}

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// Also with the variables `v` and `w`.
#[track_caller]
fn assert_means(text: &str, expected: &str) {
    let answer = bytes(&[("data", text), ("v", "1 2"), ("w", "$v 3 -> \\x \\x")]);
    assert_eq!(answer.map_err(|error| error.to_string()), Ok(hex(expected)), "{text}");
}

#[test]
fn bytes_numbers_and_strings() {
    for (text, expected) in [
        ("", ""),
        ("  # nothing", ""),
        ("1 # one\n2", "01 02"),
        ("010 0x10 10 0b11", "08 10 0a 03"),
        ("0 255 0377 0xFF", "00 ff ff ff"),
        ("1\"a\"2(3)4", "01 61 02 03 04"),
        ("le16:0x1234 be16:0x1234", "34 12 12 34"),
        ("le32:1 be32:0x01020304", "01 00 00 00 01 02 03 04"),
        ("be64:1", "00 00 00 00 00 00 00 01"),
        ("le64:18446744073709551615", "ff ff ff ff ff ff ff ff"),
        (r#""abc" "" "#, "61 62 63"),
        (r#""\a\b\f\n\r\t\v\\\"\x41\z""#, "07 08 0c 0a 0d 09 0b 5c 22 41 7a"),
        ("\"a#b\n(\"", "61 23 62 0a 28"),
        ("base64:MTIz 0", "31 32 33 00"),
        ("base64:MTI=[1:]", "32"),
        ("base64:", ""),
    ] {
        assert_means(text, expected);
    }
}

#[test]
fn offsets() {
    for (text, expected) in [
        ("0 1 2 3 @8", "00 01 02 03 00 00 00 00"),
        ("0 1 2 3 @2 0xff", "00 01 ff 03"),
        ("1 2 3 @0 4 5", "04 05 03"),
        ("1 2 3 @0 0", "00 02 03"),
        ("1 2 3 @0 (@2 9)", "00 00 09"),
        ("1 2 3 @1 (@+1)", "01 00 03"),
        ("1 2 3 @1 () \"\"", "01 02 03"),
        ("1 @^4 2 @^8", "01 00 00 00 02 00 00 00"),
        ("1 @^4 @-1 7 @^4", "01 00 00 07"),
        ("@4 1 @-2 2", "00 00 00 02 01"),
        ("1 @+3 2", "01 00 00 00 02"),
        ("1@2", "01 00"),
        ("@010 @0x2 1", "00 00 01 00 00 00 00 00"),
        ("@4 1 @0", "00 00 00 00 01"),
        ("@+1", "00"),
        ("@-0 @+0 @0", ""),
        ("@3b", "00 00 00"),
    ] {
        assert_means(text, expected);
    }
    let sector = bytes(&[("data", "0 1 2 3 @0x1fe 0x55 0xaa")]).unwrap();
    assert_eq!((sector.len(), &sector[..4], &sector[4..510]), (512, &[0, 1, 2, 3][..], &[0; 506][..]));
    assert_eq!(sector[510..], [0x55, 0xaa]);
    for (text, size) in
        [("@1k", 1024), ("@2s", 1024), ("@1M", 1 << 20), ("@1 @+1T", (1 << 40) + 1), ("1 @^4K", 4096)]
    {
        assert_eq!(rope(&[("data", text)]).unwrap().len(), size, "{text}");
    }
    assert_eq!(rope(&[("data", "@7E @-6E 1 @9223372036854775807")]).unwrap().len(), i64::MAX as u64);
}

#[test]
fn groups_and_operators() {
    for (text, expected) in [
        ("(1 2)*2 3", "01 02 01 02 03"),
        ("( 1 2 @4 ) * 2", "01 02 00 00 01 02 00 00"),
        ("(@2 1)*2", "00 00 01 00 00 01"),
        ("(((1)))", "01"),
        ("(1#)\n2)", "01 02"),
        ("( \")\" )", "29"),
        ("()", ""),
        ("()*5", ""),
        ("0xff*0", ""),
        ("1*2*3", "01 01 01 01 01 01"),
        ("1*2 3*010[0:2]", "01 01 03 03"),
        ("(1 2 3 4)[1:3]", "02 03"),
        ("(1 2 3 4)[:2]", "01 02"),
        ("(1 2 3 4)[2:]", "03 04"),
        ("(1 2 3 4)[:]", "01 02 03 04"),
        ("(1 2 3 4)[4:]", ""),
        ("(1 2 3 4)[ 0x1 : 03 ][1:]", "03"),
        ("()[0:0] ()[:]", ""),
        ("\"abc\"[1:]*2", "62 63 62 63"),
        ("(1 2 3)*3[2:5]", "03 01 02"),
        ("(1 2 3)*3[2:5]*2[1:]", "01 02 03 01 02"),
    ] {
        assert_means(text, expected);
    }
}

#[test]
fn names_and_variables() {
    for (text, expected) in [
        ("(1 2) -> \\a \\a \\a", "01 02 01 02"),
        ("1 2 -> \\a \\a", "01 02"),
        ("(1 2)->\\a \\a*2", "01 02 01 02"),
        ("1->\\a-b_9 \\a-b_9", "01"),
        ("1 -> \\a \\a->\\b \\b\\a", "01 01"),
        ("1*2[0:1] ->\\x \\x \\x", "01 01"),
        ("1 -> \\a (\\a 2 -> \\a \\a) \\a", "01 02 01"),
        ("1 -> \\a (\\a)*2", "01 01"),
        ("1 -> \\a", ""),
        ("$v*2", "01 02 01 02"),
        ("$v [1:]", "02"),
        ("9$v@1 8", "09 08 02"),
        ("($v)(3 $v)", "01 02 03 01 02"),
        ("$w $w", "01 02 03 01 02 03"),
        ("$w -> \\x \\x\\x", "01 02 03 01 02 03"),
    ] {
        assert_means(text, expected);
    }
    let inherited = bytes(&[("data", "7 -> \\a $u"), ("u", "\\a \\a")]);
    assert_eq!(inherited.unwrap(), [7, 7], "a variable sees the names that are known where it stands");
    // Of the environment, this is there wherever cargo runs tests.
    let environment = bytes(&[("data", "$v"), ("v", "\"$\" ($CARGO_PKG_NAME)")]).unwrap_err().to_string();
    assert!(environment.starts_with("$CARGO_PKG_NAME: parsing error at offset 0: "), "{environment}");
    let given = bytes(&[("data", "$CARGO_PKG_NAME"), ("CARGO_PKG_NAME", "5")]);
    assert_eq!(given.unwrap(), [5], "a parameter comes first");
    assert_eq!(bytes(&[("v", "1"), ("v", "2"), ("data", "$v")]).unwrap(), [1]);
}

#[test]
fn files_and_scripts() {
    for (text, expected) in [
        ("<(printf abc) 0", "61 62 63 00"),
        ("<(yes | tr -d \"\\n\")[:5]", "79 79 79 79 79"),
        ("(<(yes))[:5]", "79 0a 79 0a 79"),
        ("<(printf abc)*2", "61 62 63 61 62 63"),
        ("<(printf abc; exit 3)[1:2]", "62"),
        ("<(printf abc)[1:100]", "62 63"),
        ("<(printf abc)[3:]", ""),
        ("<((printf a); (printf b))", "61 62"),
        ("<(-x 2>/dev/null || printf d)", "64"),
        ("</dev/zero[:3]", "00 00 00"),
        ("</dev/null", ""),
    ] {
        assert_means(text, expected);
    }
    let manifest = std::fs::read("Cargo.toml").unwrap();
    assert_eq!(bytes(&[("data", "<Cargo.toml")]).unwrap(), manifest);
    assert_eq!(
        bytes(&[("data", "(<Cargo.toml)[:9]*2<Cargo.toml[9:]")]).unwrap(),
        [&manifest[..9], &manifest].concat()
    );
    for (text, why) in [
        ("<(exit 3)", "data parameter: <(exit 3): external command failed: exit status: 3"),
        ("<(exit 3)[1:]", "data parameter: <(exit 3): external command failed: exit status: 3"),
        ("<(printf abc)[4:9]", "data parameter: [4:9] does not describe a valid slice of 3 bytes"),
        ("</nonexistent/x", "data parameter: </nonexistent/x: No such file or directory"),
        ("</dev", "data parameter: </dev: Is a directory"),
        (
            "</dev/zero",
            "data parameter: </dev/zero does not fit into the memory that is available, should be less",
        ),
        ("<(yes)", "data parameter: <(yes) does not fit into the memory that is available, should be less"),
    ] {
        assert_eq!(refusal(&[("data", text)]), why);
    }
}

#[test]
fn what_does_not_parse() {
    for (text, at, why) in [
        ("256", 0, "BYTE must be in the range 0..255"),
        ("99999999999999999999", 0, "BYTE must be in the range 0..255"),
        ("le16:65536", 5, "the N of le16:N must be in the range 0..65535"),
        ("be64:18446744073709551616", 5, "the N of be64:N must be in the range 0..18446744073709551615"),
        ("le16: 1", 5, "expected the N of le16:N"),
        ("1*1k", 3, "a number goes on with what is no digit"),
        ("1 09", 3, "a number goes on with what is no digit"),
        ("0xg", 1, "a number goes on with what is no digit"),
        ("foo", 0, "expected a byte, "),
        ("1,2", 1, "expected a byte, "),
        ("-1", 0, "expected a byte, "),
        ("le8:1", 0, "expected a byte, "),
        ("@^3", 2, "@^3 must be a power of 2"),
        ("@^0", 2, "@^0 must be a power of 2"),
        ("@x", 1, "expected the N of @N"),
        ("@1kb", 3, "a number has one suffix"),
        ("@0x1k", 4, "a number goes on with what is no digit"),
        ("@8E", 1, "the N of @N must be below 8E"),
        ("@9223372036854775808", 1, "the N of @N must be in the range 0..9223372036854775807"),
        ("\"unterminated", 0, "unterminated string"),
        ("\"a\\", 0, "unterminated string"),
        ("\"a\\x4g\"", 2, "\\xNN must be followed by exactly two hexadecimal characters"),
        ("\"\\0\"", 1, "string numeric and unicode sequences are not"),
        ("\"\\u0041\"", 1, "string numeric and unicode sequences are not"),
        ("1 2)", 3, "unmatched ')' in data string"),
        ("3 (1 2", 2, "unmatched '(' in data string"),
        ("1 -> a", 5, "expected a \\NAME"),
        ("1 -> \\", 6, "expected a name"),
        ("\\", 1, "expected a name"),
        ("*2", 0, "*N must follow an expression"),
        ("(*2)", 1, "*N must follow an expression"),
        ("[1:2]", 0, "[N:M] must follow an expression"),
        ("->\\a", 0, "-> must follow an expression"),
        ("@4*2", 2, "*N cannot be applied to an @OFFSET"),
        ("@4[:1]", 2, "[N:M] cannot be applied to an @OFFSET"),
        ("1 -> \\a*2", 7, "*N cannot be applied to an assignment"),
        ("1 -> \\a -> \\b", 8, "-> cannot be applied to an assignment"),
        ("1*", 2, "expected the N of *N"),
        ("1*-1", 2, "expected the N of *N"),
        ("(1)[1]", 5, "expected the ':' of [N:M]"),
        ("(1)[0:1", 7, "expected the ']' of [N:M]"),
        ("(1)[2:1]", 3, "[2:1] does not describe a valid slice: its end is before its start"),
        ("(1)[a:]", 4, "expected the N of [N:M]"),
        ("< x", 1, "<FILE must be followed by the name of a file"),
        ("<(echo (a)", 0, "unmatched '(' of <(SCRIPT)"),
        ("$1", 1, "$ must be followed by the name of a variable"),
        ("base64:!", 7, "expected a byte"),
        ("base64:MTI", 7, "base64: must be followed by base64 text"),
    ] {
        let error = refusal(&[("data", text)]);
        let expected = format!("data parameter: parsing error at offset {at}: {why}");
        assert!(error.starts_with(&expected), "{text}: {error}, not {expected}");
    }
}

#[test]
fn what_has_no_meaning() {
    for (text, why) in [
        ("\\a", "data parameter: \\a not defined, should be assigned before by -> \\a"),
        ("(1 -> \\a) \\a", "data parameter: \\a not defined, should be assigned before by -> \\a"),
        ("$nosuch", "$nosuch: variable not found, should be a parameter nosuch=... or in the environment"),
        ("1 @-2", "data parameter: @-2 must not be larger than the current offset 1"),
        ("(1)[:4]", "data parameter: [0:4] does not describe a valid slice of 1 bytes"),
        ("(1)[2:]", "data parameter: [2:] does not describe a valid slice of 1 bytes"),
    ] {
        assert_eq!(refusal(&[("data", text)]), why);
    }
    for (v, why) in [
        ("1 (", "$v: parsing error at offset 2: unmatched '(' in data string"),
        ("$v", "$v: parsing error at offset 0: $v contains itself"),
        ("($w)", "$w: parsing error at offset 2: $v contains itself"),
    ] {
        assert_eq!(refusal(&[("data", "$v"), ("v", v), ("w", "1 $v")]), why);
    }
}

#[test]
fn what_is_wrong_on_the_command_line() {
    let once = "raw|base64|data parameter must be specified exactly once";
    assert_eq!(refusal(&[("data", "1"), ("data", "1")]), once);
    assert_eq!(refusal(&[("raw", "1"), ("base64", "")]), once);
    assert_eq!(refusal(&[("size", "1")]), "raw|base64|data parameter was not specified");
    assert_eq!(
        refusal(&[("raw", "1"), ("v", "2")]),
        "extra parameters passed and not using data='...': v is a variable for data only"
    );
    assert_eq!(refusal(&[("base64", "MTI")]), "base64: MTI should be base64, padded with =");
    for key in ["", "1a", "a-b", "é"] {
        assert_eq!(DataPlugin::default().config(key, OsStr::new("1")).unwrap(), Taken::No, "{key}");
    }
    assert_eq!(bytes(&[("raw", "é \"1\"")]).unwrap(), "é \"1\"".as_bytes());
    assert_eq!(bytes(&[("base64", "AAH/")]).unwrap(), [0, 1, 0xff]);
}

/// What a test says must be quick: far from a hang.
fn at_once<T>(work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    assert!(start.elapsed() < Duration::from_secs(60), "took {:?}", start.elapsed());
    result
}

#[test]
fn large_things_cost_nothing_until_they_are_stored() {
    let rope =
        at_once(|| rope(&[("data", "(1 2*1000000000*1000000000 -> \\x \\x[5:500000000] \\x)")])).unwrap();
    assert_eq!(rope.len(), 1 + 499_999_995 + 1_000_000_000_000_000_000);
    let mut some = [0; 3];
    rope.read(0, &mut some);
    assert_eq!(some, [1, 2, 2]);
    for text in ["1*1000000000*1000000000", "(1 @+32767)*1000000000", "(@1T 1)*1000000"] {
        let error = at_once(|| plugin(&[("data", text)]).unwrap().get_ready()).unwrap_err();
        assert_eq!(error.errno(), ENOMEM, "{text}");
        assert_eq!(
            error.to_string(),
            "data parameter: the data does not fit into the memory that is available, should be less"
        );
    }
    for text in [
        "0*1000000000*1000000000",
        "@7E @-6E 1",
        "1*1000000000*1000000000[999999:1000000]",
        "(@1T 1)[:1T]*1000000",
    ] {
        let text = text.replace("1T]", "1099511627776]");
        at_once(|| plugin(&[("data", &text)]).unwrap().get_ready()).unwrap();
    }
    for text in
        ["1*9223372036854775807*2", "1 @9223372036854775807 1", "@7E @+7E", "@7E 1 @^4611686018427387904 @+1"]
    {
        let error = at_once(|| bytes(&[("data", text)])).unwrap_err();
        assert!(
            error.to_string().ends_with("would be larger than 9223372036854775807 bytes"),
            "{text}: {error}"
        );
    }
}

#[test]
fn holes_are_known_to_the_byte() {
    for text in [
        "@3 1 @6",
        "(@3 1 @6)*4",
        "((@3 1 @5)*4)[5:17]*3 @+5 (@2 7)",
        "(1 @+3)*5 @2 (@3) @12 ((@3 2*2 @7)*3)[4:12]",
        "(@2 1)*3 -> \\a \\a[3:5] \\a (\\a[1:8])[2:]*2",
    ] {
        let (rope, bytes) = (rope(&[("data", text)]).unwrap(), bytes(&[("data", text)]).unwrap());
        for end in 0..=bytes.len() {
            for from in 0..=end {
                let first = bytes[from..end].iter().position(|byte| *byte != 0).map(|at| (from + at) as u64);
                assert_eq!(rope.data(from as u64, end as u64), first, "{text}: {from}..{end}");
            }
        }
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(bytes(&[("data", &nested(parse::DEEPEST))]).unwrap(), [1]);
    for text in [nested(parse::DEEPEST + 1), nested(10_000), "(".repeat(100_000), "(2 ".repeat(100_000)] {
        assert!(refusal(&[("data", &text)]).ends_with("expressions must be nested at most 250 deep"));
    }
    // Variables count, also where they are seen for the second time.
    let deep = format!("{}1 $v 2{}", "(1 ".repeat(200), ")".repeat(200));
    let error = refusal(&[("data", &format!("$v {deep}")), ("v", &format!("(1 {})", nested(100)))]);
    assert!(error.ends_with("expressions must be nested at most 250 deep"), "{error}");

    let names = "(1 2*9)[1:] -> \\a ".to_owned() + &"(1 \\a 2)[1:] -> \\a ".repeat(1000);
    assert!(refusal(&[("data", &names)]).contains("are nested 500 deep"));
    let operators = "(1 2)".to_owned() + &"*2[1:4]".repeat(1000);
    assert!(refusal(&[("data", &operators)]).contains("are nested 500 deep"));
    let alike = format!("1{} 2{}", "*1".repeat(10_000), "[:1]".repeat(10_000));
    assert_eq!(bytes(&[("data", &alike)]).unwrap(), [1, 2]);
}

#[test]
fn variables_that_multiply_are_bounded() {
    let mut params = vec![("data".to_owned(), "$v0".to_owned())];
    params.extend((0..40).map(|n| (format!("v{n}"), format!("$v{0} $v{0}", n + 1))));
    params.push(("v40".to_owned(), "1".to_owned()));
    let params: Vec<_> = params.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    let error = at_once(|| refusal(&params));
    assert_eq!(
        error,
        "data parameter: with all its variables it has more than 1000000 items, should be fewer"
    );
    // Names multiply bytes and not work.
    let doubled = "1 -> \\a ".to_owned() + &"(\\a \\a) -> \\a ".repeat(40) + "\\a[1000000:1000003]";
    assert_eq!(at_once(|| bytes(&[("data", &doubled)])).unwrap(), [1, 1, 1]);
}

#[test]
fn the_corpus_is_survived() {
    let mut seen = 0;
    for entry in std::fs::read_dir("../../fuzz/corpus/data").unwrap() {
        let _ = at_once(|| fuzz(&std::fs::read(entry.unwrap().path()).unwrap()));
        seen += 1;
    }
    assert!(seen > 10);
    assert!(fuzz(b"$a*2\x00<\x001").is_err());
    assert!(fuzz(b"$a*2 $b\x001\x00(2 $a)").is_ok());
    assert!(fuzz(b"</etc/passwd").is_err() && fuzz(b"<(true)").is_err(), "no files, no scripts");
}
