// SPDX-License-Identifier: BSD-3-Clause
//! Secrets that are not needed any more are nowhere in the memory of the server.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nbdkit_tests::{Launch, Server, run, tool, until};

use crate::credentials::{Authority, Folder, Subject, uri};

/// Everything that a process may write to, piece by piece (proc_pid_maps(5)).
fn memory(server: &Server) -> Vec<Vec<u8>> {
    let proc = format!("/proc/{}", server.process().0);
    let memory = File::open(format!("{proc}/mem")).unwrap();
    let maps = fs::read_to_string(format!("{proc}/maps")).unwrap();
    let range = |line: &str| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((number(start)?, number(end)?))
    };
    let pieces = maps.lines().filter_map(range).map(|(start, end)| {
        let mut bytes = vec![0; (end - start) as usize];
        // What nobody has touched may not be there to be read.
        let read = memory.read_at(&mut bytes, start).unwrap_or(0);
        bytes.truncate(read);
        bytes
    });
    pieces.collect()
}

/// How often `needle` is found.
fn count(server: &Server, needle: &[u8]) -> usize {
    let found = |piece: &Vec<u8>| piece.windows(needle.len()).filter(|some| *some == needle).count();
    memory(server).iter().map(found).sum()
}

#[test]
fn pre_shared_keys() {
    let (folder, _) = Folder::complete();
    // Short, and in a long file: both are read in their own way.
    for others in [0, 2000] {
        let user = "alice-in-the-memory";
        let key: [u8; 20] = *b"\x92kThis is a \xe1secret\x07";
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        let more: String = (0..others).map(|i| format!("user{i}:00ff\n")).collect();
        let keys = folder.put("keys.psk", &format!("{user}:{hex}\n{more}"), 0o600);
        for version in ["TLS1.2", "TLS1.3"] {
            let psk = format!("--tls-psk={}", keys.display());
            let priority = format!("--tls-priority=NORMAL:-VERS-ALL:+VERS-{version}");
            let server = Server::start(["--tls=require", &psk, &priority, "memory", "1M"]);
            let sockets = server.process().sockets();
            run(tool("nbdinfo").arg(uri(&server, user, &format!("tls-psk-file={}", keys.display())))).ok();
            until("the client is gone", || server.process().sockets() == sockets);
            // It can be found: the name of its file is there.
            assert!(count(&server, keys.as_os_str().as_encoded_bytes()) > 0);
            for secret in [&key[4..], &hex.as_bytes()[8..]] {
                assert_eq!(count(&server, secret), 0, "{version}, {others} other users");
            }
        }
    }
}

/// What signs has the key as long as the server runs. Its file is gone, and so is what was in it.
#[test]
fn files_of_private_keys() {
    let authority = Authority::new("Authority");
    // Behind the scalar in the first, in the middle of the private exponent in the second.
    for (subject, inside) in [(Subject::new("server"), 60..76), (Subject::new("server").rsa(), 380..440)] {
        let folder = Folder::trusting(&authority).server(&authority, subject);
        let server = Launch::new(["--tls=require", &folder.option(), "memory", "1M"]).start();
        run(tool("nbdinfo").arg(folder.uri(&server))).ok();
        let pem = folder.read("server-key.pem");
        for line in pem.lines().filter(|line| line.len() == 64) {
            assert_eq!(count(&server, line.as_bytes()), 0, "{line}");
        }
        let mut command = tool("openssl");
        command
            .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
            .arg(folder.path().join("server-key.pem"));
        let der = run(&mut command).ok().stdout;
        assert_eq!(count(&server, &der[inside]), 0, "of {} bytes", der.len());
    }
}
