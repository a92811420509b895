//! What the names in the texts of a task stand for.

use std::path::{Path, PathBuf};

use super::param::{ParamValue, Params};
use super::period::Interval;
use super::template::{Names, Template};
use crate::error::Result;

/// Names that every run has beside its parameters; those of the interval only if it has one.
const RUN_KEY: &str = "run_key";
const LOGICAL_TIME: &str = "logical_time";
const INTERVAL_START: &str = "interval_start";
const INTERVAL_END: &str = "interval_end";
const TIME_ZONE: &str = "time_zone";

/// All names that no parameter can have.
pub(super) const RESERVED: [&str; 5] = [RUN_KEY, LOGICAL_TIME, INTERVAL_START, INTERVAL_END, TIME_ZONE];

/// The parameters of a run, its interval, and the item of a task.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    pub params: Params,
    pub interval: Option<Interval>,
    pub time_zone: String,
    pub run_key: String,
    /// The name and the value of the item that the task is for.
    pub item: Option<(String, ParamValue)>,
    /// Where relative paths begin.
    pub dir: PathBuf,
}

impl Scope {
    /// The same for an item.
    pub fn with_item(&self, name: &str, value: ParamValue) -> Scope {
        Scope { item: Some((name.to_owned(), value)), ..self.clone() }
    }

    /// The same with stars for secrets.
    pub fn without_secrets(&self) -> Scope {
        Scope { params: self.params.without_secrets(), ..self.clone() }
    }

    /// A text with the values of its names.
    pub fn expand(&self, text: &str) -> Result<String> {
        Template::parse(text)?.expand(self)
    }

    /// The texts that a text stands for: several, if it is nothing but the name of a group of files.
    pub fn expand_all(&self, text: &str) -> Result<Vec<String>> {
        match &self.item {
            Some((name, ParamValue::List(texts))) if text.trim() == format!("${{{name}}}") => {
                Ok(texts.clone())
            }
            _ => Ok(vec![self.expand(text)?]),
        }
    }

    /// The path that a text stands for.
    pub fn path(&self, text: &str) -> Result<PathBuf> {
        Ok(self.dir.join(self.expand(text)?))
    }

    /// The paths that texts stand for.
    pub fn paths<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for text in texts {
            paths.extend(self.expand_all(text)?.iter().map(|text| self.dir.join(Path::new(text))));
        }
        Ok(paths)
    }
}

impl Names for Scope {
    fn value(&self, name: &str) -> Option<ParamValue> {
        if let Some((item, value)) = &self.item
            && item == name
        {
            return Some(value.clone());
        }
        match (name, &self.interval) {
            (RUN_KEY, _) => Some(ParamValue::Text(self.run_key.clone())),
            (TIME_ZONE, _) => Some(ParamValue::Text(self.time_zone.clone())),
            (LOGICAL_TIME | INTERVAL_START, Some(interval)) => {
                Some(ParamValue::Timestamp(interval.start.timestamp()))
            }
            (INTERVAL_END, Some(interval)) => Some(ParamValue::Timestamp(interval.end.timestamp())),
            _ => self.params.get(name).cloned(),
        }
    }

    fn names(&self) -> Vec<String> {
        let item = self.item.iter().map(|(name, _)| name.as_str());
        item.chain(self.params.names()).chain(RESERVED).map(str::to_owned).collect()
    }
}
