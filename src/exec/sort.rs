//! Sorting: each task leaves its rows in sorted runs, and ranges of the whole are merged from all of them.
//!
//! A task collects rows up to its share of the memory, orders them, and cuts them into lists; where memory is short, these go to disk.
//! When all runs are there, borders drawn from a sample divide the whole into ranges, each of which is a split of what
//! follows: it is merged while it is read. So every row is compared twice, once in its run and once in the merge, and written and
//! read once at most, unless the blocks of so many runs do not fit the memory side by side; then neighbouring runs
//! are merged first. The order is total: rows that compare equal stay in the order of the input, so that the result is the
//! same however the runs were cut.

mod border;
pub mod merge;
pub mod order;
mod passes;
mod ranges;
mod run;
mod travel;

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use self::border::{Lottery, borders, prune};
use self::order::Order;
use self::passes::{merge_group, merge_runs};
use self::ranges::Ranges;
use self::run::{Run, Sampled, Unsorted};
use self::travel::Travels;
use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::{AnyPush, Elements, Of};
use super::exchange::{Exchange, ExchangeSettings};
use super::hold::Storage;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Holder, Reservation};
use super::out::Out;
use super::push::{Demand, Push};
use super::sequence::List;
use super::source::{AnySource, Erased, Source};
use super::task::TaskCx;
use super::trace::Cursor;
use super::wire::Wire;
use crate::config::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;

/// Rows of a range, about: enough for a good row group.
const RANGE_ROWS: usize = 1 << 17;

/// Rows drawn of each range, about.
const DRAWN_PER_RANGE: usize = 32;

/// Drawn rows that are kept while runs arrive, at most.
const MAX_DRAWN: usize = 1 << 17;

/// Bytes of a run before it is ordered, at most, however much memory there is.
const MAX_RUN_BYTES: usize = 64 << 20;

/// Bytes of a list of sorted rows. A merge holds one of every run, and ranges meet in them.
const LIST_BYTES: usize = 64 << 10;

/// The wide operator of a sort.
pub struct Sort<T, O> {
    order: Arc<O>,
    range_rows: usize,
    types: PhantomData<fn(T)>,
}

impl<T: Record, O: Order<T>> Sort<T, O> {
    /// A sort in this order.
    pub fn new(order: O) -> Sort<T, O> {
        Sort { order: Arc::new(order), range_rows: RANGE_ROWS, types: PhantomData }
    }
}

impl<T: Record, O: Order<T>> Exchange for Sort<T, O> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let sorted = Sorted::<T, O>::new(
            Arc::clone(&self.order),
            self.range_rows,
            settings.execution,
            &settings.budget,
        );
        (Arc::new(sorted.clone()), Arc::new(Erased::new(sorted)))
    }

    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        Some(Of::<T>::records())
    }

    fn note(&self) -> Option<&'static str> {
        Some("sort: runs of each task, merged by ranges of the order,")
    }
}

/// The terminal that takes runs, and the source of the sorted whole.
struct Sorted<T, O>(Arc<Shared<T, O>>);

impl<T, O> Clone for Sorted<T, O> {
    fn clone(&self) -> Sorted<T, O> {
        Sorted(Arc::clone(&self.0))
    }
}

struct Shared<T, O> {
    order: Arc<O>,
    budget: Budget,
    range_rows: usize,
    /// Where runs lie.
    storage: Storage,
    list_bytes: usize,
    /// Bytes of the pieces that a merge may hold side by side.
    merge_bytes: usize,
    /// Locked for a moment only.
    arrived: Mutex<Arrived<T>>,
    /// Emptied, to be filled by the next task: their memory need not grow again.
    spare: Mutex<Vec<Unsorted<T>>>,
    /// There once all runs are.
    ranges: OnceLock<Ranges<T>>,
    /// How runs and ranges are in different processes, where they are.
    travels: Option<Travels<T>>,
}

struct Arrived<T> {
    /// In the order of the input. One that is being spilled is locked for as long as that takes.
    runs: Vec<Arc<Mutex<Run<T>>>>,
    /// What was drawn of each of them.
    samples: Vec<Vec<Sampled<T>>>,
    drawn: usize,
}

impl<T> Default for Arrived<T> {
    fn default() -> Arrived<T> {
        Arrived { runs: Vec::new(), samples: Vec::new(), drawn: 0 }
    }
}

