//! What a try can fail with, and after which of that it is worth another one.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::process::ExitStatus;

use crate::error::{Error, ErrorKind};

/// Any error, as closures of tasks return it.
pub type TaskError = Box<dyn StdError + Send + Sync>;

/// Says of an error that it may pass: a task with retries is tried again after it.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Flow, transient};
///
/// fn ask() -> Result<String, std::io::Error> {
///     Ok("42".to_owned())
/// }
///
/// let flow = Flow::new("ask").task("ask", |t| {
///     t.log(&ask().map_err(transient)?);
///     Ok(())
/// });
/// ```
pub fn transient(error: impl Into<TaskError>) -> TaskError {
    Box::new(Transient(error.into()))
}

#[derive(Debug)]
struct Transient(TaskError);

impl fmt::Display for Transient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Transient {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_ref())
    }
}

/// What a closure returns that has nothing to do.
#[derive(Debug)]
pub(super) struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "skipped: {}", self.0)
    }
}

impl StdError for Skip {}

/// A program that ended without success.
#[derive(Debug)]
pub(super) struct Exit(pub Failure);

impl Exit {
    /// Fails unless a program has succeeded; some codes mean that its failure may pass.
    pub fn check(status: ExitStatus, transient_codes: &[i32]) -> Result<(), TaskError> {
        if status.success() {
            return Ok(());
        }
        let is_transient = status.code().is_some_and(|code| transient_codes.contains(&code));
        Err(Box::new(Exit(Failure::new("exit", format!("it ended with {status}")).transient(is_transient))))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Exit {}

/// How the work of a try has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeded,
    /// There was nothing to do, for this reason.
    Skipped(String),
    Failed(Failure),
}

/// Why a try has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// `timeout`, `panic`, `exit`, `error`, or the kind of an error of gristmill.
    pub kind: String,
    pub message: String,
    /// Whether it says of itself that it may pass.
    pub is_transient: bool,
}

impl Failure {
    pub fn new(kind: &str, message: impl Into<String>) -> Failure {
        Failure { kind: kind.to_owned(), message: message.into(), is_transient: false }
    }

    pub fn transient(self, is_transient: bool) -> Failure {
        Failure { is_transient, ..self }
    }

    /// Whether a task that is retried after these kinds of errors is retried after this one.
    pub fn is_one_of(&self, kinds: &[String]) -> bool {
        kinds.iter().any(|kind| *kind == self.kind || (kind == "transient" && self.is_transient))
    }
}

impl Outcome {
    /// What a closure has returned, or its panic.
    pub fn of(result: Result<Result<(), TaskError>, Box<dyn Any + Send>>) -> Outcome {
        match result {
            Ok(Ok(())) => Outcome::Succeeded,
            Ok(Err(error)) => match error.downcast::<Skip>() {
                Ok(skip) => Outcome::Skipped(skip.0),
                Err(error) => Outcome::Failed(Failure::of(error.as_ref())),
            },
            Err(panic) => {
                Outcome::Failed(Failure::new("panic", format!("it panicked: {}", text(panic.as_ref()))))
            }
        }
    }
}

impl Failure {
    /// An error with all that it was caused by.
    pub fn of(error: &(dyn StdError + 'static)) -> Failure {
        let chain = || causes(error);
        if let Some(Exit(failure)) = chain().find_map(|error| error.downcast_ref()) {
            return failure.clone();
        }
        let kind = chain().find_map(|error| error.downcast_ref::<Error>()).map(Error::kind);
        let is_transient =
            chain().any(|error| error.is::<Transient>() || error.downcast_ref().is_some_and(may_pass));
        let kind = kind.map_or("error", kind_name);
        let mut message = error.to_string();
        for cause in chain().skip(1).map(ToString::to_string) {
            // Many errors say what they were caused by.
            if !message.contains(&cause) {
                message.push_str(": ");
                message.push_str(&cause);
            }
        }
        Failure { kind: kind.to_owned(), message, is_transient: is_transient || kind == "busy" }
    }
}

/// An error, what it was caused by, and so on.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether an error of the system is one that may pass.
fn may_pass(error: &io::Error) -> bool {
    use io::ErrorKind as Io;
    matches!(
        error.kind(),
        Io::Interrupted
            | Io::WouldBlock
            | Io::TimedOut
            | Io::ConnectionRefused
            | Io::ConnectionReset
            | Io::ConnectionAborted
            | Io::HostUnreachable
            | Io::NetworkUnreachable
            | Io::NetworkDown
            | Io::ResourceBusy
    )
}

/// The name of a kind, as `retry_on` has it.
fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Config => "config",
        ErrorKind::Input => "input",
        ErrorKind::Output => "output",
        ErrorKind::Busy => "busy",
        ErrorKind::Panic => "panic",
        ErrorKind::Closure => "closure",
        ErrorKind::Memory => "memory",
        ErrorKind::Spill => "spill",
        ErrorKind::Canceled => "canceled",
        ErrorKind::Internal => "internal",
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_that_may_pass_are_known_however_deep_they_lie() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let wrapped = Error::new(ErrorKind::Input, "cannot fetch").because(refused());
        for (error, expected, kind) in [
            (transient("not yet"), true, "error"),
            (refused().into(), true, "error"),
            (wrapped.into(), true, "input"),
            (Error::new(ErrorKind::Busy, "held").into(), true, "busy"),
            (io::Error::from(io::ErrorKind::NotFound).into(), false, "error"),
            ("wrong".into(), false, "error"),
        ] {
            let failure = Failure::of(error.as_ref());
            assert_eq!((failure.is_transient, failure.kind.as_str()), (expected, kind), "{error}");
            assert_eq!(failure.is_one_of(&["transient".to_owned()]), expected);
        }
    }

    #[test]
    fn a_failure_says_what_it_was_caused_by_once() {
        let inner = io::Error::other("the disk is on fire");
        let error = Error::new(ErrorKind::Output, "cannot write").because(inner);
        assert_eq!(Failure::of(&error).message, "cannot write: the disk is on fire");
    }
}
