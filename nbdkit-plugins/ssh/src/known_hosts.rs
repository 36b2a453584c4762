// SPDX-License-Identifier: BSD-3-Clause
//! Which keys a machine is known by: the files of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

use crate::pattern;
use ssh2::{CheckResult, KnownHostFileKind, Session};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// More of a file is not read, in bytes.
const LONGEST: u64 = 16 << 20;

/// The keys of one machine.
pub(crate) struct Known {
    entries: Vec<Entry>,
    /// What was looked at, for messages.
    files: String,
}

struct Entry {
    /// `ssh-ed25519` ...
    kind: String,
    /// As the server would show it.
    key: Vec<u8>,
    revoked: bool,
    /// `FILE:LINE`.
    at: String,
}

impl Known {
    /// Looks `host` up, under its name with the port if that is not 22, else, as ssh does, without.
    pub(crate) fn read(session: &Session, files: &[PathBuf], host: &str, port: u16) -> Known {
        let texts: Vec<_> = files.iter().filter_map(|file| Some((file.as_path(), contents(file)?))).collect();
        let look_up = |name: &str| {
            let found = texts.iter().flat_map(|(file, text)| entries(session, file, text, name));
            found.collect::<Vec<_>>()
        };
        let host = host.to_lowercase();
        let mut entries = match port {
            22 => Vec::new(),
            _ => look_up(&format!("[{host}]:{port}")),
        };
        if entries.iter().all(|entry| entry.revoked) {
            entries.extend(look_up(&host));
        }
        let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
        Known { entries, files: names.join(", ") }
    }

    /// The ways to sign that the server is asked for, of those that are `supported`: first those of known keys, else
    /// it might show another key than the one that is known.
    pub(crate) fn algorithms(&self, supported: &[&str]) -> String {
        // Nobody checks certificates here, and DSA is broken.
        let usable = supported.iter().filter(|name| !name.contains("cert") && **name != "ssh-dss");
        let is_known = |name: &&&str| {
            let kind = if name.starts_with("rsa-") { "ssh-rsa" } else { name };
            self.entries.iter().any(|entry| entry.kind == kind && !entry.revoked)
        };
        let (known, others): (Vec<_>, Vec<_>) = usable.partition(is_known);
        let all: Vec<&str> = known.into_iter().chain(others).copied().collect();
        all.join(",")
    }

    /// Whether `key` is one that the machine is known by. `shown` is its fingerprint.
    ///
    /// # Errors
    /// One line that says why not, and what can be done.
    pub(crate) fn check(&self, host: &str, key: &[u8], shown: &str) -> Result<(), String> {
        let kind = kind(key);
        if let Some(Entry { at, .. }) = self.entries.iter().find(|entry| entry.revoked && entry.key == key) {
            return Err(format!("the {kind} host key of {host}, {shown}, is revoked in {at}"));
        }
        let mut known = self.entries.iter().filter(|entry| !entry.revoked).peekable();
        let Some(Entry { at, .. }) = known.peek() else {
            return Err(format!(
                "the host key is unknown: {host} shows the {kind} key {shown}, which is not in {}: use ssh first and accept the key, or name a file with known-hosts=FILE",
                self.files
            ));
        };
        if known.clone().any(|entry| entry.key == key) {
            return Ok(());
        }
        let at = known.find(|entry| entry.kind == kind).map_or(at, |entry| &entry.at);
        Err(format!(
            "host key for server changed: {host} shows the {kind} key {shown}, but {at} has another one: either somebody is listening in between, or the machine was installed anew and the line should go"
        ))
    }
}

/// What a key says of its kind: its first string (RFC 4253, section 6.6).
fn kind(key: &[u8]) -> String {
    let name = key.split_first_chunk().and_then(|(len, rest)| rest.get(..u32::from_be_bytes(*len) as usize));
    String::from_utf8_lossy(name.unwrap_or(b"?")).escape_debug().to_string()
}

