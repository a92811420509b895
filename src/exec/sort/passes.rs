//! Passes over runs that are too many to be merged at once.

use super::merge::{Lists, merge};
use super::order::Order;
use super::run::{Pieces, Run, Sampled};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::push::Demand;
use crate::exec::sequence::List;
use crate::record::Record;

/// Merges neighbouring runs until there are no more than `fan_in`, a piece of each of which fits the memory. What lies in memory between
/// runs on disk is merged with them, because equal rows keep the order of their runs.
///
/// # Errors
///
/// If the disk cannot be written or read.
pub fn merge_runs<T: Record, O: Order<T>>(
    order: &O,
    mut runs: Vec<Run<T>>,
    fan_in: usize,
    list_bytes: usize,
) -> Result<Vec<Run<T>>> {
    while runs.len() > fan_in {
        let mut merged = Vec::with_capacity(runs.len().div_ceil(fan_in));
        let mut rest = runs.into_iter();
        while rest.len() > 0 {
            let group: Vec<_> = rest.by_ref().take(fan_in).collect();
            merged.push(merge_group(order, group, list_bytes)?);
        }
        runs = merged;
    }
    Ok(runs)
}

/// One run on disk out of several; what was drawn of them keeps its place.
///
/// # Errors
///
/// If the disk cannot be written or read.
pub fn merge_group<T: Record, O: Order<T>>(
    order: &O,
    group: Vec<Run<T>>,
    list_bytes: usize,
) -> Result<Run<T>> {
    let Some(budget) = group.first().map(|run| run.reservation.budget().clone()) else {
        return Err(Error::new(ErrorKind::Internal, "no runs were to be merged"));
    };
    let mut working = budget.reservation();
    working.resize(group.iter().map(|run| run.largest_block().max(list_bytes) as u64).sum())?;
    let (mut lists, mut samples) = (Vec::new(), Vec::new());
    for mut run in group {
        samples.push((0, std::mem::take(&mut run.sample).into_iter().peekable()));
        lists.push(lists_of(run));
    }
    let mut merged = Run::new(budget.reservation());
    merged.spill()?;
    let (mut list, mut at) = (List::default(), 0);
    let _all: Demand = merge(order, lists, &mut |source, row| {
        let (passed, sample) = &mut samples[source];
        merged
            .sample
            .extend(sample.next_if(|drawn| drawn.at == *passed).map(|drawn| Sampled { at, ..drawn }));
        (*passed, at) = (*passed + 1, at + 1);
        list.push(row);
        if list.bytes >= list_bytes {
            merged.push(std::mem::take(&mut list))?;
        }
        Ok(Demand::More)
    })?;
    merged.push(list)?;
    merged.end()?;
    Ok(merged)
}

/// The rows of a run, list by list.
pub fn lists_of<T: Record>(run: Run<T>) -> Lists<'static, T> {
    let reservation = run.reservation;
    match run.pieces {
        Pieces::Memory(lists) => Box::new(lists.into_iter().map(move |list| {
            let _held = &reservation;
            Ok(list.rows)
        })),
        Pieces::Disk(blocks) => Box::new(blocks.all.into_iter().map(|block| block.read())),
        Pieces::Elsewhere(_) => Box::new(std::iter::empty()),
    }
}
