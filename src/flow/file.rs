//! Flows as files: `daily-hits.flow.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::backoff::Backoff;
use super::check;
use super::define::{Flow, Task};
use super::duration;
use super::for_each::ForEach;
use super::load::Load;
use super::notify::Notifier;
use super::param::{Param, ParamType};
use super::period::Every;
use super::schedule::Schedule;
use super::step::{Argument, Command, Engine, EngineCommand, Step};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::record::nearest;

impl Flow {
    /// The flow that a file describes. Relative paths in it begin at the directory of the file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] with the line of what is wrong, and the nearest key where one is unknown.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Flow> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::io(ErrorKind::Config, "read the flow", path, error))?;
        let flow = Flow::from_toml(&text).map_err(|error| error.at_file(path))?;
        // However the file is named, and wherever it is run from, paths are the same: a re-run compares them.
        let source = std::path::absolute(path)
            .map_err(|error| Error::io(ErrorKind::Config, "find the place of the flow", path, error))?;
        let dir = source.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Flow { source: Some(source), ..flow.dir(dir) })
    }

    /// The flow that a text in TOML describes.
    ///
    /// # Errors
    ///
    /// As [`Flow::from_file`].
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::flow::{Flow, Plan};
    ///
    /// let flow = Flow::from_toml(
    ///     r#"
    ///     name = "hello"
    ///     params.whom = { type = "text", default = "world" }
    ///     tasks.greet.command.argv = ["echo", "hello ${whom}"]
    ///     "#,
    /// )?;
    /// assert_eq!(Plan::new(&flow, [("whom", "mill")])?.run_key(), "hello?whom=mill");
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Flow> {
        let file: FlowFile = toml::from_str(text).map_err(|error| wrong(text, &error))?;
        file.flow()
    }
}

impl Error {
    fn at_file(self, path: &Path) -> Error {
        let place = match self.place().and_then(|place| place.line) {
            Some(line) => Place::file(path).at_line(line),
            None => Place::file(path),
        };
        self.moved_to(place)
    }
}

