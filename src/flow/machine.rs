//! What of a run can start, and what becomes of the rest when something ends: pure, without threads, files or a clock.
//!
//! A run is a graph of nodes. A node is ready when all that it waits for has succeeded; it ends well or not; and what waits for one that did not
//! end well ends with it. A group ends when its items have; items of a glob are added when the group is ready.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::bounds::Wait;
use super::plan::{Node, Role};
use super::state::State;

/// The nodes of one run, and how far each is.
#[derive(Debug)]
pub(super) struct Machine {
    nodes: Vec<Slot>,
    /// Those that can start, by pool, in the order of the plan.
    ready: BTreeMap<Option<usize>, BTreeSet<usize>>,
    /// Those that wait to be tried again, by the time at which they are.
    retrying: BTreeSet<(Duration, usize)>,
    /// Groups whose items are to be found.
    unfolding: VecDeque<usize>,
    running: usize,
    unfinished: usize,
    /// Nodes whose state has changed since that was asked last.
    changed: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    state: State,
    /// Nodes that it waits for and that have not ended well yet.
    missing: usize,
    dependents: Vec<usize>,
    /// The group that it is an item of.
    group: Option<usize>,
    /// Of a group, its items that have not ended, and the worst that has.
    open_items: usize,
    worst: State,
    pool: Option<usize>,
    slots: usize,
    tries: u32,
    /// When it is tried again, while it waits for that.
    retry_at: Option<Duration>,
    is_group: bool,
    /// Whether a group has its items.
    is_unfolded: bool,
}

/// What a pool has left. The pool without a name is that of the workers alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools {
    pub free: Vec<usize>,
    pub workers: usize,
}

/// The pool of a node, if it has one, and the slots that it takes.
pub(super) type Slots = (Option<usize>, usize);

/// How a try has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// In this state, for good.
    As(State),
    /// It is tried again at this time.
    Again(Duration),
}

impl Machine {
    /// The nodes of a plan. `pool` gives the pool of a node, and the slots that it takes.
    pub fn new(nodes: &[Node], pool: impl Fn(usize) -> Slots) -> Machine {
        let mut machine = Machine {
            nodes: Vec::with_capacity(nodes.len()),
            ready: BTreeMap::new(),
            retrying: BTreeSet::new(),
            unfolding: VecDeque::new(),
            running: 0,
            unfinished: 0,
            changed: Vec::new(),
        };
        machine.add(nodes, &pool);
        machine
    }

    /// Adds nodes behind those that are there.
    fn add(&mut self, nodes: &[Node], pool: &impl Fn(usize) -> Slots) {
        for node in nodes {
            let index = self.nodes.len();
            let group = if let Role::Item { group, .. } = node.role { Some(group) } else { None };
            let (pool, slots) = pool(index);
            let mut missing = 0;
            for &need in &node.needs {
                if self.nodes[need].state != State::Succeeded {
                    missing += 1;
                    self.nodes[need].dependents.push(index);
                }
            }
            if let Some(group) = group {
                self.nodes[group].open_items += 1;
                self.nodes[group].is_unfolded = true;
            }
            self.nodes.push(Slot {
                state: State::Queued,
                missing,
                dependents: Vec::new(),
                group,
                open_items: 0,
                worst: State::Succeeded,
                pool,
                slots,
                tries: 0,
                retry_at: None,
                is_group: node.role == Role::Group,
                is_unfolded: false,
            });
            self.unfinished += 1;
            self.changed.push(index);
        }
    }

