// SPDX-License-Identifier: BSD-3-Clause
//! Several clients: what one writes the others see when they should, and what they do at once loses nothing.

use super::{
    Check, Expect,
    model::{Window, same},
    probe::With,
    random::{Random, operation},
    stage::Stage,
    trial::Trial,
    watch::{Progress, text},
};
use crate::{Flags, Span, ThreadModel};
use std::thread;

/// How many threads, two for each disk.
const THREADS: u64 = 4;

pub(super) fn run(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    reopened(stage, expect, progress).map_err(|report| format!("opened again: {report}"))?;
    if stage.model > ThreadModel::SerializeConnections {
        two(stage, expect, progress).map_err(|report| format!("two connections: {report}"))?;
    }
    match stage.model == ThreadModel::Parallel {
        true => at_once(stage, expect, progress).map_err(|report| format!("many at once: {report}")),
        false => Ok(()),
    }
}

/// What was written is there after closing and opening; unless it was the client's own.
fn reopened(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    let mut first = Trial::of(stage, expect, progress, (false, 1), true, !expect.shared)?;
    let Some(span) = written(&mut first)? else { return first.close(false) };
    let want = first.window(span).at(span).to_vec();
    first.close(false)?;
    // With an image of its own, this compares it with the content that was promised.
    let mut second = Trial::of(stage, expect, progress, (false, 2), true, !expect.shared)?;
    if expect.shared {
        same(span, second.window(span).at(span), &want)?;
    }
    second.close(false)
}

/// With `multi_conn`, a flush on one connection shows its writes to the other.
fn two(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    let mut one = Trial::of(stage, expect, progress, (false, 1), true, !expect.shared)?;
    let mut other = Trial::of(stage, expect, progress, (false, 2), true, !expect.shared)?;
    if let Some(span) = written(&mut one)? {
        if one.probe.info().flush {
            one.flush()?;
        }
        if expect.shared {
            let bytes = one.window(span).at(span).to_vec();
            other.window(span).at(span).copy_from_slice(&bytes);
        }
        if !expect.shared || one.probe.info().multi_conn {
            other.read(span).map_err(|report| format!("after write and flush on the other: {report}"))?;
        }
    }
    one.close(false)?;
    other.close(true)
}

/// Writes somewhere in the middle.
fn written(trial: &mut Trial) -> Check<Option<Span>> {
    let Some(window) = trial.windows.first().map(Window::span) else { return Ok(None) };
    let span = trial.fit(0, window.len / 2, window.len / 2 + 5000);
    match span.filter(|_| trial.probe.info().write) {
        Some(span) => trial.write(span, Flags::default()).map(|()| Some(span)),
        None => Ok(None),
    }
}

/// Every thread has a part of the first window for itself, with borders in the midst of pages.
fn at_once(stage: &Stage, expect: &Expect, progress: &Progress) -> Check {
    let mut disks = vec![Trial::of(stage, expect, progress, (false, 3), true, !expect.shared)?];
    if expect.shared {
        disks.push(Trial::of(stage, expect, progress, (false, 4), true, false)?);
    }
    let Some(mut whole) = disks[0].windows.first().cloned() else {
        return disks.into_iter().try_for_each(|disk| disk.close(true));
    };
    let minimum = disks[0].minimum();
    let part = whole.span().len / THREADS / minimum * minimum;
    let count = if part == 0 { 0 } else { THREADS };
    let finished: Vec<Check<Window>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|number| {
                let mut trial = disks[number as usize % disks.len()].fork();
                let span = Span::new(whole.start + number * part, part);
                let bytes = whole.at(span).to_vec();
                trial.windows = vec![Window { start: span.offset, bytes }];
                trial.random = Random::new(expect.seed ^ (number + 1) << 40);
                scope.spawn(move || busy(trial))
            })
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Check<Window>>| {
            thread.join().unwrap_or_else(|panic| Err(format!("panicked: {}", text(&*panic))))
        };
        threads.into_iter().map(join).collect()
    });
    for window in finished {
        let window = window?;
        let span = window.span();
        whole.at(span).copy_from_slice(&window.bytes);
    }
    // Without `multi_conn`, a disk need not see what another one has written.
    if expect.shared && disks[0].probe.info().multi_conn {
        disks.iter_mut().for_each(|disk| disk.windows = vec![whole.clone()]);
        // Caches that disks have for themselves are only told by a flush; one is enough for all.
        if disks[0].probe.info().flush {
            disks[0].flush()?;
        }
        disks.iter_mut().try_for_each(Trial::review)?;
    }
    disks.into_iter().try_for_each(|disk| disk.close(true))
}

/// What one thread does: operations one by one and several in flight.
fn busy(mut trial: Trial) -> Check<Window> {
    for _ in 0..trial.expect.operations.min(250) / 5 {
        for _ in 0..4 {
            operation(&mut trial)?;
        }
        several(&mut trial)?;
    }
    trial.review()?;
    // There is one.
    Ok(trial.windows.remove(0))
}

/// Writes and reads four neighbours at once.
fn several(trial: &mut Trial) -> Check {
    let (window, minimum) = (trial.windows[0].span(), trial.minimum());
    let most = (window.len / 4 / minimum).min(trial.longest() / minimum).min(20_000 / minimum);
    if most == 0 {
        return Ok(());
    }
    let len = minimum * (1 + trial.random.below(most));
    let first = window.offset + trial.random.below((window.len - 4 * len) / minimum + 1) * minimum;
    let spans: Vec<Span> = (0..4).map(|number| Span::new(first + number * len, len)).collect();
    if trial.probe.info().write {
        let writes: Vec<_> =
            spans.iter().map(|span| (span.offset, trial.random.bytes(len as usize))).collect();
        let results = trial.probe.write_all(&writes);
        for ((span, (_, bytes)), result) in spans.iter().zip(&writes).zip(results) {
            trial.wrote(&With("write", *span, Flags::default()), bytes, result)?;
        }
    }
    let reads = trial.probe.read_all(&spans)?;
    spans.iter().zip(reads).try_for_each(|(span, read)| trial.window(*span).compare(*span, &read))
}
