//! What a task says, in a file of its own: each line with its time, without secrets, and without anything that a terminal acts on.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::cli::escape::escaped;

/// Values that nothing may show.
#[derive(Debug, Clone, Default)]
pub(super) struct Mask(Arc<[String]>);

/// What stands for a secret.
const MASKED: &str = "***";

impl Mask {
    /// A mask of these values, and of their lines, since output is looked at line by line; also as messages and JSON have them, with escapes.
    pub fn new(secrets: impl Iterator<Item = String>) -> Mask {
        let mut hidden: Vec<String> = Vec::new();
        for secret in secrets {
            for line in secret.lines() {
                let json = serde_json::Value::from(line).to_string();
                hidden.extend([line.to_owned(), line.escape_debug().to_string(), escaped(line).into_owned()]);
                hidden.push(json[1..json.len() - 1].to_owned()); // without its quotes
            }
        }
        hidden.retain(|secret| !secret.is_empty());
        hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len())); // one that has another one in it first
        Mask(hidden.into())
    }

    /// The text without the values.
    pub fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut shown = Cow::Borrowed(text);
        for secret in self.0.iter() {
            if shown.contains(secret.as_str()) {
                shown = Cow::Owned(shown.replace(secret.as_str(), MASKED));
            }
        }
        shown
    }
}

/// The log of one try. The file is made with its first line.
#[derive(Debug)]
pub(super) struct TaskLog {
    path: PathBuf,
    mask: Mask,
    file: Mutex<Option<File>>,
}

impl TaskLog {
    pub fn new(path: PathBuf, mask: Mask) -> TaskLog {
        TaskLog { path, mask, file: Mutex::new(None) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds lines. That a log cannot be written stops no task: the ledger has what counts.
    pub fn line(&self, text: &str) {
        let now = Timestamp::now();
        let mut lines = String::new();
        for line in self.mask.hide(text).lines() {
            let _ = writeln!(lines, "{now:.3} {}", escaped(line));
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = self.create();
        }
        if let Some(file) = file.as_mut() {
            let _ = file.write_all(lines.as_bytes());
        }
    }

    fn create(&self) -> Option<File> {
        self.path.parent().map(std::fs::create_dir_all)?.ok()?;
        File::options().create(true).append(true).open(&self.path).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_the_longest_first() {
        let mask = Mask::new(["pass", "password", "", "two\nlines"].into_iter().map(str::to_owned));
        assert_eq!(mask.hide("password and pass"), "*** and ***");
        assert_eq!(mask.hide("lines of two"), "*** of ***");
        assert_eq!(mask.hide("nothing"), "nothing");
        let mask = Mask::new(std::iter::once("it's a \"\\\u{1b}".to_owned()));
        for shown in
            ["it's a \"\\\u{1b}", r#"it\'s a \"\\\u{1b}"#, r#"it's a \"\\\u001b"#, r#"it's a "\\u{1b}"#]
        {
            assert_eq!(mask.hide(shown), "***", "{shown}");
        }
    }

    #[test]
    fn a_log_has_a_time_for_each_line_and_nothing_for_terminals() {
        let dir = tempfile::tempdir().unwrap();
        let log = TaskLog::new(dir.path().join("a/b.log"), Mask::new(std::iter::once("hunter2".to_owned())));
        assert!(!log.path().exists());
        log.line("one\ntwo \u{1b}[31mred hunter2");
        let text = std::fs::read_to_string(log.path()).unwrap();
        let lines: Vec<&str> = text.lines().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        assert_eq!(lines, ["one", "two \\u{1b}[31mred ***"]);
    }
}
