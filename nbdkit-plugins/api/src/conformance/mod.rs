// SPDX-License-Identifier: BSD-3-Clause
//! The kit that the tests of every plugin and filter run.
//!
//! It takes a plugin through its whole life, or opens disks that a filter's test has stacked up, and asks them for
//! everything that [`Disk`] and [`Info`](crate::Info) promise: what is declared works and what is not fails; reads
//! and writes are right at every edge; random operations agree with a model of the bytes; extents cover what was
//! asked, agree with the bytes and report every hole at least as big as the granule; many clients at once lose
//! nothing. Every disk is examined twice, as it is and behind [`Emulate`](crate::Emulate).
//!
//! The test of a plugin is a few lines:
//!
//! ```
//! use nbdkit_plugin::{conformance::*, *};
//! # #[derive(Default)]
//! # struct Empty;
//! # impl Plugin for Empty {
//! #     fn open(self: Arc<Self>, req: OpenRequest) -> Opened { req.inline(EmptyDisk) }
//! # }
//! # struct EmptyDisk;
//! # impl SyncDisk for EmptyDisk {
//! #     fn info(&self) -> Result<Info> { Ok(Info::read_only(4096)) }
//! #     fn pread(&self, buf: &mut [u8], _offset: u64) -> Result<()> { buf.fill(0); Ok(()) }
//! # }
//! # static PLUGIN: PluginEntry = PluginEntry::new::<Empty>("empty", "zeroes");
//! Kit::new(PLUGIN).size(4096).content(Content::Zeroes).run();
//! ```
//!
//! So is that of a filter, with a way to open the disk in front of which the filter stands, and something that
//! drives its futures:
//!
//! ```text
//! let bench = Bench::default();
//! let disk = bench.plugin::<Base>("base", &[("size", "1M")])?;
//! let next = bench.filter::<Mine>("mine", &[], disk)?;
//! let driver = bench.clone();
//! Kit::disks(move |read_only, connection| {
//!     let mut req = bench.request(connection, "");
//!     req.read_only = read_only;
//!     bench.run(async { next.open(req).await })
//! })
//! .driver(move |task| driver.run(task))
//! .size(1 << 20)
//! .run();
//! ```

mod edges;
mod holes;
mod life;
mod model;
mod probe;
mod promises;
mod random;
mod stage;
mod together;
mod trial;
mod watch;

pub use life::Setup;
pub use stage::Task;

use crate::{Disk, PluginEntry, Result, ThreadModel};
use stage::{Stage, drive};
use std::{sync::Arc, time::Duration};
use trial::Trial;
use watch::Progress;

/// What went wrong, or nothing.
type Check<T = ()> = Result<T, String>;

/// What a disk holds when nothing was written yet.
#[derive(Clone, Debug)]
pub enum Content {
    /// Whatever the first read says, from then on.
    Unknown,
    /// Zeroes.
    Zeroes,
    /// These bytes, which are the whole disk.
    Bytes(Vec<u8>),
    /// The byte at each offset.
    Rule(fn(u64) -> u8),
}

/// What becomes of writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Writes {
    /// They are kept.
    Kept,
    /// They succeed and change nothing.
    Dropped,
    /// Write, zero and trim all fail with this errno and change nothing.
    Fail(i32),
}

/// What the kit expects of a disk.
#[derive(Clone)]
struct Expect {
    size: Option<u64>,
    content: Content,
    writes: Writes,
    shared: bool,
    granule: Option<u64>,
    operations: u32,
    seed: u64,
}

/// What opens a disk: whether to read only, and the number of the connection.
type Open = dyn Fn(bool, u64) -> Result<Arc<dyn Disk>> + Send + Sync;

enum Subject {
    Plugin(Setup),
    Disks(Stage),
}

/// The kit: what is examined, and what is expected of it.
#[must_use = "a kit examines nothing before `run` or `check`"]
pub struct Kit {
    subject: Subject,
    expect: Expect,
    patience: Duration,
}

impl Kit {
    /// Examines a plugin.
    pub fn new(plugin: PluginEntry) -> Kit {
        Kit::of(Subject::Plugin(Setup::new(plugin)))
    }

    /// Examines whatever disks `open` opens: `open(read_only, connection)`, where connections count from 1.
    ///
    /// Operations that are not declared are not tried here: a layer passes them on, since whoever is in front of it
    /// asks [`Info`](crate::Info) first.
    pub fn disks(open: impl Fn(bool, u64) -> Result<Arc<dyn Disk>> + Send + Sync + 'static) -> Kit {
        Kit::of(Subject::Disks(Stage {
            open: Arc::new(open),
            drive: drive(|task| futures_lite::future::block_on(task)),
            model: ThreadModel::Parallel,
            strict: false,
        }))
    }

    fn of(subject: Subject) -> Kit {
        let expect = Expect {
            size: None,
            content: Content::Unknown,
            writes: Writes::Kept,
            shared: true,
            granule: None,
            operations: 1000,
            seed: 0x6e62_646b_6974,
        };
        Kit { subject, expect, patience: Duration::from_secs(60) }
    }

