//! The items of a glob, found when a task could start: the files that its upstream tasks have made are there by then.

use std::path::{Path, PathBuf};

use super::active::ActiveRun;
use super::files;
use super::for_each::ForEach;
use super::ledger::{Change, RunId};
use super::machine::Slots;
use super::param::ParamValue;
use super::plan::{Node, Plan, item_nodes};
use super::scheduler::added;
use super::state::State;
use crate::config::parse_bytes;
use crate::error::{Error, ErrorKind, Result};

/// Gives a group its items, and what is to be noted of them. A glob that cannot be followed fails the group.
pub(super) fn unfold(
    run: &mut ActiveRun,
    group: usize,
    pool: &dyn Fn(&Plan, usize) -> Slots,
) -> Vec<(RunId, Change)> {
    match items(&run.request.plan, group) {
        Err(error) => {
            run.reasons.insert(group, error.to_string());
            run.machine.settle(group, State::Failed);
            Vec::new()
        }
        Ok(items) => {
            let first = run.request.plan.nodes.len();
            run.request.plan.nodes.extend(items.iter().cloned());
            if items.is_empty() {
                run.reasons.insert(group, "no file is there".to_owned());
            }
            let plan = &run.request.plan;
            run.machine.unfold(group, &items, |node| pool(plan, node));
            (first..run.request.plan.nodes.len()).map(|node| added(run, node)).collect()
        }
    }
}

/// The nodes of the items of a group.
fn items(plan: &Plan, group: usize) -> Result<Vec<Node>> {
    let scope = plan.scope_of(group);
    let Some(ForEach { glob: Some(glob), group_by, .. }) = &plan.task(group).for_each else {
        return Ok(Vec::new());
    };
    let files = files::matching(&scope.path(glob)?)?;
    let text = |file: &Path| {
        file.to_str().map(str::to_owned).ok_or_else(|| {
            Error::new(ErrorKind::Input, format!("the name of {} is no UTF-8", file.display()))
                .hint("rename it: it is to become an argument of a task")
        })
    };
    let values = match group_by.as_deref().and_then(parse_bytes) {
        None => files.iter().map(|file| text(file).map(ParamValue::Text)).collect::<Result<Vec<_>>>()?,
        Some(bytes) => {
            let grouped = grouped(files, bytes).into_iter();
            let list = |group: Vec<PathBuf>| {
                group.iter().map(|file| text(file)).collect::<Result<_>>().map(ParamValue::List)
            };
            grouped.map(list).collect::<Result<Vec<_>>>()?
        }
    };
    item_nodes(&plan.nodes[group], group, values)
}

/// Files in groups of so many bytes at most, but for a single file that has more.
fn grouped(files: Vec<PathBuf>, bytes: u64) -> Vec<Vec<PathBuf>> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut size = 0;
    for file in files {
        let more = file.metadata().map_or(0, |found| found.len());
        match groups.last_mut() {
            Some(group) if size + more <= bytes => group.push(file),
            _ => {
                groups.push(vec![file]);
                size = 0;
            }
        }
        size += more;
    }
    groups
}
