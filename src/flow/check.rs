//! What can be wrong with a flow, before anything runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::define::{Flow, Task};
use super::notify::Notifier;
use super::schedule::Times;
use super::scope::RESERVED;
use super::step::Step;
use crate::error::{Error, ErrorKind, Result};
use crate::record::nearest;

/// Checks a flow, and gives its tasks in an order in which each stands behind those that it waits for; those that wait for nothing new stand as in the flow.
///
/// # Errors
///
/// For the first fault, in this order: calls and names, parameters, notifiers, the schedule, tasks, a cycle.
pub(super) fn order(flow: &Flow) -> Result<Vec<usize>> {
    if let Some(fault) = flow.faults.first() {
        return Err(Error::new(ErrorKind::Config, fault.clone()));
    }
    name("flow", &flow.name)?;
    params(flow)?;
    if let Some(fault) = flow.notifiers.iter().find_map(Notifier::fault) {
        return Err(wrong(fault.to_owned()));
    }
    if flow.schedule.is_some() {
        Times::of(flow)?;
    }
    let by_name = names(flow)?;
    for task in &flow.tasks {
        self::task(flow, task, &by_name).map_err(|error| in_task(&task.name, error))?;
    }
    sorted(flow, &by_name)
}

/// The same error, said of a task.
#[allow(clippy::needless_pass_by_value)] // as `map_err` calls it
pub(super) fn in_task(name: &str, error: Error) -> Error {
    Error::new(ErrorKind::Config, format!("task `{name}`: {error}"))
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

/// Names stand in keys, paths and URLs, and on terminals.
fn name(of: &str, name: &str) -> Result<()> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins && name.chars().all(is_plain) && name.len() <= 100 {
        return Ok(());
    }
    Err(wrong(format!("`{}` is no name of a {of}", name.escape_debug()))
        .hint("use up to 100 letters, digits, `-`, `_` and `.`, and begin with a letter or a digit"))
}

fn params(flow: &Flow) -> Result<()> {
    let mut seen = BTreeSet::new();
    for param in &flow.params {
        let is_name = param.name.starts_with(|first: char| first.is_ascii_alphabetic())
            && param.name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
        if !is_name {
            let message = format!("`{}` is no name of a parameter", param.name.escape_debug());
            return Err(wrong(message).hint("use letters, digits and `_`, and begin with a letter"));
        }
        if RESERVED.contains(&param.name.as_str()) {
            return Err(wrong(format!("a parameter cannot be called `{}`: every run has that", param.name)));
        }
        if !seen.insert(param.name.as_str()) {
            return Err(wrong(format!("the parameter `{}` is declared twice", param.name)));
        }
    }
    let Some((told_by, every)) = &flow.interval else { return Ok(()) };
    match flow.params.iter().find(|param| param.name == *told_by) {
        None => Err(unknown("parameter", told_by, seen.iter().copied())),
        Some(param) if param.kind != every.param_type() || param.secret => {
            let message = format!("`{told_by}` cannot tell an interval of one {}", every.name());
            Err(wrong(message).hint(format!("let it be a {} that is no secret", every.param_type().name())))
        }
        Some(_) => Ok(()),
    }
}

fn names(flow: &Flow) -> Result<HashMap<&str, usize>> {
    if flow.tasks.is_empty() {
        return Err(wrong(format!("the flow `{}` has no tasks", flow.name)));
    }
    let mut by_name = HashMap::with_capacity(flow.tasks.len());
    for (index, task) in flow.tasks.iter().enumerate() {
        name("task", &task.name)?;
        if by_name.insert(task.name.as_str(), index).is_some() {
            return Err(
                wrong(format!("there are two tasks called `{}`", task.name)).hint("rename one of them")
            );
        }
    }
    Ok(by_name)
}

