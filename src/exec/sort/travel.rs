//! A sort whose runs and ranges are in different processes.
//!
//! First each task tells a summary: how many rows it has, and a sample. The process that plans draws the borders of the ranges from these, as it
//! does of its own runs. Then the tasks are run again, cut what they have at the borders, and send each range its part. A task has one run, so that a row is known by
//! its number there, and both times it is the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, OnceLock};

use serde::Deserialize;
use serde_json::{Value, json};

use super::border::Border;
use super::merge::{Lists, merge};
use super::order::Order;
use super::passes::{lists_of, merge_runs};
use super::run::{Blocks, Pieces, Run, Sampled};
use super::{Shared, Sorted, lock};
use crate::error::Result;
use crate::exec::collect::downcast;
use crate::exec::job::{Batch, Order as Place};
use crate::exec::push::Demand;
use crate::exec::sequence::List;
use crate::exec::spill::Block;
use crate::exec::wire::{ExchangeWire, Frames, Wire, damaged, rows_from_bytes, rows_to_bytes, take_u64};
use crate::record::Record;

/// What a sort knows that travels.
pub struct Travels<T> {
    /// In the process that plans: the task of each run.
    tasks: OnceLock<Vec<Place>>,
    /// In the others: what that process has told.
    told: OnceLock<Told<T>>,
    /// The runs of each range that have arrived here.
    runs: Mutex<BTreeMap<usize, Vec<Run<T>>>>,
}

/// What the processes that run tasks must know.
struct Told<T> {
    /// The tasks that have rows, in their order.
    tasks: Vec<Place>,
    borders: Vec<Border<T>>,
}

impl<T> Default for Travels<T> {
    fn default() -> Travels<T> {
        Travels { tasks: OnceLock::new(), told: OnceLock::new(), runs: Mutex::default() }
    }
}

impl<T: Record> Travels<T> {
    /// Whether this process runs tasks, and knows the borders.
    pub fn is_told(&self) -> bool {
        self.told.get().is_some()
    }

    /// Notes of which tasks the runs are.
    pub fn note_tasks(&self, runs: &[Run<T>]) {
        self.tasks.get_or_init(|| runs.iter().map(|run| run.task).collect());
    }

    /// Takes the part of a range that a task has sent.
    pub fn arrived(&self, range: usize, runs: Vec<Run<T>>) {
        lock(&self.runs).entry(range).or_default().extend(runs);
    }

    /// Merges what has arrived of a range.
    ///
    /// # Errors
    ///
    /// If the disk cannot be read, or `emit` fails.
    pub fn read<O: Order<T>>(
        &self,
        sort: &Shared<T, O>,
        range: usize,
        emit: &mut impl FnMut(T) -> Result<Demand>,
    ) -> Result<Demand> {
        let runs = lock(&self.runs).remove(&range).unwrap_or_default();
        let largest = runs.iter().map(Run::largest_block).max().unwrap_or(0);
        let fan_in = (sort.merge_bytes / largest.max(sort.list_bytes)).max(2);
        let runs = merge_runs(sort.order.as_ref(), runs, fan_in, sort.list_bytes)?;
        let lists: Vec<Lists<'_, T>> = runs.into_iter().map(lists_of).collect();
        merge(sort.order.as_ref(), lists, &mut |_, row| emit(row))
    }
}

impl<T: Record, O: Order<T>> Wire for Sorted<T, O> {
    fn pack(&self, _lane: usize, _cell: usize, batch: Batch, frames: &mut Frames<'_>) -> Result<()> {
        let told = self.0.travels.as_ref().and_then(|travels| travels.told.get());
        let told = told.ok_or_else(|| damaged("nobody has told the borders of a sort"))?;
        for run in downcast::<Vec<Run<T>>>(batch)? {
            let number = told
                .tasks
                .binary_search(&run.task)
                .map_err(|_| damaged("a task has other rows than before"))?;
            let mut parts = Parts { sort: &self.0, frames, range: 0, list: List::default() };
            let mut start = 0;
            for rows in lists_of(run) {
                let rows = rows?;
                let cut = |border: &Border<T>| border.cut(self.0.order.as_ref(), number, start, &rows);
                let first = parts.range;
                let ends: Vec<usize> =
                    told.borders[first..].iter().map(cut).take_while(|end| *end < rows.len()).collect();
                (start, parts.range) = (start + rows.len(), first);
                parts.take(rows, &ends)?;
            }
            parts.end()?;
        }
        Ok(())
    }

    fn unpack(&self, _lane: usize, frame: &[u8]) -> Result<Batch> {
        let budget = &self.0.budget;
        let block = Block::<T>::from_frame(frame, budget.disk())?;
        let pieces = Pieces::Disk(Blocks::of(block, budget.disk()));
        Ok(Box::new(vec![Run { pieces, ..Run::new(budget.reservation()) }]))
    }

    fn join(&self, _lane: usize, first: Batch, later: Batch) -> Result<Batch> {
        let (mut first, later) = (downcast::<Vec<Run<T>>>(first)?, downcast::<Vec<Run<T>>>(later)?);
        if let Some(Run { pieces: Pieces::Disk(blocks), .. }) = first.last_mut() {
            for run in later {
                if let Pieces::Disk(mut more) = run.pieces {
                    blocks.all.append(&mut more.all);
                }
            }
        }
        Ok(Box::new(first))
    }

