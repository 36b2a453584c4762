// SPDX-License-Identifier: BSD-3-Clause
//! [`Jar`]: the cookies that servers set, in files of the format that browsers once had and curl has.

use crate::params::Params;
use cookie_store::{CookieDomain, CookieExpiration, CookieStore};
use nbdkit_plugin::{Error, Result};
use reqwest::{
    Url,
    header::{HeaderMap, SET_COOKIE},
};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The largest file of cookies that is read, in bytes.
const LARGEST: u64 = 4 << 20;

/// One for all clients.
pub(crate) struct Jar {
    store: Mutex<CookieStore>,
    /// Where they are written to.
    file: Option<PathBuf>,
}

impl Jar {
    /// The one that the parameters ask for, if they do.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(crate) fn of(params: &Params) -> Result<Option<Jar>> {
        let (read, kept) = (params.cookiefile.as_ref(), params.cookiejar.as_deref());
        if read.is_none() && kept.is_none() {
            return Ok(None);
        }
        let files = read.and_then(|path| path.get()).into_iter().chain(kept);
        Jar::new(files, params.cookiejar.clone()).map(Some)
    }

    /// With the cookies of `files`; those that do not exist are empty.
    ///
    /// # Errors
    /// When one cannot be read.
    fn new<'a>(files: impl Iterator<Item = &'a Path>, file: Option<PathBuf>) -> Result<Jar> {
        let mut store = CookieStore::default();
        for path in files {
            let failed = |error| Error::io(error, format!("cannot read cookies: {}", path.display()));
            match read(path) {
                Ok(text) => text.lines().for_each(|line| add(&mut store, line)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Jar { store: Mutex::new(store), file })
    }

    /// The value of a Cookie header for `url`, if there are any for it.
    pub(crate) fn header(&self, url: &Url) -> Option<String> {
        let store = self.lock();
        let pairs: Vec<_> =
            store.get_request_values(url).map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Takes what an answer from `url` sets.
    pub(crate) fn take(&self, headers: &HeaderMap, url: &Url) {
        let mut lines = headers.get_all(SET_COOKIE).iter().peekable();
        if lines.peek().is_none() {
            return;
        }
        let mut store = self.lock();
        for line in lines.filter_map(|line| line.to_str().ok()) {
            // What is wrong with a cookie is no reason to fail: it is not kept.
            let _ = store.parse(line, url);
        }
    }

    /// Whether there is a file to write them to.
    pub(crate) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Writes them to the file, if there is one.
    ///
    /// # Errors
    /// When that fails.
    pub(crate) fn save(&self) -> Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let text = self.text();
        write(path, &text).map_err(|error| Error::io(error, format!("cookiejar: {}", path.display())))
    }

    fn text(&self) -> String {
        let mut text = String::from("# Netscape HTTP Cookie File\n\n");
        for cookie in self.lock().iter_unexpired() {
            let (domain, subdomains) = match &cookie.domain {
                CookieDomain::HostOnly(host) => (host.clone(), "FALSE"),
                CookieDomain::Suffix(suffix) => (format!(".{suffix}"), "TRUE"),
                CookieDomain::NotPresent | CookieDomain::Empty => continue,
            };
            let http_only = if cookie.http_only() == Some(true) { "#HttpOnly_" } else { "" };
            let secure = if cookie.secure() == Some(true) { "TRUE" } else { "FALSE" };
            let expires = match &cookie.expires {
                CookieExpiration::AtUtc(time) => time.unix_timestamp(),
                CookieExpiration::SessionEnd => 0,
            };
            let (name, value) = cookie.name_value();
            let path = &*cookie.path;
            text +=
                &format!("{http_only}{domain}\t{subdomains}\t{path}\t{secure}\t{expires}\t{name}\t{value}\n");
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, CookieStore> {
        // Of a panic within, at worst one cookie is missing.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of the file: seven fields with tabs between them, or a header as servers send it. Others are comments.
fn add(store: &mut CookieStore, line: &str) {
    let parsed = match line.get(..11) {
        Some(name) if name.eq_ignore_ascii_case("set-cookie:") => from_header(&line[11..]),
        _ => from_fields(line),
    };
    if let Some((cookie, url)) = parsed {
        let _ = store.parse(&cookie, &url);
    }
}

/// Only with a domain: without one there is nobody to whom it could be sent.
fn from_header(line: &str) -> Option<(String, Url)> {
    let domain = line.split(';').skip(1).find_map(|field| {
        let (name, value) = field.split_once('=')?;
        name.trim().eq_ignore_ascii_case("domain").then(|| value.trim().trim_start_matches('.'))
    })?;
    Some((line.trim().to_owned(), Url::parse(&format!("https://{domain}/")).ok()?))
}

fn from_fields(line: &str) -> Option<(String, Url)> {
    let (line, http_only) = match line.strip_prefix("#HttpOnly_") {
        Some(line) => (line, "; HttpOnly"),
        None => (line, ""),
    };
    if line.starts_with('#') {
        return None;
    }
    let fields: Vec<&str> = line.trim_end_matches(['\r', '\n']).split('\t').collect();
    let (&[domain, subdomains, path, secure, expires, name], rest) = fields.split_first_chunk()?;
    // A value that is empty may be missing, with its tab.
    let value = rest.first().copied().unwrap_or_default();
    let host = domain.trim_start_matches('.');
    let mut cookie = format!("{name}={value}; Path={path}{http_only}");
    if subdomains == "TRUE" {
        cookie += &format!("; Domain={host}");
    }
    if secure == "TRUE" {
        cookie += "; Secure";
    }
    match expires.parse::<u64>().ok()? {
        // Until the session ends.
        0 => {}
        expires => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
            cookie += &format!("; Max-Age={}", expires.checked_sub(now)?);
        }
    }
    Some((cookie, Url::parse(&format!("https://{host}{path}")).ok()?))
}

/// In one step where it can be: whoever reads it meanwhile sees the old or the new.
fn write(path: &Path, text: &str) -> io::Result<()> {
    // Nothing takes the place of a device.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let new = path.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn jar(text: &str) -> Jar {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cookies");
        fs::write(&path, text).unwrap();
        Jar::new([path.as_path()].into_iter(), None).unwrap()
    }

    #[test]
    fn reads_what_curl_writes() {
        let jar = jar("# Netscape HTTP Cookie File\n\
             # a comment\n\n\
             .example.com\tTRUE\t/\tFALSE\t0\tall\t1\n\
             #HttpOnly_example.com\tFALSE\t/\tFALSE\t4102444800\tone\t2\n\
             example.com\tFALSE\t/deep\tTRUE\t0\tdeep\t3\r\n\
             example.com\tFALSE\t/\tFALSE\t1000\told\t4\n\
             broken\tline\n\
             Set-Cookie: header=5; domain=.example.com; path=/\n");
        let mut names: Vec<_> =
            jar.header(&url("https://example.com/deep/x")).unwrap().split("; ").map(str::to_owned).collect();
        names.sort();
        assert_eq!(names, ["all=1", "deep=3", "header=5", "one=2"]);
        let mut names: Vec<_> =
            jar.header(&url("http://sub.example.com/")).unwrap().split("; ").map(str::to_owned).collect();
        names.sort();
        assert_eq!(names, ["all=1", "header=5"]);
        assert_eq!(jar.header(&url("http://example.org/")), None);
    }

    #[test]
    fn writes_what_it_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jar");
        let jar = Jar::new([path.as_path()].into_iter(), Some(path.clone())).unwrap();
        let mut headers = HeaderMap::new();
        for cookie in
            ["a=1", "b=2; Domain=example.com; Max-Age=1000; HttpOnly", "c=3; Max-Age=0", "", "d=4; Secure"]
        {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        jar.take(&headers, &url("https://www.example.com/x"));
        jar.save().unwrap();
        let again = Jar::new([path.as_path()].into_iter(), None).unwrap();
        for to in ["https://www.example.com/x", "http://www.example.com/", "http://example.com/"] {
            let sorted = |jar: &Jar| {
                let mut pairs: Vec<_> =
                    jar.header(&url(to)).unwrap().split("; ").map(str::to_owned).collect();
                pairs.sort();
                pairs
            };
            assert_eq!(sorted(&again), sorted(&jar), "{to}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A device stays one.
        Jar::new(std::iter::empty(), Some("/dev/null".into())).unwrap().save().unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }
}