fn task(flow: &Flow, task: &Task, by_name: &HashMap<&str, usize>) -> Result<()> {
    for need in &task.after {
        if !by_name.contains_key(need.as_str()) {
            return Err(unknown("task", need, flow.tasks.iter().map(|task| task.name.as_str())));
        }
    }
    pool(flow, task)?;
    kinds(task)?;
    if let Some(fault) = task.backoff.fault() {
        return Err(wrong(fault.to_owned()));
    }
    if !task.idempotent && task.retries > 0 {
        return Err(wrong("it is not idempotent, and is to be retried".to_owned())
            .hint("leave out its retries, or make it replace what it writes and say that it is idempotent"));
    }
    if let Some(items) = &task.for_each {
        if let Some(fault) = items.fault(flow.told_by().map(|(_, every)| every)) {
            return Err(wrong(fault));
        }
        let taken = RESERVED.contains(&items.item.as_str())
            || flow.params.iter().any(|param| param.name == items.item);
        if taken {
            return Err(wrong(format!(
                "the item cannot be called `{}`: that is something else already",
                items.item
            )));
        }
    }
    match &task.step {
        Step::Command(command) if command.argv().is_empty() => Err(wrong("the command is empty".to_owned())),
        Step::Engine(engine) => engine.check(),
        Step::Load(load) => load.check(),
        _ => Ok(()),
    }
}

/// The slots of a task must fit its pool, or it would wait for ever.
fn pool(flow: &Flow, task: &Task) -> Result<()> {
    let Some(pool) = &task.pool else {
        return if task.slots == 1 { Ok(()) } else { Err(wrong("it has slots, but no pool".to_owned())) };
    };
    match flow.pools.get(pool) {
        None => Err(unknown("pool", pool, flow.pools.keys().map(String::as_str))),
        Some(slots) if task.slots == 0 || task.slots > *slots => {
            Err(wrong(format!("it wants {} slots of the pool `{pool}`, which has {slots}", task.slots)))
        }
        Some(_) => Ok(()),
    }
}

/// The kinds of errors that a task can be retried after.
const KINDS: [&str; 13] = [
    "transient",
    "error",
    "timeout",
    "panic",
    "exit",
    "config",
    "input",
    "output",
    "busy",
    "closure",
    "memory",
    "spill",
    "internal",
];

fn kinds(task: &Task) -> Result<()> {
    match task.retry_on.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        None => Ok(()),
        Some(kind) => Err(unknown("kind of error", kind, KINDS.into_iter())),
    }
}

/// An error about a name that is not there.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    let error = wrong(format!("there is no {what} `{}`", name.escape_debug()));
    if let Some(similar) = nearest(name, known.clone()) {
        error.hint(format!("the nearest name is `{similar}`"))
    } else {
        let names: Vec<_> = known.take(10).collect();
        if names.is_empty() { error } else { error.hint(format!("there are: {}", names.join(", "))) }
    }
}

/// Kahn's algorithm. Of the tasks that could come next, the first one of the flow does.
fn sorted(flow: &Flow, by_name: &HashMap<&str, usize>) -> Result<Vec<usize>> {
    let needs: Vec<BTreeSet<usize>> = flow
        .tasks
        .iter()
        .map(|task| task.after.iter().map(|name| by_name[name.as_str()]).collect())
        .collect();
    let mut waiting: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); needs.len()];
    for (index, needs) in needs.iter().enumerate() {
        for &need in needs {
            dependents[need].push(index);
        }
    }
    let mut free: BTreeSet<usize> = (0..needs.len()).filter(|&index| waiting[index] == 0).collect();
    let mut order = Vec::with_capacity(needs.len());
    while let Some(index) = free.pop_first() {
        order.push(index);
        for &dependent in &dependents[index] {
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                free.insert(dependent);
            }
        }
    }
    if order.len() == needs.len() { Ok(order) } else { Err(cycle(flow, &needs, &waiting)) }
}

/// A cycle among the tasks that are left: going from each to one that it waits for must come to where it was.
fn cycle(flow: &Flow, needs: &[BTreeSet<usize>], waiting: &[usize]) -> Error {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut path = Vec::new();
    let mut next = waiting.iter().position(|&count| count > 0);
    while let Some(index) = next {
        if let Some(&first) = places.get(&index) {
            path.drain(..first);
            break;
        }
        places.insert(index, path.len());
        path.push(index);
        next = needs[index].iter().copied().find(|&need| waiting[need] > 0);
    }
    let names: Vec<_> =
        path.iter().chain(path.first()).map(|&index| flow.tasks[index].name.as_str()).collect();
    wrong(format!("the tasks wait for each other in a circle: {}", names.join(" after ")))
        .hint("leave out one of these dependencies")
}
