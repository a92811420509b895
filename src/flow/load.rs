//! Bulk transfers: files in, and files out to PostgreSQL.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::step::Step;
use crate::error::{Error, ErrorKind, Result};

/// A bulk transfer. What is loaded replaces what was there: a file or a directory as a whole, or the rows of a table that have certain values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "AnyLoad")]
pub enum Load {
    /// Files are copied in.
    In(LoadIn),
    /// Rows go to a database.
    Out(LoadOut),
}

/// Copies files, or what a command prints, to a path, which they take by one rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadIn {
    /// Files, directories or globs. Either these or a command.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "one_or_many")]
    pub from: Vec<String>,
    /// A program that prints the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The directory that the files go to, or the file that the output of the command becomes.
    pub to: String,
    /// The bytes of all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The SHA-256 of the only file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// A file with the SHA-256 and the name of each file, as `sha256sum` writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksums: Option<String>,
}

/// Copies the rows of Parquet or CSV files to a table of PostgreSQL, by `COPY`, within one transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadOut {
    /// Files, directories or globs.
    #[serde(with = "one_or_many")]
    pub from: Vec<String>,
    /// The database, as a connection string or URL of PostgreSQL.
    pub postgres: String,
    /// The table, which is there.
    pub table: String,
    /// The rows that are replaced: those with these values in these columns. Empty: all.
    #[serde(default)]
    pub replace: BTreeMap<String, String>,
}

/// All keys of both directions, so that one that is unknown can be told from the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnyLoad {
    #[serde(default, with = "one_or_many")]
    from: Vec<String>,
    #[serde(default)]
    command: Vec<String>,
    to: Option<String>,
    bytes: Option<u64>,
    sha256: Option<String>,
    checksums: Option<String>,
    postgres: Option<String>,
    table: Option<String>,
    replace: Option<BTreeMap<String, String>>,
}

impl TryFrom<AnyLoad> for Load {
    type Error = &'static str;

    fn try_from(load: AnyLoad) -> std::result::Result<Load, &'static str> {
        let AnyLoad { from, command, to, bytes, sha256, checksums, postgres, table, replace } = load;
        let is_in = !command.is_empty() || bytes.is_some() || sha256.is_some() || checksums.is_some();
        match (to, postgres, table) {
            (Some(to), None, None) if replace.is_none() => {
                Ok(Load::In(LoadIn { from, command, to, bytes, sha256, checksums }))
            }
            (None, Some(postgres), Some(table)) if !is_in => {
                Ok(Load::Out(LoadOut { from, postgres, table, replace: replace.unwrap_or_default() }))
            }
            _ => Err(
                "a load has `to`, the place of files that come in, or `postgres` and `table`, where rows go out, \
                and nothing of the other one",
            ),
        }
    }
}

impl Load {
    /// What is read.
    pub(super) fn input(&self) -> Vec<&str> {
        let from = match self {
            Load::In(load) => &load.from,
            Load::Out(load) => &load.from,
        };
        from.iter().map(String::as_str).collect()
    }

    /// Where files go.
    pub(super) fn output(&self) -> Option<String> {
        match self {
            Load::In(load) => Some(load.to.clone()),
            Load::Out(_) => None,
        }
    }

    /// What is wrong with it, as far as that can be told without its parameters.
    pub(super) fn check(&self) -> Result<()> {
        match self {
            Load::In(load) if load.from.is_empty() == load.command.is_empty() => {
                let message = "what is loaded comes either `from` files or from a `command`";
                Err(Error::new(ErrorKind::Config, message))
            }
            Load::Out(load) if load.from.is_empty() => {
                Err(Error::new(ErrorKind::Config, "what is loaded comes `from` files"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Load::In(load) => {
                let all = load.from.iter().chain(&load.command).chain([&load.to]);
                all.chain(&load.sha256).chain(&load.checksums).map(String::as_str).collect()
            }
            Load::Out(load) => {
                let all = load.from.iter().chain([&load.postgres, &load.table]).chain(load.replace.values());
                all.map(String::as_str).collect()
            }
        }
    }
}

impl From<Load> for Step {
    fn from(load: Load) -> Step {
        Step::Load(load)
    }
}

/// One text, or several, in a flow file.
mod one_or_many {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text, or a list of texts, is wanted here")]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    pub fn serialize<S: Serializer>(texts: &[String], serializer: S) -> Result<S::Ok, S::Error> {
        texts.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        })
    }
}
