//! Programs that tasks run: each in a process group of its own, which dies with gristmill.
//!
//! The group has a guard, a shell that reads from a pipe which gristmill holds open. When gristmill is gone, however it went, the pipe ends, and the guard
//! kills what has left the group ([`super::marked`]), and then its group, itself included. The program joins the group after the guard leads it: if the
//! guard has killed the group already, there is no group to join, and the program does not start. When the program ends, what it has left behind is
//! killed. Should it be gristmill, too, it can commit nothing once it is stopped, or gristmill is gone: it has a [gate](crate::exec::gate) to pass.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};

use super::log::TaskLog;
use super::marked;
use crate::exec::gate::{self, Gate, Gates};

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
#[derive(Debug)]
pub(super) struct Group {
    members: Mutex<Members>,
    gates: Arc<Gates>,
}

#[derive(Debug, Default)]
struct Members {
    /// The process group and the gate, while a program runs.
    running: Option<(Pid, Gate)>,
    /// Whether nothing may start any more.
    is_closed: bool,
}

impl Group {
    /// A group of programs that have to pass these gates before they commit.
    pub fn new(gates: Arc<Gates>) -> Group {
        Group { members: Mutex::default(), gates }
    }

    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a signal to all processes, and lets none begin or commit from now on; false if there are none.
    fn signal(&self, signal: Signal) -> bool {
        let mut members = self.lock();
        members.is_closed = true;
        let Some((leader, gate)) = &members.running else { return false };
        let _ = gate.shut(); // if that cannot be, what it commits is told from its end
        marked::signal(&marked::of_gate(gate.path()), signal);
        kill_process_group(*leader, signal).is_ok()
    }

    /// Asks all to end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Ends all; false if there are none.
    pub fn kill(&self) -> bool {
        self.signal(Signal::KILL)
    }

    fn enter(&self, leader: Pid, gate: Gate) -> io::Result<()> {
        let mut members = self.lock();
        if members.is_closed {
            return Err(io::Error::other("it was stopped before it began"));
        }
        members.running = Some((leader, gate));
        Ok(())
    }

    /// Kills what is left, lets it commit nothing, and forgets the group before its number can be another's.
    fn leave(&self, guard: &mut Guard) -> io::Result<()> {
        let mut members = self.lock();
        let running = members.running.take();
        if let Some((_, gate)) = &running {
            marked::kill(&marked::of_gate(gate.path()));
        }
        guard.end();
        running.map_or(Ok(()), |(_, gate)| gate.close())
    }
}

/// The process that leads a group and outlives gristmill just long enough to kill all that has its mark, and the group.
struct Guard {
    child: Child,
    leader: Pid,
}

/// What the guard runs: it waits for the end of gristmill, and kills by the mark in `$1` as `marked::kill` does.
const GUARD: &str = "trap '' TERM INT HUP; read -r _; rounds=0
while [ $rounds -lt 100 ]; do
    rounds=$((rounds + 1))
    found=$(grep -slzxF -e \"$1\" /proc/[0-9]*/environ)
    [ -n \"$found\" ] || break
    for one in $found; do one=${one#/proc/}; kill -KILL \"${one%/environ}\"; done
done
kill -KILL 0";

impl Guard {
    fn start(mark: &OsStr) -> io::Result<Guard> {
        let mut command = Command::new("/bin/sh");
        // SIGTERM is for the program: the guard stays, to see that it ends.
        command.args(["-c", GUARD, "guard"]).arg(mark);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/local/bin")
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
        let gate = group.gates.open()?;
        let (mark, path) = (marked::of_gate(gate.path()), gate.path().to_owned());
        let mut guard = Guard::start(&mark)?;
        let entered = group.enter(guard.leader, gate);
        let result = entered.and_then(|()| {
            let mut command = self.command();
            command.env(gate::VARIABLE, path).process_group(guard.leader.as_raw_nonzero().get());
            run_in(command.spawn()?, &mark, guard.leader, log, stdout)
        });
        let left = group.leave(&mut guard);
        result.and_then(|status| left.map(|()| status))
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

/// Sees a program of a group to its end.
fn run_in(
    mut child: Child,
    mark: &OsStr,
    leader: Pid,
    log: &TaskLog,
    stdout: Option<Take>,
) -> io::Result<ExitStatus> {
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
        marked::kill(mark);
        let _ = kill_process_group(leader, Signal::KILL);
        let _ = errors.join();
        let handed = output.join().unwrap_or_else(|_| Err(io::Error::other("its output cannot be read")));
        handed.and(status)
    })
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
