//! Exchanges that hold their input and give it again in other splits, or with the number of each row.

use std::marker::PhantomData;
use std::sync::Arc;

use super::erased::{Elements, Of};
use super::exchange::{Exchange, ExchangeSettings};
use super::hold::{Division, Hold, Keep, Storage};
use super::job::Terminal;
use super::mapreduce;
use super::out::Out;
use super::push::Demand;
use super::shuffle::{Route, Shuffle};
use super::source::{AnySource, Erased, Source};
use crate::error::{Place, Result};
use crate::record::{Data, Record};

/// Gives its input again in other splits.
pub struct Divide<T> {
    division: Division,
    types: PhantomData<fn(T)>,
}

impl<T: Record> Divide<T> {
    /// Divides by rows alone.
    pub fn new(division: Division) -> Divide<T> {
        Divide { division, types: PhantomData }
    }
}

impl<T: Record> Exchange for Divide<T> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let hold =
            Hold::<T>::new(Keep::Once, self.division, Storage::of(settings.execution), &settings.budget);
        (Arc::new(hold.clone()), Arc::new(Erased::new(hold)))
    }

    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        Some(Of::<T>::records())
    }

    fn selects(&self) -> bool {
        true
    }

    fn note(&self) -> Option<&'static str> {
        Some("hold: all rows, which are then divided anew,")
    }
}

/// Gives what a function makes of each row and its number, from 0.
pub struct Number<T, F> {
    f: F,
    types: PhantomData<fn(T)>,
}

impl<T: Record, F> Number<T, F> {
    /// Calls `f` with each row and its number.
    pub fn new(f: F) -> Number<T, F> {
        Number { f, types: PhantomData }
    }
}

impl<T: Record, U: Data, F: Fn(T, u64) -> U + Copy + Send + Sync + 'static> Exchange for Number<T, F> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        let hold =
            Hold::<T>::new(Keep::Once, Division::Grouped, Storage::of(settings.execution), &settings.budget);
        let numbered = Numbered { hold: hold.clone(), f: self.f };
        (Arc::new(hold), Arc::new(Erased::<_, U>::new(numbered)))
    }

    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        Some(Of::<T>::records())
    }

    fn note(&self) -> Option<&'static str> {
        Some("hold: all rows, until those before each split have been counted,")
    }
}

struct Numbered<T, F> {
    hold: Hold<T>,
    f: F,
}

impl<T: Record, U: Data, F: Fn(T, u64) -> U + Send + Sync + 'static> Source<U> for Numbered<T, F> {
    fn splits(&self) -> usize {
        self.hold.splits()
    }

    fn read(&self, split: usize, out: &mut Out<U>) -> Result<()> {
        self.hold.read_rows(split, &mut |item, row| out.emit((self.f)(item, row))).map(drop)
    }

    fn size_bytes(&self) -> Option<u64> {
        self.hold.size_bytes()
    }

    fn place(&self, split: usize, row: u64) -> Place {
        self.hold.place(split, row)
    }
}

/// Gives its input again in a number of splits, all rows of one hash in the same one.
pub struct DivideByHash<T, F> {
    partitions: usize,
    hash: Arc<F>,
    types: PhantomData<fn(T)>,
}

impl<T: Record, F: Fn(&T) -> u64> DivideByHash<T, F> {
    /// So many partitions, which must not be 0.
    pub fn new(partitions: usize, hash: F) -> DivideByHash<T, F> {
        DivideByHash { partitions, hash: Arc::new(hash), types: PhantomData }
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Exchange for DivideByHash<T, F> {
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>) {
        if settings.execution.stores_exchanges() {
            let hash = Arc::clone(&self.hash);
            let divided = mapreduce::divide::Divided::<T, F>::new(self.partitions, hash, &settings.budget);
            return (Arc::new(divided.clone()), Arc::new(Erased::new(divided)));
        }
        let route = ByHash { partitions: self.partitions, hash: Arc::clone(&self.hash) };
        let shuffle = Shuffle::<T, (), _>::new(self.partitions, route, &settings.budget);
        (Arc::new(shuffle.clone()), Arc::new(Erased::<_, T>::new(Partitions(shuffle))))
    }

    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        Some(Of::<T>::records())
    }

    fn note(&self) -> Option<&'static str> {
        Some("hold: all rows, each in the partition of its key,")
    }
}

/// The hash as a fraction of all hashes: its high bits decide, and any number of partitions gets its equal share.
#[inline]
pub fn partition_of(hash: u64, partitions: usize) -> usize {
    ((u128::from(hash) * partitions as u128) >> u64::BITS) as usize
}

struct ByHash<F> {
    partitions: usize,
    hash: Arc<F>,
}

impl<T, F: Fn(&T) -> u64 + Send + Sync + 'static> Route<T, ()> for ByHash<F> {
    #[inline]
    fn left(&self, row: &T) -> usize {
        partition_of((self.hash)(row), self.partitions)
    }

    /// There is no second input.
    fn right(&self, (): &()) -> usize {
        0
    }
}

/// The source of what comes out: one split a partition, be it empty.
struct Partitions<T, F>(Shuffle<T, (), F>);

impl<T: Record, F: Route<T, ()>> Source<T> for Partitions<T, F> {
    fn splits(&self) -> usize {
        self.0.len()
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let cell = self.0.take(split);
        for list in cell.left.into_lists() {
            for row in list?.rows {
                if out.emit(row)? == Demand::Enough {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