/// What TOML or a type says is wrong, with its line, and the nearest key instead of all of them.
fn wrong(text: &str, error: &toml::de::Error) -> Error {
    let message = error.message();
    let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count() as u64);
    let mut names = message.split('`').skip(1).step_by(2);
    let error = match (message.starts_with("unknown field"), names.next()) {
        (true, Some(unknown)) => {
            let error =
                Error::new(ErrorKind::Config, format!("there is no key `{}`", unknown.escape_debug()));
            let known: Vec<&str> = names.collect();
            match nearest(unknown, known.iter().copied()) {
                Some(similar) => error.hint(format!("the nearest key is `{similar}`")),
                None => error.hint(format!("the keys are: {}", known.join(", "))),
            }
        }
        _ if message == "duplicate key" => {
            let key = error.span().and_then(|span| text.get(span)).unwrap_or_default();
            let message = format!("duplicate key `{}`", key.escape_debug());
            Error::new(ErrorKind::Config, message).hint("rename one of the two")
        }
        _ => Error::new(ErrorKind::Config, message.to_owned()),
    };
    match line {
        Some(line) => error.at(Place { path: None, line: Some(line), offset: None, row: None }),
        None => error,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FlowFile {
    name: String,
    #[serde(default)]
    params: InOrder<ParamFile>,
    interval: Option<IntervalFile>,
    time_zone: Option<String>,
    #[serde(default)]
    pools: BTreeMap<String, usize>,
    max_active: Option<usize>,
    #[serde(default, with = "duration::option")]
    deadline: Option<Duration>,
    #[serde(default)]
    notify: Vec<Notifier>,
    schedule: Option<Schedule>,
    tasks: InOrder<TaskFile>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a parameter is \"text\", \"integer\", \"boolean\", \"date\" or \"timestamp\", or a table such as { type = \"text\", default = \"eu\", secret = false }"
)]
enum ParamFile {
    /// `date = "date"`
    Kind(ParamType),
    /// `site = { type = "text", default = "eu" }`
    Full(FullParam),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FullParam {
    #[serde(rename = "type")]
    kind: ParamType,
    default: Option<toml::Value>,
    #[serde(default)]
    secret: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntervalFile {
    param: String,
    every: Every,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TaskFile {
    #[serde(default)]
    depends_on: Vec<String>,
    retries: Option<u32>,
    backoff: Option<Backoff>,
    retry_on: Option<Vec<String>>,
    #[serde(default, with = "duration::option")]
    timeout: Option<Duration>,
    #[serde(default, with = "duration::option")]
    deadline: Option<Duration>,
    pool: Option<String>,
    slots: Option<usize>,
    idempotent: Option<bool>,
    #[serde(default)]
    inputs: Vec<String>,
    #[serde(default)]
    outputs: Vec<String>,
    for_each: Option<ForEach>,
    convert: Option<BTreeMap<String, Argument>>,
    wordcount: Option<BTreeMap<String, Argument>>,
    sort: Option<BTreeMap<String, Argument>>,
    aggregate: Option<BTreeMap<String, Argument>>,
    command: Option<Command>,
    load: Option<Load>,
}

impl FlowFile {
    fn flow(self) -> Result<Flow> {
        let mut flow = Flow::new(self.name);
        for (name, param) in self.params.0 {
            flow = flow.param_with(param.param(name));
        }
        if let Some(IntervalFile { param, every }) = self.interval {
            flow = flow.interval(param, every);
        }
        if let Some(zone) = self.time_zone {
            flow = flow.time_zone(zone);
        }
        flow.pools = self.pools;
        flow.max_active = self.max_active.unwrap_or(flow.max_active);
        (flow.deadline, flow.notifiers, flow.schedule) = (self.deadline, self.notify, self.schedule);
        for (name, task) in self.tasks.0 {
            flow = flow.add(task.task(&name).map_err(|error| check::in_task(&name, error))?);
        }
        Ok(flow)
    }
}

impl ParamFile {
    fn param(self, name: String) -> Param {
        match self {
            ParamFile::Kind(kind) => Param::new(name, kind),
            ParamFile::Full(FullParam { kind, default, secret }) => {
                let default = default.map(|value| match value {
                    toml::Value::String(text) => text,
                    other => other.to_string(),
                });
                Param { name, kind, default, secret }
            }
        }
    }
}

impl TaskFile {
    fn task(self, name: &str) -> Result<Task> {
        let engine = |command, arguments: Option<BTreeMap<String, Argument>>| {
            arguments.map(|arguments| Step::Engine(Engine { command, arguments }))
        };
        let steps = [
            engine(EngineCommand::Convert, self.convert),
            engine(EngineCommand::Wordcount, self.wordcount),
            engine(EngineCommand::Sort, self.sort),
            engine(EngineCommand::Aggregate, self.aggregate),
            self.command.map(Step::Command),
            self.load.map(Step::Load),
        ];
        let mut steps = steps.into_iter().flatten();
        let (Some(step), None) = (steps.next(), steps.next()) else {
            return Err(Error::new(ErrorKind::Config, "it does not say what it does, once")
                .hint("give one of convert, wordcount, sort, aggregate, command and load"));
        };
        let mut task = Task::step(name, step);
        task.after = self.depends_on;
        task.retries = self.retries.unwrap_or(task.retries);
        task.backoff = self.backoff.unwrap_or(task.backoff);
        task.retry_on = self.retry_on.unwrap_or(task.retry_on);
        (task.timeout, task.deadline) = (self.timeout, self.deadline);
        (task.pool, task.slots) = (self.pool, self.slots.unwrap_or(task.slots));
        task.idempotent = self.idempotent.unwrap_or(task.idempotent);
        (task.inputs, task.outputs, task.for_each) = (self.inputs, self.outputs, self.for_each);
        Ok(task)
    }
}

/// The entries of a table in the order of the file.
struct InOrder<T>(Vec<(String, T)>);

impl<T> Default for InOrder<T> {
    fn default() -> InOrder<T> {
        InOrder(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InOrder<T>, D::Error> {
        struct Entries<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = InOrder<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<InOrder<T>, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(InOrder(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}
