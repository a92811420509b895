//! One side held in memory in a hash table, in which the rows of the other side are looked up as they stream past.
//!
//! The rows of a key stand side by side, in the order in which they came. They are looked up by reference: nothing of the table is
//! copied but what comes out.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use super::broadcast::Broadcast;
use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Reservation};
use super::narrow::Operator;
use super::out::Out;
use super::permute::permute_to;
use super::push::{Demand, Push};
use super::scatter::{Scattered, SequenceWire};
use super::sequence::{List, Sequence};
use super::table::{AHEAD, Table};
use super::task::TaskCx;
use super::trace::Cursor;
use super::wire::{Frames, Wire};
use crate::config::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Data, Key, Record};

/// Bytes of rows that are packed together.
const LIST_BYTES: usize = 64 << 10;

/// Bytes for each row that the table takes beside the row, at most and while it is made: four slots of the table, its entry, its place,
/// and where the values of its key start, twice.
const TABLE_BYTES: usize = 40;

/// What a row that passes makes of the held rows that have its key.
pub trait Lookup: Send + Sync + 'static {
    /// What rows are looked up by.
    type Key: Key;
    /// The values that pass.
    type Passing: Data;
    /// The values that are held.
    type Held: Record;
    /// What comes out.
    type Out: Data;

    /// Emits what a row gives with the held values of its key, of which there may be none.
    fn emit(
        &self,
        key: Self::Key,
        value: Self::Passing,
        held: &[Self::Held],
        out: &mut Out<Self::Out>,
    ) -> Result<Demand>;
}

/// How much of the memory the side that is held may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Whatever it takes: it is known to be small.
    Known,
    /// As much as the limit allows; more is an error.
    Limited,
}

/// A broadcast in whose table rows are looked up.
pub struct ByLookup<L> {
    lookup: Arc<L>,
    room: Room,
}

impl<L: Lookup> ByLookup<L> {
    /// The broadcast that `lookup` describes.
    pub fn new(lookup: L, room: Room) -> ByLookup<L> {
        ByLookup { lookup: Arc::new(lookup), room }
    }
}

impl<L: Lookup> Broadcast for ByLookup<L> {
    fn open(&self, budget: &Budget, execution: Execution) -> (Arc<dyn Terminal>, Arc<dyn Operator>) {
        let shared = Arc::new(Shared {
            room: self.room,
            budget: budget.clone(),
            execution,
            bytes: AtomicU64::new(0),
            rows: Mutex::new((Sequence::default(), budget.reservation())),
            held: OnceLock::new(),
        });
        let passing = Passing { lookup: Arc::clone(&self.lookup), shared: Arc::clone(&shared) };
        (Arc::new(Holding(shared)), Arc::new(passing))
    }
}

struct Shared<K, H> {
    room: Room,
    budget: Budget,
    execution: Execution,
    /// Of all rows that tasks have come across so far.
    bytes: AtomicU64,
    rows: Mutex<Scattered<(K, H)>>,
    /// What is made of the rows when all are there.
    held: OnceLock<Complete<K, H>>,
}

/// All rows of the side that is held.
enum Complete<K, H> {
    /// In one table for all tasks.
    Table(Arc<Held<K, H>>),
    /// On disk, from where tasks load tables.
    Stored(Stored<K, H>),
}

/// Rows on disk, from where each task loads its own table, as the distributed cache of Hadoop has it; or all tasks that run at the same
/// time one together, if the memory limit does not allow a table for each.
struct Stored<K, H> {
    rows: Sequence<(K, H)>,
    budget: Budget,
    /// The table that is shared, as long as a task looks at it.
    shared: Mutex<Weak<Held<K, H>>>,
}

