//! `Dataset`, a handle on a node of the lazy graph; the operators are in [`crate::ops`], one a file.

use std::marker::PhantomData;
use std::sync::Arc;

use crate::context::Context;
use crate::error::{CallSite, Result};
use crate::exec::erased::Of;
use crate::exec::exchange::Exchange;
use crate::exec::narrow::Operator;
use crate::exec::source::{Erased, Source};
use crate::io::commit::Transaction;
use crate::ops::OnError;
use crate::plan::explain::explain;
use crate::plan::graph::{Attached, Held, Node, Opening, Shape, in_order};
use crate::plan::stages::{Sink, plan};
use crate::record::{Data, Record};

/// A lazy, typed, distributed-in-threads collection: the description of how to compute it.
///
/// Operators add to the description and cost nothing; an action (`collect`, `count`, `write_parquet`, …) runs it. A
/// dataset that two others are derived from is computed once in a run that needs both, and again in a later run, unless it
/// is [cached](Dataset::cache). Cloning clones the handle.
///
/// # Ordering
///
/// Elements have an order: that of the input, file by file and line by line, kept by all narrow operators. An operator that
/// exchanges data says what order it gives. The order, and every byte written, is the same in every run on any number of threads.
///
/// # Errors
///
/// Every action returns the first failure of its run: what could not be read or written, a closure that panicked or failed,
/// the memory limit, a cancel. Nothing is then committed, and the context can be used on, unless it was cancelled.
///
/// # Examples
///
/// ```
/// use gristmill::prelude::*;
///
/// let ctx = Context::new()?;
/// let counts = ctx
///     .from_vec(vec![Text::from("to be or"), Text::from("not to be")])
///     .flat_map(|line| line.split_whitespace())
///     .map(|word| (word, 1u64))
///     .reduce_by_key(|a, b| a + b);
/// let mut counts = counts.collect()?;
/// counts.sort();
/// assert_eq!(counts[0], ("be".into(), 2));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[must_use = "a dataset is lazy: nothing is computed until an action such as `collect` is called"]
pub struct Dataset<T> {
    ctx: Context,
    node: Arc<Node>,
    tolerant: Option<Tolerant<T>>,
    types: PhantomData<fn() -> T>,
}

/// The same dataset with another policy for what cannot be read.
pub(crate) type Tolerant<T> = Arc<dyn Fn(OnError) -> Dataset<T> + Send + Sync>;

impl<T> Clone for Dataset<T> {
    fn clone(&self) -> Dataset<T> {
        let tolerant = self.tolerant.clone();
        Dataset { ctx: self.ctx.clone(), node: Arc::clone(&self.node), tolerant, types: PhantomData }
    }
}

impl<T> Dataset<T> {
    /// The context it was made from.
    pub fn context(&self) -> &Context {
        &self.ctx
    }

    pub(crate) fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// How to make the same dataset with another policy for what cannot be read, where there is one.
    pub(crate) fn tolerant(&self) -> Option<&Tolerant<T>> {
        self.tolerant.as_ref()
    }

    /// The same dataset, for which there can be another policy for what cannot be read.
    pub(crate) fn with_tolerant(self, tolerant: Tolerant<T>) -> Dataset<T> {
        Dataset { tolerant: Some(tolerant), ..self }
    }

    /// The same dataset with what it gives beside its elements; nobody else may know its node yet.
    pub(crate) fn with_attached(self, attached: Arc<dyn Attached>) -> Dataset<T> {
        let Dataset { ctx, node, tolerant, types } = self;
        Dataset { ctx, node: node.with_attached(attached), tolerant, types }
    }