    fn exchange(&self) -> Option<&dyn ExchangeWire> {
        self.0.travels.is_some().then_some(self)
    }

    fn told(&self) -> Value {
        let (Some(travels), Some(ranges)) = (&self.0.travels, self.0.ranges.get()) else {
            return Value::Null;
        };
        let tasks: Vec<_> =
            travels.tasks.get().into_iter().flatten().map(|task| (task.rank, task.split)).collect();
        let places: Vec<_> = ranges.borders().iter().map(|border| (border.run, border.at)).collect();
        let rows: Vec<T> = ranges.borders().iter().map(|border| border.row.clone()).collect();
        rows_to_bytes(&rows)
            .map_or(Value::Null, |rows| json!({"tasks": tasks, "places": places, "rows": rows}))
    }

    fn tell(&self, told: &Value) -> Result<()> {
        #[derive(Deserialize)]
        struct Text {
            tasks: Vec<(usize, usize)>,
            places: Vec<(usize, usize)>,
            rows: Vec<u8>,
        }
        let Some(travels) = self.0.travels.as_ref().filter(|_| !told.is_null()) else { return Ok(()) };
        let Text { tasks, places, rows } = Text::deserialize(told).map_err(damaged)?;
        let tasks = tasks.into_iter().map(|(rank, split)| Place { rank, split }).collect();
        let rows = rows_from_bytes::<T>(&rows)?;
        let borders = rows.into_iter().zip(places).map(|(row, (run, at))| Border { row, run, at }).collect();
        travels.told.get_or_init(|| Told { tasks, borders });
        Ok(())
    }
}

impl<T: Record, O: Order<T>> ExchangeWire for Sorted<T, O> {
    fn summary(&self, _lane: usize, batch: &Batch) -> Result<Vec<u8>> {
        let runs = batch.downcast_ref::<Vec<Run<T>>>().ok_or_else(|| damaged("it is no run"))?;
        let Some(run) = runs.first() else { return Ok(Vec::new()) };
        let mut numbers =
            vec![run.task.rank as u64, run.task.split as u64, run.rows() as u64, run.sample.len() as u64];
        numbers.extend(run.sample.iter().flat_map(|drawn| [drawn.at as u64, drawn.lot]));
        let rows: Vec<T> = run.sample.iter().map(|drawn| drawn.row.clone()).collect();
        let mut bytes: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        bytes.extend(rows_to_bytes(&rows)?);
        Ok(bytes)
    }

    fn summarized(&self, _lane: usize, _order: Place, mut summary: &[u8]) -> Result<Batch> {
        if summary.is_empty() {
            return Ok(Box::new(Vec::<Run<T>>::new()));
        }
        let mut number = || take_u64(&mut summary).map(|number| number as usize);
        let task = Place { rank: number()?, split: number()? };
        let (rows, drawn) = (number()?, number()?);
        let places = (0..drawn).map(|_| Ok((number()?, number()? as u64))).collect::<Result<Vec<_>>>()?;
        let sample = rows_from_bytes::<T>(summary)?.into_iter().zip(places);
        let sample = sample.map(|(row, (at, lot))| Sampled { row, at, lot }).collect();
        let run = Run { sample, task, ..Run::elsewhere(rows, self.0.budget.reservation()) };
        Ok(Box::new(vec![run]))
    }

    fn cells(&self) -> usize {
        let told = self.0.travels.as_ref().and_then(|travels| travels.told.get());
        let here = self.0.ranges.get().map(|ranges| ranges.borders().len());
        told.map(|told| told.borders.len()).or(here).map_or(0, |borders| borders + 1)
    }

    fn cells_of(&self, split: usize) -> Range<usize> {
        split..split + 1
    }

    fn is_sampled(&self) -> bool {
        true
    }
}

/// The rows of a task on their way to their ranges, in order.
struct Parts<'a, 'b, T, O> {
    sort: &'a Shared<T, O>,
    frames: &'a mut Frames<'b>,
    range: usize,
    list: List<T>,
}

impl<T: Record, O: Order<T>> Parts<'_, '_, T, O> {
    /// Takes rows; the next ranges begin at these of them.
    fn take(&mut self, rows: Vec<T>, ends: &[usize]) -> Result<()> {
        let mut ends = ends.iter().peekable();
        for (at, row) in rows.into_iter().enumerate() {
            while ends.next_if(|end| **end <= at).is_some() {
                self.end()?;
                self.range += 1;
            }
            self.list.push(row);
            if self.list.bytes >= self.sort.list_bytes {
                self.end()?;
            }
        }
        Ok(())
    }

    /// Sends what has been taken.
    fn end(&mut self) -> Result<()> {
        let List { rows, bytes } = std::mem::take(&mut self.list);
        if rows.is_empty() {
            return Ok(());
        }
        let block = Block::write(&rows, bytes, self.sort.budget.disk())?;
        (self.frames)(self.range, block.to_frame()?)
    }
}
