//! `sample`: elements drawn by a hash of where they stand.

use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::chunk::Chunk;
use crate::exec::erased::AnyPush;
use crate::exec::narrow::Operator;
use crate::exec::out::Out;
use crate::exec::push::{Demand, Push};
use crate::exec::task::TaskCx;
use crate::exec::trace::Cursor;
use crate::plan::graph::{Node, NodeId, Shape};
use crate::record::{Data, Key};

impl<T: Data> Dataset<T> {
    /// Takes each element with the probability `fraction`, independently of the others.
    ///
    /// The number of elements that are taken therefore varies around `fraction` of all. Which ones they are is decided by a
    /// stable hash of `seed` and of the position of the element: its split, and its place among the elements that this
    /// operator sees of the split. So it is the same in every run over the same input with the same
    /// [`split_bytes`](crate::ContextBuilder::split_bytes), on any number of threads. A larger fraction takes what a smaller one
    /// with the same seed does, and more; another seed takes others. The sides of a union are drawn independently, unless both
    /// are the same dataset: an element that comes twice is then taken both times, or not at all.
    ///
    /// # Ordering
    ///
    /// Kept.
    ///
    /// # Errors
    ///
    /// If `fraction` is not a number from 0 to 1.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let about_a_tenth = ctx.range(0..10_000).sample(0.1, 7)?.count()?;
    /// assert!((900..1100).contains(&about_a_tenth));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn sample(&self, fraction: f64, seed: u64) -> Result<Dataset<T>> {
        let call = CallSite::here("sample");
        if !(0.0..=1.0).contains(&fraction) {
            let error = Error::new(ErrorKind::Config, format!("the fraction is {fraction}"));
            return Err(error.in_call(call).hint("give a number from 0 to 1"));
        }
        Ok(self.drawn(call, &Arc::new(Draw::new(self.node(), seed)), 0.0..fraction))
    }

    /// The elements whose numbers lie in a range.
    pub(super) fn drawn(&self, call: CallSite, draw: &Arc<Draw>, numbers: Range<f64>) -> Dataset<T> {
        self.narrow_same(call, Drawn::<T> { draw: Arc::clone(draw), numbers, types: PhantomData })
    }
}

/// Gives every element a number from 0 to 1, by where it stands.
pub(super) struct Draw {
    seed: u64,
    /// What may be read for the operator, numbered by its place in the graph: the splits of both sides of a union have the same
    /// numbers, and are not to be drawn alike.
    origins: HashMap<NodeId, u64>,
}

impl Draw {
    /// The numbers for what an operator reads.
    pub(super) fn new(input: &Arc<Node>, seed: u64) -> Draw {
        let (mut origins, mut visited, mut narrow) = (HashMap::new(), HashSet::new(), Vec::new());
        let mut stack = vec![input];
        while let Some(node) = stack.pop() {
            if !visited.insert(node.id) {
                continue;
            }
            match node.shape {
                Shape::Narrow(_) => {
                    narrow.push(node.id);
                    stack.extend(&node.inputs);
                }
                // The planner may hold a union, which is read then itself.
                Shape::Union => {
                    origins.insert(node.id, origins.len() as u64);
                    stack.extend(node.inputs.iter().rev());
                }
                // The planner may broadcast a side, so that the other one is read without it.
                Shape::Wide(_) | Shape::Broadcast(_) => {
                    origins.insert(node.id, origins.len() as u64);
                    stack.extend(node.passing_inputs().iter().rev());
                }
                Shape::Source(_) | Shape::Cache(_) | Shape::Loop(_) => {
                    origins.insert(node.id, origins.len() as u64);
                }
            }
        }
        // What the rounds of a loop share may be held behind any operator.
        for node in narrow {
            origins.insert(node, origins.len() as u64);
        }
        Draw { seed, origins }
    }

    /// What the numbers of a task's elements begin with.
    fn of_task(&self, cx: &TaskCx) -> u64 {
        let origin = self.origins.get(&cx.origin()).copied().unwrap_or_default();
        (self.seed, origin, cx.split() as u64).key_hash()
    }
}

/// The number of the element at a position: all of the 53 bits that a float from 0 to 1 has are drawn.
fn number(of_task: u64, position: u64) -> f64 {
    ((of_task, position).key_hash() >> 11) as f64 / (1u64 << 53) as f64
}

struct Drawn<T> {
    draw: Arc<Draw>,
    numbers: Range<f64>,
    types: PhantomData<fn(T)>,
}

impl<T: 'static> Operator for Drawn<T> {
    fn build(&self, cx: &TaskCx, next: AnyPush) -> Result<AnyPush> {
        Ok(AnyPush::new(DrawnPush {
            of_task: self.draw.of_task(cx),
            numbers: self.numbers.clone(),
            position: 0,
            cx: cx.clone(),
            out: Out::new(cx.chunk_rows(), next.typed::<T>()?),
        }))
    }

    fn selects(&self) -> bool {
        true
    }

    fn is_positional(&self) -> bool {
        true
    }
}

struct DrawnPush<T> {
    of_task: u64,
    numbers: Range<f64>,
    /// How many elements came before.
    position: u64,
    cx: TaskCx,
    out: Out<T>,
}

impl<T> Push<T> for DrawnPush<T> {
    fn push(&mut self, chunk: &mut Chunk<T>) -> Result<Demand> {
        let mut at = Cursor::new(self.cx.trace(), &chunk.rows);
        for item in chunk.items.drain(..) {
            let is_drawn = self.numbers.contains(&number(self.of_task, self.position));
            self.position += 1;
            if is_drawn
                && (self.out.at_row(at.row())? == Demand::Enough || self.out.emit(item)? == Demand::Enough)
            {
                return Ok(Demand::Enough);
            }
            at.advance();
        }
        Ok(Demand::More)
    }

    fn finish(&mut self) -> Result<()> {
        self.out.finish()
    }
}
