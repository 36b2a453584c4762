// SPDX-License-Identifier: BSD-3-Clause
//! Extents: they cover what was asked for, and every hole at least as big as the granule is reported.

use super::{Check, Content, Writes, probe::At, trial::Trial};
use crate::{Flags, Span, Support};

/// How many granules are looked at.
const GRANULES: u64 = 12;
/// How often some are written and some zeroed.
const ROUNDS: u32 = 24;

/// A `fresh` disk holds what is expected of it.
pub(super) fn run(trial: &mut Trial, fresh: bool) -> Check {
    let info = trial.probe.info().clone();
    if !info.extents && trial.expect.granule.is_some() {
        return Err("holes are expected, but info does not declare extents".to_owned());
    }
    if !info.extents || trial.windows.is_empty() {
        return Ok(());
    }
    for number in 0..trial.windows.len() {
        let window = trial.windows[number].span();
        for (start, len) in [(0, 1), (0, window.len), (window.len - 1, 1), (window.len / 3, window.len / 3)] {
            if let Some(span) = trial.fit(number, window.offset + start, window.offset + start + len) {
                trial.extents(span, Flags { req_one: true, ..Flags::default() })?;
                cover(trial, span)?;
            }
        }
    }
    let (Some(granule), true) = (trial.expect.granule, trial.windows[0].start == 0) else { return Ok(()) };
    let count = (trial.windows[0].span().len / granule).min(GRANULES);
    // A request must be able to write and zero whole granules.
    if granule % trial.minimum() != 0 || count == 0 || granule * count > trial.longest() {
        return Ok(());
    }
    if fresh && matches!(trial.expect.content, Content::Zeroes) {
        reported(trial, granule, &vec![true; count as usize])
            .map_err(|report| format!("nothing was written yet: {report}"))?;
    }
    match info.write && info.zero == Support::Native && trial.expect.writes == Writes::Kept {
        true => punch(trial, granule, count),
        false => Ok(()),
    }
}

/// Writes and zeroes parts of the first granules, and keeps book of which must be holes.
fn punch(trial: &mut Trial, granule: u64, count: u64) -> Check {
    let punch = Flags { may_trim: true, ..Flags::default() };
    let mut holes = vec![true; count as usize];
    let all = Span::new(0, granule * count);
    match trial.probe.zero(all, punch) {
        // Not here: a file system without holes, say.
        Err(error) if error.errno() == libc::EOPNOTSUPP => return Ok(()),
        result => result.map_err(|error| format!("zero {}: {error:?}", At(all)))?,
    }
    trial.window(all).at(all).fill(0);
    reported(trial, granule, &holes)
        .map_err(|report| format!("after zero {} may_trim: {report}", At(all)))?;
    for _ in 0..ROUNDS {
        let first = trial.random.below(count);
        let last = first + trial.random.below(count - first);
        let whole = Span::new(first * granule, (last + 1 - first) * granule);
        if trial.random.chance(2) {
            trial.zero(whole, punch)?;
            holes[first as usize..=last as usize].fill(true);
        } else {
            let at = first * granule + trial.random.below(granule);
            let Some(span) = trial.fit(0, at, at + 1) else { continue };
            trial.write(span, Flags::default())?;
            holes[first as usize] = false;
        }
        reported(trial, granule, &holes)?;
        // Holes must be found from the middle of one, too.
        let middle = trial.random.below(all.len);
        if let Some(span) = trial.fit(0, middle, all.end()) {
            trial.extents(span, Flags::default())?;
        }
    }
    Ok(())
}

/// Each granule of `holes` must lie in zero extents.
fn reported(trial: &mut Trial, granule: u64, holes: &[bool]) -> Check {
    let zeroes = cover(trial, Span::new(0, granule * holes.len() as u64))?;
    for (number, _) in holes.iter().enumerate().filter(|(_, hole)| **hole) {
        let hole = Span::new(number as u64 * granule, granule);
        if !zeroes.iter().any(|zero| zero.offset <= hole.offset && hole.end() <= zero.end()) {
            return Err(format!("extents do not report the hole {}", At(hole)));
        }
    }
    Ok(())
}

/// Asks until `span` is covered. The stretches that are said to be zero, as long as possible.
fn cover(trial: &mut Trial, span: Span) -> Check<Vec<Span>> {
    let (mut at, mut zeroes) = (span.offset, Vec::<Span>::new());
    while at < span.end() {
        for extent in trial.extents(Span::new(at, span.end() - at), Flags::default())? {
            match zeroes.last_mut() {
                Some(last) if extent.zero && last.end() == at => last.len += extent.len,
                _ if extent.zero => zeroes.push(Span::new(at, extent.len)),
                _ => {}
            }
            at = at.saturating_add(extent.len);
        }
    }
    Ok(zeroes)
}
