// SPDX-License-Identifier: BSD-3-Clause
//! A client that says what it likes, when it likes, inside of TLS and before it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use nbd_tls::{ClientCertificates, Connector, Engine, Priority};
use nbdkit_tests::Server;
use nbdkit_tests::raw::{ACK, Client, opt, option};

use crate::credentials::Folder;

/// A client of `version` (`TLS1.2` or `TLS1.3`) with the certificates of `folder`.
pub fn connector(folder: &Folder, version: &str) -> Connector {
    let priority: Priority = format!("NORMAL:-VERS-ALL:+VERS-{version}").parse().unwrap();
    let certificates = ClientCertificates { directory: Some(folder.path()), verify: true };
    Connector::certificates(certificates, &priority).unwrap()
}

/// A connection on which the server has agreed to TLS, and expects the first message of it.
pub fn agreed(server: &Server) -> Client {
    let mut client = server.connect();
    client.hello().unwrap();
    assert_eq!(client.verdict(opt::STARTTLS, &[]).unwrap().kind, ACK);
    client
}

/// Both layers of a client.
pub struct Tls {
    pub socket: UnixStream,
    pub engine: Engine,
}

impl Tls {
    /// Over a connection that is [`agreed`].
    pub fn over(client: Client, connector: &Connector) -> Self {
        Tls { socket: client.into_socket(), engine: connector.connect("localhost").unwrap() }
    }

    /// Done with the handshake.
    #[track_caller]
    pub fn connect(server: &Server, folder: &Folder) -> Self {
        let mut tls = Tls::over(agreed(server), &connector(folder, "TLS1.3"));
        tls.handshake().unwrap();
        tls
    }

    /// Sends everything that the engine has to say.
    pub fn speak(&mut self) -> io::Result<()> {
        self.socket.write_all(self.engine.output())?;
        self.engine.sent(self.engine.output().len());
        Ok(())
    }

    /// Waits for something, and gives it to the engine. Its errors are those of the engine.
    pub fn listen(&mut self) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        match self.socket.read(&mut buffer)? {
            0 => self.engine.eof().map_err(io::Error::other),
            len => self.engine.feed(&buffer[..len]).map_err(io::Error::other).map(drop),
        }
    }

    pub fn handshake(&mut self) -> io::Result<()> {
        while self.engine.is_handshaking() {
            self.speak()?;
            if self.engine.is_handshaking()
                && let Err(error) = self.listen()
            {
                // The alert. Whether somebody still reads it is another matter.
                let _ = self.speak();
                return Err(error);
            }
        }
        self.speak()
    }

    /// Ends the transport and says nothing in TLS.
    pub fn cut(&mut self) {
        self.socket.shutdown(Shutdown::Write).unwrap();
    }

    /// Says that nothing more comes.
    pub fn goodbye(&mut self) {
        self.engine.close();
        self.speak().unwrap();
    }

    /// Sends an option; the kind and the data of its last reply.
    #[track_caller]
    pub fn ask(&mut self, code: u32, payload: &[u8]) -> (u32, Vec<u8>) {
        self.write_all(&option(code, payload)).unwrap();
        loop {
            let (kind, data) = self.option_reply(code).unwrap();
            // NBD_REP_SERVER to NBD_REP_META_CONTEXT: more follow.
            if !(2..=4).contains(&kind) {
                return (kind, data);
            }
        }
    }

    fn option_reply(&mut self, code: u32) -> io::Result<(u32, Vec<u8>)> {
        let mut head = [0; 20];
        self.read_exact(&mut head)?;
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap());
        assert_eq!(number(8), code, "a reply to another option");
        let mut data = vec![0; number(16) as usize];
        self.read_exact(&mut data)?;
        Ok((number(12), data))
    }

    /// The error with which the server ends the connection: the alert, in the words of the engine.
    #[track_caller]
    pub fn refused(&mut self) -> String {
        match self.handshake().and_then(|()| self.read(&mut [0]).map(|len| assert_eq!(len, 0))) {
            Ok(()) => panic!("the server ended in good order"),
            Err(error) => error.to_string(),
        }
    }
}

impl Read for Tls {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.engine.read(buf).map_err(io::Error::other)? {
                nbd_tls::Read::Some(len) => return Ok(len),
                nbd_tls::Read::End => return Ok(0),
                nbd_tls::Read::Cut => return Err(io::ErrorKind::UnexpectedEof.into()),
                nbd_tls::Read::Nothing => self.listen()?,
            }
        }
    }
}

impl Write for Tls {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = self.engine.write(&[IoSlice::new(buf)]).map_err(io::Error::other)?;
        self.speak()?;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
