//! What the driver of a job was started with, and its workers are, too.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use super::{DRIVER, PLAN, submit};
use crate::error::{Error, ErrorKind, Result, printable};

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
    /// If the directory cannot be found, or anything is no text: Java would make other arguments of it.
    pub fn of_this_process() -> Result<Launch> {
        let dir = std::env::current_dir().map_err(|error| {
            let message = format!("the working directory cannot be found: {error}");
            Error::new(ErrorKind::Config, message).because(error)
        })?;
        let directory = text("the working directory", dir.as_os_str())?;
        let arguments = std::env::args_os().skip(1).map(|argument| text("the argument", &argument));
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
    const OTHERS: [&str; 4] = [DRIVER, PLAN, submit::VARIABLE, submit::SETTINGS];
    name.starts_with("GRISTMILL_") && !OTHERS.contains(&name)
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
    use std::os::unix::ffi::OsStrExt;

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
