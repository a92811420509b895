//! What the tasks of a worker leave, on its way: to the partitions of later stages, and to the driver.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::beside;
use super::frame::Head;
use super::link::{Kind, Sender};
use super::stage::{self, Destination, Stage, Task, wire};
use crate::error::Result;
use crate::exec::job::{Batch, Job};
use crate::exec::scheduler::Event;
use crate::exec::task::Run;
use crate::exec::wire::{ExchangeWire, Routing};

/// Sends what tasks leave.
pub struct Sending<'a> {
    sender: &'a mut Sender,
    job: &'a Job,
    stage: &'a Stage,
    task: &'a Task,
    /// The summaries of what has been sent, by terminal, cell and lane: those of all splits in one, where they can be.
    summaries: BTreeMap<(usize, usize, usize), (Head, Vec<u8>)>,
    /// Frames that have been sent.
    frames: u64,
}

impl<'a> Sending<'a> {
    /// For a task of which nothing has been sent.
    pub fn new(sender: &'a mut Sender, job: &'a Job, stage: &'a Stage, task: &'a Task) -> Sending<'a> {
        Sending { sender, job, stage, task, summaries: BTreeMap::new(), frames: 0 }
    }

    /// Sends what has been delivered.
    ///
    /// # Errors
    ///
    /// If it cannot be packed, or the executor is gone.
    pub fn event(&mut self, event: Event) -> Result<()> {
        let Event::Delivered { terminal, lane, order, batches } = event else { return Ok(()) };
        for (batch, (cell, left)) in batches.into_iter().enumerate() {
            self.batch(Head { terminal, cell, lane, order, batch, number: 0 }, left)?;
        }
        Ok(())
    }

    /// Sends a batch to the partitions of its cells, and to the driver what it must know of it; or all of it to the driver.
    fn batch(&mut self, head: Head, batch: Batch) -> Result<()> {
        let is_wanted = self.stage.sends.contains(&head.terminal);
        let destination = stage::destination(self.job, head.terminal)?;
        if let Destination::Exchange(_) = destination {
            let exchange = stage::exchange(self.job, head.terminal)?;
            if self.stage.samples.contains(&head.terminal) || (is_wanted && !exchange.is_sampled()) {
                self.summary(exchange, head, exchange.summary(head.lane, &batch)?)?;
            }
        }
        if !is_wanted {
            return Ok(());
        }
        let base = self.stage.bases.get(&head.terminal).copied().unwrap_or(0);
        let of_driver = self.of_driver();
        let mut number = 0;
        wire(self.job, head.terminal)?.pack(head.lane, head.cell, batch, &mut |cell, frame| {
            let partition = match destination {
                Destination::Exchange(Routing::ByCell) => base + cell,
                Destination::Exchange(Routing::ByTask(_)) => base + head.order.split,
                Destination::Broadcast | Destination::Driver => of_driver,
            };
            self.frame(partition, Head { cell, number, ..head }, &frame)?;
            number += 1;
            Ok(())
        })
    }

    /// Keeps a summary until those that follow are known: of a cell and a lane there are as many as the task has splits.
    fn summary(&mut self, exchange: &dyn ExchangeWire, head: Head, summary: Vec<u8>) -> Result<()> {
        match self.summaries.entry((head.terminal, head.cell, head.lane)) {
            Entry::Vacant(free) => drop(free.insert((head, summary))),
            Entry::Occupied(mut there) => {
                if let Some(both) = exchange.join_summaries(&there.get().1, &summary)? {
                    there.get_mut().1 = both;
                } else {
                    let (head, summary) = there.insert((head, summary));
                    self.frame(self.of_driver(), head, &summary)?;
                }
            }
        }
        Ok(())
    }

    /// Sends what is left when all splits have been run; the number of all frames.
    ///
    /// # Errors
    ///
    /// As [`Sending::event`].
    pub fn end(mut self, run: &Run) -> Result<u64> {
        let of_driver = self.of_driver();
        for (head, summary) in std::mem::take(&mut self.summaries).into_values() {
            self.frame(of_driver, head, &summary)?;
        }
        beside::pack(run, self.task.splits.start, &mut |head, frame| self.frame(of_driver, head, frame))?;
        Ok(self.frames)
    }

    /// The partition that brings what the task has for the driver: the driver's are fetched by tasks, each on an executor of its own.
    fn of_driver(&self) -> usize {
        self.task.number % self.stage.for_driver.max(1)
    }

    fn frame(&mut self, partition: usize, head: Head, bytes: &[u8]) -> Result<()> {
        self.frames += 1;
        self.sender.send(Kind::Frame, &[&(partition as u32).to_be_bytes(), &head.to_bytes(), bytes])
    }
}
