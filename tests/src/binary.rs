// SPDX-License-Identifier: BSD-3-Clause
//! Which binary is tested, and what may be expected of it.
//!
//! The tests were proved on the original nbdkit, an independent implementation with the same command line. It
//! is still welcome: `NBDKIT=/usr/bin/nbdkit cargo test -p nbdkit-tests` checks the tests themselves. What an
//! old original cannot do is listed in [`Feature`]; of our own binary everything is expected.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// What an old original lacks or does differently. Our own binary has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// `NBD_OPT_EXTENDED_HEADERS` is negotiated.
    ExtendedHeaders,
    /// Errors name the value and what would be right, also those in option negotiation; what came from a client
    /// is escaped.
    ErrorText,
    /// `-p 0` lets the kernel choose the port.
    PortZero,
    /// Holes are sent as `NBD_REPLY_TYPE_OFFSET_HOLE`.
    HolesOnWire,
    /// A signal ends the server although clients are connected and idle.
    QuitsWithIdleClients,
    /// `--timeout` limits the handshake.
    HandshakeTimeout,
    /// `--no-mc` hides meta contexts.
    NoMetaContexts,
    /// `fd=` and `dirfd=` of the file plugin.
    FileDescriptors,
    /// `reduce-memory-pressure=` of the file plugin.
    ReduceMemoryPressure,
    /// The file plugin advertises the block sizes of a block device.
    DeviceBlockSize,
    /// A client cannot make the server hold more memory than one largest request and 32 MiB.
    BoundedMemory,
    /// A crowd of idle connections costs a handful of threads.
    FewThreads,
    /// `--run` without a place to listen makes a private socket, as `-U -` does.
    RunOnPrivateSocket,
    /// A filter that is given twice has its parameters twice.
    SeparateFilters,
    /// A client that vanishes while replies are on their way does not end the server.
    SurvivesHangUp,
    /// Payloads of options with more than they announce are refused.
    StrictPayloads,
}

// A result, so that every test says what is wrong and not only the first.
static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| match std::env::var_os("NBDKIT") {
    Some(path) if PathBuf::from(&path).is_absolute() => Ok(path.into()),
    Some(path) => Err(format!("NBDKIT must be an absolute path, not {}", path.display())),
    None => {
        // .../target/debug/deps/interop-0123456789abcdef -> .../target/debug/nbdkit
        let exe = std::env::current_exe().expect("a running test has a path");
        let profile = exe.ancestors().nth(2).expect("a test lives in target/PROFILE/deps");
        let binary = profile.join("nbdkit");
        if binary.exists() {
            Ok(binary)
        } else {
            Err(format!("{} does not exist: run `cargo build -p nbdkit` or set NBDKIT", binary.display()))
        }
    }
});

/// The original keeps its plugins in shared objects; ours has them built in.
static ORIGINAL: LazyLock<bool> = LazyLock::new(|| {
    let output = nbdkit().args(["null", "--dump-plugin"]).output().expect("the binary can be run");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .any(|line| line.starts_with("path=") && line.ends_with("-plugin.so"))
});

/// The binary under test: `NBDKIT` from the environment, or the one cargo built beside this test.
pub fn nbdkit() -> Command {
    let mut command = Command::new(BINARY.as_deref().unwrap_or_else(|error| panic!("{error}")));
    command.env("LC_ALL", "C");
    command
}

/// Whether to expect `feature`. Where not, says so; the caller returns.
pub fn supports(feature: Feature) -> bool {
    if *ORIGINAL {
        println!("not expected of the original: {feature:?}");
    }
    !*ORIGINAL
}