impl<T: Record, O: Order<T>> Sorted<T, O> {
    fn new(order: Arc<O>, range_rows: usize, execution: Execution, budget: &Budget) -> Sorted<T, O> {
        // What a merge decodes at a time takes an eighth of the memory, and at least sixteen runs fit in.
        let merge_bytes = budget.share(8);
        let list_bytes = LIST_BYTES.min(merge_bytes / 16).max(1);
        let shared = Arc::new(Shared {
            order,
            budget: budget.clone(),
            range_rows,
            storage: Storage::of(execution),
            travels: (execution == Execution::Spark).then(Travels::default),
            list_bytes,
            merge_bytes,
            arrived: Mutex::default(),
            spare: Mutex::default(),
            ranges: OnceLock::new(),
        });
        let holder: Weak<Shared<T, O>> = Arc::downgrade(&shared);
        budget.register(holder);
        Sorted(shared)
    }
}

impl<T: Record, O: Order<T>> Shared<T, O> {
    fn all_runs(&self) -> Vec<Arc<Mutex<Run<T>>>> {
        lock(&self.arrived).runs.clone()
    }

    /// Divides the whole into ranges.
    fn divide(&self) -> Result<Ranges<T>> {
        lock(&self.spare).clear();
        let Arrived { runs, samples, .. } = std::mem::take(&mut *lock(&self.arrived));
        let take = |(run, sample): (Arc<Mutex<Run<T>>>, _)| {
            let run = std::mem::replace(&mut *lock(&run), Run::new(self.budget.reservation()));
            Run { sample, ..run }
        };
        let mut runs: Vec<Run<T>> = runs.into_iter().zip(samples).map(take).collect();
        if let Some(travels) = &self.travels {
            travels.note_tasks(&runs);
        }
        let largest = runs.iter().map(Run::largest_block).max().unwrap_or(0);
        let fan_in = (self.merge_bytes / largest.max(self.list_bytes)).max(2);
        if runs.iter().filter(|run| run.is_on_disk()).count() > fan_in {
            runs = merge_runs(self.order.as_ref(), runs, fan_in, self.list_bytes)?;
        }
        let rows: usize = runs.iter().map(Run::rows).sum();
        let borders = borders(self.order.as_ref(), &mut runs, rows.div_ceil(self.range_rows).max(1));
        Ranges::new(self.order.as_ref(), runs, borders)
    }
}

impl<T: Record, O: Order<T>> Holder for Shared<T, O> {
    fn spillable_bytes(&self) -> u64 {
        if let Some(ranges) = self.ranges.get() {
            return ranges.spillable_bytes();
        }
        let bytes = |run: &Arc<Mutex<Run<T>>>| run.try_lock().map_or(0, |run| run.memory_bytes());
        self.all_runs().iter().map(bytes).sum::<usize>() as u64
    }

    fn spill(&self, wanted: u64) -> Result<()> {
        if let Some(ranges) = self.ranges.get() {
            return ranges.spill(wanted);
        }
        let mut given = 0;
        for run in self.all_runs() {
            if given >= wanted {
                break;
            }
            if let Ok(mut run) = run.try_lock() {
                given += run.memory_bytes() as u64;
                run.spill()?;
            }
        }
        Ok(())
    }
}