    /// Lets the nodes that wait for nothing be ready. To be called once what an earlier attempt has done is settled.
    pub fn begin(&mut self) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].state == State::Queued && self.nodes[index].missing == 0 {
                self.is_ready(index);
            }
        }
    }

    /// Takes a node that can start, and its slots.
    pub fn start(&mut self, pools: &mut Pools) -> Option<usize> {
        if pools.workers == 0 {
            return None;
        }
        let fits = |pool: &Option<usize>, slots: usize| pool.is_none_or(|pool| pools.free[pool] >= slots);
        // The first of a pool waits until it fits, and those behind it with it: otherwise one with many slots might wait for ever.
        let heads = self.ready.iter().filter_map(|(pool, ready)| Some((*pool, *ready.first()?)));
        let (pool, index) = heads
            .filter(|(pool, index)| fits(pool, self.nodes[*index].slots))
            .min_by_key(|(_, index)| *index)?;
        self.ready.get_mut(&pool)?.remove(&index);
        pools.workers -= 1;
        if let Some(pool) = pool {
            pools.free[pool] -= self.nodes[index].slots;
        }
        self.running += 1;
        self.nodes[index].tries += 1;
        self.set(index, State::Running);
        Some(index)
    }

    /// Notes how the try of a running node has ended, and gives its slots back.
    pub fn ended(&mut self, index: usize, ended: Ended, pools: &mut Pools) {
        self.running -= 1;
        pools.workers += 1;
        if let Some(pool) = self.nodes[index].pool {
            pools.free[pool] += self.nodes[index].slots;
        }
        match ended {
            Ended::As(state) => self.settle(index, state),
            Ended::Again(at) => {
                self.set(index, State::Retrying);
                self.nodes[index].retry_at = Some(at);
                self.retrying.insert((at, index));
            }
        }
    }

    /// Ends a node that is not running, and all that follows from that.
    pub fn settle(&mut self, index: usize, state: State) {
        let mut ending = VecDeque::from([(index, state)]);
        while let Some((index, state)) = ending.pop_front() {
            if self.nodes[index].state.has_ended() {
                continue;
            }
            self.set(index, state);
            self.unfinished -= 1;
            self.forget(index);
            let inherited = match state {
                State::Succeeded => None,
                State::Skipped => Some(State::Skipped),
                State::Canceled => Some(State::Canceled),
                _ => Some(State::UpstreamFailed),
            };
            for dependent in std::mem::take(&mut self.nodes[index].dependents) {
                match inherited {
                    Some(state) => ending.push_back((dependent, state)),
                    None => self.one_less(dependent),
                }
            }
            if let Some(group) = self.nodes[index].group
                && let Some(state) = self.item_ended(group, state)
            {
                ending.push_back((group, state));
            }
        }
    }

    /// Notes the end of an item; the state of its group, if that has ended with it.
    fn item_ended(&mut self, group: usize, state: State) -> Option<State> {
        let slot = &mut self.nodes[group];
        slot.open_items -= 1;
        if badness(state) > badness(slot.worst) {
            slot.worst = state;
        }
        (slot.open_items == 0).then_some(slot.worst)
    }

    fn one_less(&mut self, index: usize) {
        self.nodes[index].missing -= 1;
        if self.nodes[index].missing == 0 && self.nodes[index].state == State::Queued {
            self.is_ready(index);
        }
    }

    fn is_ready(&mut self, index: usize) {
        let slot = &self.nodes[index];
        if !slot.is_group {
            self.ready.entry(slot.pool).or_default().insert(index);
        } else if !slot.is_unfolded {
            self.unfolding.push_back(index);
        }
    }

    /// A group whose items are to be found, and then given to [`Machine::unfold`].
    pub fn next_to_unfold(&mut self) -> Option<usize> {
        while let Some(group) = self.unfolding.pop_front() {
            let slot = &self.nodes[group];
            // It may have been canceled meanwhile, or have got ready twice: by what an earlier attempt has done, and as the run began.
            if slot.state == State::Queued && !slot.is_unfolded {
                return Some(group);
            }
        }
        None
    }

    /// Gives a group its items, which can start at once. Without items it has nothing to do.
    pub fn unfold(&mut self, group: usize, items: &[Node], pool: impl Fn(usize) -> Slots) {
        if items.is_empty() {
            return self.settle(group, State::Skipped);
        }
        let first = self.nodes.len();
        self.add(items, &pool);
        for index in first..self.nodes.len() {
            self.is_ready(index);
        }
    }

    /// Lets nodes be ready whose time to be tried again has come.
    pub fn wake(&mut self, now: Duration) {
        while let Some((at, index)) = self.retrying.first().copied()
            && at <= now
        {
            self.retrying.pop_first();
            self.nodes[index].retry_at = None;
            self.set(index, State::Queued);
            self.is_ready(index);
        }
    }

    /// When the next node is tried again.
    pub fn next_wake(&self) -> Option<Duration> {
        self.retrying.first().map(|(at, _)| *at)
    }

    /// What keeps nodes from starting.
    pub fn waits(&self, pools: &Pools) -> impl Iterator<Item = Wait> {
        let ready = self.ready.iter().filter(|(_, ready)| !ready.is_empty());
        let has_workers = pools.workers > 0;
        let blocked =
            ready.map(move |(pool, _)| pool.filter(|_| has_workers).map_or(Wait::Workers, Wait::Pool));
        let is_retrying = self.running == 0 && !self.retrying.is_empty();
        blocked.chain(is_retrying.then_some(Wait::Retries))
    }

    /// Cancels all that is not running.
    pub fn cancel(&mut self) {
        for index in 0..self.nodes.len() {
            let slot = &self.nodes[index];
            if matches!(slot.state, State::Queued | State::Retrying)
                && !(slot.is_group && slot.open_items > 0)
            {
                self.settle(index, State::Canceled);
            }
        }
    }

    /// Whether everything has ended.
    pub fn is_done(&self) -> bool {
        self.unfinished == 0
    }

    /// How far a node is.
    pub fn state(&self, index: usize) -> State {
        self.nodes[index].state
    }

    /// Whether a node is a group whose items are there.
    pub fn has_items(&self, index: usize) -> bool {
        self.nodes[index].is_unfolded
    }

    /// How often a node was tried.
    pub fn tries(&self, index: usize) -> u32 {
        self.nodes[index].tries
    }

    /// The state of the run: the worst of its nodes, once all have ended.
    pub fn outcome(&self) -> State {
        if !self.is_done() {
            return State::Running;
        }
        let worst = self.nodes.iter().map(|slot| slot.state).max_by_key(|state| badness(*state));
        match worst {
            None | Some(State::Succeeded | State::Skipped) => State::Succeeded,
            Some(State::UnknownOutcome) => State::UnknownOutcome,
            Some(State::Canceled) => State::Canceled,
            Some(_) => State::Failed,
        }
    }

    /// The nodes whose state has changed since this was asked last.
    pub fn take_changes(&mut self) -> Vec<usize> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    fn set(&mut self, index: usize, state: State) {
        self.nodes[index].state = state;
        self.changed.push(index);
    }

    /// Takes a node out of the lists of those that wait.
    fn forget(&mut self, index: usize) {
        if let Some(ready) = self.ready.get_mut(&self.nodes[index].pool) {
            ready.remove(&index);
        }
        if let Some(at) = self.nodes[index].retry_at.take() {
            self.retrying.remove(&(at, index));
        }
    }
}

