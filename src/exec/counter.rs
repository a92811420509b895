//! Counters that closures add to: each element is counted once, whatever a run computes twice or gives up.
//!
//! A closure adds through a handle that knows nothing of runs. A task lays a frame on its thread, which notes what each
//! step adds; the trace says which step that is. When the task has ended well, its notes go to the tally of the run, under
//! the identity of the computation and the split: what another task computed again is recognised there. When the run has
//! succeeded as a whole, the tally is added to the counters.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::beside::Beside;
use super::erased::AnyPush;
use super::job::{Batch, Port, Terminal};
use super::push::Demand;
use super::task::{Run, TaskCx};
use super::wire::{Wire, damaged};
use crate::error::{Error, ErrorKind, Result};

/// A number that closures add to while a run goes on, such as that of the lines that could not be parsed.
///
/// It is made by [`Context::counter`](crate::Context::counter). Cloning it is cheap, and clones are the same counter.
///
/// What is added within a closure of a run counts when the run has succeeded, outputs committed: a run that fails or is
/// cancelled adds nothing. Until then [`Counter::value`] is what it was before.
///
/// Each element counts once, also where the planner computes a dataset twice because its rules forbid to share it. Where a
/// union brings one dataset twice, what narrow operators make of both is one computation, too, and counts once. A second run that computes a dataset again counts again; what is read from a [cache](crate::Dataset::cache) is not
/// computed, and does not count.
///
/// Two things depend on how a run proceeds, and so do counts of them. An action that stops early, such as `take`, may have
/// computed elements that it does not need. A closure that joins states, as that of `reduce_by_key` or the `merge` of a fold,
/// is called as often as states happen to be joined, which depends on the splits and rules, but not on the threads.
///
/// A closure must add on the thread that it is called on. Elsewhere, and outside of a run, adding takes effect at once.
///
/// # Examples
///
/// ```
/// # use gristmill::prelude::*;
/// let ctx = Context::new()?;
/// let bad = ctx.counter("bad lines");
/// let seen = bad.clone();
/// let numbers = ctx.from_vec(vec!["1", "x", "3"]).filter_map(move |line| {
///     line.parse::<u32>().inspect_err(|_| seen.increment()).ok()
/// });
/// assert_eq!(numbers.collect()?, [1, 3]);
/// assert_eq!(bad.value(), 1);
/// # Ok::<(), gristmill::Error>(())
/// ```
///
/// # References
///
/// Counters are those of Dean and Ghemawat, *MapReduce: Simplified Data Processing on Large Clusters*, 2004, section 4.9,
/// which count completed tasks once as well. Spark's accumulators do not promise that within transformations.
#[derive(Clone)]
pub struct Counter(Arc<Inner>);

struct Inner {
    name: String,
    value: AtomicU64,
}