impl<K: Key, H: Record> Stored<K, H> {
    fn table(&self, threads: usize) -> Result<Arc<Held<K, H>>> {
        let bytes = table_bytes(self.rows.bytes(), self.rows.rows());
        if bytes.saturating_mul(threads as u64) <= self.budget.limit_bytes() {
            return self.load();
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = shared.upgrade() {
            return Ok(table);
        }
        let table = self.load()?;
        *shared = Arc::downgrade(&table);
        Ok(table)
    }

    fn load(&self) -> Result<Arc<Held<K, H>>> {
        let (count, bytes) = (self.rows.rows(), self.rows.bytes());
        Held::new(self.rows.lists(), count, bytes, self.budget.reservation()).map(Arc::new)
    }
}

impl<K: Key, H: Record> Complete<K, H> {
    /// The table for one task, of which so many run at the same time.
    fn table(&self, threads: usize) -> Result<Arc<Held<K, H>>> {
        match self {
            Complete::Table(held) => Ok(Arc::clone(held)),
            Complete::Stored(stored) => stored.table(threads),
        }
    }
}

impl<K, H> Shared<K, H> {
    /// Refuses to hold so many bytes if they exceed the limit. What else is held does not count, so that it depends on the rows alone
    /// whether it is an error.
    fn check(&self, bytes: u64, budget: &Budget) -> Result<()> {
        if self.room == Room::Known || bytes <= budget.limit_bytes() {
            return Ok(());
        }
        let message = format!(
            "the side to be held in memory takes {bytes} bytes or more, and the memory limit is {}",
            budget.limit_bytes()
        );
        Err(Error::new(ErrorKind::Memory, message).hint(
            "use join or left_join, which go to disk, or raise the limit with --memory or GRISTMILL_MEMORY",
        ))
    }
}

/// The terminal of the side that is held.
struct Holding<K, H>(Arc<Shared<K, H>>);

impl<K: Key, H: Record> Terminal for Holding<K, H> {
    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        let shared = Arc::clone(&self.0);
        let (full, reservation) = (Sequence::default(), cx.budget().reservation());
        Ok(AnyPush::new(Writer { shared, list: List::default(), full, reservation, port }))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let (later, reserved) = downcast::<Scattered<(K, H)>>(batch)?;
        let mut rows = self.0.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.0.append(later);
        rows.1.merge(reserved);
        Ok(Demand::More)
    }

    fn seal(&self, _cell: usize) -> Result<()> {
        let mut rows = self.0.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = rows.1.split_off();
        let (mut rows, mut reserved) = std::mem::replace(&mut *rows, (Sequence::default(), empty));
        let budget = reserved.budget().clone();
        let (count, bytes) = (rows.rows(), rows.bytes());
        self.0.check(table_bytes(bytes, count), &budget)?;
        let complete = match self.0.execution {
            Execution::Dataflow => {
                let lists = rows.into_lists().map(|list| list.map(|list| list.rows));
                Complete::Table(Arc::new(Held::new(lists, count, bytes, reserved)?))
            }
            Execution::MapReduce | Execution::Spark => {
                rows.spill(budget.disk())?;
                reserved.resize(0)?;
                Complete::Stored(Stored { rows, budget, shared: Mutex::default() })
            }
        };
        self.0.held.get_or_init(|| complete);
        Ok(())
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(self)
    }
}

impl<K: Key, H: Record> Wire for Holding<K, H> {
    fn pack(&self, _lane: usize, cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        SequenceWire::<(K, H)>::pack(cell, batch, frames)
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        SequenceWire::<(K, H)>::unpack(frame, &self.0.budget)
    }

    fn join(&self, _lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        SequenceWire::<(K, H)>::join(first, later)
    }
}

/// What one task leaves for the table.
struct Writer<K, H> {
    shared: Arc<Shared<K, H>>,
    list: List<(K, H)>,
    full: Sequence<(K, H)>,
    reservation: Reservation,
    port: Port,
}

impl<K: Key, H: Record> Writer<K, H> {
    #[cold]
    fn put_aside(&mut self) -> Result<()> {
        let mut list = std::mem::take(&mut self.list);
        let bytes = table_bytes(list.bytes, list.rows.len());
        let all = self.shared.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.shared.check(all, self.reservation.budget())?;
        self.reservation.resize(self.reservation.bytes() + bytes)?;
        list.rows.shrink_to_fit();
        list.pack();
        self.full.push(list);
        Ok(())
    }
}

impl<K: Key, H: Record> Push<(K, H)> for Writer<K, H> {
    fn push(&mut self, chunk: &mut Chunk<(K, H)>) -> Result<Demand> {
        for row in chunk.items.drain(..) {
            self.list.push(row);
            if self.list.bytes >= LIST_BYTES {
                self.put_aside()?;
            }
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.put_aside()?;
        let empty = self.reservation.split_off();
        let reserved = std::mem::replace(&mut self.reservation, empty);
        let left: Scattered<(K, H)> = (std::mem::take(&mut self.full), reserved);
        self.port.deliver(vec![(0, Box::new(left))]);
        Ok(())
    }
}

/// The rows of the side that is held, by key.
struct Held<K, H> {
    keys: Table<K, ()>,
    /// Where the values of each entry of the table start, and where the last ones end.
    starts: Vec<usize>,
    values: Vec<H>,
    /// For all of it, as long as it is there.
    _reserved: Reservation,
}

impl<K: Key, H: Record> Held<K, H> {
    fn new(
        lists: impl Iterator<Item = Result<Vec<(K, H)>>>,
        count: usize,
        bytes: usize,
        mut reserved: Reservation,
    ) -> Result<Held<K, H>> {
        if u32::try_from(count).is_err() {
            let message =
                format!("the side to be held in memory has {count} rows, and a table takes {}", u32::MAX);
            return Err(Error::new(ErrorKind::Memory, message).hint("use join or left_join"));
        }
        reserved.resize(table_bytes(bytes, count))?;
        let mut keys = Table::new(0);
        let mut entries: Vec<u32> = Vec::with_capacity(count);
        let mut values: Vec<H> = Vec::with_capacity(count);
        for list in lists {
            for (key, value) in list? {
                entries.push(entry_of(&mut keys, key) as u32);
                values.push(value);
            }
        }
        let starts = starts_of(keys.len(), &entries);
        if keys.len() < values.len() {
            permute_to(&mut values, places(&starts, entries));
        }
        reserved.resize((bytes + keys.bytes() + starts.len() * size_of::<usize>()) as u64)?;
        Ok(Held { keys, starts, values, _reserved: reserved })
    }

