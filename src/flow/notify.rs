//! Who is told of failures, successes and missed deadlines, and how.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::define::Flow;
use super::duration;
use super::log::Mask;

/// What somebody is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A try of a task has failed, even if another one follows; or a run has.
    Failure,
    /// A run has succeeded.
    Success,
    /// A task or a run has not ended by its deadline.
    Deadline,
}

/// Tells somebody, within a time limit of its own.
///
/// The message is a JSON object: what has happened (`event`), the `flow`, the `run` and its `run_key`, and for a task its key, `try`, `error` and `log`.
///
/// # Examples
///
/// ```
/// use gristmill::flow::{Flow, Notifier, Occasion};
///
/// let flow = Flow::new("daily")
///     .task("fetch", |_| Ok(()))
///     .notify(Notifier::webhook("https://example.org/hooks/daily").on([Occasion::Failure, Occasion::Deadline]))
///     .notify(Notifier::file("events.jsonl"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifier {
    #[serde(default = "failures")]
    pub(super) on: Vec<Occasion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(with = "duration", default = "half_a_minute")]
    timeout: Duration,
}

fn failures() -> Vec<Occasion> {
    vec![Occasion::Failure, Occasion::Deadline]
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

impl Notifier {
    fn new() -> Notifier {
        Notifier { on: failures(), command: None, webhook: None, file: None, timeout: half_a_minute() }
    }

    /// Runs a program that reads the message from its standard input, in the directory of the flow.
    pub fn command<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Notifier {
        Notifier { command: Some(argv.into_iter().map(Into::into).collect()), ..Notifier::new() }
    }

    /// Posts the message to a URL.
    pub fn webhook(url: impl Into<String>) -> Notifier {
        Notifier { webhook: Some(url.into()), ..Notifier::new() }
    }

    /// Adds the message to a file, as one line. A relative path begins at the directory of the flow.
    pub fn file(path: impl Into<PathBuf>) -> Notifier {
        Notifier { file: Some(path.into()), ..Notifier::new() }
    }

    /// What it tells of; default failures and deadlines.
    #[must_use]
    pub fn on(mut self, occasions: impl IntoIterator<Item = Occasion>) -> Notifier {
        self.on = occasions.into_iter().collect();
        self
    }

    /// How long it may take; default 30 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Notifier {
        self.timeout = timeout;
        self
    }

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let ways = [self.command.is_some(), self.webhook.is_some(), self.file.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            return Some("a notifier has one of `command`, `webhook` and `file`");
        }
        self.command.as_ref().is_some_and(Vec::is_empty).then_some("the command of a notifier is empty")
    }

    /// Tells it. The directory is that of the flow.
    fn tell(&self, dir: &Path, message: &str) -> Result<(), String> {
        match (&self.command, &self.webhook, &self.file) {
            (Some(argv), _, _) => run(argv, dir, message, self.timeout),
            (_, Some(url), _) => post(url, message, self.timeout),
            (_, _, Some(path)) => append(&dir.join(path), message),
            _ => Ok(()),
        }
    }

    fn name(&self) -> String {
        match (&self.command, &self.webhook, &self.file) {
            (Some(argv), _, _) => format!("`{}`", argv.first().map_or("", String::as_str)),
            (_, Some(_), _) => "the webhook".to_owned(), // a URL often has a secret in it
            (_, _, path) => path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        }
    }
}

fn append(path: &Path, message: &str) -> Result<(), String> {
    let file = std::fs::File::options().create(true).append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(format!("{message}\n").as_bytes()));
    written.map_err(|error| error.to_string())
}

fn post(url: &str, message: &str, timeout: Duration) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(timeout)).build().into();
    let request = agent.post(url).header("Content-Type", "application/json");
    // A URL often has a secret in it.
    request.send(message).map(drop).map_err(|error| error.to_string().replace(url, "its URL"))
}

/// Runs a program, and kills it when its time is over.
fn run(argv: &[String], dir: &Path, message: &str, timeout: Duration) -> Result<(), String> {
    let deadline = Instant::now() + timeout;
    let Some((program, arguments)) = argv.split_first() else { return Ok(()) };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let (input, message) = (child.stdin.take(), message.to_owned());
    // On a thread of its own: a program that does not read would hold up who writes.
    std::thread::spawn(move || input.map(|mut input| input.write_all(message.as_bytes())));
    let fd = rustix::process::pidfd_open(
        rustix::process::Pid::from_child(&child),
        rustix::process::PidfdFlags::empty(),
    );
    let ended = fd.map_err(|error| error.to_string()).and_then(|fd| {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = rustix::event::Timespec::try_from(left).map_err(|error| error.to_string())?;
        let mut polled = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&left)).map_err(|error| error.to_string())
    });
    if !matches!(ended, Ok(1..)) {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match ended? {
        0 => Err(format!("it took longer than {}", duration::text(timeout))),
        _ if status.success() => Ok(()),
        _ => Err(format!("it ended with {status}")),
    }
}

/// The notices that are on their way.
#[derive(Default)]
pub(super) struct Notices(Vec<JoinHandle<()>>);

/// What has happened.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Event {
    #[serde(rename = "event")]
    pub name: &'static str,
    pub flow: String,
    pub run: i64,
    pub run_key: String,
    pub attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    #[serde(flatten)]
    pub more: BTreeMap<&'static str, String>,
}

impl Notices {
    /// Tells all notifiers of a flow for an occasion, each on a thread of its own: none holds up a task or another one.
    pub fn send(
        &mut self,
        flow: &Flow,
        occasion: Occasion,
        event: &Event,
        mask: &Mask,
        failed: &Arc<dyn Fn(String) + Send + Sync>,
    ) {
        let Ok(message) = serde_json::to_string(event) else { return };
        let message = mask.hide(&message).into_owned();
        self.0.retain(|notice| !notice.is_finished());
        for notifier in flow.notifiers.iter().filter(|notifier| notifier.on.contains(&occasion)) {
            let (notifier, message, failed) = (notifier.clone(), message.clone(), Arc::clone(failed));
            let dir = flow.dir.clone();
            let tell = move || {
                if let Err(error) = notifier.tell(&dir, &message) {
                    failed(format!("{} could not be told: {error}", notifier.name()));
                }
            };
            if let Ok(notice) = std::thread::Builder::new().name("notice".to_owned()).spawn(tell) {
                self.0.push(notice);
            }
        }
    }

    /// Waits for those that are on their way; each has its time limit.
    pub fn finish(&mut self) {
        self.0.drain(..).for_each(|notice| drop(notice.join()));
    }
}
