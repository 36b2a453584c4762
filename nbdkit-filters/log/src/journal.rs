// SPDX-License-Identifier: BSD-3-Clause
//! [`Journal`]: where entries go.

use crate::{entry::Entry, script::Script, stamp};
use nbdkit_filter::{Arc, Error, Log, Op, Result};
use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

pub(crate) struct Journal {
    file: Option<File>,
    script: Option<Arc<Script>>,
    /// The file did not take something, and that was said.
    failed: AtomicBool,
}

impl Journal {
    /// `None` if there is neither file nor script.
    pub(crate) fn open(
        path: Option<&Path>,
        append: bool,
        script: Option<OsString>,
    ) -> Result<Option<Journal>> {
        let open = |path: &Path| {
            let file = File::options().create(true).write(true).truncate(!append).append(append).open(path);
            file.map_err(|error| Error::io(error, format!("open: {}", path.display())))
        };
        let file = path.map(open).transpose()?;
        let script = script.map(|command| Arc::new(Script::new(command)));
        let wanted = file.is_some() || script.is_some();
        Ok(wanted.then(|| Journal { file, script, failed: AtomicBool::new(false) }))
    }

    /// Notes what happens before there is anything but one thread.
    pub(crate) fn note_before_the_fork(&self, entry: &Entry) -> Result<()> {
        self.write(entry)?;
        match &self.script {
            Some(script) => script.run(&entry.variables(script.has_arrays())).map(drop),
            None => Ok(()),
        }
    }

    /// Notes, and waits for the script. Best effort: what is logged goes on in any case.
    pub(crate) async fn note(&self, log: &Log, entry: Entry) {
        if let Err(error) = self.write(&entry)
            && !self.failed.swap(true, Relaxed)
        {
            log.error(format_args!("{error}; this is not said again"));
        }
        let Some(script) = self.script.clone() else { return };
        let run = Op::blocking(move || script.run(&entry.variables(script.has_arrays())));
        match run.await {
            Ok(status) if status.success() => {}
            Ok(status) => log.debug(format_args!("logscript: {status}")),
            Err(error) => log.error(format_args!("{error}")),
        }
    }

    /// In one write, so that lines are whole.
    fn write(&self, entry: &Entry) -> Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let line = entry.line(&stamp::now());
        file.write_all(line.as_bytes()).map_err(|error| Error::io(error, "writing to the logfile"))
    }
}
