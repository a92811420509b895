//! Processes by a variable of their environment, which all that a program starts inherit: also those that leave its process group, its session, or
//! outlive it. Only what begins with an empty environment, and leaves as well, gets out of sight.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::exec::gate;

/// The variable that programs with a gate have, as an environment has it.
pub(super) fn of_gate(gate: &Path) -> OsString {
    let mut mark = OsString::from(gate::VARIABLE);
    mark.push("=");
    mark.push(gate);
    mark
}

/// How long a process that was killed may take to end.
const KILLED: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Rounds of killing what was started while others were killed.
const MAX_ROUNDS: usize = 100;

/// Sends a signal to all processes with a mark.
pub(super) fn signal(mark: &OsStr, signal: Signal) {
    for process in find(mark) {
        let _ = pidfd_send_signal(&process, signal);
    }
}

/// Kills all processes with a mark, and what these start meanwhile, and waits for their ends.
pub(super) fn kill(mark: &OsStr) {
    for _ in 0..MAX_ROUNDS {
        let found = find(mark);
        if found.is_empty() {
            return;
        }
        for process in &found {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        for process in &found {
            let _ = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&KILLED));
        }
    }
}

/// The processes with a mark. One that is dead and not waited for has none any more.
fn find(mark: &OsStr) -> Vec<OwnedFd> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number| open(number, mark)).collect()
}

/// A process, if it has the mark.
fn open(number: i32, mark: &OsStr) -> Option<OwnedFd> {
    let has_mark = || {
        let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    if !has_mark() {
        return None;
    }
    let process = pidfd_open(Pid::from_raw(number)?, PidfdFlags::empty()).ok()?;
    has_mark().then_some(process) // and is no other one that has got its number meanwhile
}
