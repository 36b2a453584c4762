// SPDX-License-Identifier: BSD-3-Clause
//! [`Patience`]: how often one operation is tried again, and how long it waits in between.

use crate::Params;
use nbdkit_filter::{EOPNOTSUPP, Error, OpenRequest};
use std::time::Duration;

/// Of one operation, from its first failure on.
pub(crate) struct Patience {
    tried: u32,
    most: u32,
    delay: Duration,
    exponential: bool,
}

impl Patience {
    pub(crate) fn new(params: &Params) -> Patience {
        let Params { retries, delay, exponential, .. } = *params;
        Patience { tried: 0, most: retries, delay, exponential }
    }

    /// `operation` has failed with `error`: waits until it is time to try again. False: do not.
    pub(crate) async fn allows(&mut self, operation: &str, error: &Error, req: &OpenRequest) -> bool {
        // What a disk has to say about a fast zero is an answer and no failure.
        if error.errno() == EOPNOTSUPP {
            return false;
        }
        let log = req.log();
        log.debug(format_args!("{operation} failed: {error}"));
        if self.tried == self.most {
            log.debug(format_args!("could not recover after {} retries", self.most));
            return false;
        }
        self.tried += 1;
        log.debug(format_args!("retry {}: waiting {:?} before retrying", self.tried, self.delay));
        let rested = req.connection.nap(self.delay).await.is_ok();
        if self.exponential {
            self.delay = self.delay.saturating_mul(2);
        }
        rested
    }
}
