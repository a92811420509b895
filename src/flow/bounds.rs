//! What bounds a run: measured, so that nobody has to guess whether more cores, memory, disks, slots or workers would help.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Node, Role};
use super::usage::Usage;
use crate::context::Context;

/// What the time of a run went to. Shares are of the time that it took; several things can take a share of the same time.
///
/// Processors, memory and disks are measured for the whole process, also where it has several runs at the same time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Bounds {
    /// Cores that it could use.
    pub cores: usize,
    /// The share of their time in which they worked for this process or for programs that it ran.
    pub cpu: Option<f64>,
    /// The share of the time in which something waited for memory (pressure stall information of Linux, `some`).
    pub memory: Option<f64>,
    /// Bytes that jobs of the engine have spilled, because they had more data than memory.
    pub spilled_bytes: u64,
    /// The share of the time in which something waited for a disk.
    pub disk: Option<f64>,
    /// For each pool, the share of the time in which a task could have started with more of its slots.
    pub pools: BTreeMap<String, f64>,
    /// The share of the time in which a task could have started with more workers.
    pub workers: f64,
    /// The share of the time in which nothing was at work, and something waited to be tried again.
    pub retries: f64,
    /// The share of the time that the longest chain of tasks that wait for each other was at work.
    pub chain: f64,
    /// The tasks of that chain that took longest, in their order.
    pub chain_tasks: Vec<String>,
}

/// What a run was bound by: more of this would have made it faster.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bound {
    /// The processors.
    Cpu,
    /// Memory.
    Memory,
    /// Disks.
    Disk,
    /// Slots of a pool.
    Pool(String),
    /// Workers: tasks that could have started, while cores were idle.
    Workers,
    /// Waiting until something could be tried again.
    Retries,
    /// Tasks that wait for each other, so that nothing else could have been at work.
    Chain,
    /// Something outside: the tasks themselves waited.
    Outside,
}

impl Bounds {
    /// What the run was bound by: first what of the machine was used up, then what kept tasks from using it.
    pub fn by(&self) -> Bound {
        let is_above = |share: Option<f64>, limit: f64| share.is_some_and(|share| share >= limit);
        let pool = self.pools.iter().max_by(|one, other| one.1.total_cmp(other.1));
        match pool {
            _ if is_above(self.memory, 0.3) => Bound::Memory,
            _ if is_above(self.cpu, 0.8) => Bound::Cpu,
            _ if is_above(self.disk, 0.5) => Bound::Disk,
            Some((pool, share)) if *share >= self.workers.max(0.5) => Bound::Pool(pool.clone()),
            _ if self.workers >= 0.5 => Bound::Workers,
            _ if self.retries >= 0.5 => Bound::Retries,
            _ if self.chain >= 0.8 && self.chain_tasks.len() > 1 => Bound::Chain,
            _ => Bound::Outside,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Cpu => f.write_str("the processors"),
            Bound::Memory => f.write_str("memory"),
            Bound::Disk => f.write_str("disks"),
            Bound::Pool(pool) => write!(f, "the slots of the pool `{pool}`"),
            Bound::Workers => f.write_str("the number of workers"),
            Bound::Retries => f.write_str("waiting for retries"),
            Bound::Chain => f.write_str("tasks that wait for each other"),
            Bound::Outside => f.write_str("what its tasks wait for"),
        }
    }
}

/// What keeps nodes of a run from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wait {
    /// The pool at this place.
    Pool(usize),
    Workers,
    Retries,
}

/// What is measured while a run goes on.
#[derive(Debug)]
pub(super) struct Gauge {
    before: Usage,
    /// What the context had spilled before.
    spilled_bytes: u64,
    /// How long its nodes were at work, over all tries.
    work: Vec<Duration>,
    waits: BTreeMap<Wait, Duration>,
    waiting: Vec<Wait>,
    since: Duration,
}

impl Gauge {
    pub fn new(now: Duration, context: &Context) -> Gauge {
        Gauge {
            before: Usage::now(),
            spilled_bytes: context.spilled_bytes(),
            work: Vec::new(),
            waits: BTreeMap::new(),
            waiting: Vec::new(),
            since: now,
        }
    }

    /// From now on nodes wait for this.
    pub fn wait(&mut self, now: Duration, waiting: impl Iterator<Item = Wait>) {
        for &wait in &self.waiting {
            *self.waits.entry(wait).or_default() += now.saturating_sub(self.since);
        }
        self.since = now;
        self.waiting.clear();
        self.waiting.extend(waiting);
    }

    /// A node was at work for so long.
    pub fn worked(&mut self, node: usize, duration: Duration) {
        if self.work.len() <= node {
            self.work.resize(node + 1, Duration::ZERO);
        }
        self.work[node] += duration;
    }

    /// What the run was bound by, which took so long in all.
    pub fn report(
        &self,
        took: Duration,
        nodes: &[Node],
        pool_names: &BTreeMap<String, usize>,
        context: &Context,
    ) -> Bounds {
        let used = Usage::now().since(self.before);
        let share = |part: Duration| part.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let waited = |wait: &Wait| self.waits.get(wait).copied().map_or(0.0, share);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let pools = pool_names.iter().map(|(name, &pool)| (name.clone(), waited(&Wait::Pool(pool))));
        let (chain, chain_tasks) = chain(nodes, |node| self.work.get(node).copied().unwrap_or_default());
        Bounds {
            cores,
            cpu: used.cpu.map(|cpu| share(cpu) / cores as f64),
            memory: used.memory.map(share),
            spilled_bytes: context.spilled_bytes().saturating_sub(self.spilled_bytes),
            disk: used.disk.map(share),
            pools: pools.filter(|(_, share)| *share > 0.0).collect(),
            workers: waited(&Wait::Workers),
            retries: waited(&Wait::Retries),
            chain: share(chain),
            chain_tasks,
        }
    }
}

