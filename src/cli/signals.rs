//! SIGINT and SIGTERM: the first asks the run to stop, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::Signals;

use crate::error::{Error, ErrorKind, Result};

/// A signal that asks to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM, as service managers send it.
    Terminate,
}

impl StopSignal {
    const ALL: [StopSignal; 2] = [StopSignal::Interrupt, StopSignal::Terminate];

    /// The exit code by which shells know that a process ended by this signal: 128 and the signal's number.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::cli::signals::StopSignal;
    ///
    /// assert_eq!(StopSignal::Interrupt.exit_code(), 130);
    /// assert_eq!(StopSignal::Terminate.exit_code(), 143);
    /// ```
    pub fn exit_code(self) -> u8 {
        match self {
            StopSignal::Interrupt => 130,
            StopSignal::Terminate => 143,
        }
    }

    fn number(self) -> i32 {
        match self {
            StopSignal::Interrupt => SIGINT,
            StopSignal::Terminate => SIGTERM,
        }
    }
}

/// Remembers the signal that asked to stop; cheap to clone.
#[derive(Debug, Clone)]
pub struct StopSignals {
    /// The exit code of the signal that came, or 0.
    caught: Arc<AtomicUsize>,
}

impl StopSignals {
    /// Catches SIGINT and SIGTERM from now to the end of the process.
    ///
    /// The first signal calls `on_first`, on a thread of its own, so that it may lock, allocate and print. A second one,
    /// of either kind, ends the process at once with that signal's exit code; what the run leaves is cleaned up by the
    /// next. That happens in the signal handler itself, so it works even while `on_first` hangs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if the handlers or the thread cannot be set up.
    pub fn catch(on_first: impl FnOnce(StopSignal) + Send + 'static) -> Result<StopSignals> {
        let caught = Arc::new(AtomicUsize::new(0));
        register(&caught).map_err(unavailable)?;
        let mut signals = Signals::new(StopSignal::ALL.map(StopSignal::number)).map_err(unavailable)?;
        let wait = move || {
            let first = signals.forever().next();
            let stop = StopSignal::ALL.into_iter().find(|stop| Some(stop.number()) == first);
            if let Some(stop) = stop {
                on_first(stop);
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(wait).map_err(unavailable)?;
        Ok(StopSignals { caught })
    }

    /// The signal that asked to stop, if one has.
    pub fn caught(&self) -> Option<StopSignal> {
        let code = self.caught.load(Ordering::SeqCst);
        StopSignal::ALL.into_iter().find(|stop| usize::from(stop.exit_code()) == code)
    }
}

/// Installs what runs in the signal handlers. Handlers of one signal run in the order of their registration, so the
/// first signal finds the flag unset and sets it, and the second finds it set and exits.
fn register(caught: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let is_stopping = Arc::new(AtomicBool::new(false));
    for stop in StopSignal::ALL {
        let code = stop.exit_code();
        flag::register_conditional_shutdown(stop.number(), code.into(), Arc::clone(&is_stopping))?;
        flag::register(stop.number(), Arc::clone(&is_stopping))?;
        flag::register_usize(stop.number(), Arc::clone(caught), code.into())?;
    }
    Ok(())
}

fn unavailable(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot catch SIGINT and SIGTERM: {error}")).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Child, ChildStdout, Command, Stdio};
    use std::time::Duration;

    use rustix::process::{Pid, Signal, kill_process};

    const CHILD: &str = "GRISTMILL_TEST_CHILD_STOPS";

    /// Not a test of its own: what the children of the others do.
    #[test]
    fn child_waits_for_signals() {
        let Ok(stops) = std::env::var(CHILD) else { return };
        let signals = StopSignals::catch(|stop| println!("\ncaught {}", stop.exit_code())).unwrap();
        println!("\nready");
        while stops == "no" || signals.caught().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::process::exit(signals.caught().unwrap().exit_code().into());
    }

    fn child(stops: &str) -> (Child, BufReader<ChildStdout>) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cli::signals::tests::child_waits_for_signals", "--nocapture"]);
        let mut child = command.env(CHILD, stops).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        wait_for(&mut output, "ready");
        (child, output)
    }

    fn wait_for(output: &mut impl BufRead, expected: &str) {
        assert!(output.lines().any(|line| line.unwrap() == expected), "no line {expected}");
    }

    fn send(child: &Child, signal: Signal) {
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    #[test]
    fn the_first_signal_asks_to_stop_and_is_remembered() {
        for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let (mut child, _output) = child("yes");
            send(&child, signal);
            assert_eq!(child.wait().unwrap().code(), Some(code));
        }
    }

    #[test]
    fn the_second_signal_ends_a_process_that_does_not_stop() {
        let (mut child, mut output) = child("no");
        send(&child, Signal::INT);
        wait_for(&mut output, "caught 130");
        assert!(child.try_wait().unwrap().is_none());
        send(&child, Signal::TERM);
        assert_eq!(child.wait().unwrap().code(), Some(143));
    }
}
