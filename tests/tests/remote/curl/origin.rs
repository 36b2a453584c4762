// SPDX-License-Identifier: BSD-3-Clause
//! [`Origin`]: an HTTP server that answers whatever a test wants, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Result, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// Serves until the process ends.
pub struct Origin {
    port: u16,
    asked: Arc<Mutex<Vec<Request>>>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// Names in lower case.
    headers: Vec<(String, String)>,
}

impl Request {
    /// All values of the header, with a bar between them.
    pub fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join("|"))
    }

    /// First and last byte.
    pub fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')
            .map(|(first, last)| (first.parse().unwrap(), last.parse().unwrap()))?;
        Some((first, last))
    }
}

impl Origin {
    /// `answer`: the bytes of the answer. After an answer with `Connection: close` it hangs up.
    pub fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Origin {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (record, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (record, answer) = (record.clone(), answer.clone());
                thread::spawn(move || serve(stream, &record, &*answer));
            }
        });
        Origin { port, asked }
    }

    /// One that serves `bytes` well.
    pub fn of(bytes: Vec<u8>) -> Origin {
        Origin::start(move |request| well(request, &bytes))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

/// The answer of a good server that has `bytes`.
pub fn well(request: &Request, bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len();
    match (request.method.as_str(), request.range()) {
        ("HEAD", None) => ok(size),
        ("GET", Some((first, last))) => part(first, last, &size.to_string(), &bytes[first..=last]),
        _ => reply("501 Not Implemented", "", b""),
    }
}

/// To HEAD.
pub fn ok(size: usize) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nAccept-Ranges: bytes\r\n\r\n").into()
}

/// To GET with a range.
pub fn part(first: usize, last: usize, total: &str, body: &[u8]) -> Vec<u8> {
    reply("206 Partial Content", &format!("Content-Range: bytes {first}-{last}/{total}\r\n"), body)
}

/// `headers`: lines with their ends.
pub fn reply(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn serve(
    stream: TcpStream,
    record: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Vec<u8>,
) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream.try_clone()?);
    let mut output = stream;
    while let Some(request) = read(&mut input)? {
        record.lock().unwrap().push(request.clone());
        let bytes = answer(&request);
        output.write_all(&bytes)?;
        if bytes.windows(17).take(1000).any(|window| window == b"Connection: close") {
            return Ok(());
        }
    }
    Ok(())
}

/// `None` at the end of the connection.
pub fn read(input: &mut impl BufRead) -> Result<Option<Request>> {
    let mut line = String::new();
    if input.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim_end_matches(['\r', '\n']).split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let request = Request { method, target, headers };
    let len = request.header("content-length").map_or(0, |len| len.parse().unwrap());
    input.read_exact(&mut vec![0; len])?;
    Ok(Some(request))
}
