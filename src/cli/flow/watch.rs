//! Tells, on standard error, how far the runs of a command are while they go on.
//!
//! On a terminal a few lines are drawn again and again, and vanish at the end; elsewhere each event has a line.

use std::io::{Write, stderr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;

use super::board::{Board, Watched};
use super::style::Style;
use crate::cli::ticker::{Ticker, Turn};
use crate::error::Result;
use crate::flow::{FlowEvent, Runner};

/// How often the lines are drawn.
const INTERVAL: Duration = Duration::from_millis(100);

/// Watches a runner until it is dropped.
#[derive(Debug)]
pub struct Watch {
    board: Option<Arc<Shared>>,
    /// None where nothing is drawn.
    _ticker: Option<Ticker>,
}

#[derive(Debug)]
struct Shared {
    board: Mutex<Board>,
    start: Instant,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Begins to watch a runner, unless nothing is to be said.
    ///
    /// # Errors
    ///
    /// If the thread that draws cannot be started.
    pub fn start(runner: Runner, watched: Watched, is_quiet: bool) -> Result<(Runner, Watch)> {
        if is_quiet {
            return Ok((runner, Watch { board: None, _ticker: None }));
        }
        let style = Style::of_stderr();
        let shared =
            Arc::new(Shared { board: Mutex::new(Board::new(watched, style)), start: Instant::now() });
        let told = Arc::clone(&shared);
        let runner = runner.on_event(move |event| note(&told, event, style.is_live));
        let ticker = if style.is_live { Some(draw(Arc::clone(&shared))?) } else { None };
        Ok((runner, Watch { board: Some(shared), _ticker: ticker }))
    }

    /// What lets it say that everything is about to end.
    pub fn stopping(&self) -> impl FnOnce() + Send + 'static {
        let board = self.board.clone();
        move || board.iter().for_each(|shared| shared.lock().is_stopping = true)
    }
}

fn note(shared: &Shared, event: &FlowEvent, is_live: bool) {
    let mut board = shared.lock();
    board.note(event, shared.start.elapsed());
    if !is_live {
        board.take_lines().iter().for_each(|line| tell_safe(line));
    }
}

fn draw(shared: Arc<Shared>) -> Result<Ticker> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    bar.set_style(style);
    Ticker::start(INTERVAL, move |turn| {
        let now = (Timestamp::now(), shared.start.elapsed());
        let (lines, area) = {
            let mut board = shared.lock();
            board.fit(Style::of_stderr());
            (board.take_lines(), board.area(now))
        };
        if !lines.is_empty() {
            bar.suspend(|| lines.iter().for_each(|line| tell_safe(line)));
        }
        match turn {
            Turn::Again => bar.set_message(area.join("\n")),
            Turn::Last => bar.finish_and_clear(),
        }
    })
}

/// Prints a line of the board to standard error: what it has of names and errors is escaped already, and what a terminal acts on are its colours.
fn tell_safe(line: &str) {
    let _ = writeln!(stderr(), "{line}"); // that nobody reads it is no reason to end otherwise
}
