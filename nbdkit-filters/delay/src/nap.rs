// SPDX-License-Identifier: BSD-3-Clause
//! [`nap`]: waiting for somebody who may leave meanwhile.

use async_io::Timer;
use futures_lite::FutureExt;
use nbdkit_filter::{Connection, ESHUTDOWN, Error, Result};
use std::time::Duration;

/// Waits for `delay`.
///
/// # Errors
/// `ESHUTDOWN` as soon as the client has gone or the server stops.
pub(crate) async fn nap(delay: Duration, connection: &Connection) -> Result<()> {
    let woken = async {
        Timer::after(delay).await;
        Ok(())
    };
    let gone = async {
        connection.gone().await;
        Err(Error::new(ESHUTDOWN, format!("the delay of {delay:?} was cut short: the connection is closing")))
    };
    gone.or(woken).await
}