/// Tasks that are named of a chain.
const NAMED: usize = 8;

/// The longest chain of nodes that wait for each other, by what each has worked, and the keys of those in it that took longest.
fn chain(nodes: &[Node], work: impl Fn(usize) -> Duration) -> (Duration, Vec<String>) {
    // A group takes as long as its longest item, which stands for it.
    let mut longest: Vec<usize> = (0..nodes.len()).collect();
    for (index, node) in nodes.iter().enumerate() {
        if let Role::Item { group, .. } = node.role
            && work(index) >= work(longest[group])
        {
            longest[group] = index;
        }
    }
    let mut ends: Vec<(Duration, Option<usize>)> = Vec::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        let before = node.needs.iter().copied().max_by_key(|&need| ends[need].0);
        let start = before.map_or(Duration::ZERO, |need| ends[need].0);
        ends.push((start + work(longest[index]), before));
    }
    let last = (0..nodes.len()).max_by_key(|&index| ends[index].0);
    let total = last.map_or(Duration::ZERO, |last| ends[last].0);
    let mut of_chain: Vec<usize> = std::iter::successors(last, |&index| ends[index].1).collect();
    of_chain.sort_by_key(|&index| Reverse(work(longest[index])));
    of_chain.truncate(NAMED);
    of_chain.sort_unstable(); // nodes stand behind those that they wait for
    (total, of_chain.into_iter().map(|index| nodes[longest[index]].key.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::param::ParamValue;

    fn node(key: &str, needs: &[usize], role: Role) -> Node {
        Node { key: key.to_owned(), task: 0, needs: needs.to_vec(), role }
    }

    #[test]
    fn the_longest_chain_goes_through_the_longest_item_of_a_group() {
        let item = |name: &str| Role::Item { group: 1, value: ParamValue::Text(name.to_owned()) };
        let nodes = [
            node("a", &[], Role::Single),
            node("each", &[0], Role::Group),
            node("z", &[1], Role::Single),
            node("alone", &[], Role::Single),
            node("each[x]", &[0], item("x")), // items of a glob stand behind all others
            node("each[y]", &[0], item("y")),
        ];
        let seconds = [1, 0, 2, 6, 3, 4];
        let (total, keys) = chain(&nodes, |node| Duration::from_secs(seconds[node]));
        assert_eq!((total.as_secs(), keys), (7, ["a", "each[y]", "z"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn of_a_long_chain_the_longest_tasks_are_named() {
        let nodes: Vec<Node> = (0_usize..100)
            .map(|n| node(&format!("t{n}"), &n.checked_sub(1).into_iter().collect::<Vec<_>>(), Role::Single))
            .collect();
        let (total, keys) = chain(&nodes, |node| Duration::from_secs(if node % 30 == 7 { 5 } else { 1 }));
        assert_eq!(total.as_secs(), 100 + 4 * 4);
        assert_eq!(keys.len(), NAMED);
        for long in ["t7", "t37", "t67", "t97"] {
            assert!(keys.contains(&long.to_owned()), "{keys:?}");
        }
    }

    #[test]
    fn waits_are_counted_while_they_last() {
        let context = Context::new().unwrap();
        let mut gauge = Gauge::new(Duration::ZERO, &context);
        let seconds = Duration::from_secs;
        gauge.wait(seconds(1), [Wait::Pool(0), Wait::Workers].into_iter());
        gauge.wait(seconds(4), [Wait::Pool(0)].into_iter());
        gauge.wait(seconds(8), [Wait::Retries].into_iter());
        gauge.wait(seconds(10), [].into_iter());
        let bounds =
            gauge.report(seconds(10), &[], &[("p".to_owned(), 0), ("q".to_owned(), 1)].into(), &context);
        let rounded = |share: f64| (share * 10.0).round() as i64;
        let pools: Vec<_> =
            bounds.pools.iter().map(|(name, share)| (name.as_str(), rounded(*share))).collect();
        assert_eq!((pools, rounded(bounds.workers), rounded(bounds.retries)), ([("p", 7)].to_vec(), 3, 2));
    }

    #[test]
    fn what_is_used_up_comes_before_what_keeps_from_using_it() {
        let bounds = |change: fn(&mut Bounds)| {
            let mut bounds =
                Bounds { cpu: Some(0.3), memory: Some(0.0), disk: Some(0.1), ..Bounds::default() };
            change(&mut bounds);
            bounds.by()
        };
        assert_eq!(bounds(|_| ()), Bound::Outside);
        assert_eq!(bounds(|b| (b.cpu, b.workers) = (Some(0.97), 0.9)), Bound::Cpu);
        assert_eq!(bounds(|b| (b.cpu, b.memory) = (Some(0.97), Some(0.5))), Bound::Memory);
        assert_eq!(bounds(|b| b.disk = Some(0.7)), Bound::Disk);
        assert_eq!(bounds(|b| b.pools = [("db".to_owned(), 0.6)].into()), Bound::Pool("db".to_owned()));
        assert_eq!(bounds(|b| b.workers = 0.6), Bound::Workers);
        assert_eq!(bounds(|b| b.retries = 0.6), Bound::Retries);
        assert_eq!(bounds(|b| (b.chain, b.chain_tasks) = (0.9, vec!["a".into(), "b".into()])), Bound::Chain);
    }
}
