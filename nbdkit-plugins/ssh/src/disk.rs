// SPDX-License-Identifier: BSD-3-Clause
//! [`SshDisk`]: requests of a client, cut into what one request of SFTP may ask for, all of it asked for at once.

use crate::{lanes::Lanes, remote::Remote};
use nbdkit_plugin::*;

pub(crate) struct SshDisk {
    info: Info,
    pool: Pool,
    lanes: Arc<Lanes>,
}

impl SshDisk {
    pub(crate) fn new(info: Info, pool: Pool, lanes: Arc<Lanes>) -> SshDisk {
        SshDisk { info, pool, lanes }
    }
}

/// What the file, as it was opened, can do.
pub(crate) fn info(remote: &Remote, read_only: bool) -> Info {
    let mut info = Info::writable(remote.size);
    info.flush = remote.sync;
    info.fua = if remote.sync { Support::Emulate } else { Support::None };
    // OpenSSH writes before it answers, and syncs the whole file, whoever has written it.
    info.multi_conn = remote.openssh;
    if read_only {
        info.without_writing();
    }
    info
}

impl Disk for SshDisk {
    fn info(&self) -> &Info {
        &self.info
    }

    fn pread(&self, len: u32, offset: u64) -> Op<'_, Data> {
        Op::wait(async move {
            let lane = self.lanes.pick();
            let parts = parts(len as usize, lane.limits.read);
            let asked: Vec<_> =
                parts.map(|(start, len)| lane.read(self.pool.get(len), offset + start as u64)).collect();
            let mut runs = Vec::with_capacity(asked.len());
            for part in finish(asked).await {
                runs.push(Run::Bytes(part.map_err(|error| failed(error, "read", len as usize, offset))?));
            }
            Ok(match runs.len() {
                1 => runs.remove(0).into(),
                _ => runs.into(),
            })
        })
    }

    fn pwrite(&self, data: Buf, offset: u64, _: Flags) -> Op<'_, ()> {
        if !self.info.write {
            return Op::err(Error::new(EROFS, "the remote file was opened for reading only"));
        }
        Op::wait(async move {
            let lane = self.lanes.pick();
            let parts = parts(data.len(), lane.limits.write);
            let asked: Vec<_> = parts
                .map(|(start, len)| lane.write(data.slice(start..start + len), offset + start as u64))
                .collect();
            let done: Result<()> = finish(asked).await.into_iter().collect();
            done.map_err(|error| failed(error, "write", data.len(), offset))
        })
    }

    fn flush(&self) -> Op<'_, ()> {
        if !self.info.flush {
            return Op::err(Error::unsupported("flush"));
        }
        Op::wait(async move { self.lanes.first().sync().await.map_err(|error| error.context("flush")) })
    }

    fn close(&self) -> Op<'_, ()> {
        self.lanes.close();
        Op::ok(())
    }
}

/// Starts and lengths of the pieces of `len` bytes, none longer than `most`.
fn parts(len: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..len).step_by(most).map(move |start| (start, most.min(len - start)))
}

/// Waits for all of them, whatever becomes of one: nothing that has begun is left behind.
async fn finish<T>(asked: Vec<impl Future<Output = Result<T>>>) -> Vec<Result<T>> {
    let mut results = Vec::with_capacity(asked.len());
    for part in asked {
        results.push(part.await);
    }
    results
}

fn failed(error: Error, what: &str, len: usize, offset: u64) -> Error {
    error.context(format!("{what} of {len} bytes at offset {offset}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_cover_everything() {
        let parts = |len, most| super::parts(len, most).collect::<Vec<_>>();
        assert_eq!(parts(10, 4), [(0, 4), (4, 4), (8, 2)]);
        assert_eq!(parts(8, 4), [(0, 4), (4, 4)]);
        assert_eq!(parts(1, 4), [(0, 1)]);
        assert_eq!(parts(0, 4), []);
    }
}