    /// What would be run to collect it, for people: the logical graph, then the stages with their fused operators and
    /// the rules that made them so.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::new()?;
    /// let text = ctx.range(0..10).map(|n| (n % 3, 1u64)).reduce_by_key(|a, b| a + b).explain();
    /// assert!(text.contains("#1 range"));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn explain(&self) -> String {
        let sink =
            Sink { input: Arc::clone(&self.node), call: CallSite::here("result"), detail: String::new() };
        explain_on(&self.ctx, sink)
    }

    /// What its sources found but do not read, and why, for people: one line each, with control characters in names escaped.
    /// Such are FIFOs, sockets and devices in a directory, and symbolic links that lead in a circle.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// std::os::unix::fs::symlink("/dev/null", dir.path().join("null"))?;
    /// let ctx = Context::new()?;
    /// let lines = ctx.read_text(dir.path())?.filter(|line| !line.is_empty());
    /// assert!(lines.notes()[0].ends_with("null is left out: it is not a regular file"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn notes(&self) -> Vec<String> {
        let nodes = in_order(std::slice::from_ref(&self.node), &Held::default());
        nodes.iter().flat_map(|node| node.notes.clone()).collect()
    }
}

fn explain_on(ctx: &Context, sink: Sink) -> String {
    let sinks = [sink];
    let config = ctx.config();
    explain(&plan(&sinks, config.rules, config.execution, &Held::default()), &sinks)
}

impl<T: Data> Dataset<T> {
    /// A dataset over a source.
    pub(crate) fn from_source(
        ctx: &Context,
        call: CallSite,
        detail: String,
        source: impl Source<T>,
    ) -> Dataset<T> {
        Dataset::from_noted_source(ctx, call, detail, Vec::new(), source)
    }

    /// A dataset over a source that leaves out what the notes say.
    pub(crate) fn from_noted_source(
        ctx: &Context,
        call: CallSite,
        detail: String,
        notes: Vec<String>,
        source: impl Source<T>,
    ) -> Dataset<T> {
        let shape = Shape::Source(Arc::new(Erased::new(source)));
        let node = Node::new(call, detail, notes, Of::<T>::elements(), shape, Vec::new());
        Dataset { ctx: ctx.clone(), node, tolerant: None, types: PhantomData }
    }

    /// A dataset over a node that is there.
    pub(crate) fn of_node(ctx: &Context, node: Arc<Node>) -> Dataset<T> {
        Dataset { ctx: ctx.clone(), node, tolerant: None, types: PhantomData }
    }

    /// A dataset over a node of any shape.
    pub(crate) fn from_shape(
        ctx: &Context,
        call: CallSite,
        detail: String,
        shape: Shape,
        inputs: Vec<Arc<Node>>,
    ) -> Dataset<T> {
        let node = Node::new(call, detail, Vec::new(), Of::<T>::elements(), shape, inputs);
        Dataset { ctx: ctx.clone(), node, tolerant: None, types: PhantomData }
    }

    /// A dataset of records over a node of any shape: what of it has to be held can go to disk.
    pub(crate) fn of_records(
        ctx: &Context,
        call: CallSite,
        detail: String,
        shape: Shape,
        inputs: Vec<Arc<Node>>,
    ) -> Dataset<T>
    where
        T: Record,
    {
        let node = Node::new(call, detail, Vec::new(), Of::<T>::records(), shape, inputs);
        Dataset { ctx: ctx.clone(), node, tolerant: None, types: PhantomData }
    }

    /// What a narrow operator makes of this dataset.
    pub(crate) fn narrow<U: Data>(&self, call: CallSite, operator: impl Operator + 'static) -> Dataset<U> {
        let inputs = vec![Arc::clone(&self.node)];
        Dataset::from_shape(&self.ctx, call, String::new(), Shape::Narrow(Arc::new(operator)), inputs)
    }

    /// What a narrow operator leaves of this dataset: elements of it.
    pub(crate) fn narrow_same(&self, call: CallSite, operator: impl Operator + 'static) -> Dataset<T> {
        let (inputs, shape) = (vec![Arc::clone(&self.node)], Shape::Narrow(Arc::new(operator)));
        let node = Node::new(call, String::new(), Vec::new(), Arc::clone(&self.node.elements), shape, inputs);
        Dataset { ctx: self.ctx.clone(), node, tolerant: None, types: PhantomData }
    }