fn contents(file: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn entries(session: &Session, file: &Path, text: &str, name: &str) -> Vec<Entry> {
    let entry = |(number, line): (usize, &str)| {
        let mut words = line.split_whitespace().peekable();
        let marker = words.next_if(|word| word.starts_with('@'));
        let (names, kind, key) = (words.next()?, words.next()?, words.next()?);
        // The key of an authority is not that of a machine.
        if names.starts_with('#') || !matches!(marker, None | Some("@revoked")) {
            return None;
        }
        let key = nbdkit_base64::decode(key.as_bytes())?;
        is_among(session, names, name).then(|| Entry {
            kind: kind.to_owned(),
            key,
            revoked: marker.is_some(),
            at: format!("{}:{number}", file.display()),
        })
    };
    (1..).zip(text.lines()).filter_map(entry).collect()
}

/// Whether `name` is meant by the first field of a line.
fn is_among(session: &Session, names: &str, name: &str) -> bool {
    match names.starts_with('|') {
        true => is_hashed(session, names, name),
        false => pattern::in_list(names.to_lowercase().split(','), name),
    }
}

/// `|1|SALT|HASH`, which libssh2 can compare. The key plays no part: any will do.
fn is_hashed(session: &Session, hashed: &str, name: &str) -> bool {
    let line = format!("{hashed} ssh-ed25519 AAAAAAAAAAAAAAAAAAAAAAAA");
    session.known_hosts().is_ok_and(|mut one| {
        one.read_str(&line, KnownHostFileKind::OpenSSH).is_ok()
            && matches!(one.check(name, b"any"), CheckResult::Match | CheckResult::Mismatch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A key of that kind, in base64 and as bytes.
    fn key(kind: &str, byte: u8) -> (String, Vec<u8>) {
        let bytes = [&(kind.len() as u32).to_be_bytes(), kind.as_bytes(), &[byte; 13]].concat();
        (crate::login::base64(&bytes), bytes)
    }

    fn known(text: &str, host: &str, port: u16) -> Known {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known");
        std::fs::write(&file, text).unwrap();
        let mut known = Known::read(&Session::new().unwrap(), &[file, dir.path().join("none")], host, port);
        known.entries.iter_mut().for_each(|entry| entry.at = entry.at.rsplit_once('/').unwrap().1.to_owned());
        known
    }

    #[test]
    fn names_ports_patterns_and_hashes() {
        let (text, bytes) = key("ssh-ed25519", 1);
        // What `ssh-keygen -H` makes of www.example.com and of [www.example.com]:2222.
        let plain = "|1|H/BTNjOlDU1pPzxvOm5Na0eKlsg=|cJZaL69++qzh5IArx4MDSA1rPzE=";
        let with_port = "|1|3qtUIMiNjsbfffDy3eAXMeKW07w=|VoUST/4XDLubiLP1yYorcAHg5qk=";
        for (names, host, port, found) in [
            ("www", "WWW", 22, true),
            ("www", "other", 22, false),
            ("a,www,b", "www", 22, true),
            ("*.example.com,!x.example.com", "a.example.com", 22, true),
            ("*.example.com,!x.example.com", "x.example.com", 22, false),
            ("[www]:2222", "www", 2222, true),
            ("[www]:2222", "www", 22, false),
            ("www", "www", 2222, true),
            ("::1", "::1", 22, true),
            (plain, "www.example.com", 22, true),
            (plain, "www.example.com", 2222, true),
            (plain, "www.example.org", 22, false),
            (with_port, "www.example.com", 2222, true),
            (with_port, "www.example.com", 22, false),
            ("|1|nonsense", "www", 22, false),
            ("|", "www", 22, false),
        ] {
            let known = known(&format!("# a comment\n\n{names} ssh-ed25519 {text} a comment\n"), host, port);
            assert_eq!(known.check(host, &bytes, "X").is_ok(), found, "{names} {host} {port}");
        }
    }

    #[test]
    fn the_name_with_its_port_goes_before_the_name() {
        let ((one, first), (two, second)) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let known = known(&format!("www ssh-ed25519 {one}\n[www]:2222 ssh-ed25519 {two}"), "www", 2222);
        assert!(known.check("www", &second, "X").is_ok());
        assert!(known.check("www", &first, "X").is_err());
    }

    #[test]
    fn refusals_say_where() {
        let ((rsa, _), (ed, bytes)) = (key("ssh-rsa", 1), key("ssh-ed25519", 2));
        let other = key("ssh-ed25519", 3).1;
        let text = format!(
            "www ssh-rsa {rsa}\nwww ssh-ed25519 {ed}\n@revoked * ssh-ed25519 {ed}\nwww ssh-ed25519 %\n"
        );
        let known_www = known(&text, "www", 22);
        let why = known_www.check("www", &other, "SHA256:X").unwrap_err();
        assert!(why.starts_with(
            "host key for server changed: www shows the ssh-ed25519 key SHA256:X, but known:2 "
        ));
        let why = known_www.check("www", &bytes, "X").unwrap_err();
        assert!(why.contains("is revoked in known:3"), "{why}");
        let why = known("", "www", 22).check("www", &other, "X").unwrap_err();
        assert!(
            why.starts_with("the host key is unknown: ") && why.contains("/none: use ssh first"),
            "{why}"
        );
        let why = known(&format!("@cert-authority * ssh-rsa {rsa}"), "www", 22).check("www", &bytes, "X");
        assert!(why.unwrap_err().starts_with("the host key is unknown"));
    }

    #[test]
    fn the_kinds_of_known_keys_come_first() {
        let supported = [
            "ssh-ed25519-cert-v01@openssh.com",
            "ssh-ed25519",
            "rsa-sha2-512",
            "rsa-sha2-256",
            "ssh-rsa",
            "ssh-dss",
        ];
        let known = known(&format!("www ssh-rsa {}", key("ssh-rsa", 1).0), "www", 22);
        assert_eq!(known.algorithms(&supported), "rsa-sha2-512,rsa-sha2-256,ssh-rsa,ssh-ed25519");
    }

    proptest! {
        #[test]
        fn any_line_is_read(line in "(@revoked |\\|1\\||)[ -~]{0,40}", text in "(?s).{0,60}") {
            let session = Session::new().unwrap();
            entries(&session, Path::new("known"), &format!("{line} ssh-rsa AAAA\n{text}"), "www");
        }
    }
}
