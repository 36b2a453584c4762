// SPDX-License-Identifier: BSD-3-Clause
//! Plugins: a good one passes, and what is wrong with the others is found.

use crate::reference::{Fault, Image, Reference};
use nbdkit_plugin::{conformance::*, *};
use std::{borrow::Cow, ffi::OsStr, sync::Mutex};

params! {
    struct Params {
        /// Size of the disk.
        [magic] [required "you must specify size=<SIZE>"]
        "size" => size: Required<Size>,
        /// A word.
        "word" | "mot" => word: String = "a".to_owned(),
    }
}

params! {
    struct TwoMagic {
        /// One.
        [magic] "one" => one: u32,
        /// Two.
        [magic] "two" => two: u32,
    }
}

/// What is wrong.
const GOOD: u8 = 0;
const TAKES_EVERY_KEY: u8 = 1;
const FORGETS_THE_REQUIRED: u8 = 2;
const REFUSES_ITS_DEFAULT: u8 = 3;
const PANICS_ON_BAD_BYTES: u8 = 4;
const SPEAKS_IN_TWO_LINES: u8 = 5;
const LISTS_TOO_LONG_A_NAME: u8 = 6;
const WRITES_UNDECLARED: u8 = 7;
const TRIMS_UNDECLARED: u8 = 8;
const FAILS_TO_CLEAN_UP: u8 = 9;
const WRITES_READ_ONLY: u8 = 10;
const HAS_TWO_MAGIC_KEYS: u8 = 11;
const TAKES_EVERY_FLAG: u8 = 12;
/// Not wrong: values without a key are for `word`, once there is a size.
const CHANGES_ITS_MAGIC_KEY: u8 = 13;

#[derive(Default)]
struct Sample<const WRONG: u8> {
    params: Params,
    two: TwoMagic,
    flags: DebugFlags<WRONG>,
    image: Arc<Image>,
}

/// The debug flag `talk`.
#[derive(Default)]
struct DebugFlags<const WRONG: u8>(i32);

impl<const WRONG: u8> ParamSet for DebugFlags<WRONG> {
    fn specs(&self) -> Vec<ParamSpec> {
        let mut specs = Params::default().specs();
        specs.truncate(1);
        specs[0].keys = &["talk"];
        specs
    }

    fn set(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        if key != "talk" && WRONG != TAKES_EVERY_FLAG {
            return Ok(Taken::No);
        }
        self.0 = Value::parse(value).map_err(Error::invalid)?;
        Ok(Taken::Yes)
    }

    fn complete(&self) -> Result<()> {
        Ok(())
    }
}

impl<const WRONG: u8> Plugin for Sample<WRONG> {
    fn debug_flags(&mut self) -> Option<&mut dyn ParamSet> {
        Some(&mut self.flags)
    }

    fn magic_key(&mut self) -> Option<Cow<'static, str>> {
        let key = if WRONG == CHANGES_ITS_MAGIC_KEY && self.params.size.0 > 0 { "word" } else { "size" };
        Some(key.into())
    }

    fn params(&mut self) -> Option<&mut dyn ParamSet> {
        if WRONG == HAS_TWO_MAGIC_KEYS {
            return Some(&mut self.two);
        }
        Some(&mut self.params)
    }

    fn config(&mut self, key: &str, value: &OsStr) -> Result<Taken> {
        match WRONG {
            PANICS_ON_BAD_BYTES if key == "word" => assert!(value.to_str().is_some(), "not UTF-8"),
            REFUSES_ITS_DEFAULT if value == "a" => return Err(Error::invalid("word: not a")),
            SPEAKS_IN_TWO_LINES if value == "-1" => return Err(Error::invalid("bad\nvalue")),
            _ => {}
        }
        match self.params.set(key, value)? {
            Taken::No if WRONG == TAKES_EVERY_KEY => Ok(Taken::Yes),
            taken => Ok(taken),
        }
    }

    fn config_complete(&mut self) -> Result<()> {
        if WRONG == FORGETS_THE_REQUIRED { Ok(()) } else { self.params.complete() }
    }

    fn list_exports(self: Arc<Self>, _: OpenRequest) -> Op<'static, Option<Vec<Export>>> {
        let len = if WRONG == LISTS_TOO_LONG_A_NAME { 5000 } else { 5 };
        Op::ok(Some(vec![Export::new("x".repeat(len))]))
    }

    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let mut info = Reference::info(self.params.size.0);
        if req.read_only || WRONG == WRITES_UNDECLARED {
            info.without_writing();
        }
        if WRONG == TRIMS_UNDECLARED {
            info.trim = false;
        }
        let disk = Reference::new(self.image.clone(), Fault::None, info);
        if WRONG == WRITES_READ_ONLY || WRONG == WRITES_UNDECLARED || !req.read_only {
            return req.ready(disk);
        }
        req.blocking(move || Ok(Careful(disk)))
    }

    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        match WRONG {
            FAILS_TO_CLEAN_UP => Op::err(Error::new(EIO, "dirty")),
            _ => Op::ok(()),
        }
    }
}

/// Reads and nothing else, on the pool of threads.
struct Careful(Reference);

