//! Ranges of a sorted whole that lies in memory: each holds its piece of every run until it is read.

use std::sync::{Mutex, PoisonError};

use super::border::Border;
use super::merge::{Lists, merge};
use super::order::Order;
use super::run::{Piece, Run};
use crate::error::Result;
use crate::exec::memory::{Budget, Reservation};
use crate::exec::push::Flow;
use crate::exec::sequence::List;
use crate::exec::spill::Block;
use crate::record::Record;

/// All rows between two borders.
pub struct Held<T>(Mutex<State<T>>);

struct State<T> {
    /// Those of each run, in order.
    sources: Vec<Vec<List<T>>>,
    /// All rows, merged, once they had to leave the memory.
    merged: Vec<Block<T>>,
    reservation: Reservation,
}

impl<T: Record> State<T> {
    fn new(budget: &Budget) -> State<T> {
        State { sources: Vec::new(), merged: Vec::new(), reservation: budget.reservation() }
    }

    fn into_lists(self) -> (Vec<Lists<'static, T>>, Reservation) {
        let mut lists: Vec<Lists<'static, T>> = Vec::with_capacity(self.sources.len() + 1);
        for source in self.sources {
            lists.push(Box::new(source.into_iter().map(|list| Ok(list.rows))));
        }
        if !self.merged.is_empty() {
            lists.push(Box::new(self.merged.into_iter().map(|block| block.read())));
        }
        (lists, self.reservation)
    }
}

/// Divides runs that lie in memory at the borders.
///
/// # Errors
///
/// If a holder fails to make room.
pub fn divide<T: Record, O: Order<T>>(
    order: &O,
    runs: Vec<Run<T>>,
    borders: &[Border<T>],
    budget: &Budget,
) -> Result<Vec<Held<T>>> {
    let mut ranges: Vec<State<T>> = (0..=borders.len()).map(|_| State::new(budget)).collect();
    for (index, mut run) in runs.into_iter().enumerate() {
        let lists: Vec<List<T>> = std::mem::take(&mut run.pieces).into_iter().filter_map(in_memory).collect();
        let cuts = cuts(order, index, &lists, borders);
        for (range, lists) in ranges.iter_mut().zip(cut(lists, &cuts)) {
            if !lists.is_empty() {
                let bytes: usize = lists.iter().map(|list| list.bytes).sum();
                range.reservation.merge(run.reservation.transfer(bytes as u64)?);
                range.sources.push(lists);
            }
        }
    }
    Ok(ranges.into_iter().map(|state| Held(Mutex::new(state))).collect())
}

fn in_memory<T>(piece: Piece<T>) -> Option<List<T>> {
    match piece {
        Piece::Memory(list) => Some(list),
        Piece::Disk(_) => None,
    }
}

/// How many rows of a run come before each border.
fn cuts<T: Record, O: Order<T>>(
    order: &O,
    run: usize,
    lists: &[List<T>],
    borders: &[Border<T>],
) -> Vec<usize> {
    let ends: Vec<usize> = lists
        .iter()
        .scan(0, |end, list| {
            *end += list.rows.len();
            Some(*end)
        })
        .collect();
    let place = |border: &Border<T>| {
        let piece = border.piece(order, run, &ends, |list| &lists[list].rows[0]);
        let rows = &lists[piece].rows;
        let start = ends[piece] - rows.len();
        start + border.cut(order, run, start, rows)
    };
    borders.iter().map(place).collect()
}

/// Cuts lists before the rows of these numbers, which ascend.
fn cut<T: Record>(lists: Vec<List<T>>, cuts: &[usize]) -> Vec<Vec<List<T>>> {
    let mut parts = vec![Vec::new()];
    let mut cuts = cuts.iter().copied().peekable();
    let mut start = 0;
    for list in lists {
        let end = start + list.rows.len();
        let mut rows = list.rows.into_iter();
        while let Some(cut) = cuts.next_if(|cut| *cut < end) {
            let part: Vec<T> = rows.by_ref().take(cut - start).collect();
            start = cut;
            push(&mut parts, part);
            parts.push(Vec::new());
        }
        // What was not cut is not copied.
        push(&mut parts, rows.collect());
        start = end;
    }
    parts.extend(cuts.map(|_| Vec::new()));
    parts
}

fn push<T: Record>(parts: &mut [Vec<List<T>>], rows: Vec<T>) {
    if let Some(last) = parts.last_mut()
        && !rows.is_empty()
    {
        last.push(List::of(rows));
    }
}

impl<T: Record> Held<T> {
    /// The bytes that it holds in memory, or none while somebody is at it.
    pub fn memory_bytes(&self) -> u64 {
        self.0
            .try_lock()
            .map_or(0, |state| if state.sources.is_empty() { 0 } else { state.reservation.bytes() })
    }

    /// Merges what lies in memory and writes it to disk, unless somebody is at it; returns the bytes given back.
    ///
    /// # Errors
    ///
    /// If the disk cannot be written.
    pub fn spill<O: Order<T>>(&self, order: &O, list_bytes: usize) -> Result<u64> {
        let Ok(mut state) = self.0.try_lock() else { return Ok(0) };
        if state.sources.is_empty() {
            return Ok(0);
        }
        let budget = state.reservation.budget().clone();
        let (lists, reservation) = std::mem::replace(&mut *state, State::new(&budget)).into_lists();
        let (mut merged, mut list) = (Vec::new(), List::default());
        let _all: Flow = merge(order, lists, &mut |_, row| {
            list.push(row);
            if list.bytes >= list_bytes {
                merged.push(Block::write(&list.rows, list.bytes, budget.disk())?);
                list = List::default();
            }
            Ok(Flow::More)
        })?;
        if !list.rows.is_empty() {
            merged.push(Block::write(&list.rows, list.bytes, budget.disk())?);
        }
        state.merged = merged;
        Ok(reservation.bytes())
    }

    /// Hands its rows to `emit`, in order, until it has enough.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read, or `emit` fails.
    pub fn read<O: Order<T>>(&self, order: &O, emit: &mut impl FnMut(T) -> Result<Flow>) -> Result<Flow> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = State::new(state.reservation.budget());
        let (lists, _reserved) = std::mem::replace(&mut *state, empty).into_lists();
        drop(state);
        merge(order, lists, &mut |_, row| emit(row))
    }
}
