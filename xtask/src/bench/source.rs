// SPDX-License-Identifier: BSD-3-Clause
//! Servers that other people's disks come from: nginx, sshd, an NBD server, and a line that is far away.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{Context, Result, line, output};

/// Half of the time that a far server takes to answer.
const ONE_WAY: Duration = Duration::from_millis(10);
/// A server that takes longer to begin hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the file comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// nginx.
    Http,
    /// nginx, 20 ms away.
    FarHttp,
    /// sshd.
    Ssh,
    /// qemu-nbd.
    Nbd,
}

/// A source that serves; ended when dropped.
pub struct Running {
    child: Child,
    /// Plugin and parameters that reach it.
    pub plugin: Vec<String>,
}

impl Source {
    /// Serves `file`. Configuration, keys and logs go to `folder`.
    pub fn start(self, file: &Path, folder: &Path) -> Result<Running> {
        let folder = &folder.join("source");
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).context(folder.display())?;
        match self {
            Source::Http => http(file, folder, Ok),
            Source::FarHttp => http(file, folder, far),
            Source::Ssh => ssh(file, folder),
            Source::Nbd => nbd(file, folder),
        }
    }
}

fn http(file: &Path, folder: &Path, reached: fn(u16) -> Result<u16>) -> Result<Running> {
    let (port, root) = (free_port()?, file.parent().unwrap_or(Path::new("/")));
    let conf = folder.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; worker_rlimit_nofile 4096;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n\
         client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};\n\
         uwsgi_temp_path {folder}; scgi_temp_path {folder};\n\
         server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n",
        folder = folder.display(),
        root = root.display(),
    );
    fs::write(&conf, text).context(conf.display())?;
    let mut nginx = Command::new("nginx");
    nginx.arg("-c").arg(&conf).arg("-e").arg(folder.join("error.log"));
    let child = spawn(nginx, folder, port)?;
    let (port, name) = (reached(port)?, file.file_name().unwrap_or_default().display().to_string());
    Ok(Running { child, plugin: vec!["curl".into(), format!("url=http://127.0.0.1:{port}/{name}")] })
}

fn ssh(file: &Path, folder: &Path) -> Result<Running> {
    let port = free_port()?;
    for key in ["host", "user"] {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(folder.join(key));
        if !output(&mut keygen).context(line(&keygen))?.status.success() {
            return Err(format!("{} failed", line(&keygen)).into());
        }
    }
    let conf = folder.join("sshd_config");
    let text = format!(
        "ListenAddress 127.0.0.1:{port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\nPidFile none\n\
         StrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 100\nSubsystem sftp internal-sftp\n",
        folder = folder.display(),
    );
    fs::write(&conf, text).context(conf.display())?;
    // sshd will not start without it.
    let _ = fs::create_dir_all("/run/sshd");
    let mut sshd = Command::new("/usr/sbin/sshd");
    sshd.args(["-D", "-e", "-f"]).arg(&conf);
    let child = spawn(sshd, folder, port)?;
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
    let plugin = vec![
        "ssh".into(),
        "host=127.0.0.1".into(),
        format!("port={port}"),
        format!("user={}", user.unwrap_or_default()),
        format!("identity={}", folder.join("user").display()),
        "verify-remote-host=false".into(),
        "config=".into(),
        format!("path={}", file.display()),
    ];
    Ok(Running { child, plugin })
}

fn nbd(file: &Path, folder: &Path) -> Result<Running> {
    let socket = folder.join("socket");
    let mut qemu = Command::new("qemu-nbd");
    qemu.args(["-t", "--shared=0", "--read-only", "--format=raw", "-k"]).arg(&socket).arg(file);
    let child = started(qemu, folder, || socket.exists())?;
    Ok(Running { child, plugin: vec!["nbd".into(), format!("socket={}", socket.display())] })
}

fn spawn(command: Command, folder: &Path, port: u16) -> Result<Child> {
    started(command, folder, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
}

/// Starts the command and waits until it serves.
fn started(mut command: Command, folder: &Path, serves: impl Fn() -> bool) -> Result<Child> {
    let path = folder.join("log");
    let log = File::create(&path).context(path.display())?;
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context(line(&command))?;
    let began = Instant::now();
    while !serves() {
        let ended = child.try_wait().context(line(&command))?.is_some();
        if ended || began.elapsed() > PATIENCE {
            let said = fs::read_to_string(&path).unwrap_or_default();
            return Err(format!("{} does not serve: {}", line(&command), said.trim()).into());
        }
        sleep(Duration::from_millis(5));
    }
    Ok(child)
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr().context("a free port")?.port())
}

/// A port whose connections go to `port`, each byte 10 ms later than it came, both ways. Its threads end with the process.
fn far(port: u16) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    let near = listener.local_addr().context("a free port")?.port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
            for stream in [&client, &server] {
                let _ = stream.set_nodelay(true);
            }
            if let (Ok(to_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) {
                carry(client, to_server);
                carry(server, to_client);
            }
        }
    });
    Ok(near)
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buf = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buf) {
            if sender.send((Instant::now() + ONE_WAY, buf[..count].to_vec())).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receiver {
            sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
