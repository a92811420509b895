//! Every row of one side with every row of another one, which is held and read again for each of them.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::broadcast::{Broadcast, Side};
use super::chunk::Chunk;
use super::erased::{AnyPush, Elements, Of};
use super::hold::{Division, Hold, Keep, Storage};
use super::job::Terminal;
use super::memory::{Budget, Reservation};
use super::narrow::Operator;
use super::out::Out;
use super::push::{Demand, Push};
use super::sequence::row_bytes;
use super::source::Source;
use super::task::TaskCx;
use super::trace::Cursor;
use crate::config::Execution;
use crate::error::{Error, ErrorKind, Result};
use crate::record::Record;

/// Pairs rows, as long as there are no more than so many pairs.
pub struct Cross<T, U> {
    max_rows: u64,
    types: PhantomData<fn(T, U)>,
}

impl<T, U> Cross<T, U> {
    /// At most `max_rows` pairs.
    pub fn new(max_rows: u64) -> Cross<T, U> {
        Cross { max_rows, types: PhantomData }
    }
}

impl<T: Record, U: Record> Broadcast for Cross<T, U> {
    fn input_elements(&self, side: Side) -> Option<Arc<dyn Elements>> {
        Some(match side {
            Side::Left => Of::<T>::records(),
            Side::Right => Of::<U>::records(),
        })
    }

    fn open(&self, budget: &Budget, execution: Execution) -> (Arc<dyn Terminal>, Arc<dyn Operator>) {
        let right = Hold::<U>::new(Keep::Always, Division::Grouped, Storage::of(execution), budget);
        let crossing = Crossing {
            right: right.clone(),
            max_rows: self.max_rows,
            passed: Arc::default(),
            execution,
            types: PhantomData::<fn(T)>,
        };
        (Arc::new(right), Arc::new(crossing))
    }
}

/// What the left side passes.
struct Crossing<T, U> {
    right: Hold<U>,
    max_rows: u64,
    /// Rows of the left side that have come by so far, in all tasks.
    passed: Arc<AtomicU64>,
    execution: Execution,
    types: PhantomData<fn(T)>,
}

impl<T: Record, U: Record> Operator for Crossing<T, U> {
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        let max_bytes = match self.execution {
            Execution::Dataflow => MAX_LOADED_BYTES,
            Execution::MapReduce | Execution::Spark => u64::MAX,
        };
        Ok(AnyPush::new(CrossingPush {
            right: self.right.clone(),
            loaded: Loaded::of(&self.right, max_bytes, cx.budget())?,
            splits: self.right.splits(),
            max_rows: self.max_rows,
            passed: Arc::clone(&self.passed),
            cx: cx.clone(),
            out: Out::new(cx.chunk_rows(), next.typed::<(T, U)>()?),
        }))
    }
}

/// In the dataflow mode a task has a copy of a right side of so many bytes. To read what is held takes locks and unpacks it, which for one row on the
/// right was half of the time of k-means; for many rows, the pairs cost more.
const MAX_LOADED_BYTES: u64 = 1 << 20;

/// What a task has of the right side, as the distributed cache of Hadoop gives each task its copy of a file.
struct Loaded<U> {
    rows: Vec<U>,
    _reserved: Reservation,
}

impl<U: Record> Loaded<U> {
    /// All of it, read once; none if it has more bytes, or does not fit the memory, and has to be read again and again.
    fn of(right: &Hold<U>, max_bytes: u64, budget: &Budget) -> Result<Option<Loaded<U>>> {
        let mut reserved = budget.reservation();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        for split in 0..right.splits() {
            let flow = right.read_rows(split, &mut |row, _| {
                bytes += row_bytes(&row) as u64;
                rows.push(row);
                let fits = bytes <= max_bytes
                    && (bytes <= reserved.bytes() || reserved.try_resize(bytes.next_multiple_of(1 << 12))?);
                Ok(if fits { Demand::More } else { Demand::Enough })
            })?;
            if flow == Demand::Enough {
                return Ok(None);
            }
        }
        Ok(Some(Loaded { rows, _reserved: reserved }))
    }
}

struct CrossingPush<T, U> {
    right: Hold<U>,
    loaded: Option<Loaded<U>>,
    splits: usize,
    max_rows: u64,
    passed: Arc<AtomicU64>,
    cx: TaskCx,
    out: Out<(T, U)>,
}

impl<T: Record, U: Record> CrossingPush<T, U> {
    /// Counts rows of the left side before they are paired, and refuses those that lead to too many pairs.
    fn check(&self, rows: usize, right: usize) -> Result<()> {
        let left = self.passed.fetch_add(rows as u64, Ordering::Relaxed) + rows as u64;
        if u128::from(left) * right as u128 <= u128::from(self.max_rows) {
            return Ok(());
        }
        let message = format!(
            "{left} rows or more on the left and {right} on the right give more than {} pairs",
            self.max_rows
        );
        Err(Error::new(ErrorKind::Config, message)
            .hint("if that is what you want, say how many there may be with cross_join_up_to"))
    }
}

impl<T: Record, U: Record> Push<T> for CrossingPush<T, U> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let right = self.right.rows();
        if right == 0 {
            return Ok(Demand::Enough);
        }
        self.check(chunk.items.len(), right)?;
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for item in chunk.items.drain(..) {
            if self.out.at_row(at.row())? == Demand::Enough {
                return Ok(Demand::Enough);
            }
            if let Some((last, others)) = self.loaded.as_ref().and_then(|loaded| loaded.rows.split_last()) {
                for other in others {
                    if self.out.emit((item.clone(), other.clone()))? == Demand::Enough {
                        return Ok(Demand::Enough);
                    }
                }
                if self.out.emit((item, last.clone()))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
                at.advance();
                continue;
            }
            for split in 0..self.splits {
                let mut emit = |other, _| self.out.emit((item.clone(), other));
                if self.right.read_rows(split, &mut emit)? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.finish()
    }
}
