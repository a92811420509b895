//! The files that a path or a glob of a task stands for.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

/// What is at a path, or what a glob finds, in the order of the names; nothing, if nothing is there.
///
/// # Errors
///
/// If a glob is none, or a directory on its way cannot be read.
pub(super) fn matching(path: &Path) -> Result<Vec<PathBuf>> {
    if path.exists() {
        return Ok(vec![path.to_owned()]); // also one whose name could be a glob
    }
    let text = path.to_string_lossy();
    let wrong = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Config, format!("`{}` is no pattern of files: {error}", text.escape_debug()))
    };
    let found = glob::glob(&text).map_err(|error| wrong(&error))?;
    found.map(|entry| entry.map_err(|error| wrong(&error))).collect()
}