impl SyncDisk for Careful {
    fn info(&self) -> Result<Info> {
        Ok(self.0.info.with(|info| (info.flush, info.extents) = (false, false)).with(|info| {
            info.cache = Support::None;
        }))
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        buf.copy_from_slice(&self.0.image.read(Span::new(offset, buf.len() as u64)));
        Ok(())
    }
}

fn entry<const WRONG: u8>() -> PluginEntry {
    PluginEntry::new::<Sample<WRONG>>("sample", "a disk for the kit's own tests")
}

#[test]
fn a_good_plugin_passes() {
    let kit = || Kit::new(entry::<GOOD>()).content(Content::Zeroes).granule(4096).operations(100);
    kit().param("size", "100001").param("mot", "b").size(100_001).run();
    kit().magic("64k").size(65536).run();
    kit().magic("0").size(0).run();
    Kit::new(entry::<CHANGES_ITS_MAGIC_KEY>()).magic("64k").magic("b").size(65536).operations(10).run();
}

#[test]
fn broken_plugins_are_found_out() {
    for (plugin, why) in [
        (entry::<TAKES_EVERY_KEY>(), "takes the unknown key"),
        (entry::<FORGETS_THE_REQUIRED>(), "does not miss the required parameters"),
        (entry::<REFUSES_ITS_DEFAULT>(), "its own default is refused: config word=a"),
        (entry::<PANICS_ON_BAD_BYTES>(), "parameters: panicked: not UTF-8"),
        (entry::<SPEAKS_IN_TWO_LINES>(), "should be one line"),
        (entry::<LISTS_TOO_LONG_A_NAME>(), "longer than 4096 bytes"),
        (entry::<WRITES_UNDECLARED>(), "raw disk: write succeeds, but info does not declare it"),
        (entry::<TRIMS_UNDECLARED>(), "raw disk: trim succeeds, but info does not declare it"),
        (entry::<FAILS_TO_CLEAN_UP>(), "cleanup: [errno 5] dirty"),
        (entry::<WRITES_READ_ONLY>(), "opened read-only: after write 1@0: "),
        (entry::<HAS_TWO_MAGIC_KEYS>(), "more than one parameter is magic"),
        (entry::<TAKES_EVERY_FLAG>(), "the unknown debug flag no-such-key is answered with"),
        (PluginEntry::new::<Sample<GOOD>>("sam ple", "a space"), "name \"sam ple\""),
    ] {
        let report = Kit::new(plugin).magic("10k").operations(50).check().expect_err(why);
        assert!(report.contains(why), "'{report}' should contain '{why}'");
    }
    let report = Kit::new(entry::<TAKES_EVERY_KEY>()).any_key().magic("10k").check();
    assert_eq!(report, Ok(()));
}

#[test]
fn unknown_parameters_and_bad_values_are_reported() {
    let report = Kit::new(entry::<GOOD>()).param("colour", "red").check().unwrap_err();
    assert!(report.contains("config does not know the key colour"), "{report}");
    let report = Kit::new(entry::<GOOD>()).magic("red").check().unwrap_err();
    assert!(report.contains("config size=red"), "{report}");
}

/// Goes through its life in order.
#[derive(Default)]
struct Diary(&'static str);

static LINES: Mutex<Vec<&str>> = Mutex::new(Vec::new());

fn line(text: &'static str) {
    LINES.lock().unwrap().push(text);
}

impl Plugin for Diary {
    fn startup(&mut self, _: &Startup) {
        line("startup");
    }

    fn config_complete(&mut self) -> Result<()> {
        self.0 = "complete";
        line("config_complete");
        Ok(())
    }
    fn get_ready(&mut self) -> Result<()> {
        assert_eq!(self.0, "complete");
        line("get_ready");
        Ok(())
    }
    fn after_fork<'a>(&'a mut self, server: &'a Server) -> Op<'a, ()> {
        line("after_fork");
        // Work beside the connections is done before the plugin cleans up.
        drop(server.spawn(async { line("background") }));
        Op::ok(())
    }
    fn preconnect(self: Arc<Self>, _: Connection) -> Op<'static, ()> {
        line("preconnect");
        Op::ok(())
    }
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        line("open");
        req.inline(Zeroes)
    }
    fn cleanup(self: Arc<Self>) -> Op<'static, ()> {
        line("cleanup");
        Op::ok(())
    }
}

struct Zeroes;

impl SyncDisk for Zeroes {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(10_000))
    }
    fn pread(&self, buf: &mut [u8], _: u64) -> Result<()> {
        buf.fill(0);
        Ok(())
    }
    fn close(&self) -> Result<()> {
        line("close");
        Ok(())
    }
}

#[test]
fn a_plugin_is_led_through_its_life_in_order() {
    Kit::new(PluginEntry::new::<Diary>("diary", "writes down what it is asked for")).run();
    let lines = LINES.lock().unwrap();
    assert_eq!(lines[..4], ["startup", "config_complete", "get_ready", "after_fork"]);
    assert_eq!(lines.last(), Some(&"cleanup"));
    let count = |name| lines.iter().filter(|line| **line == name).count();
    assert_eq!(count("background"), 1);
    assert_eq!((count("preconnect"), count("close")), (count("open"), count("open")));
    let at = |name| lines.iter().position(|line| *line == name);
    assert!(at("after_fork") < at("preconnect") && at("preconnect") < at("open") && at("open") < at("close"));
}
