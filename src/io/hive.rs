//! Names of the directories of a partitioned table, in the layout that Hive, Spark, DuckDB, Polars and pyarrow share.
//!
//! Each partition column is one directory level, called `column=value`. Name and value are percent-encoded, so that each makes
//! exactly one path component whatever it holds, and is read back as it was: ASCII letters and digits, `-`, `_`, `.`, `~` and the letters
//! and digits of other scripts stay, every other byte becomes `%` and two digits. A null is `__HIVE_DEFAULT_PARTITION__`.
//!
//! An empty text becomes `column=`, which DuckDB, Polars and pyarrow read as an empty text. Spark refuses a table that has such a
//! directory: make it null, or another text, if Spark is to read the table.

use std::fmt;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};

/// What stands for a null.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// File systems take names of this many bytes.
const MAX_COMPONENT_BYTES: usize = 255;

/// The directory of one partition, or of all partitions that begin alike, relative to its table.
///
/// # Examples
///
/// ```
/// use gristmill::io::hive::PartitionPath;
///
/// let path = PartitionPath::new([("dt", Some("2026-01-01")), ("country", None)])?;
/// assert_eq!(path.as_str(), "dt=2026-01-01/country=__HIVE_DEFAULT_PARTITION__");
/// assert_eq!(PartitionPath::parse(path.as_str())?, path);
/// assert_eq!(PartitionPath::new([("dt", Some("../a"))])?.as_str(), "dt=..%2Fa");
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionPath(String);

impl PartitionPath {
    /// The directory of the rows that have these values in these columns, in the order of the levels.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Output`] if a column and its value take more than 255 bytes when they are encoded.
    pub fn new<'a>(levels: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<PartitionPath> {
        let mut path = String::new();
        for (column, value) in levels {
            let start = if path.is_empty() { 0 } else { path.len() + 1 };
            if start > 0 {
                path.push('/');
            }
            encode(column, &mut path);
            path.push('=');
            push_value(value, &mut path);
            let bytes = path.len() - start;
            if bytes > MAX_COMPONENT_BYTES {
                return Err(too_long(column, bytes));
            }
        }
        Ok(PartitionPath(path))
    }

    /// Reads a path such as `dt=2026-01-01/country=DE`.
    ///
    /// What need not be encoded may come encoded, or the other way around: equal partitions have equal paths afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] if a component is no `column=value`, or an encoding is broken.
    pub fn parse(text: &str) -> Result<PartitionPath> {
        let wrong = || {
            Error::new(ErrorKind::Config, format!("{text:?} is no partition"))
                .hint("write column=value for each partition column, with `/` between, as in dt=2026-01-01/country=DE")
        };
        let levels: Option<Vec<_>> = text.split('/').map(decode_component).collect();
        let levels = levels.filter(|levels| !levels.iter().any(|(column, _)| column.is_empty()));
        let levels = levels.ok_or_else(wrong)?;
        PartitionPath::new(levels.iter().map(|(column, value)| (column.as_str(), value.as_deref())))
    }

    /// The encoded path, with `/` between its levels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The encoded path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The columns and their values, decoded; `None` for null.
    pub fn levels(&self) -> Vec<(String, Option<String>)> {
        self.0.split('/').filter_map(decode_component).collect()
    }

    /// The number of levels.
    pub fn depth(&self) -> usize {
        self.0.split('/').count()
    }

    /// Whether this is the other one, or lies in it.
    pub fn is_within(&self, other: &PartitionPath) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether the columns of this path are the first of `columns`, in order.
    pub fn begins(&self, columns: &[String]) -> bool {
        let levels = self.levels();
        levels.len() <= columns.len() && levels.iter().zip(columns).all(|((name, _), column)| name == column)
    }
}

impl fmt::Display for PartitionPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value is one component together with its column, so that only one that reads as null needs care.
fn push_value(value: Option<&str>, path: &mut String) {
    match value {
        None => path.push_str(NULL),
        Some(NULL) => {
            path.push_str("%5F");
            path.push_str(&NULL[1..]);
        }
        Some(value) => encode(value, path),
    }
}

fn encode(text: &str, path: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for letter in text.chars() {
        if letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | '~') {
            path.push(letter);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in letter.encode_utf8(&mut bytes).bytes() {
            path.push('%');
            path.push(char::from(DIGITS[usize::from(byte >> 4)]));
            path.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// The column and the value of a component; `None` if it is not one.
fn decode_component(component: &str) -> Option<(String, Option<String>)> {
    let (column, value) = component.split_once('=')?;
    let value = if value == NULL { None } else { Some(decode(value)?) };
    Some((decode(column)?, value))
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).ok()
}

fn too_long(column: &str, bytes: usize) -> Error {
    let message = format!(
        "a value of the partition column `{column}` makes a directory name of {bytes} bytes, and file systems take {MAX_COMPONENT_BYTES}"
    );
    Error::new(ErrorKind::Output, message)
        .hint("partition by something shorter, such as a hash of the column")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(value: &str) -> String {
        PartitionPath::new([("k", Some(value))]).unwrap().0
    }

    #[test]
    fn what_means_something_to_paths_is_encoded() {
        let pairs = [
            ("", "k="),
            ("..", "k=.."),
            ("a/b", "k=a%2Fb"),
            ("a=b%", "k=a%3Db%25"),
            ("\0\n\u{85}", "k=%00%0A%C2%85"),
            ("é 日", "k=é%20日"),
            (NULL, "k=%5F_HIVE_DEFAULT_PARTITION__"),
        ];
        for (value, path) in pairs {
            assert_eq!(one(value), path);
        }
        assert_ne!(one("a"), one("A"));
    }

    #[test]
    fn long_values_are_refused_with_their_column() {
        assert_eq!(one(&"x".repeat(253)).len(), 255);
        let error = PartitionPath::new([("k", Some("x".repeat(300).as_str()))]).unwrap_err().to_string();
        assert!(error.contains("`k`") && error.contains("302 bytes"), "{error}");
    }

    #[test]
    fn what_is_no_partition_is_refused() {
        for bad in ["", "k", "k=1/", "/k=1", "k=1/..", "=1", "k=%2", "k=%zz", "k=%FF"] {
            assert!(PartitionPath::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_path_is_within_those_that_it_begins_with() {
        let path = |text| PartitionPath::parse(text).unwrap();
        assert!(path("a=1/b=2").is_within(&path("a=1")));
        assert!(path("a=1").is_within(&path("a=1")));
        assert!(!path("a=11").is_within(&path("a=1")));
        assert!(!path("a=1").is_within(&path("a=1/b=2")));
        assert!(path("a=1").begins(&["a".to_owned(), "b".to_owned()]));
        assert!(!path("b=1").begins(&["a".to_owned(), "b".to_owned()]));
    }

    proptest! {
        #[test]
        fn any_value_is_one_component_and_reads_back(column in "\\PC{1,9}", value in proptest::option::of(any::<String>())) {
            let Ok(path) = PartitionPath::new([(column.as_str(), value.as_deref())]) else {
                prop_assert!(value.is_some_and(|value| value.len() * 3 > 200));
                return Ok(());
            };
            prop_assert_eq!(path.as_path().components().count(), 1);
            prop_assert!(matches!(path.as_path().components().next(), Some(std::path::Component::Normal(_))));
            prop_assert!(!path.as_str().contains(|c: char| c == '\0' || c.is_control()));
            prop_assert_eq!(path.levels(), vec![(column, value)]);
            prop_assert_eq!(PartitionPath::parse(path.as_str()).unwrap(), path);
        }
    }
}
