// SPDX-License-Identifier: BSD-3-Clause
//! [`Nginx`]: a real web server in a folder of its own, as one process.

use std::{
    fs::{self, File},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use nbdkit_tests::{data::random, eventually, process::Process, tool};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::authority::Authority;

/// Serves `www/disk.img` and whatever a test puts there, over HTTP, HTTPS and a Unix socket. Ended when the value goes.
pub struct Nginx {
    dir: TempDir,
    /// Of the `server` block.
    rest: String,
    ports: [u16; 2],
    child: Option<Child>,
}

/// Not a multiple of anything.
const SIZE: usize = (3 << 20) + 4096 + 321;

impl Nginx {
    /// `locations`: what else stands in the `server` block.
    #[track_caller]
    pub fn start(locations: &str) -> Nginx {
        Nginx::start_with("DIR/server.pem", "DIR/key.pem", locations)
    }

    /// With another certificate than that of the CA in `ca.pem`.
    #[track_caller]
    pub fn start_with(certificate: &str, key: &str, locations: &str) -> Nginx {
        let dir = tempfile::Builder::new().prefix("nbdkit-nginx").tempdir().unwrap();
        fs::create_dir(dir.path().join("www")).unwrap();
        fs::write(dir.path().join("www/disk.img"), random(7, SIZE)).unwrap();
        let authority = Authority::new();
        authority.save(dir.path());
        let names = ["localhost", "example.com", "127.0.0.1"];
        authority.issue(&names, &dir.path().join("server.pem"), &dir.path().join("key.pem"));
        let rest = format!("ssl_certificate {certificate}; ssl_certificate_key {key}; {locations}");
        let mut nginx = Nginx { dir, rest, ports: [0; 2], child: None };
        // Between the choice of free ports and their use another process may take one: then once more.
        for _ in 0..10 {
            nginx.ports = [free_port(), free_port()];
            if nginx.run() {
                return nginx;
            }
        }
        panic!("nginx does not start: {}", nginx.errors());
    }

    /// True once it answers.
    fn run(&mut self) -> bool {
        let conf = self.path("nginx.conf");
        fs::write(&conf, self.configuration()).unwrap();
        let errors = File::create(self.path("stderr")).unwrap();
        let mut command = tool("nginx");
        command.arg("-p").arg(self.dir.path()).arg("-c").arg(&conf).arg("-e").arg(self.path("error.log"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
        let port = self.ports[1];
        let answers = eventually(|| match child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true),
        });
        if answers == Some(true) {
            self.child = Some(child);
            return true;
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }

    fn configuration(&self) -> String {
        let dir = self.dir.path().display();
        let [plain, tls] = self.ports;
        let rest = self.rest.replace("DIR", &dir.to_string()).replace("PORT", &plain.to_string());
        format!(
            "daemon off; master_process off; pid {dir}/pid;
             events {{ worker_connections 512; }}
             http {{
               log_format asked '$server_protocol $request_method $request_uri $status $http_range';
               access_log {dir}/access.log asked;
               client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
               uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
               server {{
                 listen 127.0.0.1:{plain}; listen unix:{dir}/socket; listen 127.0.0.1:{tls} ssl http2;
                 root {dir}/www;
                 {rest}
               }}
             }}"
        )
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file that `/disk.img` is.
    pub fn disk(&self) -> PathBuf {
        self.path("www/disk.img")
    }

    pub fn http(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.ports[0])
    }

    pub fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.ports[1])
    }

    /// The port for HTTP.
    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    /// The port for HTTPS.
    pub fn tls_port(&self) -> u16 {
        self.ports[1]
    }

    /// `cainfo=` with the CA that it has its certificate of.
    pub fn cainfo(&self) -> String {
        format!("cainfo={}", self.path("ca.pem").display())
    }

    /// What it was asked so far: protocol, method, path, status, range.
    pub fn log(&self) -> Vec<String> {
        fs::read_to_string(self.path("access.log")).unwrap().lines().map(str::to_owned).collect()
    }

    pub fn process(&self) -> Process {
        Process(self.child.as_ref().expect("it runs").id().cast_signed())
    }

    /// Ends it at once, with all its connections.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // nginx does not listen on a socket that is there already.
        let _ = fs::remove_file(self.path("socket"));
    }

    /// On the same ports as before.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.kill();
        assert!(self.run(), "nginx does not start again: {}", self.errors());
    }

    fn errors(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        read("stderr") + &read("error.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(child) = &self.child {
            // One that is stopped does not end.
            Process(child.id().cast_signed()).signal(Signal::SIGCONT);
        }
        self.kill();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Makes a file of random bytes in the folder that is served.
pub fn random_file(nginx: &Nginx, name: &str, len: usize) -> PathBuf {
    let path: &Path = &nginx.path("www").join(name);
    fs::write(path, random(len as u64, len)).unwrap();
    path.to_owned()
}
