//! A task for each item of a list, or for each file or group of files of a glob.

use serde::{Deserialize, Serialize};

/// The items that a task is made for, one each.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Command, Flow, ForEach, Task};
///
/// let task = Task::step("fetch", Command::new(["fetch", "${site}"])).for_each(ForEach::list("site", ["eu", "us"]));
/// let many = Task::step("count", Command::new(["wc", "-w", "${file}"])).for_each(ForEach::glob("file", "raw/${date}/*.txt"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForEach {
    /// The name that stands for the item.
    pub(super) item: String,
    /// The items.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub(super) list: Vec<String>,
    /// The files that are the items, in the order of their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) glob: Option<String>,
    /// Files become one item until they have so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) group_by: Option<String>,
}

impl ForEach {
    /// Each text of a list.
    pub fn list<S: Into<String>>(item: &str, list: impl IntoIterator<Item = S>) -> ForEach {
        let list = list.into_iter().map(Into::into).collect();
        ForEach { item: item.to_owned(), list, glob: None, group_by: None }
    }

    /// Each file that a glob finds when the task could start.
    pub fn glob(item: &str, glob: &str) -> ForEach {
        ForEach { item: item.to_owned(), list: Vec::new(), glob: Some(glob.to_owned()), group_by: None }
    }

    /// Groups files, in the order of their names, until a group has so many bytes (`64MiB`), so that many small ones are no tasks of their own. An
    /// argument that is nothing but the item is one argument for each file then.
    #[must_use]
    pub fn group_by(mut self, size: &str) -> ForEach {
        self.group_by = Some(size.to_owned());
        self
    }
}
