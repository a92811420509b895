//! `iterate` and `iterate_until`: a loop in the graph.

use std::sync::Arc;

use crate::dataset::Dataset;
use crate::error::{CallSite, Error, ErrorKind, Result};
use crate::exec::erased::Of;
use crate::exec::out::Out;
use crate::exec::source::{Erased, Source};
use crate::plan::graph::{Node, Shape};
use crate::plan::loops::Loop;
use crate::record::Record;

impl<T: Record> Dataset<T> {
    /// What `rounds` rounds make of this dataset: `body` of it, then `body` of that, and so on.
    ///
    /// See [`Dataset::iterate_until`], which is the same with a condition to stop earlier.
    ///
    /// # Ordering
    ///
    /// That of what `body` gives; that of this dataset if there are no rounds.
    ///
    /// # Errors
    ///
    /// See [`Dataset::iterate_until`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let doubled = ctx.range(0..3).iterate(10, |state| state.map(|n| 2 * n));
    /// assert_eq!(doubled.collect()?, [0, 1024, 2048]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn iterate(&self, rounds: usize, body: impl FnOnce(&Dataset<T>) -> Dataset<T>) -> Dataset<T> {
        let call = CallSite::here("iterate");
        let state = self.state_of_loop(call);
        let results = vec![Arc::clone(body(&state).node())];
        self.looped(
            call,
            format!("for {rounds} rounds"),
            Loop::new(Arc::clone(state.node()), results, rounds),
        )
    }

    /// What rounds make of this dataset, until a condition is met: `body` of it, then `body` of that, and so on.
    ///
    /// The loop is a part of the graph: `body` and `until` are called once, here, with a dataset that stands for the state, and what
    /// they give is computed in every round when an action runs. `until` is given the state before and after a round and tells,
    /// as a dataset, whether it was the last one: it was, if no element is `false`. So the condition may be one number compared with
    /// a limit, an answer for each key, or what is left to do, mapped to `false`. After `max_rounds` rounds the loop ends in any
    /// case; with 0, it gives this dataset.
    ///
    /// The state is held between the rounds: in memory, and on disk beyond the memory limit. What `body` and `until` read that does
    /// not depend on the state, such as the links of a graph, is computed once, before the first round, and held until the last one.
    /// So is what both the loop and those who read its result need.
    /// It can go to disk where it is known to be records: where it is joined, comes from an operator that groups, or is
    /// [cached](Dataset::cache). Sources that lie in memory are read in every round. What depends on the state and is cached is kept
    /// for a round.
    ///
    /// Loops may stand in the body of a loop. Each action on the result runs all rounds again, unless it is cached.
    ///
    /// # Ordering
    ///
    /// That of what `body` gives; that of this dataset if there are no rounds.
    ///
    /// # Errors
    ///
    /// What fails in a round is an error of the action, located at the operator within `body`. An action on what depends on the
    /// state of a loop, within its body or after it, is refused. See [`Dataset`] for all else.
    ///
    /// # Panics
    ///
    /// If `body` or `until` panics.
    ///
    /// # Examples
    ///
    /// Everybody moves up to the parent, until all are at a root:
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let parents = ctx.from_vec(vec![(1, 1), (2, 1), (3, 2), (4, 3), (9, 9)]);
    /// let everybody = parents.map(|(who, _)| (who, who));
    /// let roots = everybody.iterate_until(
    ///     100,
    ///     |places| places.join(&parents).map(|(_, (who, parent))| (parent, who)),
    ///     |before, after| before.subtract(after).map(|_| false),
    /// );
    /// let mut roots = roots.collect()?;
    /// roots.sort();
    /// assert_eq!(roots, [(1, 1), (1, 2), (1, 3), (1, 4), (9, 9)]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    ///
    /// # References
    ///
    /// Bulk iterations with a termination criterion are those of Flink's `DataSet`: Ewen et al., *Spinning Fast Iterative
    /// Data Flows*, 2012. There, an empty dataset ends the loop; here, one without a `false` does.
    #[track_caller]
    pub fn iterate_until(
        &self,
        max_rounds: usize,
        body: impl FnOnce(&Dataset<T>) -> Dataset<T>,
        until: impl FnOnce(&Dataset<T>, &Dataset<T>) -> Dataset<bool>,
    ) -> Dataset<T> {
        let call = CallSite::here("iterate_until");
        let state = self.state_of_loop(call);
        let next = body(&state);
        let results = vec![Arc::clone(next.node()), Arc::clone(until(&state, &next).node())];
        let detail = format!("at most {max_rounds} rounds");
        self.looped(call, detail, Loop::new(Arc::clone(state.node()), results, max_rounds))
    }

    /// What stands for the state within the body of a loop of this call.
    fn state_of_loop(&self, call: CallSite) -> Dataset<T> {
        let call = CallSite { operator: "state", ..call };
        let node = Node::of_state(call, Of::<T>::records(), Arc::new(Erased::<_, T>::new(Outside)));
        Dataset::of_node(self.context(), node)
    }

    fn looped(&self, call: CallSite, detail: String, (each, shared): (Loop, Vec<Arc<Node>>)) -> Dataset<T> {
        let inputs = std::iter::once(Arc::clone(self.node())).chain(shared).collect();
        Dataset::of_records(self.context(), call, detail, Shape::Loop(each), inputs)
    }
}

/// What is read of a state where there is none: contexts refuse to.
struct Outside;

impl<T: Record> Source<T> for Outside {
    fn splits(&self) -> usize {
        1
    }

    fn read(&self, _split: usize, _out: &mut Out<T>) -> Result<()> {
        Err(Error::new(ErrorKind::Config, "the state of a loop is there in its rounds only"))
    }
}
