//! Elements held in memory between pipelines: what `cache` keeps, and what a crowded union is cut with.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Reservation};
use super::out::Out;
use super::push::{Flow, Push};
use super::source::Source;
use super::task::TaskCx;
use crate::error::Result;

/// Whether held elements can be read once, or as often as one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Reading moves them out.
    Once,
    /// Reading clones them.
    Always,
}

/// Elements that a split of what is held has at least, if there are as many: what small tasks left is read together, or
/// else a union of many paths would multiply the splits each time it is held.
const ROWS_PER_SPLIT: usize = 1 << 14;

/// A terminal that holds what each task leaves, and the source that gives it again.
pub struct Hold<T>(Arc<Shared<T>>);

struct Shared<T> {
    keep: Keep,
    reservation: Mutex<Reservation>,
    parts: Mutex<Vec<Arc<Vec<T>>>>,
    /// The parts of each split, once it is known that no more will come.
    splits: Mutex<Vec<Range<usize>>>,
}

impl<T> Clone for Hold<T> {
    fn clone(&self) -> Hold<T> {
        Hold(Arc::clone(&self.0))
    }
}

impl<T> Hold<T> {
    /// An empty holder.
    pub fn new(keep: Keep, budget: &Budget) -> Hold<T> {
        let reservation = Mutex::new(budget.reservation());
        let (parts, splits) = (Mutex::default(), Mutex::default());
        Hold(Arc::new(Shared { keep, reservation, parts, splits }))
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Arc<Vec<T>>>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Terminal for Hold<T> {
    fn writer(&self, _cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Writer { items: Vec::<T>::new(), port }))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Flow> {
        let items = downcast::<Vec<T>>(batch)?;
        let mut reservation = self.0.reservation.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = reservation.bytes() + (items.len() * size_of::<T>()) as u64;
        reservation.resize(bytes)?;
        self.parts().push(Arc::new(items));
        Ok(Flow::More)
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> for Hold<T> {
    fn splits(&self) -> usize {
        let groups = group(self.parts().iter().map(|part| part.len()), ROWS_PER_SPLIT);
        let mut splits = self.0.splits.lock().unwrap_or_else(PoisonError::into_inner);
        *splits = groups;
        splits.len()
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let range = self.0.splits.lock().unwrap_or_else(PoisonError::into_inner)[split].clone();
        for index in range {
            let part = match self.0.keep {
                Keep::Always => Arc::clone(&self.parts()[index]),
                Keep::Once => std::mem::take(&mut self.parts()[index]),
            };
            match Arc::try_unwrap(part) {
                Ok(items) => emit_all(items, out)?,
                Err(shared) => emit_all(shared.iter().cloned(), out)?,
            }
        }
        Ok(())
    }
}

/// Neighbours in groups of at least `rows_per_group`, by their rows alone, so that the groups are the same in every run.
pub fn group(rows: impl Iterator<Item = usize>, rows_per_group: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let (mut first, mut end, mut sum) = (0, 0, 0);
    for rows in rows {
        (end, sum) = (end + 1, sum + rows);
        if sum >= rows_per_group {
            groups.push(first..end);
            (first, sum) = (end, 0);
        }
    }
    if sum > 0 {
        groups.push(first..end);
    }
    groups
}

/// Emits elements until nobody wants more.
pub fn emit_all<T>(items: impl IntoIterator<Item = T>, out: &mut Out<T>) -> Result<()> {
    for item in items {
        if out.emit(item)? == Flow::Enough {
            break;
        }
    }
    Ok(())
}

struct Writer<T> {
    items: Vec<T>,
    port: Port,
}

impl<T: Send + 'static> Push<T> for Writer<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Flow> {
        self.items.append(&mut chunk.items);
        Ok(Flow::More)
    }

    fn finish(&mut self) -> Result<()> {
        let mut items = std::mem::take(&mut self.items);
        items.shrink_to_fit();
        self.port.deliver(vec![(0, Box::new(items))]);
        Ok(())
    }
}

/// A source over elements that are in memory already, in splits of `per_split`.
pub struct InMemory<T> {
    items: Arc<Vec<T>>,
    per_split: usize,
}

impl<T> InMemory<T> {
    /// The elements, in splits of `per_split`, which must not be 0.
    pub fn new(items: Vec<T>, per_split: usize) -> InMemory<T> {
        InMemory { items: Arc::new(items), per_split }
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> for InMemory<T> {
    fn splits(&self) -> usize {
        self.items.len().div_ceil(self.per_split)
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let start = split * self.per_split;
        let end = (start + self.per_split).min(self.items.len());
        emit_all(self.items[start..end].iter().cloned(), out)
    }

    fn size_bytes(&self) -> Option<u64> {
        Some((self.items.len() * size_of::<T>()) as u64)
    }

    fn place(&self, split: usize, row: u64) -> crate::error::Place {
        crate::error::Place::row((split * self.per_split) as u64 + row)
    }
}
