// SPDX-License-Identifier: BSD-3-Clause
//! What a disk is and can do: a dozen questions, asked when it is opened.

use crate::answer::{self, Answer};
use nbdkit_plugin::{EIO, Error, Info, Result, Support};

/// Asks by `ask`, in the order in which nbdkit does.
pub(crate) fn info(read_only: bool, mut ask: impl FnMut(&str) -> Result<Answer>) -> Result<Info> {
    let size = ask("get_size")?.required("get_size")?;
    let mut info = Info::read_only(answer::size("get_size", &size)?);
    info.write = !read_only && ask("can_write")?.truth(false);
    if info.write {
        let native = ask("can_zero")?.truth(false);
        info.zero = if native { Support::Native } else { Support::Emulate };
        // Zeroes that are written out anyway are refused at once when they shall be fast.
        info.fast_zero = ask("can_fast_zero")?.truth(!native);
        info.trim = ask("can_trim")?.truth(false);
        let fua = ask("can_fua")?.output("can_fua")?;
        info.flush = ask("can_flush")?.truth(false);
        info.fua = match fua {
            Some(text) => answer::support("can_fua", &text)?,
            None => Support::Emulate,
        };
        if info.fua == Support::Emulate && !info.flush {
            info.fua = Support::None;
        }
    } else {
        info.flush = ask("can_flush")?.truth(false);
    }
    info.rotational = ask("is_rotational")?.truth(false);
    info.multi_conn = ask("can_multi_conn")?.truth(false);
    if let Some(text) = ask("can_cache")?.output("can_cache")? {
        info.cache = answer::support("can_cache", &text)?;
    }
    info.extents = ask("can_extents")?.truth(false);
    if let Some(text) = ask("block_size")?.output("block_size")? {
        info.block = answer::block_size(&text)?;
    }
    info.description = description(ask("export_description")?)?;
    Ok(info)
}

fn description(answer: Answer) -> Result<Option<std::sync::Arc<str>>> {
    let line = answer.line("export_description")?;
    let text = line.to_str().filter(|text| text.len() <= LONGEST);
    let text = text.ok_or_else(|| {
        Error::new(EIO, format!("export_description should be at most {LONGEST} bytes of UTF-8"))
    })?;
    Ok((!text.is_empty()).then(|| text.into()))
}

/// The longest string of the protocol, in bytes (NBD specification, "Values").
const LONGEST: usize = 4096;
