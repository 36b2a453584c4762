// SPDX-License-Identifier: BSD-3-Clause
//! [`Entry`]: one thing that happened, and its two forms: a line of the file, and variables for the script.

use crate::quote::{quote, single};
use nbdkit_filter::{
    EFBIG, EIO, ENOMEM, ENOSPC, EOPNOTSUPP, EOVERFLOW, EPERM, EROFS, ESHUTDOWN, Info, Result, Support,
};
use std::fmt::Write;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// An action begins.
    Enter,
    /// It ends.
    Leave,
    /// Something has happened that takes no time.
    Print,
}

pub(crate) struct Entry {
    action: &'static str,
    phase: Phase,
    connection: Option<u64>,
    id: Option<u64>,
    /// A name and its values, all of them quoted for the shell.
    list: Option<(&'static str, Vec<String>)>,
    /// `name=value`, separated by spaces, the values quoted for the shell.
    fields: String,
}

impl Entry {
    pub(crate) fn new(action: &'static str, phase: Phase, fields: String) -> Entry {
        Entry { action, phase, connection: None, id: None, list: None, fields }
    }

    pub(crate) fn connection(self, number: u64) -> Entry {
        Entry { connection: Some(number), ..self }
    }

    /// Pairs the end of an action with its beginning.
    pub(crate) fn id(self, id: u64) -> Entry {
        Entry { id: Some(id), ..self }
    }

    /// Several values under one name.
    pub(crate) fn list(self, name: &'static str, values: Vec<String>) -> Entry {
        Entry { list: Some((name, values)), ..self }
    }

    /// One line, whatever names clients make up.
    pub(crate) fn line(&self, stamp: &str) -> String {
        let mut line = stamp.to_owned();
        if let Some(number) = self.connection {
            let _ = write!(line, " connection={number}");
        }
        let _ = write!(line, " {}{}", if self.phase == Phase::Leave { "..." } else { "" }, self.action);
        if let Some(id) = self.id {
            let _ = write!(line, " id={id}");
        }
        if let Some((name, values)) = &self.list {
            let _ = write!(line, " {name}=({})", values.join(" "));
        }
        if !self.fields.is_empty() {
            let _ = write!(line, " {}", self.fields);
        }
        line.push_str(if self.phase == Phase::Enter { " ..." } else { "" });
        let escaped = line.chars().map(|c| match c.is_control() {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        });
        escaped.chain(["\n".to_owned()]).collect()
    }

    /// Assignments, in the language of a shell that has `arrays` or has not.
    pub(crate) fn variables(&self, arrays: bool) -> String {
        let mut out = format!("act={}\n", self.action);
        if let Some(number) = self.connection {
            let _ = writeln!(out, "connection={number}");
        }
        let kind = match self.phase {
            Phase::Enter => "ENTER",
            Phase::Leave => "LEAVE",
            Phase::Print => "PRINT",
        };
        let _ = writeln!(out, "type={kind}");
        if let Some(id) = self.id {
            let _ = writeln!(out, "id={id}");
        }
        if let Some((name, values)) = &self.list {
            let values = values.join(" ");
            let values = if arrays { format!("({values})") } else { single(&values) };
            let _ = writeln!(out, "{name}={values}");
        }
        out + &self.fields + "\n"
    }
}

/// How an action ended.
pub(crate) fn returned<T>(result: &Result<T>) -> String {
    match result {
        Ok(_) => "return=0".to_owned(),
        Err(error) => format!("return=-1 error={}", name(error.errno())),
    }
}

/// The error that the client will see, by its name in the protocol.
fn name(errno: i32) -> &'static str {
    match errno {
        EPERM | EROFS => "EPERM",
        EIO => "EIO",
        ENOMEM => "ENOMEM",
        ENOSPC | EFBIG | libc::EDQUOT => "ENOSPC",
        ESHUTDOWN => "ESHUTDOWN",
        EOPNOTSUPP => "ENOTSUP",
        EOVERFLOW => "EOVERFLOW",
        _ => "EINVAL",
    }
}

