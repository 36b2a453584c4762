// SPDX-License-Identifier: BSD-3-Clause
//! What the user's ssh_config(5) says of a host: a small part of its language, and a remark on the rest.

mod include;
mod words;

use crate::pattern;
use include::Include;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};
use words::words;

/// More of a file is not read, in bytes.
const LONGEST: u64 = 1 << 20;
/// More files are not read, however they include each other.
const MOST_FILES: usize = 256;

/// What the files say of one host, words as they stand there. Of each option the first value counts, but for
/// `IdentityFile`, of which every one does.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Config {
    pub host_name: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub identities: Vec<String>,
    pub known_hosts: Option<Vec<String>>,
    pub remarks: Vec<Remark>,
    files: usize,
}

/// Something in a file that has no effect here.
#[derive(Debug, PartialEq)]
pub(crate) struct Remark {
    /// It changes which machine is reached, so that the user must know.
    pub serious: bool,
    /// One line, which begins with the file.
    pub text: String,
}

/// Options that say how to get to the machine, or that it is called something else.
const SERIOUS: [&str; 4] = ["match", "proxycommand", "proxyjump", "hostkeyalias"];

/// From where relative paths and `~` are meant.
pub(crate) struct Place<'a> {
    /// The directory of this configuration: `~/.ssh` or `/etc/ssh`.
    pub directory: &'a Path,
    /// The user's home.
    pub home: &'a Path,
}

impl Config {
    /// Reads a file for the sake of `host`, the name the user has given. One that cannot be read says nothing, as
    /// with ssh.
    pub(crate) fn read(&mut self, path: &Path, host: &str, place: &Place) {
        self.file(path, host, place, &mut Include::default());
    }

    fn file(&mut self, path: &Path, host: &str, place: &Place, include: &mut Include) {
        self.files += 1;
        if self.files > MOST_FILES {
            return;
        }
        match contents(path) {
            Ok(text) => self.parse(&text, path, host, place, include),
            Err(error) => self.remark(false, format!("{}: not read: {error}", path.display())),
        }
    }

    fn parse(&mut self, text: &str, path: &Path, host: &str, place: &Place, include: &mut Include) {
        // Whether the lines are about our host; so are those before the first `Host`.
        let mut ours = true;
        for (number, line) in (1..).zip(text.lines()) {
            let at = || format!("{}:{number}", path.display());
            let Some(words) = words(line) else {
                self.remark(false, format!("{}: a quote is not closed", at()));
                continue;
            };
            let Some((option, values)) = words.split_first() else { continue };
            let option = option.to_ascii_lowercase();
            match (option.as_str(), values) {
                ("host", _) => ours = pattern::in_list(values.iter().map(String::as_str), host),
                ("match", [all]) if all.eq_ignore_ascii_case("all") => ours = true,
                ("match", _) => {
                    ours = false;
                    self.remark(true, format!("{}: 'Match' is not understood, its lines are left out", at()));
                }
                _ if !ours => {}
                ("include", _) => {
                    for path in values {
                        match include.enter(path, place) {
                            Ok(files) => {
                                files.iter().for_each(|file| self.file(file, host, place, include));
                                include.leave();
                            }
                            Err(why) => self.remark(true, format!("{}: {why}", at())),
                        }
                    }
                }
                (_, []) => self.remark(false, format!("{}: '{option}' has no value", at())),
                (option, [value, ..]) => {
                    if let Err(why) = self.set(option, value, values) {
                        self.remark(SERIOUS.contains(&option), format!("{}: {why}", at()));
                    }
                }
            }
        }
    }

    fn set(&mut self, option: &str, value: &str, values: &[String]) -> Result<(), String> {
        match option {
            "hostname" => first(&mut self.host_name, value.to_owned()),
            "user" => first(&mut self.user, value.to_owned()),
            "userknownhostsfile" => first(&mut self.known_hosts, values.to_vec()),
            "identityfile" => self.identities.push(value.to_owned()),
            "port" => match value.parse() {
                Ok(port) if port > 0 => first(&mut self.port, port),
                _ => return Err(format!("port '{value}' should be 1 to 65535")),
            },
            _ => return Err(format!("'{option}' has no effect here")),
        }
        Ok(())
    }

    fn remark(&mut self, serious: bool, text: String) {
        self.remarks.push(Remark { serious, text });
    }
}

fn first<T>(option: &mut Option<T>, value: T) {
    option.get_or_insert(value);
}

fn contents(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
