//! `Context::run`: several results in one pass.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::dataset::Output;
use crate::error::{Error, ErrorKind, Result};
use crate::exec::task::RunId;
use crate::io::commit::Transaction;
use crate::plan::graph::{Completion, Held, Opening, Shape, in_order};
use crate::plan::lower::OpenSink;
use crate::plan::stages::Sink;

impl Context {
    /// Computes one output, or a tuple of up to eight, in one run: what they share is computed once, and every input byte is
    /// read once.
    ///
    /// # Atomicity
    ///
    /// What the outputs write is committed together, with the files of [rejected records](crate::Dataset::on_error): whole directories,
    /// single files, replaced partitions and appended parts, on whichever file systems they lie. Each takes its place in one
    /// step, one after the other. So a reader that opens two of them at that moment may find one new and the other old. But if the
    /// process or the machine dies, at any instant, then all of them are old or all of them are new once the next run writes any of
    /// them, or [`recover`](crate::io::commit::recover) (`gristmill recover`) has been given any of them.
    ///
    /// # Errors
    ///
    /// See [`crate::Dataset`]. If one output fails, none is committed, unless the message says that the commit is decided: it
    /// is completed by the next run, or by `recover`, then. The file of the context's [totals](Context::totals) is checked before any work; that it
    /// cannot be written after the commit is no error of the run, but a line on standard error.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let numbers = ctx.range(0..100);
    /// let (count, even) = ctx.run((numbers.to_count(), numbers.filter(|n| n % 2 == 0).to_vec()))?;
    /// assert_eq!((count, even.len()), (100, 50));
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    pub fn run<O: Outputs>(&self, outputs: O) -> Result<O::Results> {
        outputs.run_on(self)
    }
}

/// One [`Output`], or a tuple of them.
pub trait Outputs {
    /// What they result in.
    type Results;

    /// Runs them on a context.
    ///
    /// # Errors
    ///
    /// See [`Context::run`].
    fn run_on(self, ctx: &Context) -> Result<Self::Results>;
}

impl<R> Outputs for Output<R> {
    type Results = R;

    fn run_on(self, ctx: &Context) -> Result<R> {
        (self,).run_on(ctx).map(|(result,)| result)
    }
}

impl<R> Output<R> {
    /// The files that it reads, and the directories and patterns that these were found by.
    pub(crate) fn input_paths(&self) -> Vec<PathBuf> {
        input_paths(&[&self.sink])
    }

    /// Where it writes: the output itself, and what is rejected on the way to it.
    pub(crate) fn output_paths(&self) -> Vec<PathBuf> {
        output_paths(&[&self.sink], &[self.action.path()])
    }
}

macro_rules! outputs_of_tuples {
    ($(($($output:ident $result:ident),+);)+) => {$(
        impl<$($result),+> Outputs for ($(Output<$result>,)+) {
            type Results = ($($result,)+);

            #[allow(non_snake_case)]
            fn run_on(self, ctx: &Context) -> Result<Self::Results> {
                let ($(mut $output,)+) = self;
                let sinks = [$($output.sink.clone()),+];
                let sinks = sinks.each_ref();
                ctx.act(&sinks, |run| {
                    $(check_context(ctx, &$output)?;)+
                    let inputs = input_paths(&sinks);
                    let written = output_paths(&sinks, &[$($output.action.path()),+]);
                    let totals_file = ctx.check_totals_file(&inputs, &written)?;
                    let opening = Opening { inputs: &inputs, is_alone: written.len() < 2, commit_by: ctx.config().commit_by };
                    let opened = vec![$(OpenSink { sink: $output.sink.clone(), terminal: $output.action.open(&opening).map_err(|error| error.in_call($output.sink.call))?, is_output: true }),+];
                    let completions = open_attached(&sinks, &opening, run)?;
                    let ended = ctx.execute(&opened, run)?;
                    let mut transaction = Transaction::default();
                    let committed = completions.into_iter().map(|complete| complete(&mut transaction)).collect::<Result<Vec<_>>>()?;
                    let results = ($($output.action.complete(&mut transaction).map_err(|error| error.in_call($output.sink.call))?,)+);
                    {
                        let _passed = ctx.pass_fence()?;
                        transaction.commit()?;
                    }
                    for then in committed {
                        then();
                    }
                    ctx.end(ended, totals_file.as_ref());
                    Ok(results)
                })
            }
        }
    )+};
}

outputs_of_tuples! {
    (A Ra);
    (A Ra, B Rb);
    (A Ra, B Rb, C Rc);
    (A Ra, B Rb, C Rc, D Rd);
    (A Ra, B Rb, C Rc, D Rd, E Re);
    (A Ra, B Rb, C Rc, D Rd, E Re, F Rf);
    (A Ra, B Rb, C Rc, D Rd, E Re, F Rf, G Rg);
    (A Ra, B Rb, C Rc, D Rd, E Re, F Rf, G Rg, H Rh);
}

/// Opens what nodes give beside their elements.
fn open_attached(sinks: &[&Sink], opening: &Opening<'_>, run: RunId) -> Result<Vec<Completion>> {
    let roots: Vec<_> = sinks.iter().map(|sink| sink.input.clone()).collect();
    let nodes = in_order(&roots, &Held::default());
    nodes
        .iter()
        .filter_map(|node| node.attached.as_ref())
        .map(|attached| attached.open(opening, run))
        .collect()
}

fn check_context<R>(ctx: &Context, output: &Output<R>) -> Result<()> {
    if ctx.same_as(&output.ctx) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Config, "the output belongs to another context");
    Err(error.in_call(output.sink.call).hint("run it on the context that its dataset was made from"))
}

/// Where outputs write, and what the nodes before them give beside their elements.
fn output_paths(sinks: &[&Sink], actions: &[Option<&Path>]) -> Vec<PathBuf> {
    let roots: Vec<_> = sinks.iter().map(|sink| sink.input.clone()).collect();
    let nodes = in_order(&roots, &Held::default());
    let attached = nodes.iter().filter_map(|node| node.attached.as_ref()?.path());
    actions.iter().copied().flatten().chain(attached).map(Path::to_owned).collect()
}

/// The files that the sinks read, and the directories and patterns that these were found by, so that no output overwrites its own input.
fn input_paths(sinks: &[&Sink]) -> Vec<PathBuf> {
    let roots: Vec<_> = sinks.iter().map(|sink| sink.input.clone()).collect();
    let nodes = in_order(&roots, &Held::default());
    let sources = nodes.iter().filter_map(|node| match &node.shape {
        Shape::Source(source) => Some(source.paths()),
        _ => None,
    });
    sources.flatten().collect()
}
