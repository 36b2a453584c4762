// SPDX-License-Identifier: BSD-3-Clause
//! A file descriptor by number, made ours without trusting that the number means anything.

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use std::{
    io,
    os::fd::{OwnedFd, RawFd},
};

/// A duplicate of descriptor `number` of this process.
///
/// # Errors
/// `EBADF` if there is none.
pub(crate) fn duplicate(number: u32) -> io::Result<OwnedFd> {
    let number = RawFd::try_from(number).map_err(|_| Errno::BADF)?;
    // dup(2) wants a descriptor that somebody vouches for; this call takes any number, of any process.
    let ours = pidfd_open(getpid(), PidfdFlags::empty());
    match ours.and_then(|ours| pidfd_getfd(ours, number, PidfdGetfdFlags::empty())) {
        Err(Errno::BADF) => Err(Errno::BADF.into()),
        // Linux before 5.6, and containers that forbid it. This opens the pipe once more, which is the same unless its
        // last writer has gone already.
        Err(_) => reopen(number),
        Ok(fd) => Ok(fd),
    }
}

fn reopen(number: RawFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(format!("/proc/self/fd/{number}"), flags, Mode::empty()) {
        Err(Errno::NOENT) => Err(Errno::BADF.into()),
        result => Ok(result?),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::{
        io::{Read, Write},
        os::fd::AsRawFd,
    };

    #[test]
    fn the_same_pipe() {
        let (reader, mut writer) = io::pipe().unwrap();
        let number = reader.as_raw_fd();
        for copy in [duplicate(number.cast_unsigned()).unwrap(), reopen(number).unwrap()] {
            writer.write_all(b"x").unwrap();
            let mut byte = [0];
            std::fs::File::from(copy).read_exact(&mut byte).unwrap();
            assert_eq!(&byte, b"x");
        }
    }

    #[test]
    fn numbers_that_mean_nothing() {
        for number in [1_000_000, u32::MAX] {
            assert_eq!(duplicate(number).unwrap_err().raw_os_error(), Some(9), "{number}");
        }
        assert_eq!(reopen(1_000_000).unwrap_err().raw_os_error(), Some(9));
    }
}
