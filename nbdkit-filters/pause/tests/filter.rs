// SPDX-License-Identifier: BSD-3-Clause
//! Commands over the socket, and what becomes of operations meanwhile.
#![allow(clippy::unwrap_used)]

use nbdkit_filter::{testing::Bench, *};
use nbdkit_pause_filter::Pause;
use nbdkit_plugin::conformance::{Content, Kit};
use std::{
    fs,
    future::{Future, IntoFuture},
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::PathBuf,
    pin::Pin,
    sync::mpsc,
    thread::JoinHandle,
};

const SIZE: u64 = 100_001;
const NONE: Flags = Flags { fua: false, may_trim: false, fast_zero: false, req_one: false };

fn memory() -> Next {
    let mut memory = (nbdkit_memory_plugin::PLUGIN.create)();
    memory.config("size", SIZE.to_string().as_ref()).unwrap();
    memory.get_ready().unwrap();
    Next::plugin("memory", memory.into())
}

/// A server whose tasks run on a thread, so that tests may wait for the socket.
struct Chain {
    bench: Bench,
    next: Next,
    directory: tempfile::TempDir,
    running: Option<JoinHandle<()>>,
}

impl Chain {
    fn new(behind: Next) -> Chain {
        let (bench, directory) = (Bench::default(), tempfile::tempdir().unwrap());
        let path = directory.path().join("control");
        let next =
            bench.filter::<Pause>("pause", &[("pause-control", path.to_str().unwrap())], behind).unwrap();
        let running = bench.clone();
        let running = std::thread::spawn(move || {
            let server = running.server().clone();
            running.run(async move {
                server.stopped().await;
                server.drained().await;
            });
        });
        Chain { bench, next, directory, running: Some(running) }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("control")
    }

    fn control(&self) -> UnixStream {
        UnixStream::connect(self.path()).unwrap()
    }

    fn open(&self) -> (Arc<dyn Disk>, Connection) {
        let req = self.bench.request(1, "");
        let connection = req.connection.clone();
        (self.bench.run(async { self.next.open(req).await }).unwrap(), connection)
    }

    fn stop(&mut self) {
        self.bench.server().shutdown();
        if let Some(running) = self.running.take() {
            running.join().unwrap();
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.stop();
    }
}

fn say(control: &mut UnixStream, commands: &str) {
    control.write_all(commands.as_bytes()).unwrap();
}

fn hear(control: &mut UnixStream) -> char {
    let mut answer = [0];
    control.read_exact(&mut answer).unwrap();
    answer[0].into()
}

fn ask(control: &mut UnixStream, command: &str) -> char {
    say(control, command);
    hear(control)
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Every operation of a client, and whether it waits.
fn operations(disk: &dyn Disk) -> Vec<Op<'_, ()>> {
    let span = Span::new(0, 512);
    vec![
        disk.pread(512, 0).map(|_| Ok(())),
        disk.pwrite(Buf::from(vec![1; 512]), 0, NONE),
        disk.flush(),
        disk.trim(span, NONE),
        disk.zero(span, NONE),
        disk.cache(span),
        disk.extents(span, NONE).map(|_| Ok(())),
    ]
}

fn all_ready(disk: &dyn Disk) -> bool {
    operations(disk).iter().all(|op| matches!(op, Op::Ready(Ok(()))))
}

fn polled<'a>(chain: &Chain, op: Op<'a, ()>) -> Pending<'a> {
    let mut pending: Pending = Box::pin(op.into_future());
    chain.bench.run(async {
        assert!(futures_lite::future::poll_once(&mut pending).await.is_none());
    });
    pending
}

#[test]
fn pauses_and_resumes() {
    let chain = Chain::new(memory());
    let (disk, _) = chain.open();
    let mut control = chain.control();
    assert!(all_ready(&*disk));
    assert_eq!(ask(&mut control, "p"), 'P');
    let waiting: Vec<_> = operations(&*disk).into_iter().map(|op| polled(&chain, op)).collect();
    assert!(matches!(disk.finalize(), Op::Ready(Ok(()))), "goodbyes do not wait");
    assert_eq!(ask(&mut control, "p"), 'P', "as it was");
    let another = chain.open().0;
    let waiting_too = polled(&chain, another.flush());
    // From another client of the socket.
    assert_eq!(ask(&mut chain.control(), "r"), 'R');
    chain.bench.run(async {
        for operation in waiting {
            operation.await.unwrap();
        }
        waiting_too.await.unwrap();
    });
    assert!(all_ready(&*disk) && all_ready(&*another));
    assert_eq!(ask(&mut control, "r"), 'R', "as it was");
}

#[test]
fn unknown_commands_are_answered_and_ignored() {
    let chain = Chain::new(memory());
    let mut control = chain.control();
    assert_eq!(ask(&mut control, "P"), 'X');
    assert!(all_ready(&*chain.open().0));
    say(&mut control, " p\r\n\tx\0\u{e9}r\n");
    let answers: String = (0..6).map(|_| hear(&mut control)).collect();
    assert_eq!(answers, "PXXXXR");
    control.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(control.read(&mut [0]).unwrap(), 0, "nothing more comes");
}

/// Answers reads when told to.
#[derive(Default)]
struct Slow;

