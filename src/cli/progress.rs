//! How far a run has come, on standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::escape::escaped;
use super::ticker::{Ticker, Turn};
use crate::error::Result;

/// How often a bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(100);

/// How often a line is printed where there is no terminal, and every line stays.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

const WITH_TOTAL: &str = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}";

const WITHOUT_TOTAL: &str = "{spinner} {bytes}, {bytes_per_sec}, {elapsed}  {msg}";

/// When progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum ProgressMode {
    /// On a terminal only
    #[default]
    Auto,
    /// Also where standard error is no terminal: one line a second there, and one at the end
    Always,
    /// Not at all
    Never,
}

/// How far a run has come at some instant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProgressSnapshot {
    /// The bytes of input that have been read.
    pub bytes_done: u64,
    /// The bytes of all inputs, where that is known.
    pub bytes_total: Option<u64>,
    /// What is being done; control characters in it are escaped.
    pub stage: String,
}

/// Shows progress from a thread of its own until it is dropped.
///
/// Dropping it prints the last state, so that something is shown of runs that are faster than the first interval too.
///
/// # Examples
///
/// ```
/// use gristmill::cli::progress::{Progress, ProgressMode, ProgressSnapshot};
///
/// let progress = Progress::start(ProgressMode::Auto, ProgressSnapshot::default)?;
/// // The run goes here.
/// drop(progress);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug)]
pub struct Progress {
    /// None where nothing is shown.
    _ticker: Option<Ticker>,
}

impl Progress {
    /// Starts to show what a source says, which is asked a few times a second and should be cheap.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::error::ErrorKind::Internal) if the thread cannot be started.
    pub fn start(
        mode: ProgressMode,
        source: impl Fn() -> ProgressSnapshot + Send + 'static,
    ) -> Result<Progress> {
        match (mode, io::stderr().is_terminal()) {
            (ProgressMode::Never, _) | (ProgressMode::Auto, false) => Ok(Progress { _ticker: None }),
            (_, true) => {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                Progress::spawn(source, Display::Bar(bar), BAR_INTERVAL)
            }
            (ProgressMode::Always, false) => {
                Progress::spawn(source, Display::Lines(Box::new(io::stderr())), LINE_INTERVAL)
            }
        }
    }

    fn spawn(
        source: impl Fn() -> ProgressSnapshot + Send + 'static,
        display: Display,
        interval: Duration,
    ) -> Result<Progress> {
        let start = Instant::now();
        let mut display = Some(display);
        let ticker = Ticker::start(interval, move |turn| {
            if let Some(display) = &mut display {
                display.show(&source(), start.elapsed());
            }
            if turn == Turn::Last {
                display.take().into_iter().for_each(Display::finish);
            }
        })?;
        Ok(Progress { _ticker: Some(ticker) })
    }
}

/// Where progress is shown.
enum Display {
    Bar(ProgressBar),
    Lines(Box<dyn Write + Send>),
}

impl Display {
    fn show(&mut self, snapshot: &ProgressSnapshot, elapsed: Duration) {
        match self {
            Display::Bar(bar) => draw(bar, snapshot),
            Display::Lines(out) => {
                let _ = writeln!(out, "{}", line(snapshot, elapsed)); // nobody reads it: no reason to stop the run
            }
        }
    }

    /// Leaves the last state in sight: the run may have failed half-way.
    fn finish(self) {
        if let Display::Bar(bar) = self {
            bar.abandon();
        }
    }
}

fn draw(bar: &ProgressBar, snapshot: &ProgressSnapshot) {
    if bar.length() != snapshot.bytes_total || bar.message().is_empty() {
        bar.set_style(style(snapshot.bytes_total.is_some()));
        if let Some(total) = snapshot.bytes_total {
            bar.set_length(total);
        }
    }
    bar.set_message(escaped(&snapshot.stage).into_owned());
    bar.set_position(snapshot.bytes_done);
}

fn style(is_total_known: bool) -> ProgressStyle {
    let template = if is_total_known { WITH_TOTAL } else { WITHOUT_TOTAL };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The state as a line: "reading: 1.50 MiB of 3.00 MiB (50 %), 2.0 s".
fn line(snapshot: &ProgressSnapshot, elapsed: Duration) -> String {
    let stage = escaped(&snapshot.stage);
    let separator = if stage.is_empty() { "" } else { ": " };
    let done = HumanBytes(snapshot.bytes_done);
    let of = match snapshot.bytes_total {
        Some(total) => format!(" of {} ({} %)", HumanBytes(total), percent(snapshot.bytes_done, total)),
        None => String::new(),
    };
    format!("{stage}{separator}{done}{of}, {:.1} s", elapsed.as_secs_f64())
}

/// The share in whole percent, rounded down so that 100 means all; all of nothing is 100.
fn percent(done: u64, total: u64) -> u64 {
    let done = u128::from(done.min(total)) * 100;
    done.checked_div(u128::from(total)).map_or(100, |percent| percent as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn snapshot(done: u64, total: Option<u64>, stage: &str) -> ProgressSnapshot {
        ProgressSnapshot { bytes_done: done, bytes_total: total, stage: stage.to_owned() }
    }

    #[test]
    fn a_short_run_prints_its_last_state() {
        let page = Page::default();
        let source = || snapshot(3 << 20, Some(3 << 20), "reading");
        let lines = Display::Lines(Box::new(page.clone()));
        drop(Progress::spawn(source, lines, Duration::from_secs(60)).unwrap());
        assert_eq!(page.text(), "reading: 3.00 MiB of 3.00 MiB (100 %), 0.0 s\n");
    }

    #[test]
    fn a_long_run_prints_again_and_again() {
        let page = Page::default();
        let lines = Display::Lines(Box::new(page.clone()));
        let progress = Progress::spawn(ProgressSnapshot::default, lines, Duration::from_millis(1)).unwrap();
        while page.text().lines().count() < 3 {
            std::thread::yield_now();
        }
        drop(progress);
    }

    #[test]
    fn a_source_that_panics_does_not_end_the_run() {
        let lines = Display::Lines(Box::new(Page::default()));
        drop(Progress::spawn(|| panic!("a test"), lines, Duration::from_millis(1)).unwrap());
    }

    #[test]
    fn lines_say_what_is_known() {
        let second = Duration::from_secs(1);
        assert_eq!(line(&snapshot(512, None, ""), second), "512 B, 1.0 s");
        assert_eq!(line(&snapshot(1, Some(3), "a\u{1b}[m"), second), "a\\u{1b}[m: 1 B of 3 B (33 %), 1.0 s");
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(u64::MAX, u64::MAX - 1), 100);
    }

    #[test]
    fn both_styles_are_valid() {
        for (template, total) in [(WITH_TOTAL, Some(2)), (WITHOUT_TOTAL, None)] {
            ProgressStyle::with_template(template).unwrap();
            let bar = ProgressBar::hidden();
            draw(&bar, &snapshot(1, total, "x"));
            assert_eq!((bar.position(), bar.length()), (1, total));
        }
    }

    #[test]
    fn nothing_is_shown_where_nothing_is_wanted() {
        let source = || panic!("asked in spite of that");
        drop(Progress::start(ProgressMode::Never, source).unwrap());
    }
}
