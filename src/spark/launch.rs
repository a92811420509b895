//! What the driver of a job was started with, and its workers are, too.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::{DRIVER, PLAN, submit};
use crate::error::{Error, ErrorKind, Result, printable};

/// The variable with a hash of the arguments of a submission: scripts and Java are on their way, and a locale that is not installed makes others of them.
pub const ARGUMENTS: &str = "GRISTMILL_ARGUMENTS";

/// How a worker is started.
pub struct Launch {
    /// The directory: relative paths begin there.
    pub directory: String,
    /// The arguments.
    pub arguments: Vec<String>,
    /// The variables `GRISTMILL_…`, but for those that only the driver and its submission need.
    pub environment: BTreeMap<String, String>,
}

impl Launch {
    /// What this process was started with.
    ///
    /// # Errors
    ///
    /// If the directory cannot be found, anything is no text, or Java has made other arguments of those that were given.
    pub fn of_this_process() -> Result<Launch> {
        let given: Vec<OsString> = std::env::args_os().skip(1).collect();
        if std::env::var(ARGUMENTS).is_ok_and(|submitted| submitted != hash(&given)) {
            let message = "the arguments are not those that were submitted: Java has changed letters of them";
            return Err(Error::new(ErrorKind::Config, message)
                .hint("install the locale C.UTF-8, or give names of ASCII letters only"));
        }
        let dir = std::env::current_dir().map_err(|error| {
            let message = format!("the working directory cannot be found: {error}");
            Error::new(ErrorKind::Config, message).because(error)
        })?;
        let directory = text("the working directory", dir.as_os_str())?;
        let arguments = given.iter().map(|argument| text("the argument", argument));
        let arguments = arguments.collect::<Result<_>>()?;
        let mut environment = BTreeMap::new();
        for (name, value) in std::env::vars_os() {
            if let Some(name) = name.to_str().filter(|name| is_for_workers(name)) {
                environment.insert(name.to_owned(), text(name, &value)?);
            }
        }
        Ok(Launch { directory, arguments, environment })
    }
}

fn is_for_workers(name: &str) -> bool {
    const OTHERS: [&str; 5] = [DRIVER, PLAN, ARGUMENTS, submit::VARIABLE, submit::SETTINGS];
    name.starts_with("GRISTMILL_") && !OTHERS.contains(&name)
}

/// A hash of arguments.
pub fn hash(arguments: &[OsString]) -> String {
    let mut hash = Xxh3::new();
    for argument in arguments {
        hash.update(argument.as_bytes());
        hash.update(&[0]); // which is in no argument
    }
    format!("{:016x}", hash.digest())
}

/// What Java can hand on.
///
/// # Errors
///
/// If it is no text.
pub fn text(what: &str, value: &OsStr) -> Result<String> {
    value.to_str().map(str::to_owned).ok_or_else(|| {
        let message =
            format!("{what} {} is not UTF-8, which Java cannot hand on", printable(Path::new(value)));
        Error::new(ErrorKind::Config, message).hint("rename it, or run without --master")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_no_argument_on_a_cluster() {
        assert_eq!(text("the argument", OsStr::new("é")).unwrap(), "é");
        let error = text("the argument", OsStr::from_bytes(b"out\xff")).unwrap_err().to_string();
        assert!(error.contains("the argument") && error.contains("is not UTF-8"), "{error}");
    }

    #[test]
    fn workers_get_the_settings_that_are_theirs() {
        assert!(is_for_workers("GRISTMILL_MEMORY") && is_for_workers("GRISTMILL_PARAM_DATE"));
        assert!(!is_for_workers("GRISTMILL_SPARK_CONF") && !is_for_workers("HOME"));
    }
}
