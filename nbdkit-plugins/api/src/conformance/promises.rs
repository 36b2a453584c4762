// SPDX-License-Identifier: BSD-3-Clause
//! What [`Info`] says: it makes sense, what it leaves out fails, and a disk opened to be read is not written.

use super::{Check, Expect, Writes, probe::At, stage::Stage, trial::Trial, watch::Progress};
use crate::{Buf, Flags, Info, Support};

/// The longest string of the protocol, in bytes (NBD specification, "Values").
const LONGEST: usize = 4096;

/// Nothing in it contradicts the rest.
pub(super) fn info(info: &Info, expect: &Expect) -> Check {
    let Info { size, write, flush, trim, fast_zero, zero, fua, .. } = *info;
    if i64::try_from(size).is_err() {
        return Err(format!("size {size} should be below 2^63"));
    }
    match expect.size {
        Some(want) if want != size => return Err(format!("size is {size}, should be {want}")),
        _ => {}
    }
    if let Some(block) = info.block {
        block.check()?;
    }
    if info.description.as_ref().is_some_and(|text| text.len() > LONGEST) {
        return Err(format!("description should be at most {LONGEST} bytes"));
    }
    let writes = trim || fast_zero || zero.works() || fua.works();
    for (wrong, what) in [
        (!write && writes, "trim, zero and FUA make no sense without write: see Info::without_writing"),
        (fast_zero && !zero.works(), "fast_zero makes no sense without zero"),
        (fua == Support::Emulate && !flush, "FUA can be emulated only with flush"),
        (
            write && info.multi_conn && !expect.shared,
            "multi_conn makes no sense when every open has an image of its own",
        ),
    ] {
        if wrong {
            return Err(what.to_owned());
        }
    }
    Ok(())
}

/// What is not declared fails, and changes nothing.
pub(super) fn refusals(trial: &mut Trial) -> Check {
    let Some(span) = (!trial.windows.is_empty()).then(|| trial.fit(0, 0, 1)).flatten() else { return Ok(()) };
    let info = trial.probe.info().clone();
    let refused =
        |what: &str, declared: bool, op: &dyn Fn() -> crate::Result<()>| match declared || op().is_err() {
            true => Ok(()),
            false => Err(format!("{what} succeeds, but info does not declare it")),
        };
    let probe = &trial.probe;
    let flags = Flags::default();
    refused("write", info.write, &|| {
        probe.write(Buf::from(vec![0xee; span.len as usize]), span.offset, flags)
    })?;
    refused("flush", info.flush, &|| probe.flush())?;
    refused("trim", info.trim, &|| probe.trim(span, flags))?;
    refused("zero", info.zero.works(), &|| probe.zero(span, flags))?;
    refused("cache", info.cache.works(), &|| probe.cache(span))?;
    trial.read(span).map_err(|report| format!("after operations that are not declared: {report}"))
}

/// A disk that is opened to be read only says so, and reads like the other.
pub(super) fn read_only(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    let before = Trial::of(stage, expect, progress, (false, 5), true, !expect.shared)?;
    let windows = before.windows.clone();
    let size = before.probe.info().size;
    before.close(true)?;

    let mut trial = Trial::of(stage, expect, progress, (true, 6), true, !expect.shared)?;
    let now = trial.probe.info().clone();
    if now.write {
        return Err("info says write: see Info::without_writing".to_owned());
    }
    if now.size != size {
        return Err(format!("size is {}, should be {size}", now.size));
    }
    trial.windows = windows;
    trial.review()?;
    let span = (!trial.windows.is_empty()).then(|| trial.fit(0, 0, 1)).flatten();
    if let (true, Some(span)) = (stage.strict, span) {
        let bytes = trial.random.bytes(span.len as usize);
        let wrote = trial.probe.write(Buf::from(bytes), span.offset, Flags::default()).is_ok();
        trial.read(span).map_err(|report| format!("after write {}: {report}", At(span)))?;
        if wrote && expect.writes == Writes::Kept {
            return Err(format!("write {} succeeds", At(span)));
        }
    }
    trial.close(true)
}