    #[inline]
    fn values_of(&self, hash: u64, key: &K) -> &[H] {
        match self.keys.find(hash, key) {
            Ok(entry) => &self.values[self.starts[entry]..self.starts[entry + 1]],
            Err(_) => &[],
        }
    }
}

/// The number of a key in a table, which takes it in if it is new.
fn entry_of<K: Key>(keys: &mut Table<K, ()>, key: K) -> usize {
    let hash = key.key_hash();
    keys.find(hash, &key).unwrap_or_else(|slot| {
        keys.insert(slot, hash, key, ());
        keys.len() - 1
    })
}

/// Where the values of each of `keys` entries start, and where the last ones end, from the entry of each value.
fn starts_of(keys: usize, entries: &[u32]) -> Vec<usize> {
    let mut starts = vec![0; keys + 1];
    for entry in entries {
        starts[*entry as usize + 1] += 1;
    }
    for entry in 0..keys {
        starts[entry + 1] += starts[entry];
    }
    starts
}

/// The place of each value when those of an entry stand side by side, in the order in which they came.
fn places(starts: &[usize], mut entries: Vec<u32>) -> Vec<u32> {
    let mut next = starts.to_vec();
    for entry in &mut entries {
        let place = &mut next[*entry as usize];
        *entry = *place as u32;
        *place += 1;
    }
    entries
}

/// The bytes of so many rows in a table.
fn table_bytes(bytes: usize, rows: usize) -> u64 {
    (bytes + rows * TABLE_BYTES) as u64
}

/// What the other side passes.
struct Passing<L: Lookup> {
    lookup: Arc<L>,
    shared: Arc<Shared<L::Key, L::Held>>,
}

impl<L: Lookup> Operator for Passing<L> {
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let complete =
            self.shared.held.get().ok_or_else(|| {
                Error::new(ErrorKind::Internal, "a side was looked at before it was complete")
            })?;
        Ok(AnyPush::new(PassingPush::<L> {
            lookup: Arc::clone(&self.lookup),
            held: complete.table(cx.threads())?,
            cx: cx.clone(),
            hashes: Vec::new(),
            out: Out::new(cx.chunk_rows(), next.typed::<L::Out>()?),
            types: PhantomData,
        }))
    }
}

struct PassingPush<L: Lookup> {
    lookup: Arc<L>,
    held: Arc<Held<L::Key, L::Held>>,
    cx: TaskCx,
    hashes: Vec<u64>,
    out: Out<L::Out>,
    types: PhantomData<fn(L::Passing)>,
}

impl<L: Lookup> Push<(L::Key, L::Passing)> for PassingPush<L> {
    fn push(&mut self, chunk: &mut Chunk<(L::Key, L::Passing)>) -> Result<Demand> {
        let held = &self.held;
        self.hashes.clear();
        self.hashes.extend(chunk.items.iter().map(|(key, _)| key.key_hash()));
        self.hashes.iter().take(AHEAD).for_each(|&hash| held.keys.prefetch_slot(hash));
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for (index, (key, value)) in chunk.items.drain(..).enumerate() {
            if let Some(&hash) = self.hashes.get(index + AHEAD) {
                held.keys.prefetch_slot(hash);
            }
            if let Some(&hash) = self.hashes.get(index + AHEAD / 2) {
                held.keys.prefetch_entry(hash);
            }
            let values = held.values_of(self.hashes[index], &key);
            if self.out.at_row(at.row())? == Demand::Enough
                || self.lookup.emit(key, value, values, &mut self.out)? == Demand::Enough
            {
                return Ok(Demand::Enough);
            }
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.finish()
    }
}
