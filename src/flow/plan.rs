//! A flow with its parameters: the tasks of one run, checked before anything runs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::check;
use super::define::{Flow, Task};
use super::param::{ParamType, ParamValue, Params};
use super::period::{Every, Interval};
use super::scope::Scope;
use crate::error::{Error, ErrorKind, Result};

/// The tasks of one run: what a flow and its parameters always give.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) flow: Arc<Flow>,
    pub(super) scope: Scope,
    /// In an order in which each stands behind those that it waits for.
    pub(super) nodes: Vec<Node>,
    definition: String,
}

/// A task of a run.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its key within the run: the name of the task, with the item as `convert[eu]`.
    pub key: String,
    /// Its place in the flow.
    pub task: usize,
    /// The nodes that it waits for.
    pub needs: Vec<usize>,
    pub role: Role,
}

/// What a node of a task is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Role {
    /// The task itself.
    Single,
    /// All items of a task together; what waits for the task waits for it. It ends when they have.
    Group,
    /// The task for one item, which belongs to the group at this place.
    Item { group: usize, value: ParamValue },
}

impl Plan {
    /// The tasks of a flow with these parameters, given as texts.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`] for everything that is wrong with the flow: a cycle, which is shown whole; a task or a name that is not there, with the
    /// nearest one; two tasks of one name; and parameters that are missing or of another type.
    pub fn new<N: Into<String>, V: Into<String>>(
        flow: &Flow,
        params: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Plan> {
        let given = params.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Plan::of(Arc::new(flow.clone()), &given)
    }

    pub(super) fn of(flow: Arc<Flow>, given: &BTreeMap<String, String>) -> Result<Plan> {
        let order = check::order(&flow)?;
        let params = Params::new(&flow.params, given)?;
        let zone = time_zone(&flow)?;
        let interval =
            flow.told_by().map(|(name, every)| interval(&params, &name, every, &zone)).transpose()?;
        let run_key = params.run_key(&flow.name);
        let (time_zone, dir) = (flow.time_zone.clone(), flow.dir.clone());
        let scope = Scope { params, interval, time_zone, run_key, item: None, dir };
        let nodes = nodes(&flow, &order, &scope)?;
        let definition = definition(&flow);
        let plan = Plan { flow, scope, nodes, definition };
        plan.check_texts()?;
        Ok(plan)
    }

    /// The key of the run: the flow, and the parameters that are no secrets.
    pub fn run_key(&self) -> &str {
        &self.scope.run_key
    }

    /// The flow.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The data that the run is about, if its parameters tell.
    pub fn interval(&self) -> Option<&Interval> {
        self.scope.interval.as_ref()
    }

    /// The keys of the tasks, in an order in which each stands behind those that it waits for. Items of a glob are not there yet.
    pub fn task_keys(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| node.role != Role::Group).map(|node| node.key.as_str())
    }

    /// A hash of all that the flow says, but of no code of closures.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    pub(super) fn task(&self, node: usize) -> &Task {
        &self.flow.tasks[self.nodes[node].task]
    }

    /// What the names of a node stand for.
    pub(super) fn scope_of(&self, node: usize) -> Scope {
        match (&self.nodes[node].role, &self.task(node).for_each) {
            (Role::Item { value, .. }, Some(items)) => self.scope.with_item(&items.item, value.clone()),
            _ => self.scope.clone(),
        }
    }

    /// Expands every text once, so that a wrong name is found before anything runs.
    fn check_texts(&self) -> Result<()> {
        for task in &self.flow.tasks {
            let scope = match &task.for_each {
                Some(items) => self.scope.with_item(&items.item, items.like(&self.scope)?),
                None => self.scope.clone(),
            };
            if let Some(glob) = task.for_each.as_ref().and_then(|each| each.glob.as_ref()) {
                self.scope.expand(glob).map_err(|error| check::in_task(&task.name, error))?;
            }
            let declared = task.inputs.iter().chain(&task.outputs).map(String::as_str);
            for text in task.step.texts().into_iter().chain(declared) {
                scope.expand(text).map_err(|error| check::in_task(&task.name, error))?;
            }
        }
        Ok(())
    }
}

