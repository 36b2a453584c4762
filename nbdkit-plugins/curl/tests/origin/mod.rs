// SPDX-License-Identifier: BSD-3-Clause
//! [`Origin`]: an HTTP server with one file in memory, of which parts can be read and written.

use std::{
    io::{BufRead, BufReader, Read, Result, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Serves until the process ends.
pub struct Origin {
    port: u16,
}

struct Shared {
    bytes: Mutex<Vec<u8>>,
}

impl Origin {
    pub fn start(bytes: Vec<u8>) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { bytes: Mutex::new(bytes) });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        Origin { port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/disk.img", self.port)
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> Result<()> {
        stream.set_nodelay(true)?;
        let mut input = BufReader::new(stream.try_clone()?);
        let mut output = stream;
        while let Some((method, headers)) = head(&mut input)? {
            let header =
                |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            let mut body = vec![0; header("content-length").map_or(0, |len| len.parse().unwrap())];
            input.read_exact(&mut body)?;
            let reply = self.answer(&method, header("range"), header("content-range"), &body);
            output.write_all(&reply)?;
        }
        Ok(())
    }

    fn answer(&self, method: &str, range: Option<&str>, content_range: Option<&str>, body: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes.lock().unwrap();
        let size = bytes.len();
        match (method, range, content_range) {
            ("HEAD", None, None) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nAccept-Ranges: bytes\r\n\r\n").into()
            }
            ("GET", Some(range), None) => {
                let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                let part = &bytes[first..=last];
                let head = format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n",
                    part.len()
                );
                [head.as_bytes(), part].concat()
            }
            ("PUT", None, Some(range)) => {
                let (part, total) = range.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
                let (first, last) = part.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                assert_eq!((total, last + 1 - first), (size.to_string().as_str(), body.len()));
                bytes[first..=last].copy_from_slice(body);
                "HTTP/1.1 204 No Content\r\n\r\n".into()
            }
            _ => panic!("{method} with {range:?} and {content_range:?}"),
        }
    }
}

/// With names in lower case.
type Headers = Vec<(String, String)>;

/// The method and the headers. `None` at the end of the connection.
fn head(input: &mut impl BufRead) -> Result<Option<(String, Headers)>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let method = line.split(' ').next().unwrap().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        input.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return Ok(Some((method, headers))),
        }
    }
}
