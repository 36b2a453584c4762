// SPDX-License-Identifier: BSD-3-Clause
//! [`Trial`]: one open disk beside a model of its bytes; every operation is checked against it.

use super::{
    Check, Expect, Writes,
    model::{self, WINDOW, Window},
    probe::{At, Probe, With},
    promises,
    random::Random,
    stage::Stage,
    watch::Progress,
};
use crate::{Buf, Emulate, Error, Extents, Flags, Pool, Result, Span, Support};

pub(super) struct Trial {
    pub(super) probe: Probe,
    pub(super) windows: Vec<Window>,
    pub(super) expect: Expect,
    pub(super) random: Random,
    /// As it was when opened.
    info: String,
    emulated: bool,
}

impl Trial {
    /// Opens a disk, looks whether its info makes sense, and learns its bytes; a `fresh` one must hold what is expected.
    pub(super) fn open(
        stage: &Stage,
        expect: &Expect,
        progress: &Progress,
        emulated: bool,
        fresh: bool,
    ) -> Check<Trial> {
        Trial::of(stage, expect, progress, (false, 1), emulated, fresh)
    }

    /// The same for a connection `(read_only, number)`.
    pub(super) fn of(
        stage: &Stage,
        expect: &Expect,
        progress: &Progress,
        (read_only, connection): (bool, u64),
        emulated: bool,
        fresh: bool,
    ) -> Check<Trial> {
        progress.note("open");
        let mut disk = stage.open(read_only, connection)?;
        if emulated {
            disk = Emulate::around(disk, &Pool::new());
        }
        promises::info(disk.info(), expect)?;
        let info = format!("{:?}", disk.info());
        let probe = Probe::new(disk, &stage.drive, progress);
        let random = Random::new(expect.seed);
        let mut trial = Trial { probe, windows: Vec::new(), expect: expect.clone(), random, info, emulated };
        let reach = trial.probe.info().size / trial.minimum() * trial.minimum();
        for span in model::windows(reach, trial.minimum()) {
            let mut window = Window { start: span.offset, bytes: vec![0; span.len as usize] };
            for piece in trial.pieces(span) {
                let read = trial.probe.read(piece)?;
                if let Some(want) = model::content(&expect.content, piece).filter(|_| fresh) {
                    model::same(piece, &read, &want)?;
                }
                window.at(piece).copy_from_slice(&read);
            }
            trial.windows.push(window);
        }
        Ok(trial)
    }

    /// Another view of the same open disk, for another thread.
    pub(super) fn fork(&self) -> Trial {
        Trial {
            probe: self.probe.clone(),
            windows: Vec::new(),
            expect: self.expect.clone(),
            random: self.random.clone(),
            info: self.info.clone(),
            emulated: self.emulated,
        }
    }

    /// Requests start and end at multiples of this.
    pub(super) fn minimum(&self) -> u64 {
        self.probe.info().block.map_or(1, |block| block.minimum.max(1).into())
    }

    /// No request is longer than this.
    pub(super) fn longest(&self) -> u64 {
        let most =
            self.probe.info().block.map_or(WINDOW * 4, |block| u64::from(block.maximum).min(WINDOW * 4));
        (most - most % self.minimum()).max(self.minimum())
    }

    /// `span` in pieces that are not too long.
    fn pieces(&self, span: Span) -> Vec<Span> {
        let longest = self.longest();
        let starts = (span.offset..span.end()).step_by(longest as usize);
        starts.map(|start| Span::new(start, longest.min(span.end() - start))).collect()
    }

    /// The nearest request to `start..end` that may be made in window `number`.
    pub(super) fn fit(&self, number: usize, start: u64, end: u64) -> Option<Span> {
        self.clip(number, start, end).map(|span| Span::new(span.offset, span.len.min(self.longest())))
    }

    /// The same, no matter how long.
    fn clip(&self, number: usize, start: u64, end: u64) -> Option<Span> {
        let (window, minimum) = (self.windows[number].span(), self.minimum());
        let start = start.max(window.offset) / minimum * minimum;
        let end = end.min(window.end()).div_ceil(minimum) * minimum;
        (start < end).then(|| Span::new(start, end - start))
    }

    /// FUA can be asked for.
    pub(super) fn fua(&self) -> bool {
        done_here(self.probe.info().fua)
    }

    /// Zeroing can be asked for.
    pub(super) fn zeroes(&self) -> bool {
        done_here(self.probe.info().zero)
    }

    /// Caching can be asked for.
    pub(super) fn caches(&self) -> bool {
        done_here(self.probe.info().cache)
    }

    pub(super) fn read(&mut self, span: Span) -> Check {
        let read = self.probe.read(span)?;
        self.window(span).compare(span, &read)
    }

    /// Writes random bytes, then looks at them and at their neighbours.
    pub(super) fn write(&mut self, span: Span, flags: Flags) -> Check {
        let bytes = self.random.bytes(span.len as usize);
        // Now and then as part of a longer buffer, as a filter that splits requests would pass it.
        let buf = match self.random.chance(4) {
            true => Buf::from([&[7; 3], &bytes[..]].concat()).slice(3..3 + bytes.len()),
            false => Buf::from(bytes.clone()),
        };
        let result = self.probe.write(buf, span.offset, flags);
        let what = With("write", span, flags);
        self.wrote(&what, &bytes, result)?;
        self.around(span).map_err(|report| format!("after {what}: {report}"))
    }

