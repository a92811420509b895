//! What a task knows: its parameters, its interval, and where it may work.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

use super::failure::{Skip, TaskError};
use super::log::TaskLog;
use super::param::ParamValue;
use super::period::Interval;
use super::scope::Scope;
use super::template::Names;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

/// What the closure of a task returns: any error can be returned by `?`.
pub type TaskResult = std::result::Result<(), TaskError>;

/// What a task is given: it asks for nothing else, not even for the time, so that it does the same whenever it runs.
pub struct TaskContext {
    pub(super) scope: Scope,
    pub(super) task: String,
    pub(super) number: u32,
    pub(super) context: Context,
    pub(super) log: Arc<TaskLog>,
}

impl TaskContext {
    /// A context of the engine for this try: once the try is stopped, what is run on it is canceled, and can commit nothing.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The key of the task within its run, as `convert` or `convert[eu]`.
    pub fn task(&self) -> &str {
        &self.task
    }

    /// The key of the run: the flow and its parameters.
    pub fn run_key(&self) -> &str {
        &self.scope.run_key
    }

    /// Which try this is; the first one is 1.
    pub fn try_number(&self) -> u32 {
        self.number
    }

    /// The data that the run is about.
    ///
    /// # Errors
    ///
    /// If no parameter tells an interval.
    pub fn interval(&self) -> Result<&Interval> {
        self.scope.interval.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Config, "the run has no interval")
                .hint("declare a parameter that is a date or a timestamp")
        })
    }

    /// The first instant of the interval, which is the logical time of the run.
    ///
    /// # Errors
    ///
    /// As [`TaskContext::interval`].
    pub fn interval_start(&self) -> Result<&Zoned> {
        self.interval().map(|interval| &interval.start)
    }

    /// The first instant after the interval.
    ///
    /// # Errors
    ///
    /// As [`TaskContext::interval`].
    pub fn interval_end(&self) -> Result<&Zoned> {
        self.interval().map(|interval| &interval.end)
    }

    /// The time that the run is about, whenever it runs: the start of its interval.
    ///
    /// # Errors
    ///
    /// As [`TaskContext::interval`].
    pub fn logical_time(&self) -> Result<&Zoned> {
        self.interval_start()
    }

    /// A text with the values of the names in it: `${date}`, `${date - 1d}`, `${interval_end}`.
    ///
    /// # Errors
    ///
    /// If a name is unknown.
    pub fn expand(&self, text: &str) -> Result<String> {
        self.scope.expand(text)
    }

    /// A path with the values of the names in it. A relative one begins at the directory of the flow.
    ///
    /// # Errors
    ///
    /// If a name is unknown.
    pub fn path(&self, text: &str) -> Result<PathBuf> {
        self.scope.path(text)
    }

    /// The value of a parameter, or of the item of the task.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub fn param(&self, name: &str) -> Result<ParamValue> {
        let known = self.scope.names();
        self.scope
            .value(name)
            .ok_or_else(|| super::param::unknown_param(name, known.iter().map(String::as_str)))
    }

    /// The value of a parameter as text, whatever its type is.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub fn text(&self, name: &str) -> Result<String> {
        Ok(self.param(name)?.to_string())
    }

    /// The value of a parameter that is a whole number.
    ///
    /// # Errors
    ///
    /// If there is none of this name and type.
    pub fn integer(&self, name: &str) -> Result<i64> {
        match self.param(name)? {
            ParamValue::Integer(number) => Ok(number),
            other => Err(another(name, &other, "integer")),
        }
    }

    /// The value of a parameter that is true or false.
    ///
    /// # Errors
    ///
    /// If there is none of this name and type.
    pub fn boolean(&self, name: &str) -> Result<bool> {
        match self.param(name)? {
            ParamValue::Boolean(flag) => Ok(flag),
            other => Err(another(name, &other, "boolean")),
        }
    }

    /// The value of a parameter that is a date.
    ///
    /// # Errors
    ///
    /// If there is none of this name and type.
    pub fn date(&self, name: &str) -> Result<Date> {
        match self.param(name)? {
            ParamValue::Date(date) => Ok(date),
            other => Err(another(name, &other, "date")),
        }
    }

    /// The value of a parameter that is an instant.
    ///
    /// # Errors
    ///
    /// If there is none of this name and type.
    pub fn timestamp(&self, name: &str) -> Result<Timestamp> {
        match self.param(name)? {
            ParamValue::Timestamp(instant) => Ok(instant),
            other => Err(another(name, &other, "timestamp")),
        }
    }

    /// Writes to the log of the task.
    pub fn log(&self, text: &str) {
        self.log.line(text);
    }

    /// Ends the task because there is nothing to do; what waits for it is skipped, too.
    ///
    /// # Errors
    ///
    /// Always: return it.
    pub fn skip(&self, reason: &str) -> TaskResult {
        Err(Box::new(Skip(reason.to_owned())))
    }
}

fn another(name: &str, value: &ParamValue, wanted: &str) -> Error {
    Error::new(ErrorKind::Config, format!("`{name}` is {value}, which is no {wanted}"))
        .hint("declare it with that type, or ask for it as what it is")
}