/// What a client gets that opens `export`.
pub(crate) fn connect(export: &str, tls: bool, info: &Info) -> String {
    let [minimum, preferred, maximum] =
        info.block.map_or([0; 3], |block| [block.minimum, block.preferred, block.maximum]);
    let degree = |support| match support {
        Support::None => 0,
        Support::Emulate | Support::Emulated => 1,
        Support::Native => 2,
    };
    let numbers = [
        ("write", info.write.into()),
        ("flush", info.flush.into()),
        ("rotational", info.rotational.into()),
        ("trim", info.trim.into()),
        ("zero", degree(info.zero)),
        ("fua", degree(info.fua)),
        ("extents", info.extents.into()),
        ("cache", degree(info.cache)),
        ("fast_zero", u8::from(info.fast_zero)),
    ];
    let mut out = format!(
        "export={} tls={} size={:#x} minsize={minimum:#x} prefsize={preferred:#x} maxsize={maximum:#x}",
        quote(export),
        u8::from(tls),
        info.size
    );
    for (name, number) in numbers {
        let _ = write!(out, " {name}={number}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use nbdkit_filter::{BlockSize, Error};

    const STAMP: &str = "2026-01-02 03:04:05.000006";

    fn read(phase: Phase, fields: &str) -> Entry {
        Entry::new("Read", phase, fields.to_owned()).connection(3).id(7)
    }

    #[test]
    fn lines() {
        let line = |entry: Entry| entry.line("T");
        assert_eq!(line(read(Phase::Enter, "offset=0x0")), "T connection=3 Read id=7 offset=0x0 ...\n");
        assert_eq!(line(read(Phase::Leave, "return=0")), "T connection=3 ...Read id=7 return=0\n");
        assert_eq!(line(Entry::new("Flush", Phase::Enter, String::new()).id(1)), "T Flush id=1 ...\n");
        assert_eq!(Entry::new("Fork", Phase::Print, String::new()).line(STAMP), format!("{STAMP} Fork\n"));
        let list = read(Phase::Leave, "return=0").list("extents", vec!["0x0".into(), "\"\"".into()]);
        assert_eq!(line(list), "T connection=3 ...Read id=7 extents=(0x0 \"\") return=0\n");
    }

    #[test]
    fn a_line_stays_one_line() {
        let export = "a\n2026 connection=9 Forged\r\u{1b}[2J";
        let line = Entry::new("Connect", Phase::Print, connect(export, false, &Info::default())).line("T");
        assert!(line.starts_with("T Connect export=\"a\\n2026 connection=9 Forged\\r\\u{1b}[2J\" tls=0 "));
        assert_eq!(line.find(char::is_control), Some(line.len() - 1));
    }

    #[test]
    fn variables() {
        assert_eq!(
            read(Phase::Enter, "offset=0x0 count=0x200").variables(true),
            "act=Read\nconnection=3\ntype=ENTER\nid=7\noffset=0x0 count=0x200\n"
        );
        let list = || {
            Entry::new("ListExports", Phase::Leave, "return=0".into())
                .list("exports", vec!["\"it's\"".into()])
        };
        assert_eq!(list().variables(true), "act=ListExports\ntype=LEAVE\nexports=(\"it's\")\nreturn=0\n");
        assert_eq!(
            list().variables(false),
            "act=ListExports\ntype=LEAVE\nexports='\"it'\\''s\"'\nreturn=0\n"
        );
    }

    #[test]
    fn what_a_client_gets() {
        let info = Info::writable(1 << 20).with(|info| {
            info.block = Some(BlockSize { minimum: 1, preferred: 512, maximum: u32::MAX });
            (info.flush, info.cache, info.fast_zero) = (true, Support::Native, true);
        });
        assert_eq!(
            connect("", true, &info),
            "export=\"\" tls=1 size=0x100000 minsize=0x1 prefsize=0x200 maxsize=0xffffffff write=1 flush=1 rotational=0 \
             trim=0 zero=1 fua=0 extents=0 cache=2 fast_zero=1"
        );
    }

    #[test]
    fn errors_by_name() {
        let of = |errno| returned::<()>(&Err(Error::new(errno, "")));
        assert_eq!(of(EROFS), "return=-1 error=EPERM");
        assert_eq!(of(libc::EDQUOT), "return=-1 error=ENOSPC");
        assert_eq!(of(EOPNOTSUPP), "return=-1 error=ENOTSUP");
        assert_eq!(of(libc::ENOENT), "return=-1 error=EINVAL");
        assert_eq!(returned(&Ok(())), "return=0");
    }
}