    /// What a narrow operator makes of this dataset, where it is known that these are records.
    pub(crate) fn narrow_records<U: Record>(
        &self,
        call: CallSite,
        operator: impl Operator + 'static,
    ) -> Dataset<U> {
        let inputs = vec![Arc::clone(&self.node)];
        Dataset::of_records(&self.ctx, call, String::new(), Shape::Narrow(Arc::new(operator)), inputs)
    }

    /// What a wide operator makes of this dataset and another one, which may be no records.
    pub(crate) fn wide_with_data<O: Data, U: Data>(
        &self,
        other: &Dataset<O>,
        call: CallSite,
        exchange: impl Exchange + 'static,
    ) -> Dataset<U> {
        let shape = Shape::Wide(Arc::new(exchange));
        Dataset::from_shape(&self.ctx, call, String::new(), shape, self.and(other))
    }

    /// What a wide operator makes of this dataset and another one.
    pub(crate) fn wide_with<O: Data, U: Record>(
        &self,
        other: &Dataset<O>,
        call: CallSite,
        exchange: impl Exchange + 'static,
    ) -> Dataset<U> {
        let shape = Shape::Wide(Arc::new(exchange));
        Dataset::of_records(&self.ctx, call, String::new(), shape, self.and(other))
    }

    /// The nodes of both.
    fn and<O>(&self, other: &Dataset<O>) -> Vec<Arc<Node>> {
        vec![Arc::clone(&self.node), Arc::clone(&other.node)]
    }

    /// What a wide operator makes of this dataset.
    pub(crate) fn wide<U: Record>(&self, call: CallSite, exchange: impl Exchange + 'static) -> Dataset<U> {
        let inputs = vec![Arc::clone(&self.node)];
        Dataset::of_records(&self.ctx, call, String::new(), Shape::Wide(Arc::new(exchange)), inputs)
    }
}

/// A result that is asked for but not computed yet; [`Context::run`] computes one or several in one pass.
///
/// Every action has such a lazy form: `to_vec` for `collect`, `to_parquet` for `write_parquet`, and so on.
#[must_use = "an output is lazy: nothing is computed until it is given to `Context::run`"]
pub struct Output<R> {
    pub(crate) ctx: Context,
    pub(crate) sink: Sink,
    pub(crate) action: Box<dyn Action<R>>,
}

impl<R> Output<R> {
    /// The result `R` of giving the elements of `dataset` to `action`.
    pub(crate) fn new<T>(
        dataset: &Dataset<T>,
        call: CallSite,
        detail: String,
        action: impl Action<R> + 'static,
    ) -> Output<R> {
        let sink = Sink { input: Arc::clone(&dataset.node), call, detail };
        Output { ctx: dataset.ctx.clone(), sink, action: Box::new(action) }
    }

    /// What would be run to compute it alone, for people: as [`Dataset::explain`], but with the action at the end. Nothing is
    /// opened or checked.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::new()?;
    /// let output = ctx.range(0..10).to_csv("numbers.csv", CsvOptions::default());
    /// assert!(output.explain().contains("#2 to_csv of #1 numbers.csv"));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn explain(&self) -> String {
        explain_on(&self.ctx, self.sink.clone())
    }

    /// Runs this output alone.
    ///
    /// # Errors
    ///
    /// See [`Dataset`].
    pub fn run(self) -> Result<R> {
        let ctx = self.ctx.clone();
        ctx.run(self)
    }
}

/// What an output does around the run. Dropping it before it is completed leaves nothing behind.
pub trait Action<R> {
    /// Where it writes, as it was given; `None` if it writes no file.
    fn path(&self) -> Option<&std::path::Path> {
        None
    }

    /// Before the run: checks and opens whatever it needs, and gives the terminal that takes the elements.
    ///
    /// # Errors
    ///
    /// If the output cannot be written.
    fn open(&mut self, opening: &Opening<'_>) -> Result<Arc<dyn crate::exec::job::Terminal>>;

    /// After a run that succeeded: adds what is to be committed, together with the other outputs of the run, and gives what the result
    /// is once that is done.
    ///
    /// # Errors
    ///
    /// If the output cannot be completed; nothing of the run is committed then.
    fn complete(self: Box<Self>, transaction: &mut Transaction) -> Result<R>;
}
