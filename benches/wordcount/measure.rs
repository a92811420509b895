//! Processes and what they cost.

use std::path::PathBuf;
use std::process::{Command, Stdio};
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

/// Runs a process to its end.
pub fn run(command: &mut Command) -> Outcome<Usage> {
    let begin = Instant::now();
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?.wait4()?;
    let wall = begin.elapsed();
    if !done.status.success() {
        return Err(format!("{command:?} failed: {}", done.status).into());
    }
    let cpu = done.rusage.utime + done.rusage.stime;
    Ok(Usage { wall, cpu, peak_bytes: done.rusage.maxrss })
}

/// What this program prints, given these arguments.
pub fn answer(args: Vec<PathBuf>) -> Outcome<String> {
    let output = this_program(args)?.stderr(Stdio::inherit()).output()?;
    if output.status.success() { Ok(String::from_utf8(output.stdout)?) } else { Err("see above".into()) }
}
