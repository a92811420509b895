//! The examples, built in release.

use std::path::PathBuf;
use std::process::Command;

use super::job::Job;
use crate::Outcome;

/// Where the built examples are.
#[derive(Debug, Clone)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// Builds the examples of some jobs, and `terasort`, which writes records, too.
    pub fn build(jobs: &[Job]) -> Outcome<Programs> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--release"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        for name in jobs.iter().map(|job| job.name()).chain(["terasort"]) {
            command.args(["--example", name]);
        }
        let status = command.status()?;
        if !status.success() {
            return Err(format!("{command:?} failed: {status}").into());
        }
        let program = std::env::current_exe()?;
        let built = program.ancestors().nth(2).ok_or("the bench runs from its target directory")?;
        Ok(Programs { dir: built.join("examples") })
    }

    /// A process of an example.
    pub fn command(&self, name: &str) -> Command {
        Command::new(self.dir.join(name))
    }
}