    /// A write of `bytes` has ended with `result`.
    pub(super) fn wrote(&mut self, what: &With, bytes: &[u8], result: Result<()>) -> Check {
        if self.outcome(what, result)? {
            self.window(what.1).at(what.1).copy_from_slice(bytes);
        }
        Ok(())
    }

    pub(super) fn zero(&mut self, span: Span, flags: Flags) -> Check {
        let what = With("zero", span, flags);
        let result = self.probe.zero(span, flags);
        let native = self.probe.info().zero == Support::Native;
        let may_refuse = flags.fast_zero || (native && !self.emulated);
        let refused = matches!(&result, Err(error) if may_refuse && error.errno() == libc::EOPNOTSUPP);
        if !refused && self.outcome(&what, result)? {
            self.window(span).at(span).fill(0);
        }
        self.around(span).map_err(|report| format!("after {what}: {report}"))
    }

    /// Trimmed bytes may be the old ones or zero; which of them, is then fixed.
    pub(super) fn trim(&mut self, span: Span, flags: Flags) -> Check {
        let what = With("trim", span, flags);
        let result = self.probe.trim(span, flags);
        if self.outcome(&what, result)? {
            let read = self.probe.read(span)?;
            let bytes = self.window(span).at(span);
            if let Some(odd) = read.iter().zip(&*bytes).position(|(read, old)| *read != 0 && read != old) {
                let at = span.offset + odd as u64;
                return Err(format!(
                    "after {what}: the byte at {at} is {:#04x}, should be {:#04x} or 0",
                    read[odd], bytes[odd]
                ));
            }
            bytes.copy_from_slice(&read);
        }
        self.around(span).map_err(|report| format!("after {what}: {report}"))
    }

    pub(super) fn cache(&mut self, span: Span) -> Check {
        self.probe.cache(span).map_err(|error| format!("cache {}: {error:?}", At(span)))
    }

    pub(super) fn flush(&mut self) -> Check {
        self.probe.flush().map_err(|error| format!("flush: {error:?}"))
    }

    /// Asks once; what is said to be zero must read so.
    pub(super) fn extents(&mut self, span: Span, flags: Flags) -> Check<Extents> {
        let extents = self.probe.extents(span, flags)?;
        let mut at = span.offset;
        for extent in extents.iter() {
            let end = at.saturating_add(extent.len).min(span.end());
            if let (true, Some(part)) = (extent.zero && at < end, Some(Span::new(at, end - at))) {
                if let Some(odd) = self.window(part).at(part).iter().position(|byte| *byte != 0) {
                    return Err(format!(
                        "{}: {} is said to be zero, but the byte at {} is not",
                        With("extents", span, flags),
                        At(part),
                        at + odd as u64
                    ));
                }
            }
            at = end;
        }
        Ok(extents)
    }

    /// All that is known must still be so.
    pub(super) fn review(&mut self) -> Check {
        for span in self.windows.iter().map(Window::span).collect::<Vec<_>>() {
            for piece in self.pieces(span) {
                self.read(piece)?;
            }
        }
        Ok(())
    }

    /// The end of a connection, `properly` or not.
    pub(super) fn close(self, properly: bool) -> Check {
        if properly {
            self.probe.finalize()?;
        }
        let now = format!("{:?}", self.probe.info());
        if now != self.info {
            return Err(format!("info was {}, and became {now}", self.info));
        }
        self.probe.close()
    }

    /// Whether a write of any kind has changed the disk, if it ended as expected.
    fn outcome(&self, what: &With, result: Result<()>) -> Check<bool> {
        let shown = |result: &Result<(), Error>| match result {
            Ok(()) => "succeeds".to_owned(),
            Err(error) => format!("fails with {error:?}"),
        };
        match (self.expect.writes, result) {
            (Writes::Kept, Ok(())) => Ok(true),
            (Writes::Dropped, Ok(())) => Ok(false),
            (Writes::Fail(errno), Err(error)) if error.errno() == errno => Ok(false),
            (writes, result) => Err(format!("{what}: {}, but writes are {writes:?}", shown(&result))),
        }
    }

    /// Compares `span` and some bytes to both sides.
    fn around(&mut self, span: Span) -> Check {
        let wide = self.clip(self.number(span), span.offset.saturating_sub(600), span.end() + 600);
        for piece in wide.map_or_else(Vec::new, |wide| self.pieces(wide)) {
            self.read(piece)?;
        }
        Ok(())
    }

    /// The window around `span`.
    pub(super) fn window(&mut self, span: Span) -> &mut Window {
        let number = self.number(span);
        &mut self.windows[number]
    }

    fn number(&self, span: Span) -> usize {
        let number = self.windows.iter().position(|window| window.contains(span));
        // The kit asks for nothing that it does not know.
        number.unwrap_or_else(|| panic!("no window of the kit contains {}", At(span)))
    }
}

fn done_here(support: Support) -> bool {
    matches!(support, Support::Native | Support::Emulated)
}
