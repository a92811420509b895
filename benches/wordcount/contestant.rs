//! Who takes part.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{measure, options};
use crate::Outcome;

/// A program that counts words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contestant {
    /// The command of this build.
    Gristmill,
    /// What one writes with rayon and a hash map.
    Simple,
    /// What one writes for this job alone.
    Hand,
}

/// The command of this build, where the build has it.
const COMMAND: Option<&str> = option_env!("CARGO_BIN_EXE_gristmill");

impl Contestant {
    /// Every contestant.
    pub const ALL: [Contestant; 3] = [Contestant::Gristmill, Contestant::Simple, Contestant::Hand];

    /// Its name in arguments and tables.
    pub fn name(self) -> &'static str {
        match self {
            Contestant::Gristmill => "gristmill",
            Contestant::Simple => "simple",
            Contestant::Hand => "hand",
        }
    }

    /// The contestant of that name.
    pub fn from_name(name: &str) -> Option<Contestant> {
        Contestant::ALL.into_iter().find(|contestant| contestant.name() == name)
    }

    /// The process that counts the words of `input` into the directory `output`.
    pub fn command(self, input: &Path, output: &Path, threads: usize) -> Outcome<Command> {
        if self != Contestant::Gristmill {
            return measure::this_program(options::run_args(self, input, output, threads));
        }
        let mut command = Command::new(COMMAND.ok_or("this build has no command")?);
        command.arg("wordcount").arg(input).arg("-o").arg(output);
        command.args(["--threads", &threads.to_string(), "--overwrite", "--progress", "never"]);
        Ok(command)
    }

    /// Why the contestant cannot take part, if it cannot.
    fn missing(self) -> Option<String> {
        if self != Contestant::Gristmill {
            return None;
        }
        let Some(command) = COMMAND else { return Some("this build has no `gristmill` command".into()) };
        let mut help = Command::new(command);
        help.args(["wordcount", "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        match help.status() {
            Ok(status) if status.success() => None,
            Ok(status) => Some(format!("`gristmill wordcount --help` fails ({status})")),
            Err(error) => Some(format!("{command} does not run: {error}")),
        }
    }
}

/// What this program prints, given these arguments.
pub fn answer(args: Vec<PathBuf>) -> Outcome<String> {
    let output = measure::this_program(args)?.stderr(Stdio::inherit()).output()?;
    if output.status.success() { Ok(String::from_utf8(output.stdout)?) } else { Err("see above".into()) }
}

/// Those of `only` (of all, if it is empty) that can take part; says which cannot, and why.
pub fn present(only: &[Contestant]) -> Vec<Contestant> {
    let mut contestants = Contestant::ALL.to_vec();
    contestants.retain(|contestant| only.is_empty() || only.contains(contestant));
    contestants.retain(|contestant| match contestant.missing() {
        Some(reason) => {
            eprintln!("{} is left out: {reason}", contestant.name());
            false
        }
        None => true,
    });
    contestants
}
