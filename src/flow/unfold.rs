//! The items of a glob, found when a task could start: the files that its upstream tasks have made are there by then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::DateTime;
use jiff::fmt::strtime;

use super::active::ActiveRun;
use super::files;
use super::for_each::Grouping;
use super::ledger::{Change, RunId};
use super::machine::Slots;
use super::param::ParamValue;
use super::period::Every;
use super::plan::{Node, Plan, item_nodes};
use super::scheduler::added;
use super::state::State;
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
    let Some(each) = &plan.task(group).for_each else { return Ok(Vec::new()) };
    let Some(glob) = &each.glob else { return Ok(Vec::new()) };
    // As texts of the flow name files: from its directory on.
    let within = |file: PathBuf| file.strip_prefix(&scope.dir).map(Path::to_owned).unwrap_or(file);
    let files: Vec<PathBuf> = files::matching(&scope.path(glob)?)?.into_iter().map(within).collect();
    let groups = match each.grouping() {
        Grouping::Single => {
            let values =
                files.iter().map(|file| text(file).map(ParamValue::Text)).collect::<Result<Vec<_>>>()?;
            return item_nodes(&plan.nodes[group], group, values);
        }
        Grouping::Bytes(bytes) => by_bytes(files, bytes, &scope.dir),
        Grouping::Period(every, pattern) => by_period(files, every, pattern)?,
    };
    let list = |group: Vec<PathBuf>| {
        group.iter().map(|file| text(file)).collect::<Result<_>>().map(ParamValue::List)
    };
    item_nodes(&plan.nodes[group], group, groups.into_iter().map(list).collect::<Result<_>>()?)
}

fn text(file: &Path) -> Result<String> {
    file.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Input, format!("the name of {} is no UTF-8", file.display()))
            .hint("rename it: it is to become an argument of a task")
    })
}

/// Files in groups of so many bytes at most, but for a single file that has more.
fn by_bytes(files: Vec<PathBuf>, bytes: u64, dir: &Path) -> Vec<Vec<PathBuf>> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    let mut size = 0;
    for file in files {
        let more = dir.join(&file).metadata().map_or(0, |found| found.len());
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

/// Files in groups of one period each, by the times in their names, in the order of time.
fn by_period(files: Vec<PathBuf>, every: Every, pattern: &str) -> Result<Vec<Vec<PathBuf>>> {
    let mut groups: BTreeMap<DateTime, Vec<PathBuf>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let time = strtime::parse(pattern, name.as_ref()).and_then(|time| {
            let hour = time.hour().unwrap_or(0);
            time.to_date().map(|date| date.at(hour, 0, 0, 0))
        });
        let time = time.map_err(|error| {
            let pattern = pattern.escape_debug();
            Error::new(
                ErrorKind::Input,
                format!("the name of {} has no time as `{pattern}` says", file.display()),
            )
            .hint("`time` is the pattern of a whole name, and the glob is to find no others")
            .because(error)
        })?;
        groups.entry(every.first_of(time)).or_default().push(file);
    }
    Ok(groups.into_values().collect())
}
