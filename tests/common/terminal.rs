//! The command at a terminal: what it draws is read from a pseudo-terminal, and shown as a screen would.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::process::Child;

use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use super::place::Place;

/// More lines than anything here prints, so that nothing scrolls away.
const LINES: u16 = 120;

/// A command that is at work at a terminal of its own, which is the one that Ctrl-C is typed at.
pub struct Terminal {
    pty: Pty,
    child: Child,
    screen: vt100::Parser,
    raw: Vec<u8>,
}

/// What a command has left on its terminal.
pub struct Shown {
    pub code: Option<i32>,
    /// The screen, without the spaces at the ends of its lines.
    pub text: String,
    /// All that was written.
    pub raw: String,
}

impl Terminal {
    /// Starts the command in a place; arguments are separated by spaces.
    pub fn start(place: &Place, columns: u16, line: &str, settings: &[(&str, &str)]) -> Terminal {
        let (pty, pts) = open().unwrap();
        pty.resize(Size::new(LINES, columns)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_gristmill")).args(line.split(' '));
        let command = command.current_dir(place.at("")).env("TERM", "xterm-256color");
        let command = command.env_remove("NO_COLOR").env_remove("GRISTMILL_LEDGER");
        let child = command.envs(settings.iter().copied()).spawn(pts).unwrap();
        let size = |size| NonZeroU16::new(size).unwrap();
        Terminal { pty, child, screen: vt100::Parser::new(size(LINES), size(columns), 0), raw: Vec::new() }
    }

    /// The screen as it is, without the spaces at the ends of its lines.
    fn text(&self) -> String {
        let screen = self.screen.screen();
        let rows = screen.rows(0, screen.size().1.get()).map(|row| format!("{}\n", row.trim_end()));
        let text: String = rows.collect();
        format!("{}\n", text.trim_end())
    }

    /// Reads some more; false at the end.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.pty.read(&mut bytes) {
            Ok(read @ 1..) => {
                self.raw.extend_from_slice(&bytes[..read]);
                self.screen.process(&bytes[..read]);
                true
            }
            _ => false, // an error where nobody has the terminal open any more
        }
    }

    /// Waits until the screen is as it should be, and gives it.
    pub fn until(&mut self, is_so: impl Fn(&str) -> bool) -> String {
        while !is_so(&self.text()) {
            assert!(self.read(), "it has ended with:\n{}", self.text());
        }
        self.text()
    }

    /// Types something.
    pub fn type_in(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end.
    pub fn end(mut self) -> Shown {
        while self.read() {}
        let code = self.child.wait().unwrap().code();
        Shown { code, text: self.text(), raw: String::from_utf8(self.raw).unwrap() }
    }
}

/// What a command leaves on a terminal.
pub fn at_terminal(place: &Place, columns: u16, line: &str) -> Shown {
    Terminal::start(place, columns, line, &[]).end()
}
