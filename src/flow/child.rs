//! Programs that tasks run: each in a process group of its own, which dies with gristmill.
//!
//! The group has a guard, a shell that reads from a pipe which gristmill holds open. When gristmill is gone, however it went, the pipe ends, and the guard
//! kills its group, itself included. The program joins the group after the guard leads it: if the guard has killed the group already, there is
//! no group to join, and the program does not start. When the program ends, what it has left in the group is killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::log::TaskLog;

/// The variables that every program inherits.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "TZ"];

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub pass_env: Vec<String>,
    pub dir: PathBuf,
}

/// Takes what a program prints to its standard output.
pub(super) type Take<'a> = &'a mut (dyn FnMut(&mut dyn Read) -> io::Result<()> + Send);

/// Stops what one try runs.
#[derive(Debug, Default)]
pub(super) struct Group(Mutex<Members>);

#[derive(Debug, Default)]
struct Members {
    /// The process group, while it is there.
    leader: Option<Pid>,
    /// Whether nothing may start any more.
    is_closed: bool,
}

impl Group {
    /// Sends a signal to all processes of the group, and lets none begin from now on; false if there is no group.
    fn signal(&self, signal: Signal) -> bool {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.is_closed = true;
        members.leader.is_some_and(|leader| kill_process_group(leader, signal).is_ok())
    }

    /// Asks all to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all; false if there are none.
    pub fn kill(&self) -> bool {
        self.signal(Signal::KILL)
    }

    fn enter(&self, leader: Pid) -> io::Result<()> {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if members.is_closed {
            return Err(io::Error::other("it was stopped before it began"));
        }
        members.leader = Some(leader);
        Ok(())
    }

    /// Kills what is left, and forgets the group before its number can be another's.
    fn leave(&self, guard: &mut Guard) {
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.end();
        members.leader = None;
    }
}

/// The process that leads a group and outlives gristmill just long enough to kill it.
struct Guard {
    child: Child,
    leader: Pid,
}

impl Guard {
    fn start() -> io::Result<Guard> {
        let mut command = Command::new("/bin/sh");
        // SIGTERM is for the program: the guard stays, to see that it ends.
        command.args(["-c", "trap '' TERM INT HUP; read -r _; kill -KILL 0"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .process_group(0);
        let child = command.spawn()?;
        let leader = Pid::from_child(&child);
        Ok(Guard { child, leader })
    }

    fn end(&mut self) {
        let _ = kill_process_group(self.leader, Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Program {
    /// Runs the program to its end. Its output goes to the log, line by line; its standard output to `stdout` instead, if that is given.
    ///
    /// # Errors
    ///
    /// If it cannot be started or waited for, or its output cannot be handed on.
    pub fn run(&self, group: &Group, log: &TaskLog, stdout: Option<Take>) -> io::Result<ExitStatus> {
        let mut guard = Guard::start()?;
        let result = group.enter(guard.leader).and_then(|()| self.run_in(guard.leader, log, stdout));
        group.leave(&mut guard);
        result
    }

    fn run_in(&self, leader: Pid, log: &TaskLog, stdout: Option<Take>) -> io::Result<ExitStatus> {
        let mut child = self.command().process_group(leader.as_raw_nonzero().get()).spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        std::thread::scope(|threads| {
            let errors = threads.spawn(|| err.map_or(Ok(()), |err| log_lines(err, log)));
            let output = threads.spawn(|| match (out, stdout) {
                (Some(mut out), Some(take)) => take(&mut out), // if it fails, `out` is closed, and the program meets that
                (Some(out), None) => log_lines(out, log),
                (None, _) => Ok(()),
            });
            let status = child.wait();
            // What it has left behind may hold its output open, and is not waited for.
            let _ = kill_process_group(leader, Signal::KILL);
            let _ = errors.join();
            let handed = output.join().unwrap_or_else(|_| Err(io::Error::other("its output cannot be read")));
            handed.and(status)
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.argv.first().map_or("", String::as_str));
        command.args(self.argv.iter().skip(1)).current_dir(&self.dir).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let passed = INHERITED.iter().copied().chain(self.pass_env.iter().map(String::as_str));
        let inherited = passed.filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        command.envs(inherited).envs(&self.env);
        command
    }
}

/// Writes each line to the log.
fn log_lines(from: impl Read, log: &TaskLog) -> io::Result<()> {
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.by_ref().take(MAX_LOG_LINE).read_until(b'\n', &mut line)? > 0 {
        log.line(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        line.clear();
    }
    Ok(())
}

/// A longer line of output becomes several of the log.
const MAX_LOG_LINE: u64 = 64 << 10;