    /// Gives the plugin `key=value`.
    pub fn param(self, key: &str, value: &str) -> Kit {
        self.setup(|setup| setup.params.push((Some(key.to_owned()), value.into())))
    }

    /// Gives the plugin `value` without a key: it is for what [`magic_key`](crate::Plugin::magic_key) says then.
    pub fn magic(self, value: &str) -> Kit {
        self.setup(|setup| setup.params.push((None, value.into())))
    }

    /// The plugin takes every key there is, so that none is unknown to it.
    pub fn any_key(self) -> Kit {
        self.setup(|setup| setup.any_key = true)
    }

    /// Opens the export called `name` of the plugin, instead of the default one.
    pub fn export(self, name: &str) -> Kit {
        self.setup(|setup| setup.export = name.to_owned())
    }

    /// Drives the futures of [`Kit::disks`] to their end, and what they spawn. Without it, nothing spawned runs.
    pub fn driver(self, run: impl for<'a> Fn(Task<'a>) + Send + Sync + 'static) -> Kit {
        self.stage(|stage| stage.drive = drive(run))
    }

    /// How much [`Kit::disks`] allow at once. A plugin says so itself.
    pub fn thread_model(self, model: ThreadModel) -> Kit {
        self.stage(|stage| stage.model = model)
    }

    /// The disk has this many bytes.
    pub fn size(mut self, size: u64) -> Kit {
        self.expect.size = Some(size);
        self
    }

    /// What the disk holds at first.
    pub fn content(mut self, content: Content) -> Kit {
        if let Content::Bytes(bytes) = &content {
            self.expect.size = Some(bytes.len() as u64);
        }
        self.expect.content = content;
        self
    }

    /// What becomes of writes.
    pub fn writes(mut self, writes: Writes) -> Kit {
        self.expect.writes = writes;
        self
    }

    /// Every open makes a disk of its own, that nobody else sees and that is gone when it is closed.
    pub fn image_per_open(mut self) -> Kit {
        self.expect.shared = false;
        self
    }

    /// The disk declares extents, with this unit of allocation in bytes: every aligned granule that is a hole must be
    /// reported as one.
    pub fn granule(mut self, bytes: u64) -> Kit {
        self.expect.granule = Some(bytes);
        self
    }

    /// How many random operations each disk is asked for: 1000 unless told.
    pub fn operations(mut self, count: u32) -> Kit {
        self.expect.operations = count;
        self
    }

    /// Other random operations than usual. Failures name the seed.
    pub fn seed(mut self, seed: u64) -> Kit {
        self.expect.seed = seed;
        self
    }

    /// How long a single step may take: a minute unless told. One that takes longer is reported as hanging.
    pub fn patience(mut self, limit: Duration) -> Kit {
        self.patience = limit;
        self
    }

    /// Examines, and panics with what went wrong.
    ///
    /// # Panics
    /// When anything is not as expected.
    #[track_caller]
    pub fn run(self) {
        if let Err(report) = self.check() {
            panic!("not as promised: {report}");
        }
    }

    /// Examines.
    ///
    /// # Errors
    /// What was not as expected: in which state, which operation, what came and what should have.
    pub fn check(self) -> Result<(), String> {
        let Kit { subject, expect, patience } = self;
        let seed = expect.seed;
        watch::watched(patience, move |progress| match subject {
            Subject::Plugin(setup) => life::live(&setup, progress, |stage| examine(stage, &expect, progress)),
            Subject::Disks(stage) => examine(&stage, &expect, progress),
        })
        .map_err(|report| format!("{report} (seed {seed:#x})"))
    }

    fn setup(mut self, change: impl FnOnce(&mut Setup)) -> Kit {
        match &mut self.subject {
            Subject::Plugin(setup) => change(setup),
            Subject::Disks(_) => {
                panic!("parameters and export names are for plugins: the disks are open already")
            }
        }
        self
    }

    fn stage(mut self, change: impl FnOnce(&mut Stage)) -> Kit {
        match &mut self.subject {
            Subject::Plugin(_) => panic!("a plugin has its own driver and thread model"),
            Subject::Disks(stage) => change(stage),
        }
        self
    }
}

/// All there is to ask of open disks.
fn examine(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    let mut fresh = true;
    for emulated in [false, true] {
        let place = if emulated { "behind Emulate" } else { "raw disk" };
        let all = || -> Check {
            let mut trial = Trial::open(stage, expect, progress, emulated, fresh)?;
            if stage.strict && !emulated {
                promises::refusals(&mut trial)?;
            }
            holes::run(&mut trial, fresh)?;
            edges::run(&mut trial)?;
            random::run(&mut trial, expect.operations)?;
            trial.close(true)
        };
        all().map_err(|report| format!("{place}: {report}"))?;
        fresh = !expect.shared;
    }
    together::run(stage, expect, progress)?;
    promises::read_only(stage, expect, progress).map_err(|report| format!("opened read-only: {report}"))
}
