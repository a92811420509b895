//! Cuts a long chain into segments, so that the stack stays bounded however many operators are fused.
//!
//! Pushing is recursive: every operator stands on the stack of the one before it. A relay ends a segment by keeping the
//! chunks it receives; the task pumps them into the next segment once the stack has unwound.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::chunk::Chunk;
use super::erased::AnyPush;
use super::push::{Demand, Next, Push};
use crate::error::Result;

/// The sending end of a relay: the head of the next segment.
pub trait Pump {
    /// Moves what has been received to the next segment.
    fn pump(&mut self) -> Result<()>;

    /// Moves what is left and finishes the next segment.
    fn finish(&mut self) -> Result<()>;
}

type Queue<T> = Rc<RefCell<Vec<Chunk<T>>>>;

struct Receive<T> {
    queue: Queue<T>,
    /// What the next segment said last.
    flow: Rc<Cell<Demand>>,
}

struct Send<T> {
    queue: Queue<T>,
    flow: Rc<Cell<Demand>>,
    next: Next<T>,
}

/// The two ends of a relay before `next`.
pub fn pair<T: 'static>(next: Next<T>) -> (AnyPush, Box<dyn Pump>) {
    let (queue, flow) = (Queue::default(), Rc::new(Cell::new(Demand::More)));
    let receive = Receive { queue: Rc::clone(&queue), flow: Rc::clone(&flow) };
    (AnyPush::new(receive), Box::new(Send { queue, flow, next }))
}

impl<T> Push<T> for Receive<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let mut kept = Chunk::with_capacity(0);
        std::mem::swap(&mut kept.items, &mut chunk.items);
        kept.rows.copy_from(&chunk.rows);
        self.queue.borrow_mut().push(kept);
        Ok(self.flow.get())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<T> Pump for Send<T> {
    fn pump(&mut self) -> Result<()> {
        let chunks = std::mem::take(&mut *self.queue.borrow_mut());
        for mut chunk in chunks {
            self.flow.set(self.next.push(&mut chunk)?);
            if self.flow.get() == Demand::Enough {
                break;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        self.pump()?;
        self.next.finish()
    }
}

/// The first segment of a task, with the pumps of all the others in the order of the chain.
pub struct Pumped<T> {
    head: Next<T>,
    pumps: Vec<Box<dyn Pump>>,
}

impl<T> Pumped<T> {
    /// `head`, after whose every chunk `pumps` run.
    pub fn new(head: Next<T>, pumps: Vec<Box<dyn Pump>>) -> Pumped<T> {
        Pumped { head, pumps }
    }
}

impl<T> Push<T> for Pumped<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let flow = self.head.push(chunk)?;
        for pump in &mut self.pumps {
            pump.pump()?;
        }
        Ok(flow)
    }

    fn finish(&mut self) -> Result<()> {
        self.head.finish()?;
        self.pumps.iter_mut().try_for_each(|pump| pump.finish())
    }
}
