//! Elements of any type held in memory between two pipelines: what a crowded union is cut with.
//!
//! They may be no records, so that nothing of them can go to disk. What can is held by a [`super::hold::Hold`].

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::chunk::Chunk;
use super::collect::downcast;
use super::erased::AnyPush;
use super::hold::{Division, Keep, ROWS_PER_SPLIT, emit_all, group};
use super::job::{Batch, Port, Terminal};
use super::memory::{Budget, Reservation};
use super::out::Out;
use super::push::{Demand, Push};
use super::source::Source;
use super::task::TaskCx;
use crate::error::Result;

/// A terminal that holds what each task leaves, and the source that gives it again.
pub struct Between<T>(Arc<Shared<T>>);

struct Shared<T> {
    keep: Keep,
    division: Division,
    reservation: Mutex<Reservation>,
    parts: Mutex<Vec<Arc<Vec<T>>>>,
    /// The parts of each split, once it is known that no more will come.
    splits: Mutex<Vec<Range<usize>>>,
}

impl<T> Clone for Between<T> {
    fn clone(&self) -> Between<T> {
        Between(Arc::clone(&self.0))
    }
}

impl<T> Between<T> {
    /// An empty holder.
    pub fn new(keep: Keep, division: Division, budget: &Budget) -> Between<T> {
        let reservation = Mutex::new(budget.reservation());
        let (parts, splits) = (Mutex::default(), Mutex::default());
        Between(Arc::new(Shared { keep, division, reservation, parts, splits }))
    }

    fn parts(&self) -> MutexGuard<'_, Vec<Arc<Vec<T>>>> {
        self.0.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + Sync + 'static> Terminal for Between<T> {
    fn writer(&self, _cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(AnyPush::new(Writer { items: Vec::<T>::new(), port }))
    }

    fn absorb(&self, _cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        let items = downcast::<Vec<T>>(batch)?;
        let mut reservation = self.0.reservation.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = reservation.bytes() + (items.len() * size_of::<T>()) as u64;
        reservation.resize(bytes)?;
        self.parts().push(Arc::new(items));
        Ok(Demand::More)
    }
}

impl<T: Clone + Send + Sync + 'static> Source<T> for Between<T> {
    fn splits(&self) -> usize {
        let groups = match self.0.division {
            Division::AsLeft => (0..self.parts().len()).map(|part| part..part + 1).collect(),
            Division::Grouped | Division::Equal(_) | Division::AtMost(_) => {
                group(self.parts().iter().map(|part| part.len()), ROWS_PER_SPLIT)
            }
        };
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

struct Writer<T> {
    items: Vec<T>,
    port: Port,
}

impl<T: Send + 'static> Push<T> for Writer<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        self.items.append(&mut chunk.items);
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        let mut items = std::mem::take(&mut self.items);
        items.shrink_to_fit();
        self.port.deliver(vec![(0, Box::new(items))]);
        Ok(())
    }
}
