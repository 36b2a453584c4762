// SPDX-License-Identifier: BSD-3-Clause
//! A server inside another program encrypts too, and its plugin learns who the client is.

use std::sync::Arc;

use nbd_tls::{Acceptor, Directory, Priority};
use nbdkit::embed::Embedded;
use nbdkit_plugin::{Info, OpenRequest, Opened, Plugin, Result, SyncDisk};
use nbdkit_tests::{run, tool};

use crate::credentials::Folder;

/// Describes itself by who asks for it.
struct WhoAreYou;

impl Plugin for WhoAreYou {
    fn open(self: Arc<Self>, req: OpenRequest) -> Opened {
        req.inline(You(match (req.tls, &req.certificate) {
            (false, None) => "in plain text".into(),
            (true, None) => "in TLS".into(),
            (_, Some(certificate)) => format!("{} of {}", certificate.subject, certificate.issuer),
        }))
    }
}

struct You(String);

impl SyncDisk for You {
    fn info(&self) -> Result<Info> {
        let mut info = Info::read_only(512);
        info.description = Some(self.0.as_str().into());
        Ok(info)
    }

    fn pread(&self, buf: &mut [u8], _: u64) -> Result<()> {
        buf.fill(0);
        Ok(())
    }
}

#[test]
fn a_plugin_learns_who_the_client_is() {
    let (folder, _) = Folder::complete();
    let directory = Directory::load(folder.path()).unwrap();
    for (verify, required, told) in
        [(true, true, "CN=client of CN=Authority of the tests"), (false, false, "in TLS")]
    {
        let socket = folder.path().join("socket");
        let acceptor = Acceptor::certificates(&directory, verify, &Priority::default()).unwrap();
        let server = Embedded::new("you", WhoAreYou).tls(acceptor, required).unix(&socket).unwrap();
        let description = |scheme: &str| {
            let query = format!("socket={}&tls-certificates={}", socket.display(), folder.path().display());
            let output = run(tool("nbdinfo").arg("--json").arg(format!("{scheme}+unix://?{query}")));
            output.status.success().then(|| output.json()["exports"][0]["description"].clone())
        };
        assert_eq!(description("nbds"), Some(told.into()));
        assert_eq!(description("nbd"), (!required).then(|| "in plain text".into()));
        server.stop().unwrap();
        std::fs::remove_file(&socket).unwrap();
    }
}
