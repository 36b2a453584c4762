// SPDX-License-Identifier: BSD-3-Clause
//! Writing by PUT, to Apache with mod_dav, and to servers that do not want it.

use std::{
    fs::{self, File},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    process::{Child, Stdio},
};

use nbdkit_tests::{Server, data::random, eventually, process::Process, raw::err, run, tool};
use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use super::nginx::{Nginx, free_port};

#[test]
fn apache_writes_parts() {
    let apache = Apache::start();
    let mut expected = random(1, 100_000);
    fs::write(apache.disk(), &expected).unwrap();
    fs::set_permissions(apache.disk(), fs::Permissions::from_mode(0o666)).unwrap();
    let server = Server::start(["curl", &apache.url()]);
    let mut client = server.connect();
    assert_eq!(client.structured("").size, 100_000);
    for (seed, offset, len) in
        [(2, 0, 1), (3, 511, 1025), (4, 65536, 4096), (5, 99_999, 1), (6, 4096, 50_000)]
    {
        let bytes = random(seed, len);
        client.write(offset as u64, &bytes, 0).unwrap();
        expected[offset..][..len].copy_from_slice(&bytes);
        assert_eq!(client.read(0, 100_000).unwrap(), expected, "{offset}+{len}");
    }
    client.disconnect();
    assert_eq!(fs::read(apache.disk()).unwrap(), expected);
}

#[test]
fn a_copy_to_apache() {
    let apache = Apache::start();
    fs::write(apache.disk(), vec![0; 1 << 20]).unwrap();
    fs::set_permissions(apache.disk(), fs::Permissions::from_mode(0o666)).unwrap();
    let source = apache.dir.path().join("source");
    fs::write(&source, random(8, 1 << 20)).unwrap();
    let server = Server::start(["curl", &apache.url()]);
    run(tool("nbdcopy").arg(&source).arg(server.uri())).ok();
    drop(server);
    nbdkit_tests::data::assert_same(&source, &apache.disk());
}

#[test]
fn a_server_that_does_not_want_it() {
    let nginx = Nginx::start("location /forbidden { alias DIR/www; limit_except GET { deny all; } }");
    for (path, status) in [("/disk.img", 405), ("/forbidden/disk.img", 403)] {
        let server = Server::start(["curl", &nginx.http(path)]);
        let mut client = server.connect();
        client.structured("");
        let before = fs::read(nginx.disk()).unwrap();
        assert_eq!(client.write(512, &[1; 512], 0), Err(err::EIO));
        let says = format!("The requested URL returned error: {status}");
        assert!(server.stderr().contains(&says), "expected {says:?} in {}", server.stderr());
        client.disconnect();
        assert!(fs::read(nginx.disk()).unwrap() == before);
    }
}

#[test]
fn only_readers_may_come_with_several_connections() {
    let nginx = Nginx::start("");
    for (args, shown) in [(&["-r"][..], "can_multi_conn: true"), (&[], "can_multi_conn: false")] {
        let url = nginx.http("/disk.img");
        let server = Server::start([args, &["curl", &url]].concat());
        let info = run(tool("nbdinfo").arg(server.uri())).ok();
        assert!(info.text().contains(shown), "{}", info.report());
    }
}

/// With mod_dav, as one process.
pub struct Apache {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Apache {
    #[track_caller]
    pub fn start() -> Apache {
        let dir = tempfile::Builder::new().prefix("nbdkit-apache").tempdir().unwrap();
        fs::create_dir(dir.path().join("www")).unwrap();
        // It becomes another user, who must come here.
        let user = User::from_name("www-data").unwrap().filter(|_| geteuid().is_root());
        if let Some(user) = &user {
            for path in [dir.path(), &dir.path().join("www")] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
            }
        }
        let mut apache = Apache { dir, port: 0, child: None };
        // Between the choice of a free port and its use another process may take it: then once more.
        for _ in 0..10 {
            apache.port = free_port();
            let text = configuration(&apache.dir, apache.port, user.is_some());
            fs::write(apache.dir.path().join("apache.conf"), text).unwrap();
            if apache.run() {
                return apache;
            }
        }
        panic!("no free port in ten attempts");
    }

    /// True once it answers; false if the port was taken meanwhile.
    fn run(&mut self) -> bool {
        let errors = File::create(self.dir.path().join("stderr")).unwrap();
        let mut command = tool("apache2");
        command.arg("-X").arg("-f").arg(self.dir.path().join("apache.conf"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let port = self.port;
        let answers = eventually(|| match child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
        });
        self.child = Some(child);
        if answers == Some(true) {
            return true;
        }
        self.kill();
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let said = read("stderr") + &read("error.log");
        assert!(said.contains("in use"), "apache2 does not start: {said}");
        false
    }

    /// On the same port as before.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.kill();
        // It would take the old one for another that runs.
        let _ = fs::remove_file(self.dir.path().join("pid"));
        assert!(self.run(), "the port was taken");
    }

    /// Ends it at once, with all its connections.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    pub fn process(&self) -> Process {
        Process(self.child.as_ref().expect("it runs").id().cast_signed())
    }

    pub fn disk(&self) -> PathBuf {
        self.dir.path().join("www/disk.img")
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/disk.img", self.port)
    }
}

fn configuration(dir: &TempDir, port: u16, is_root: bool) -> String {
    let dir = dir.path().display();
    let modules: String = ["mpm_prefork", "authz_core", "dav", "dav_fs"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let user = if is_root { "User www-data\nGroup www-data\n" } else { "" };
    format!(
        "ServerRoot {dir}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {dir}/pid\nErrorLog {dir}/error.log\n\
         {modules}{user}DefaultRuntimeDir {dir}\nMutex file:{dir}\nDocumentRoot {dir}/www\nDavLockDB {dir}/www/.lock\n\
         <Directory {dir}/www>\nDav On\nRequire all granted\n</Directory>\n"
    )
}

impl Drop for Apache {
    fn drop(&mut self) {
        self.kill();
    }
}
