//! Processes and what they cost.

use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::Outcome;

/// What a process cost, from its start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The time that passed.
    pub wall: Duration,
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// The most memory that it held, in bytes.
    pub peak_bytes: u64,
}

/// This program with other arguments.
pub fn this_program(args: Vec<PathBuf>) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args);
    Ok(command)
}

/// Runs a process to its end; `read` takes what it prints, if that is piped.
pub fn run<R>(
    command: &mut Command,
    read: impl FnOnce(Option<ChildStdout>) -> std::io::Result<R>,
) -> Outcome<Usage> {
    let begin = Instant::now();
    let mut process = command.stdin(Stdio::null()).spawn()?;
    read(process.stdout.take())?;
    let done = process.wait4()?;
    let wall = begin.elapsed();
    if !done.status.success() {
        return Err(format!("{command:?} failed: {}", done.status).into());
    }
    let cpu = done.rusage.utime + done.rusage.stime;
    Ok(Usage { wall, cpu, peak_bytes: done.rusage.maxrss })
}
