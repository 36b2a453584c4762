// SPDX-License-Identifier: BSD-3-Clause
//! [`Link`]: an SSH session, the channel on it that speaks SFTP, and the socket below.

use async_io::Async;
use ssh2::{Channel, Session};
use std::{
    net::{Shutdown, TcpStream},
    sync::Arc,
};

/// Ends the session when dropped, without waiting for the server.
pub(crate) struct Link {
    pub session: Session,
    pub channel: Channel,
    pub socket: Arc<Async<TcpStream>>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.session.set_blocking(false);
        // A farewell is polite, and nothing depends on it.
        let _ = self.session.disconnect(None, "", None);
        // While it believes in the connection, libssh2 wants to hear a farewell, too, and frees nothing until then.
        let _ = self.socket.get_ref().shutdown(Shutdown::Both);
    }
}
