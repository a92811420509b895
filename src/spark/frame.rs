//! Frames as they travel: what a batch is for, and a piece of it.

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::exec::job::Order;
use crate::exec::task::{Run, RunId};
use crate::exec::wire::{damaged, take_u64};

/// What a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Head {
    /// The terminal of the job.
    pub terminal: usize,
    /// Its cell.
    pub cell: usize,
    /// Its lane.
    pub lane: usize,
    /// The place of the task that left it.
    pub order: Order,
    /// Which batch of the task for this cell it belongs to.
    pub batch: usize,
    /// Which frame of the batch it is.
    pub number: usize,
}

/// The terminal of what tasks leave beside what they deliver, which is for no terminal; the cell says what it is.
pub const BESIDE: usize = usize::MAX;

/// The terminal of the error that an action has ended with.
pub const FAILED: usize = usize::MAX - 1;

/// The bytes of a head.
pub const HEAD_BYTES: usize = 7 * 8;

/// A job of the program, in the order in which `main` comes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId {
    /// The number of the action.
    pub action: u64,
    /// The number of the job in it.
    pub job: u64,
}

impl JobId {
    /// The job of a run.
    pub fn of(run: &Run) -> JobId {
        JobId { action: run.id.number(), job: run.number.saturating_sub(1) as u64 }
    }

    /// What an action begins with, before its first job.
    pub fn begin(action: RunId) -> JobId {
        JobId { action: action.number(), job: 0 }
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        (u128::from(self.action) << 64 | u128::from(self.job)).to_be_bytes()
    }

    /// The next one of a frame.
    ///
    /// # Errors
    ///
    /// If the frame ends before it.
    pub fn take(frame: &mut &[u8]) -> Result<JobId> {
        let (bytes, rest) = frame.split_first_chunk().ok_or_else(|| damaged("it is too short"))?;
        *frame = rest;
        let both = u128::from_be_bytes(*bytes);
        Ok(JobId { action: (both >> 64) as u64, job: both as u64 })
    }
}

impl Head {
    /// The head of something that is for a terminal as a whole, or for none.
    pub fn of(terminal: usize) -> Head {
        let order = Order { rank: 0, split: 0 };
        Head { terminal, cell: 0, lane: 0, order, batch: 0, number: 0 }
    }

    /// As bytes.
    pub fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let Head { terminal, cell, lane, order, batch, number } = self;
        let mut bytes = [0; HEAD_BYTES];
        let numbers = [terminal, cell, lane, order.rank, order.split, batch, number];
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&(number as u64).to_le_bytes());
        }
        bytes
    }

    /// The head of a frame, and what follows it.
    ///
    /// # Errors
    ///
    /// If the frame is shorter.
    pub fn parse(mut frame: &[u8]) -> Result<(Head, &[u8])> {
        let mut numbers = [0; 7];
        for number in &mut numbers {
            *number = usize::try_from(take_u64(&mut frame)?).map_err(damaged)?;
        }
        let [terminal, cell, lane, rank, split, batch, number] = numbers;
        Ok((Head { terminal, cell, lane, order: Order { rank, split }, batch, number }, frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_comes_back() {
        let head =
            Head { terminal: 1, cell: 2, lane: 3, order: Order { rank: 4, split: 5 }, batch: 6, number: 7 };
        let mut frame = head.to_bytes().to_vec();
        frame.extend(b"rest");
        assert_eq!(Head::parse(&frame).unwrap(), (head, b"rest".as_slice()));
        assert!(Head::parse(&frame[..HEAD_BYTES - 1]).is_err());
    }
}