impl Counter {
    fn new(name: &str) -> Counter {
        Counter(Arc::new(Inner { name: name.to_string(), value: AtomicU64::new(0) }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Adds `n`.
    pub fn add(&self, n: u64) {
        // A thread that ends has no frame any more: whoever adds in a destructor then is outside of a run.
        let noted = FRAME.try_with(|frame| match frame.borrow_mut().as_mut() {
            Some(frame) => {
                frame.note(self, n);
                true
            }
            None => false,
        });
        if !noted.unwrap_or(false) {
            self.commit(n);
        }
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// What succeeded runs, and whoever was outside of a run, have added by now.
    pub fn value(&self) -> u64 {
        self.0.value.load(Ordering::Relaxed)
    }

    fn commit(&self, n: u64) {
        self.0.value.fetch_add(n, Ordering::Relaxed);
    }

    fn is(&self, other: &Counter) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.name()).field(&self.value()).finish()
    }
}

/// The counters of a context, by name. Clones are the same ones.
#[derive(Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<String, Counter>>>);

impl Counters {
    /// The counter of this name: the same one whenever it is asked for.
    pub fn named(&self, name: &str) -> Counter {
        let mut counters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counters.entry(name.to_string()).or_insert_with(|| Counter::new(name)).clone()
    }
}

thread_local! {
    /// What the work that this thread does at the moment has added.
    static FRAME: RefCell<Option<Frame>> = const { RefCell::new(None) };
}

/// What one step of a task added to a counter.
struct Note {
    step: usize,
    counter: Counter,
    n: u64,
}

struct Frame {
    /// The task, whose trace says which step is at work. Where a terminal absorbs, there is none.
    task: Option<TaskCx>,
    notes: Vec<Note>,
}

impl Frame {
    fn note(&mut self, counter: &Counter, n: u64) {
        let step = self.task.as_ref().map_or(usize::MAX, |task| task.trace().step());
        // A closure adds to few counters, and often to the same: the last note is looked at first.
        let found = self.notes.iter_mut().rev().find(|note| note.step == step && note.counter.is(counter));
        match found {
            Some(note) => note.n += n,
            None => self.notes.push(Note { step, counter: counter.clone(), n }),
        }
    }
}

/// Does a piece of work in a frame of its own, and gives what it added if it ends well.
///
/// A worker that waits within a closure may begin another piece meanwhile: the frame before comes back, also after a panic.
fn framed<R>(task: Option<TaskCx>, work: impl FnOnce() -> Result<R>) -> Result<(R, Vec<Note>)> {
    let before = Before(FRAME.replace(Some(Frame { task, notes: Vec::new() })));
    let result = work()?;
    let notes = FRAME.take().map(|frame| frame.notes).unwrap_or_default();
    drop(before);
    Ok((result, notes))
}

/// Puts a frame back in the end.
struct Before(Option<Frame>);

impl Drop for Before {
    fn drop(&mut self) {
        FRAME.set(self.0.take());
    }
}

/// The number of a computation that does not count, because another pipeline counts it.
pub const COUNTED_ELSEWHERE: usize = usize::MAX;

/// Which computation each step of a pipeline is. Steps of one run that compute the same elements from the same split have
/// one number.
pub struct Computations {
    /// The identity of the node that is read, within the process.
    pub origin: u64,
    /// The number of reading it.
    pub source: usize,
    /// The number of each step.
    pub steps: Vec<usize>,
}

/// Counters, each with what is to be added to it.
type Amounts = Vec<(Counter, u64)>;

/// Who has added something: what two tasks have added as the same one counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Whose {
    /// A computation, of a split.
    Task { computation: usize, split: usize },
    /// A cell of a terminal, which absorbs everything once.
    Cell { terminal: usize, cell: usize },
    /// Everybody, as the process that plans has told.
    All,
}

/// Everything that is noted, by the names of the counters.
type Noted = Vec<(Whose, Vec<(String, u64)>)>;

/// What one job of a run has counted so far.
pub struct Tally {
    pipelines: Vec<Computations>,
    counters: Counters,
    noted: Mutex<HashMap<Whose, Amounts>>,
}

impl Tally {
    /// An empty tally for the pipelines of a run, of closures that add to these counters, or to others.
    pub fn new(pipelines: Vec<Computations>, counters: Counters) -> Tally {
        Tally { pipelines, counters, noted: Mutex::default() }
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Whose, Amounts>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The identity of the node that a pipeline reads.
    pub fn origin(&self, pipeline: usize) -> u64 {
        self.pipelines[pipeline].origin
    }

    /// The number of the computation that a step of a pipeline is, unless it counts elsewhere.
    pub fn computation(&self, pipeline: usize, step: usize) -> Option<usize> {
        let Computations { source, steps, .. } = &self.pipelines[pipeline];
        let number = steps.get(step).copied().unwrap_or(*source);
        (number != COUNTED_ELSEWHERE).then_some(number)
    }

    /// Does the work of a task, and notes what it added if it ends well.
    pub fn task<R>(&self, cx: &TaskCx, pipeline: usize, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let (result, notes) = framed(Some(cx.clone()), work)?;
        if !notes.is_empty() {
            let mut noted = self.noted();
            for Note { step, counter, n } in notes {
                let Some(computation) = self.computation(pipeline, step) else { continue };
                // What is computed twice counts once. One of both may have been stopped early: the other knows more.
                let whose = Whose::Task { computation, split: cx.split() };
                let amount = amount(noted.entry(whose).or_default(), counter);
                *amount = n.max(*amount);
            }
        }
        Ok(result)
    }

    fn cell<R>(&self, terminal: usize, cell: usize, work: impl FnOnce() -> Result<R>) -> Result<R> {
        let (result, notes) = framed(None, work)?;
        if !notes.is_empty() {
            let mut noted = self.noted();
            let amounts = noted.entry(Whose::Cell { terminal, cell }).or_default();
            for note in notes {
                *amount(amounts, note.counter) += note.n;
            }
        }
        Ok(result)
    }

    /// The terminal with this number, with what it adds while it absorbs noted here.
    pub fn watch(self: &Arc<Tally>, number: usize, terminal: Arc<dyn Terminal>) -> Arc<dyn Terminal> {
        Arc::new(Watched { terminal, number, tally: Arc::clone(self) })
    }

    fn take(&self) -> impl Iterator<Item = (Counter, u64)> {
        std::mem::take(&mut *self.noted()).into_values().flatten()
    }

    /// The name of a counter, by which other processes find the same one.
    fn name_of(&self, counter: &Counter) -> Result<String> {
        if self.counters.named(counter.name()).is(counter) {
            return Ok(counter.name().to_owned());
        }
        let message = format!(
            "the counter `{}` is of another context than the run, and that cannot be counted on a cluster of Spark",
            counter.name().escape_debug()
        );
        Err(Error::new(ErrorKind::Config, message).hint("make it by `counter` of the context of the dataset"))
    }

    fn named(&self, amounts: &Amounts) -> Result<Vec<(String, u64)>> {
        amounts.iter().map(|(counter, n)| Ok((self.name_of(counter)?, *n))).collect()
    }
}

impl Beside for Tally {
    fn pack(&self, _run: &Run) -> Result<Vec<Vec<Vec<u8>>>> {
        let noted = self.noted();
        if noted.is_empty() {
            return Ok(Vec::new());
        }
        let named = noted.iter().map(|(whose, amounts)| Ok((*whose, self.named(amounts)?)));
        let named: Noted = named.collect::<Result<_>>()?;
        Ok(vec![vec![serde_json::to_vec(&named).map_err(damaged)?]])
    }

