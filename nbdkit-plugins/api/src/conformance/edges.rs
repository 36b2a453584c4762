// SPDX-License-Identifier: BSD-3-Clause
//! Every operation at every edge: of the disk, of pages and blocks, of 31 and 32 bit numbers; odd lengths; all of it.

use super::{Check, Writes, trial::Trial};
use crate::{Buf, Flags, Span};
use std::collections::BTreeSet;

pub(super) fn run(trial: &mut Trial) -> Check {
    let info = trial.probe.info().clone();
    let spans = spans(trial);
    each(trial, &spans, |trial, span| trial.read(span))?;
    let mut forms = vec![Flags::default()];
    if trial.fua() {
        forms.push(Flags { fua: true, ..Flags::default() });
    }
    for flags in forms {
        if info.write {
            each(trial, &spans, |trial, span| trial.write(span, flags))?;
        }
        if trial.zeroes() {
            zeroes(trial, &spans, flags)?;
        }
        if info.trim {
            each(trial, &spans, |trial, span| filled(trial, span).and_then(|()| trial.trim(span, flags)))?;
        }
    }
    if trial.caches() {
        each(trial, &spans, Trial::cache)?;
    }
    if info.flush {
        trial.flush()?;
    }
    if info.write {
        each(trial, &spans[..spans.len().min(8)], unpolled)?;
    }
    trial.review()
}

/// Zeroes with and without the leave to make holes and the wish to be fast, over bytes that are not zero.
fn zeroes(trial: &mut Trial, spans: &[Span], flags: Flags) -> Check {
    for (may_trim, fast_zero) in [(false, false), (true, false), (false, true), (true, true)] {
        if fast_zero && !trial.probe.info().fast_zero {
            continue;
        }
        let flags = Flags { may_trim, fast_zero, ..flags };
        each(trial, spans, |trial, span| filled(trial, span).and_then(|()| trial.zero(span, flags)))?;
    }
    Ok(())
}

/// Puts something there that is not zero.
fn filled(trial: &mut Trial, span: Span) -> Check {
    match trial.probe.info().write {
        true => trial.write(span, Flags::default()),
        false => Ok(()),
    }
}

/// An operation that waits has begun nothing before it is polled: it may be dropped, and nothing has changed.
fn unpolled(trial: &mut Trial, span: Span) -> Check {
    let bytes = trial.random.bytes(span.len as usize);
    if trial.probe.write_unpolled(Buf::from(bytes.clone()), span.offset)
        && trial.expect.writes == Writes::Kept
    {
        trial.window(span).at(span).copy_from_slice(&bytes);
    }
    trial.read(span)
}

fn each(trial: &mut Trial, spans: &[Span], mut op: impl FnMut(&mut Trial, Span) -> Check) -> Check {
    spans.iter().try_for_each(|span| op(trial, *span))
}

/// The requests that touch an edge.
fn spans(trial: &Trial) -> Vec<Span> {
    let info = trial.probe.info();
    let preferred = info.block.map_or(4096, |block| block.preferred.into());
    let granule = trial.expect.granule.unwrap_or(4096);
    let mut spans = BTreeSet::new();
    for number in 0..trial.windows.len() {
        let window = trial.windows[number].span();
        let (first, end) = (window.offset, window.end());
        let mut points = BTreeSet::from([first, end, 1 << 31, 1 << 32]);
        for unit in [512, 4096, 32768, 65536, 1 << 20, granule.max(1), preferred] {
            points.extend([(first / unit + 1) * unit, (end - 1) / unit * unit]);
        }
        points.retain(|point| (first..=end).contains(point));
        let around = points.iter().flat_map(|point| {
            [(1, 0), (0, 1), (1, 1), (513, 511), (4096, 4096), (0, 4097)]
                .map(|(before, after)| (point.saturating_sub(before), point.saturating_add(after)))
        });
        let odd = [1, 3, 511, 4095, 32769, 65537].map(|len| (first + 1, first + 1 + len));
        let fit = around.chain(odd).chain([(first, end)]).filter_map(|(a, b)| trial.fit(number, a, b));
        spans.extend(fit.map(|span| (span.offset, span.len)));
    }
    spans.into_iter().map(|(offset, len)| Span::new(offset, len)).collect()
}