impl Flow {
    /// The parameter that tells the interval, and how long that is.
    pub(super) fn told_by(&self) -> Option<(String, Every)> {
        self.interval.clone().or_else(|| {
            self.params.iter().find_map(|param| match param.kind {
                ParamType::Date => Some((param.name.clone(), Every::Day)),
                ParamType::Timestamp => Some((param.name.clone(), Every::Hour)),
                _ => None,
            })
        })
    }
}

/// The zone of a flow.
pub(super) fn time_zone(flow: &Flow) -> Result<TimeZone> {
    TimeZone::get(&flow.time_zone).map_err(|error| {
        let message = format!("there is no time zone `{}`", flow.time_zone.escape_debug());
        Error::new(ErrorKind::Config, message).hint("give a name such as Europe/Berlin or UTC").because(error)
    })
}

fn interval(params: &Params, name: &str, every: Every, zone: &TimeZone) -> Result<Interval> {
    let value = params.get(name).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("the interval is told by `{name}`, which is no parameter"))
    })?;
    every
        .interval(value, zone)
        .map_err(|error| Error::new(ErrorKind::Config, format!("parameter `{name}`: {error}")))
}

/// The nodes of all tasks, those whose items are known with one for each.
fn nodes(flow: &Flow, order: &[usize], scope: &Scope) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
    let mut by_name = HashMap::new();
    for &index in order {
        let task = &flow.tasks[index];
        let needs: Vec<usize> =
            task.after.iter().filter_map(|name| by_name.get(name.as_str()).copied()).collect();
        by_name.insert(task.name.as_str(), nodes.len());
        let role = if task.for_each.is_some() { Role::Group } else { Role::Single };
        nodes.push(Node { key: task.name.clone(), task: index, needs, role });
        let Some(items) = task.for_each.as_ref().filter(|items| items.glob.is_none()) else { continue };
        let values = items.known(scope).map_err(|error| check::in_task(&task.name, error))?;
        let group = nodes.len() - 1;
        nodes.extend(item_nodes(&nodes[group], group, values)?);
    }
    Ok(nodes)
}

/// The nodes of the items of a group.
pub(super) fn item_nodes(group: &Node, place: usize, values: Vec<ParamValue>) -> Result<Vec<Node>> {
    let mut keys = HashSet::new();
    let node = |value: ParamValue| {
        let name = match &value {
            ParamValue::List(texts) => texts.first().cloned().unwrap_or_default(),
            other => other.to_string(),
        };
        let key = format!("{}[{}]", group.key, super::param::encoded(&ParamValue::Text(name)));
        if !keys.insert(key.clone()) {
            return Err(Error::new(ErrorKind::Config, format!("the item of {key} stands there twice"))
                .hint("leave one out: items are told apart by their values"));
        }
        Ok(Node {
            key,
            task: group.task,
            needs: group.needs.clone(),
            role: Role::Item { group: place, value },
        })
    };
    values.into_iter().map(node).collect()
}

/// A hash of what the flow says. It stands in the ledger, so that a re-run knows whether the flow has changed.
fn definition(flow: &Flow) -> String {
    #[derive(Serialize)]
    struct Params<'a>(Vec<(&'a str, ParamType, &'a Option<String>, bool)>);
    let params = flow.params.iter().map(|param| {
        let default = if param.secret { &None } else { &param.default };
        (param.name.as_str(), param.kind, default, param.secret)
    });
    let tasks: Vec<Value> = flow.tasks.iter().map(Task::definition).collect();
    let all = json!({
        "name": flow.name, "params": Params(params.collect()), "tasks": tasks,
        "interval": flow.told_by(), "time_zone": flow.time_zone,
    });
    format!("{:032x}", xxh3_128(all.to_string().as_bytes()))
}

impl Task {
    /// What its result depends on, as far as that is no code.
    fn definition(&self) -> Value {
        json!({
            "name": self.name, "step": self.step, "depends_on": self.after, "for_each": self.for_each,
            "inputs": self.inputs, "outputs": self.outputs, "idempotent": self.idempotent,
        })
    }
}
