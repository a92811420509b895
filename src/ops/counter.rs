//! `counter`: numbers that closures add to.

use std::collections::HashMap;

use crate::context::Context;
use crate::exec::counter::{COUNTED_ELSEWHERE, Computations, Counter};
use crate::plan::graph::NodeId;
use crate::plan::stages::{EndKind, PipelinePlan, Plan, StepPlan};

impl Context {
    /// The counter of this name: the same one whenever it is asked for; see [`Counter`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let even = ctx.counter("even");
    /// let numbers = ctx.range(0..10).inspect(move |n| even.add(u64::from(n % 2 == 0)));
    /// assert_eq!(numbers.count()?, 10);
    /// assert_eq!(ctx.counter("even").value(), 5);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn counter(&self, name: &str) -> Counter {
        self.counters().named(name)
    }
}

/// Numbers for computations: a node on a way from an origin.
#[derive(Default)]
struct Numbers {
    known: HashMap<(Option<usize>, NodeId), usize>,
    next: usize,
}

impl Numbers {
    fn fresh(&mut self) -> usize {
        self.next += 1;
        self.next - 1
    }

    fn of(&mut self, before: Option<usize>, node: NodeId) -> usize {
        if let Some(known) = self.known.get(&(before, node)) {
            return *known;
        }
        let fresh = self.fresh();
        self.known.insert((before, node), fresh);
        fresh
    }
}

/// Which computation each step of each pipeline is. The same nodes on the same way from the same origin are the same one:
/// what sharing would compute once. Each end takes what reaches it for itself.
pub(crate) fn computations(plan: &Plan) -> Vec<Computations> {
    let mut numbers = Numbers::default();
    let of_pipeline = |pipeline: &PipelinePlan| {
        let reads = pipeline.reads.map(|end| &plan.ends[end].kind);
        of_pipeline(pipeline, matches!(reads, Some(EndKind::Held(_))), &mut numbers)
    };
    plan.pipelines.iter().map(of_pipeline).collect()
}

/// What is held is read in other splits, so that what has been computed before cannot be told from them: it does not count again.
fn of_pipeline(pipeline: &PipelinePlan, is_held: bool, numbers: &mut Numbers) -> Computations {
    let before_it = numbers.next;
    let source = numbers.of(None, pipeline.origin.id);
    let mut before = vec![source; pipeline.steps.len()];
    let mut steps = Vec::with_capacity(pipeline.steps.len());
    for (index, step) in pipeline.steps.iter().enumerate() {
        // Parents stand before their children, so that the way to this step is known by now.
        steps.push(match step {
            StepPlan::Operator { node, to, .. } => {
                let number = numbers.of(Some(before[index]), node.id);
                for &child in to {
                    before[child] = number;
                }
                if is_held && number < before_it { COUNTED_ELSEWHERE } else { number }
            }
            StepPlan::End { .. } => numbers.fresh(),
        });
    }
    Computations { origin: pipeline.origin.id, source, steps }
}