impl Plugin for Slow {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        let (begin, begun) = mpsc::sync_channel(1);
        let (release, released) = mpsc::channel();
        HANDLES.with(|handles| handles.replace(Some((begun, release))));
        req.blocking(move || Ok(SlowDisk { begin, released: std::sync::Mutex::new(released) }))
    }
}

type Handles = (mpsc::Receiver<()>, mpsc::Sender<()>);

thread_local! {
    /// Of the disk that this test has opened last.
    static HANDLES: std::cell::RefCell<Option<Handles>> = const { std::cell::RefCell::new(None) };
}

struct SlowDisk {
    begin: mpsc::SyncSender<()>,
    released: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl SyncDisk for SlowDisk {
    fn info(&self) -> Result<Info> {
        Ok(Info::read_only(SIZE))
    }

    fn pread(&self, _: &mut [u8], _: u64) -> Result<()> {
        self.begin.send(()).unwrap();
        self.released.lock().unwrap().recv().map_err(|_| Error::new(EIO, "forgotten"))
    }
}

#[test]
fn what_is_under_way_is_waited_for() {
    let bench = Bench::default();
    let chain = Chain::new(bench.plugin::<Slow>("slow", &[]).unwrap());
    let (disk, _) = chain.open();
    let (begun, release) = HANDLES.take().unwrap();
    let mut control = chain.control();
    let not_begun = disk.pread(1, 0);

    let reading = chain.bench.server().spawn({
        let disk = disk.clone();
        async move { disk.pread(1, 0).await.map(drop) }
    });
    begun.recv().unwrap();
    say(&mut control, "p");
    // The second client sees that the pause has begun, although the first has no answer yet.
    let (late, _) = chain.open();
    while matches!(late.flush(), Op::Ready(_)) {
        std::thread::yield_now();
    }
    control.set_nonblocking(true).unwrap();
    assert!(control.read(&mut [0]).is_err(), "paused while a read is under way");
    control.set_nonblocking(false).unwrap();
    release.send(()).unwrap();
    assert_eq!(hear(&mut control), 'P');
    chain.bench.run(reading.join()).unwrap();

    // Made before the pause, but that is no beginning.
    let not_begun = polled(&chain, not_begun.map(|_| Ok(())));
    assert!(begun.try_recv().is_err());
    release.send(()).unwrap();
    assert_eq!(ask(&mut control, "r"), 'R');
    chain.bench.run(not_begun).unwrap();
}

#[test]
fn a_pause_can_be_called_off() {
    let bench = Bench::default();
    let chain = Chain::new(bench.plugin::<Slow>("slow", &[]).unwrap());
    let (disk, _) = chain.open();
    let (begun, release) = HANDLES.take().unwrap();
    let reading = chain.bench.server().spawn(async move { disk.pread(1, 0).await.map(drop) });
    begun.recv().unwrap();
    let mut control = chain.control();
    say(&mut control, "p");
    let (late, _) = chain.open();
    while matches!(late.flush(), Op::Ready(_)) {
        std::thread::yield_now();
    }
    assert_eq!(ask(&mut chain.control(), "r"), 'R');
    assert_eq!(hear(&mut control), 'X', "it is not paused");
    release.send(()).unwrap();
    chain.bench.run(reading.join()).unwrap();
}

#[test]
fn who_hangs_up_waits_no_longer() {
    let chain = Chain::new(memory());
    let (disk, connection) = chain.open();
    let (other, _) = chain.open();
    let mut control = chain.control();
    assert_eq!(ask(&mut control, "p"), 'P');
    let write = polled(&chain, disk.pwrite(Buf::from(vec![1; 512]), 0, NONE));
    let flush = polled(&chain, other.flush());
    connection.disconnect();
    assert_eq!(chain.bench.run(write).unwrap_err().errno(), ESHUTDOWN);
    chain.bench.server().shutdown();
    assert_eq!(chain.bench.run(flush).unwrap_err().errno(), ESHUTDOWN);
}

#[test]
fn the_socket_comes_and_goes() {
    let mut chain = Chain::new(memory());
    let path = chain.path();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let _idle = chain.control();
    chain.stop();
    assert!(!path.exists());

    let refusal = |path: &str| {
        let params = [("pause-control", path)];
        let result = Bench::default().filter::<Pause>("pause", &params, memory());
        result.map(drop).unwrap_err().to_string()
    };
    // What was left behind makes room, what is somebody's file does not.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let params = [("pause-control", path.to_str().unwrap())];
    Bench::default().filter::<Pause>("pause", &params, memory()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "precious").unwrap();
    let said = refusal(path.to_str().unwrap());
    assert!(said.starts_with("pause-control: ") && said.ends_with("Address already in use"), "{said}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert!(refusal(&"x".repeat(200)).starts_with("pause-control socket path too long: "));
    let missing = Bench::default().filter::<Pause>("pause", &[], memory()).map(drop).unwrap_err();
    assert_eq!(missing.to_string(), "pause-control socket was not set");
}

#[test]
fn keeps_the_promises_of_a_disk() {
    let chain = Chain::new(memory());
    let (bench, next) = (chain.bench.clone(), chain.next.clone());
    let driver = bench.clone();
    Kit::disks(move |read_only, connection| {
        let mut req = bench.request(connection, "");
        req.read_only = read_only;
        bench.run(async { next.open(req).await })
    })
    .driver(move |task| driver.run(task))
    .size(SIZE)
    .content(Content::Zeroes)
    .run();
}
