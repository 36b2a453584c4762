// SPDX-License-Identifier: BSD-3-Clause
//! Asking on the terminal without echo.

use crate::{Secret, first_line};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::{
    fs::File,
    io::{self, Write},
};

/// On the terminal of the process, wherever its standard input and output go.
pub fn ask(prompt: &str) -> io::Result<Secret> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(prompt.as_bytes())?;
    let before = tcgetattr(&terminal)?;
    let mut silent = before.clone();
    silent.local_flags.remove(LocalFlags::ECHO);
    silent.local_flags.insert(LocalFlags::ECHONL);
    tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
    let _echo = Echo(terminal.try_clone()?, before);
    first_line(terminal)
}

/// Puts the terminal back as it was, whatever happens.
struct Echo(File, Termios);

impl Drop for Echo {
    fn drop(&mut self) {
        // Nobody is left to tell.
        let _ = tcsetattr(&self.0, SetArg::TCSAFLUSH, &self.1);
    }
}