impl<T: Record, O: Order<T>> Terminal for Sorted<T, O> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let every = (self.0.range_rows / DRAWN_PER_RANGE).max(1);
        let share_bytes = cx.memory_share();
        Ok(AnyPush::new(Writer {
            shared: Arc::clone(&self.0),
            cx: cx.clone(),
            lottery: Lottery::new(port.order(), every),
            port,
            unsorted: lock(&self.0.spare).pop().unwrap_or_else(Unsorted::new),
            runs: Vec::new(),
            share_bytes,
            // While it is cut into lists, a run takes its memory twice.
            run_bytes: (share_bytes / 2).min(MAX_RUN_BYTES),
            kept_bytes: 0,
            reservation: cx.budget().reservation(),
        }))
    }

    fn absorb(&self, cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let left = downcast::<Vec<Run<T>>>(batch)?;
        if let Some(travels) = self.0.travels.as_ref().filter(|travels| travels.is_told()) {
            travels.arrived(cell, left);
            return Ok(Demand::More);
        }
        let mut arrived = lock(&self.0.arrived);
        for mut run in left {
            let sample = std::mem::take(&mut run.sample);
            arrived.drawn += sample.len();
            arrived.samples.push(sample);
            arrived.runs.push(Arc::new(Mutex::new(run)));
        }
        if arrived.drawn > MAX_DRAWN {
            prune(arrived.samples.iter_mut(), MAX_DRAWN / 2);
            arrived.drawn = MAX_DRAWN / 2;
        }
        Ok(Demand::More)
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        if self.0.travels.as_ref().is_some_and(Travels::is_told) {
            return Ok(());
        }
        let ranges = self.0.divide()?;
        self.0.ranges.set(ranges).map_err(|_| Error::new(ErrorKind::Internal, "a sort was sealed twice"))
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<T: Record, O: Order<T>> Source<T> for Sorted<T, O> {
    fn splits(&self) -> usize {
        self.0.ranges.get().map_or(0, Ranges::len)
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let order = self.0.order.as_ref();
        let mut emit = |row| out.emit(row);
        if let Some(travels) = self.0.travels.as_ref().filter(|travels| travels.is_told()) {
            return travels.read(&self.0, split, &mut emit).map(drop);
        }
        self.0.ranges.get().map_or(Ok(()), |ranges| ranges.read(order, split, &mut emit).map(drop))
    }
}

/// Collects the rows of one task, and leaves them in sorted runs.
struct Writer<T, O> {
    shared: Arc<Shared<T, O>>,
    cx: TaskCx,
    lottery: Lottery,
    port: Port,
    unsorted: Unsorted<T>,
    runs: Vec<Run<T>>,
    /// Bytes that its runs may hold before they go to disk, whatever else is free.
    share_bytes: usize,
    /// Bytes of rows that are ordered at once.
    run_bytes: usize,
    /// Bytes of its runs in memory.
    kept_bytes: usize,
    /// For the rows that are not ordered yet.
    reservation: Reservation,
}

impl<T: Record, O: Order<T>> Writer<T, O> {
    /// Reserves what the rows take; if there is no room, or enough of them, they become a run.
    fn reserve(&mut self) -> Result<()> {
        let bytes = self.unsorted.bytes();
        if bytes <= self.run_bytes && self.reservation.try_resize_free(2 * bytes as u64) {
            return Ok(());
        }
        self.end_run()
    }

    #[cold]
    fn end_run(&mut self) -> Result<()> {
        let budget = &self.shared.budget;
        if self.unsorted.bytes() as u64 > budget.limit_bytes() {
            budget.check_row(self.unsorted.largest_row())?;
        }
        // It is working memory from here on.
        self.reservation.resize(2 * self.unsorted.bytes() as u64)?;
        let mut run = Run::new(budget.reservation());
        if self.shared.storage == Storage::Disk {
            run.spill()?;
        }
        let room = Room { share_bytes: self.share_bytes, kept_bytes: self.kept_bytes };
        let put = |list| room.put(&mut run, list);
        let sample = self.unsorted.sort(self.shared.order.as_ref(), self.shared.list_bytes, put)?;
        run.end()?;
        self.kept_bytes += run.memory_bytes();
        (run.sample, run.task) = (sample, self.port.order());
        self.runs.push(run);
        self.reservation.resize(0)
    }
}

/// How much of a run stays in memory.
struct Room {
    share_bytes: usize,
    kept_bytes: usize,
}

impl Room {
    /// Adds a list to a run, which goes to disk if there is no room for it.
    fn put<T: Record>(&self, run: &mut Run<T>, list: List<T>) -> Result<()> {
        let bytes = run.memory_bytes() + list.bytes;
        if !run.is_on_disk() {
            let within_share = self.kept_bytes + bytes <= self.share_bytes;
            if !within_share || !run.reservation.try_resize_free(bytes as u64) {
                run.spill()?;
            }
        }
        run.push(list)
    }
}

impl<T: Record, O: Order<T>> Push<T> for Writer<T, O> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let order = self.shared.order.as_ref();
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for row in chunk.items.drain(..) {
            self.unsorted.push(row, self.lottery.draw(), order);
            at.advance();
        }
        drop(at);
        self.reserve()?;
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        if !self.unsorted.is_empty() {
            self.end_run()?;
        }
        if self.shared.travels.is_some() && self.runs.len() > 1 {
            // A row is known by its number in the one run of its task, whatever runs there were on the way.
            let run = merge_group(
                self.shared.order.as_ref(),
                std::mem::take(&mut self.runs),
                self.shared.list_bytes,
            )?;
            self.runs.push(Run { task: self.port.order(), ..run });
        }
        lock(&self.shared.spare).push(std::mem::replace(&mut self.unsorted, Unsorted::new()));
        self.port.deliver(vec![(0, Box::new(std::mem::take(&mut self.runs)))]);
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
