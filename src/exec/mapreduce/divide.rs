//! Rows brought to partitions by a hash, where they stay in the order of the input.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

use super::map_output::Layout;
use super::map_rows;
use super::merge::{Merged, merge_down};
use super::partitions::{Partitions, Segments};
use crate::error::Result;
use crate::exec::divide::partition_of;
use crate::exec::erased::AnyPush;
use crate::exec::job::{Batch, Port, Terminal};
use crate::exec::memory::Budget;
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::exec::scatter::Packing;
use crate::exec::sort::order::{Order, Prefixes};
use crate::exec::source::Source;
use crate::exec::task::TaskCx;
use crate::exec::wire::Wire;
use crate::record::Record;

/// The exchange of `partition_by`.
pub struct Divided<T, F>(Arc<Shared<T, F>>);

struct Shared<T, F> {
    layout: Arc<ByPartition<T, F>>,
    partitions: Partitions<T>,
    segments: Segments<T>,
    budget: Budget,
}

/// Rows ordered by their partitions alone.
struct ByPartition<T, F> {
    partitions: usize,
    hash: Arc<F>,
    types: PhantomData<fn(T)>,
}

impl<T, F> Clone for Divided<T, F> {
    fn clone(&self) -> Divided<T, F> {
        Divided(Arc::clone(&self.0))
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Divided<T, F> {
    /// So many partitions.
    pub fn new(partitions: usize, hash: Arc<F>, budget: &Budget) -> Divided<T, F> {
        let layout = Arc::new(ByPartition { partitions, hash, types: PhantomData });
        let segments = Segments::one_by_one(partitions, budget.disk());
        let (partitions, budget) = (Partitions::new(partitions), budget.clone());
        Divided(Arc::new(Shared { layout, partitions, segments, budget }))
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Order<T> for ByPartition<T, F> {
    fn prefixes(&self) -> Prefixes {
        Prefixes::Exact
    }

    fn prefix(&self, row: &T) -> u64 {
        partition_of((self.hash)(row), self.partitions) as u64
    }

    fn compare(&self, a: &T, b: &T) -> Ordering {
        self.prefix(a).cmp(&self.prefix(b))
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Layout<T> for ByPartition<T, F> {
    const PACKING: Packing = Packing::Yes;

    fn partition(&self, prefix: u64) -> usize {
        prefix as usize
    }

    fn bucket(&self, prefix: u64, bits: u32) -> usize {
        ((u128::from(prefix) << bits) / self.partitions as u128) as usize
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Terminal for Divided<T, F> {
    fn cells(&self) -> usize {
        self.0.partitions.len()
    }

    fn writer(&self, cx: &TaskCx, port: Port) -> Result<AnyPush> {
        Ok(map_rows::writer(&self.0.layout, cx, port))
    }

    fn absorb(&self, cell: usize, _lane: usize, batch: Batch) -> Result<Demand> {
        self.0.partitions.add(cell, batch)?;
        Ok(Demand::More)
    }

    fn wire(&self) -> Option<&dyn Wire> {
        Some(&self.0.segments)
    }
}

impl<T: Record, F: Fn(&T) -> u64 + Send + Sync + 'static> Source<T> for Divided<T, F> {
    fn splits(&self) -> usize {
        self.0.partitions.len()
    }

    fn read(&self, split: usize, out: &mut Out<T>) -> Result<()> {
        let Shared { layout, partitions, budget, .. } = self.0.as_ref();
        let runs = merge_down(layout.as_ref(), partitions.fetch(split), budget)?;
        let mut merged = Merged::new(layout.as_ref(), runs, budget)?;
        while let Some(row) = merged.next()? {
            if out.emit(row)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}