/// Of two ends, the worse one is the end of what they are parts of.
fn badness(state: State) -> u8 {
    match state {
        State::Succeeded => 0,
        State::Skipped => 1,
        State::Canceled => 2,
        State::UnknownOutcome => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(key: &str, needs: &[usize]) -> Node {
        Node { key: key.to_owned(), task: 0, needs: needs.to_vec(), role: Role::Single }
    }

    fn machine(nodes: &[Node]) -> Machine {
        let mut machine = Machine::new(nodes, |_| (None, 1));
        machine.begin();
        machine
    }

    fn workers(workers: usize) -> Pools {
        Pools { free: Vec::new(), workers }
    }

    fn states(machine: &Machine) -> Vec<State> {
        machine.nodes.iter().map(|slot| slot.state).collect()
    }

    #[test]
    fn a_diamond_runs_in_order_and_no_more_at_once_than_there_are_workers() {
        let mut machine = machine(&[node("a", &[]), node("b", &[0]), node("c", &[0]), node("d", &[1, 2])]);
        let mut pools = workers(1);
        for expected in 0..4 {
            assert_eq!(machine.start(&mut pools), Some(expected));
            assert_eq!(machine.start(&mut pools), None);
            machine.ended(expected, Ended::As(State::Succeeded), &mut pools);
        }
        assert!(machine.is_done());
        assert_eq!(machine.outcome(), State::Succeeded);
    }

    #[test]
    fn what_waits_for_a_failure_fails_with_it_and_the_rest_goes_on() {
        let mut machine = machine(&[node("a", &[]), node("b", &[0]), node("c", &[1]), node("other", &[])]);
        let mut pools = workers(2);
        assert_eq!((machine.start(&mut pools), machine.start(&mut pools)), (Some(0), Some(3)));
        machine.ended(0, Ended::As(State::Failed), &mut pools);
        assert!(!machine.is_done());
        machine.ended(3, Ended::As(State::Succeeded), &mut pools);
        let expected = [State::Failed, State::UpstreamFailed, State::UpstreamFailed, State::Succeeded];
        assert_eq!(states(&machine), expected);
        assert_eq!(machine.outcome(), State::Failed);
    }

    #[test]
    fn a_retry_waits_for_its_time_and_holds_no_slot() {
        let mut machine = machine(&[node("a", &[]), node("b", &[])]);
        let mut pools = workers(1);
        assert_eq!(machine.start(&mut pools), Some(0));
        machine.ended(0, Ended::Again(Duration::from_secs(2)), &mut pools);
        assert_eq!(machine.start(&mut pools), Some(1));
        machine.ended(1, Ended::As(State::Succeeded), &mut pools);
        assert_eq!((machine.start(&mut pools), machine.next_wake()), (None, Some(Duration::from_secs(2))));
        machine.wake(Duration::from_secs(1));
        assert_eq!(machine.start(&mut pools), None);
        machine.wake(Duration::from_secs(2));
        assert_eq!((machine.start(&mut pools), machine.tries(0)), (Some(0), 2));
    }

    #[test]
    fn a_pool_gives_all_slots_at_once_and_the_first_waits_for_them() {
        let slots = [1, 2, 1];
        let nodes = [node("a", &[]), node("b", &[]), node("c", &[])];
        let mut machine = Machine::new(&nodes, |index| (Some(0), slots[index]));
        machine.begin();
        let mut pools = Pools { free: vec![2], workers: 8 };
        assert_eq!(machine.start(&mut pools), Some(0));
        assert_eq!(machine.start(&mut pools), None);
        machine.ended(0, Ended::As(State::Succeeded), &mut pools);
        assert_eq!((machine.start(&mut pools), machine.start(&mut pools)), (Some(1), None));
        machine.ended(1, Ended::As(State::Failed), &mut pools);
        assert_eq!((machine.start(&mut pools), pools.free[0]), (Some(2), 1));
    }

    #[test]
    fn a_group_ends_with_its_items_and_one_without_items_has_nothing_to_do() {
        let group = Node { role: Role::Group, ..node("g", &[]) };
        let item = |key| Node {
            role: Role::Item { group: 0, value: crate::flow::ParamValue::Integer(1) },
            ..node(key, &[])
        };
        let nodes = [group, node("after", &[0])];
        let mut one = machine(&nodes);
        let mut pools = workers(4);
        assert_eq!(one.start(&mut pools), None);
        assert_eq!(one.next_to_unfold(), Some(0));
        one.unfold(0, &[item("g[1]"), item("g[2]")], |_| (None, 1));
        assert_eq!(
            (one.start(&mut pools), one.start(&mut pools), one.start(&mut pools)),
            (Some(2), Some(3), None)
        );
        one.ended(2, Ended::As(State::Succeeded), &mut pools);
        assert_eq!(one.state(0), State::Queued);
        one.ended(3, Ended::As(State::Succeeded), &mut pools);
        assert_eq!((one.state(0), one.start(&mut pools)), (State::Succeeded, Some(1)));

        let mut none = machine(&nodes);
        assert_eq!(none.next_to_unfold(), Some(0));
        none.unfold(0, &[], |_| (None, 1));
        assert_eq!(states(&none), [State::Skipped, State::Skipped]);
    }

    #[test]
    fn a_group_is_unfolded_once_and_not_after_it_was_canceled() {
        let nodes = [node("a", &[]), Node { role: Role::Group, ..node("g", &[0]) }];
        let mut resumed = Machine::new(&nodes, |_| (None, 1));
        resumed.settle(0, State::Succeeded); // by an earlier attempt
        resumed.begin();
        assert_eq!(resumed.next_to_unfold(), Some(1));
        let item = Node {
            role: Role::Item { group: 1, value: crate::flow::ParamValue::Integer(1) },
            ..node("g[1]", &[0])
        };
        resumed.unfold(1, &[item], |_| (None, 1));
        assert_eq!(resumed.next_to_unfold(), None);

        let mut canceled = machine(&nodes);
        let mut pools = workers(1);
        assert_eq!(canceled.start(&mut pools), Some(0));
        canceled.ended(0, Ended::As(State::Succeeded), &mut pools);
        canceled.cancel();
        assert_eq!((canceled.next_to_unfold(), canceled.is_done()), (None, true));
    }

    #[test]
    fn canceling_ends_all_that_is_not_running() {
        let mut machine = machine(&[node("a", &[]), node("b", &[0]), node("c", &[])]);
        let mut pools = workers(1);
        assert_eq!(machine.start(&mut pools), Some(0));
        machine.cancel();
        assert_eq!(states(&machine), [State::Running, State::Canceled, State::Canceled]);
        machine.ended(0, Ended::As(State::Canceled), &mut pools);
        assert_eq!((machine.is_done(), machine.outcome()), (true, State::Canceled));
    }
}
