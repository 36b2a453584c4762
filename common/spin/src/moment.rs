// SPDX-License-Identifier: BSD-3-Clause
//! [`Moment`]: how long is looked for something.

#[cfg(not(loom))]
pub(crate) use clock::Moment;
#[cfg(loom)]
pub(crate) use model::Moment;

#[cfg(not(loom))]
mod clock {
    use std::time::{Duration, Instant};

    /// Longer than a fast client thinks, not much longer than the wake-up it saves.
    const LENGTH: Duration = Duration::from_micros(50);

    pub(crate) struct Moment(Instant);

    impl Moment {
        pub(crate) fn begin() -> Moment {
            Moment(Instant::now())
        }

        pub(crate) fn is_over(&mut self) -> bool {
            self.0.elapsed() > LENGTH
        }
    }
}

/// Under loom, where there is no time: two looks.
#[cfg(loom)]
mod model {
    pub(crate) struct Moment(u32);

    impl Moment {
        pub(crate) fn begin() -> Moment {
            Moment(0)
        }

        pub(crate) fn is_over(&mut self) -> bool {
            self.0 += 1;
            self.0 == 2
        }
    }
}
