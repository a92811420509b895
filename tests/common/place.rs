//! A directory in which the command is run as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::{files, gristmill, names};

/// A working directory of its own.
pub struct Place(TempDir);

impl Place {
    pub fn new(files: &[(&str, &str)]) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        for (name, content) in files {
            std::fs::create_dir_all(place.at(name).parent().unwrap()).unwrap();
            std::fs::write(place.at(name), content).unwrap();
        }
        place
    }

    pub fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// The command in this directory; arguments are separated by spaces.
    pub fn command(&self, line: &str) -> Command {
        let mut command = gristmill(&line.split(' ').collect::<Vec<_>>());
        command.current_dir(self.0.path());
        command
    }

    pub fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// What a command that must succeed prints to standard output and to standard error.
    pub fn succeed(&self, line: &str) -> (String, String) {
        let Output { status, stdout, stderr } = self.run(line);
        let (stdout, stderr) = (utf8(stdout), utf8(stderr));
        assert!(status.success(), "{line}: {status}: {stderr}");
        (stdout, stderr)
    }

    /// The message of a command that must fail with this code, prints nothing else, and changes nothing.
    pub fn fail(&self, line: &str, code: i32) -> String {
        let (before, names_before) = (files(self.0.path()), self.names());
        let Output { status, stdout, stderr } = self.run(line);
        let message = utf8(stderr);
        assert_eq!(status.code(), Some(code), "{line}: {message}");
        assert_eq!(utf8(stdout), "", "{line}");
        assert_eq!(self.names(), names_before, "{line}");
        assert!(files(self.0.path()) == before, "{line}");
        message
    }
}

pub fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The failure names what went wrong and what to do.
pub fn assert_says(message: &str, expected: &[&str]) {
    for part in expected {
        assert!(message.contains(part), "no {part:?} in: {message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
}