    fn unpack(&self, _run: &Run, frames: &[&[u8]]) -> Result<()> {
        for frame in frames {
            let mut noted = self.noted();
            for (whose, amounts) in serde_json::from_slice::<Noted>(frame).map_err(damaged)? {
                let known = noted.entry(whose).or_default();
                for (name, n) in amounts {
                    let amount = amount(known, self.counters.named(&name));
                    *amount = n.max(*amount);
                }
            }
        }
        Ok(())
    }

    fn told(&self, _run: &Run) -> Result<Option<Vec<u8>>> {
        let mut all = Amounts::new();
        for (counter, n) in self.noted().values().flatten() {
            *amount(&mut all, counter.clone()) += n;
        }
        if all.is_empty() {
            return Ok(None);
        }
        serde_json::to_vec(&self.named(&all)?).map(Some).map_err(damaged)
    }

    /// What this process has added meanwhile is part of it.
    fn tell(&self, _run: &Run, told: &[u8]) -> Result<()> {
        let told: Vec<(String, u64)> = serde_json::from_slice(told).map_err(damaged)?;
        let all = told.into_iter().map(|(name, n)| (self.counters.named(&name), n)).collect();
        *self.noted() = HashMap::from([(Whose::All, all)]);
        Ok(())
    }
}

/// What all jobs of a run have counted: each round of a loop is one.
#[derive(Default)]
pub struct Counted(Amounts);

impl Counted {
    /// Takes what a job that has ended well has counted.
    pub fn take_in(&mut self, tally: &Tally) {
        for (counter, n) in tally.take() {
            *amount(&mut self.0, counter) += n;
        }
    }

    /// Adds everything to the counters: the run has succeeded.
    pub fn commit(self) {
        self.0.into_iter().for_each(|(counter, n)| counter.commit(n));
    }
}

/// The amount of a counter in a list, 0 at first.
fn amount(amounts: &mut Amounts, counter: Counter) -> &mut u64 {
    let index = amounts.iter().position(|(known, _)| known.is(&counter)).unwrap_or(amounts.len());
    if index == amounts.len() {
        amounts.push((counter, 0));
    }
    &mut amounts[index].1
}

/// A terminal as it is, but for the counters.
struct Watched {
    terminal: Arc<dyn Terminal>,
    number: usize,
    tally: Arc<Tally>,
}

impl Terminal for Watched {
    fn cells(&self) -> usize {
        self.terminal.cells()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        self.terminal.writer(cx, port)
    }

    fn absorb(&self, cell: usize, lane: usize, batch: Batch) -> Result<Demand> {
        self.tally.cell(self.number, cell, || self.terminal.absorb(cell, lane, batch))
    }

    fn seal(&self, cell: usize) -> Result<()> {
        self.tally.cell(self.number, cell, || self.terminal.seal(cell))
    }

    fn wire(&self) -> Option<&dyn Wire> {
        self.terminal.wire()
    }
}

#[cfg(test)]
mod tests {
    /// The names of the functions between the line that begins with `start` and the next `}` at the left margin.
    fn functions(text: &str, start: &str) -> Vec<String> {
        let block = text.lines().skip_while(|line| !line.starts_with(start)).take_while(|line| *line != "}");
        let names = block.filter_map(|line| line.trim_start().strip_prefix("fn "));
        names.map(|name| name.split('(').next().unwrap_or_default().to_string()).collect()
    }

    #[test]
    fn a_watched_terminal_passes_every_call_on() {
        // One that has a default would be answered by it, and nobody would notice.
        let of_trait = functions(include_str!("job.rs"), "pub trait Terminal");
        assert!(of_trait.contains(&"seal".to_string()));
        assert_eq!(functions(include_str!("counter.rs"), "impl Terminal for Watched"), of_trait);
    }
}
