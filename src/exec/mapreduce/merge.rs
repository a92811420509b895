//! Runs, or the segments of a partition, merged in the order of their prefixes; equal prefixes come in the order of the runs.

use super::map_output::{Layout, Run, block_bytes, write_merged};
use crate::error::Result;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::sort::merge::{Lists, Tree};
use crate::exec::spill::Block;
use crate::record::Record;

/// The rows of runs, row by row.
pub struct Merged<'a, T, L> {
    tree: Tree<'a, T, L>,
    /// For a block of each run.
    _blocks: Reservation,
}

impl<'a, T: Record, L: Layout<T>> Merged<'a, T, L> {
    /// Begins to merge.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read.
    pub fn new(layout: &'a L, runs: Vec<Run<T>>, budget: &Budget) -> Result<Merged<'a, T, L>> {
        let mut blocks = budget.reservation();
        blocks.resize(runs.iter().map(largest_block).sum::<usize>() as u64)?;
        let tree = Tree::new(layout, runs.into_iter().map(lists).collect())?;
        Ok(Merged { tree, _blocks: blocks })
    }

    /// The next row.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read.
    #[inline]
    pub fn next(&mut self) -> Result<Option<T>> {
        Ok(self.tree.next()?.map(|(_, row)| row))
    }
}

/// The bytes of the largest block of a run: a row is never divided, so that a block may be larger than others.
fn largest_block<T: Record>(run: &Run<T>) -> usize {
    run.iter().flat_map(|(_, segment)| &segment.blocks).map(Block::bytes).max().unwrap_or(0)
}

/// The rows of a run, block by block; each is given back to the disk when it has been read.
fn lists<T: Record>(run: Run<T>) -> Lists<'static, T> {
    let blocks = run.into_iter().flat_map(|(_, segment)| segment.blocks);
    Box::new(blocks.map(|block| block.read()))
}

/// Merges neighbouring runs until blocks of all that are left fit an eighth of the memory.
///
/// # Errors
///
/// If the disk cannot be written or read.
pub fn merge_down<T: Record, L: Layout<T>>(
    layout: &L,
    mut runs: Vec<Run<T>>,
    budget: &Budget,
) -> Result<Vec<Run<T>>> {
    let fan_in = (budget.share(8) / block_bytes(budget)).max(4);
    while runs.len() > fan_in {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(fan_in));
        let mut rest = runs.into_iter();
        while rest.len() > 0 {
            merged.push(write_merged(layout, rest.by_ref().take(fan_in).collect(), budget)?);
        }
        runs = merged;
    }
    Ok(runs)
}
