//! Something that is done again and again on a thread of its own, such as drawing how far a run has come.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Whether another turn follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// One does.
    Again,
    /// None does: the ticker was dropped.
    Last,
}

/// Works until it is dropped, which waits for the last turn.
#[derive(Debug)]
pub struct Ticker {
    /// Nothing is ever sent: the thread ends when this is dropped.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts to call `work` at an interval, and once more at the end.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if the thread cannot be started.
    pub fn start(interval: Duration, work: impl FnMut(Turn) + Send + 'static) -> Result<Ticker> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || work_until_stopped(interval, work, &stopped))
            .map_err(|error| Error::new(ErrorKind::Internal, "cannot show progress").because(error))?;
        Ok(Ticker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // a panic in it ends the display, not the run
        }
    }
}

fn work_until_stopped(interval: Duration, mut work: impl FnMut(Turn), stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(interval) {
        work(Turn::Again);
    }
    work(Turn::Last);
}
