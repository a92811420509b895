//! Processes and what they cost.

use std::fs;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use wait4::Wait4;

use crate::Outcome;

/// What a process cost, with all that it started, from its start to its end.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// The time that passed.
    pub wall: Duration,
    /// User and system time of all threads.
    pub cpu: Duration,
    /// The most memory that was resident, in bytes. Of one process it is what the kernel noted; where a process has started others, the greatest sum
    /// that was seen.
    pub peak_bytes: u64,
}

/// How often the memory of a process with children is looked at.
const SAMPLING: Duration = Duration::from_millis(50);

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
    let (pid, (ended, end)) = (process.id(), channel());
    let watch = thread::spawn(move || largest_sum(pid, &end));
    read(process.stdout.take())?;
    let done = process.wait4()?;
    let wall = begin.elapsed();
    drop(ended);
    let sampled = watch.join().map_err(|_| "the memory could not be looked at")?;
    if !done.status.success() {
        return Err(format!("{command:?} failed: {}", done.status).into());
    }
    let cpu = done.rusage.utime + done.rusage.stime;
    Ok(Usage { wall, cpu, peak_bytes: done.rusage.maxrss.max(sampled) })
}

/// The most memory that a process and its descendants were seen to hold together before `end`; 0 if it has none.
fn largest_sum(pid: u32, end: &Receiver<()>) -> u64 {
    let mut largest = 0;
    while end.recv_timeout(SAMPLING) == Err(RecvTimeoutError::Timeout) {
        let processes = descendants(pid);
        if processes.len() > 1 {
            largest = largest.max(processes.into_iter().map(resident).sum());
        }
    }
    largest
}

/// A process and all that descend from it.
fn descendants(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// The resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next());
    kilobytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}
