// SPDX-License-Identifier: BSD-3-Clause
//! [`ScriptDisk`]: one open export; every operation starts a script.

use crate::{
    Host, Scripts,
    answer::Answer,
    call::{Caller, Streams},
    extents, host, info,
};
use nbdkit_plugin::*;
use std::ffi::{OsStr, OsString};

pub(crate) struct ScriptDisk<S: Scripts> {
    host: Arc<Host<S>>,
    req: OpenRequest,
    /// What `open` printed: the first argument of all other methods.
    handle: OsString,
    info: Info,
}

impl<S: Scripts> ScriptDisk<S> {
    pub(crate) fn open(host: Arc<Host<S>>, req: OpenRequest) -> Result<ScriptDisk<S>> {
        let args: [&dyn AsRef<OsStr>; 3] = [&host::word(req.read_only), &&*req.export, &host::word(req.tls)];
        let caller = Caller::Client(&req.connection, req.log());
        let handle = host.call(caller, "open", &args, Streams::default())?.line("open")?;
        let mut disk = ScriptDisk { host, req, handle, info: Info::default() };
        match info::info(disk.req.read_only, |method| disk.call(method, &[], Streams::default())) {
            Ok(info) => disk.info = info,
            Err(error) => {
                // It was opened; this error is the one to be told of.
                let _ = disk.close();
                return Err(error);
            }
        }
        Ok(disk)
    }

    /// Calls `method` with the handle and `args`.
    fn call(&self, method: &str, args: &[&dyn AsRef<OsStr>], streams: Streams<'_>) -> Result<Answer> {
        let mut all: Vec<&dyn AsRef<OsStr>> = vec![&self.handle];
        all.extend(args);
        self.host.call(Caller::Client(&self.req.connection, self.req.log()), method, &all, streams)
    }

    /// Calls `method` with the handle, count, offset and flags.
    fn act(&self, method: &str, span: Span, flags: &str, input: &[u8]) -> Result<Answer> {
        let streams = Streams { input, ..Streams::default() };
        self.call(method, &[&span.len.to_string(), &span.offset.to_string(), &flags], streams)
    }
}

/// What was not declared is not asked for.
fn only_if(declared: bool, what: &str) -> Result<()> {
    if declared { Ok(()) } else { Err(Error::unsupported(what)) }
}

fn not_implemented(method: &str) -> Error {
    Error::new(EIO, format!("{method} not implemented"))
}

/// As scripts see them: words with commas between.
fn flags(words: &[(bool, &str)]) -> String {
    let set: Vec<&str> = words.iter().filter(|(set, _)| *set).map(|(_, word)| *word).collect();
    set.join(",")
}

impl<S: Scripts> SyncDisk for ScriptDisk<S> {
    fn info(&self) -> Result<Info> {
        Ok(self.info.clone())
    }

    fn pread(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let streams = Streams { most: buf.len(), ..Streams::default() };
        let answer = self.call("pread", &[&buf.len().to_string(), &offset.to_string()], streams)?;
        let output = answer.required("pread")?;
        let (wanted, received) = (buf.len(), output.len());
        if received != wanted {
            return Err(Error::new(
                EIO,
                format!(
                    "pread: incorrect amount of data read: expecting {wanted} bytes but received {received} bytes from the script"
                ),
            ));
        }
        buf.copy_from_slice(&output);
        Ok(())
    }

    fn pwrite(&self, data: &[u8], offset: u64, Flags { fua, .. }: Flags) -> Result<()> {
        only_if(self.info.write, "write")?;
        let span = Span::new(offset, data.len() as u64);
        let output = self.act("pwrite", span, &flags(&[(fua, "fua")]), data)?.output("pwrite")?;
        output.map(drop).ok_or_else(|| not_implemented("pwrite"))
    }

    fn flush(&self) -> Result<()> {
        only_if(self.info.flush, "flush")?;
        self.call("flush", &[], Streams::default())?.done("flush")
    }

    /// A script that declares it and has it not ignores it.
    fn trim(&self, span: Span, Flags { fua, .. }: Flags) -> Result<()> {
        only_if(self.info.trim, "trim")?;
        self.act("trim", span, &flags(&[(fua, "fua")]), &[])?.done("trim")
    }

    fn zero(&self, span: Span, Flags { fua, may_trim, fast_zero, .. }: Flags) -> Result<()> {
        only_if(self.info.zero == Support::Native, "zero")?;
        let flags = flags(&[(fua, "fua"), (may_trim, "may_trim"), (fast_zero, "fast")]);
        let output = self.act("zero", span, &flags, &[])?.output("zero")?;
        // With this error the server writes the zeroes.
        output.map(drop).ok_or_else(|| Error::unsupported("zero"))
    }

    fn cache(&self, span: Span) -> Result<()> {
        only_if(self.info.cache == Support::Native, "cache")?;
        let args: [&dyn AsRef<OsStr>; 2] = [&span.len.to_string(), &span.offset.to_string()];
        self.call("cache", &args, Streams::default())?.done("cache")
    }

    fn extents(&self, span: Span, Flags { req_one, .. }: Flags) -> Result<Extents> {
        if !self.info.extents {
            return Ok(Extents::data(span.len));
        }
        let output = self.act("extents", span, &flags(&[(req_one, "req_one")]), &[])?.output("extents")?;
        let missing = || Error::new(EIO, "can_extents returned true, but extents method is not defined");
        extents::extents(&output.ok_or_else(missing)?, span)
    }

    fn close(&self) -> Result<()> {
        self.call("close", &[], Streams::default())?.done("close")
    }
}
