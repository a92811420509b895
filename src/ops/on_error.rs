//! `on_error`: what becomes of records that cannot be read, and of elements that closures refuse.

use std::path::PathBuf;

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::record::Data;

/// What becomes of records that cannot be read, and of elements that a closure refuses; see [`Dataset::on_error`].
///
/// # Examples
///
/// ```
/// use gristmill::OnError;
///
/// let careful = OnError::reject("rejects").max_records(1000).max_share(0.01);
/// assert_ne!(careful, OnError::skip());
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct OnError {
    pub(super) action: Action,
    pub(super) max_records: Option<u64>,
    pub(super) max_share: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Fail,
    Skip,
    Reject(PathBuf),
}

impl OnError {
    /// The first one ends the run, with its place. This is the default.
    pub fn fail() -> OnError {
        OnError { action: Action::Fail, max_records: None, max_share: None }
    }

    /// They are left out, and counted by the counter [`OnError::BAD_RECORDS`].
    pub fn skip() -> OnError {
        OnError { action: Action::Skip, ..OnError::fail() }
    }

    /// They are left out, counted, and written to `to` as CSV: a directory, or a single file if it ends in `.csv`.
    ///
    /// Each has the columns `file`, `line` (1-based), `offset` (of its first byte in the file, inflated if that is compressed), `reason`, and
    /// `raw`: the record as it stands, with `U+FFFD` for what is not UTF-8. They are in the order of the input, and take the place of those of an
    /// earlier run when the run has succeeded: both are committed together (see [`Context::run`](crate::Context::run)).
    ///
    /// For an element that a closure refuses these are the line or record that it stems from, whatever has been made of that on the way; the
    /// files are read once more to find it. An element that stems from no line, because it comes out of an exchange or of
    /// [`map_partitions`](Dataset::map_partitions), has an empty `file`, `line` and `offset`, and the call of the closure stands in `reason`; one
    /// of standard input or of Parquet has no `offset`. Then `raw` is the element itself if that is a [`Text`](crate::Text), a `String` or a
    /// `&str`, and is empty if not.
    pub fn reject(to: impl Into<PathBuf>) -> OnError {
        OnError { action: Action::Reject(to.into()), ..OnError::fail() }
    }

    /// The run fails if there are more than so many. Default: no limit.
    pub fn max_records(mut self, records: u64) -> OnError {
        self.max_records = Some(records);
        self
    }

    /// The run fails if they are more than this share of all records, from 0 to 1. It is looked at when all have been read. Default: no limit.
    pub fn max_share(mut self, share: f64) -> OnError {
        self.max_share = Some(share);
        self
    }

    /// The name of the counter of records that were left out; see [`Context::counter`](crate::Context::counter).
    pub const BAD_RECORDS: &'static str = "bad records";

    pub(super) fn check(&self) -> Result<()> {
        match self.max_share {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                let error = Error::new(ErrorKind::Config, format!("the share of bad records is {share}"));
                Err(error.hint("give a number from 0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

impl<T: Data> Dataset<T> {
    /// Says what becomes of the records that the source before it cannot read, or of the elements that the closure before it refuses; without
    /// it, the first one ends the run.
    ///
    /// It follows immediately: [`Context::read_csv`](crate::Context::read_csv), [`Context::read_json_lines`](crate::Context::read_json_lines) or
    /// [`Context::read_lines`](crate::Context::read_lines), [`Dataset::try_map`] or [`Dataset::try_flat_map`]. Each run that computes these counts
    /// and writes what it leaves out; one that stops early, such as that of `take`, knows only of what it has computed. A record that is
    /// computed twice counts once, as for a [`Counter`](crate::Counter).
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// Now: if it follows something else, if the share is not from 0 to 1, or if the closure is computed anew in each round of a loop, because
    /// what it refuses has no place in the input then. From the action: if there are more than the
    /// limits of `policy`, or the rejects cannot be written; nothing is committed then.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, rejects) = (dir.path().join("rows.csv"), dir.path().join("rejects.csv"));
    /// std::fs::write(&path, "n\n1\nx\n3\n")?;
    /// let ctx = Context::new()?;
    /// let numbers = ctx.read_csv::<(u8,)>(&path, CsvFormat::default().header(false))?;
    /// let numbers = numbers.on_error(OnError::reject(&rejects).max_records(10))?;
    /// assert_eq!(numbers.collect()?, [(1,), (3,)]);
    /// assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), 2);
    /// let rejects = std::fs::read_to_string(&rejects)?;
    /// assert!(rejects.lines().nth(2).is_some_and(|line| line.contains("rows.csv,3,4,")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A closure that parses:
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let (path, rejects) = (dir.path().join("rows.txt"), dir.path().join("rejects.csv"));
    /// std::fs::write(&path, "1 2\n3 x 5\n")?;
    /// let ctx = Context::new()?;
    /// let words = ctx.read_text(&path)?.flat_map(|line| line.split_whitespace());
    /// let numbers = words.try_map(|word| word.parse::<u8>()).on_error(OnError::reject(&rejects))?;
    /// assert_eq!(numbers.collect()?, [1, 2, 3, 5]);
    /// let rejects = std::fs::read_to_string(&rejects)?;
    /// assert!(rejects.ends_with("rows.txt,2,4,invalid digit found in string,3 x 5\n"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn on_error(&self, policy: OnError) -> Result<Dataset<T>> {
        let call = CallSite::here("on_error");
        policy.check().map_err(|error| error.in_call(call))?;
        let refused = |what: &str, hint: &str| {
            Err(Error::new(ErrorKind::Config, what).in_call(call).hint(hint.to_string()))
        };
        match self.tolerant() {
            Some(_) if self.node().in_loop && policy.action != Action::Fail => refused(
                "what a closure refuses in the rounds of a loop has no place in the input",
                "apply the closure before or after the loop, or use filter_map and count with a counter",
            ),
            Some(tolerant) => Ok(tolerant(policy)),
            None => refused(
                "it follows no source of records and no closure that may fail",
                "call it on the result of read_csv, read_json_lines, read_lines, try_map or try_flat_map",
            ),
        }
    }
}
