//! The arguments of commands that run flows.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use super::LedgerArguments;
use super::board::Watched;
use super::watch::Watch;
use crate::cli::options::size;
use crate::cli::signals::StopSignals;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::Runner;

/// A parameter and its value.
#[derive(Debug, Clone)]
pub struct Pair {
    pub name: String,
    pub value: String,
}

impl Pair {
    pub fn parse(text: &str) -> Result<Pair, String> {
        let (name, value) = text.split_once('=').ok_or("give a parameter as NAME=VALUE")?;
        Ok(Pair { name: name.to_owned(), value: value.to_owned() })
    }
}

/// The parameters by name.
///
/// # Errors
///
/// If one is given twice.
pub fn params(pairs: &[Pair]) -> Result<BTreeMap<String, String>> {
    let mut params = BTreeMap::new();
    for Pair { name, value } in pairs {
        if params.insert(name.clone(), value.clone()).is_some() {
            let message = format!("the parameter `{}` is given twice", name.escape_debug());
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(params)
}

/// How a flow is run.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Tasks that are at work at the same time, at most [default: the cores]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Threads of the jobs of the engine, all together [default: `GRISTMILL_THREADS`, else all cores]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Memory that these may hold, all together [default: `GRISTMILL_MEMORY`, else 60 % of what there is]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Complete a run although the flow, or the program, has changed since its last attempt
    #[arg(long)]
    accept_changes: bool,
    /// Do not tell how far it is while it goes on
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    pub ledger: LedgerArguments,
}

impl RunArguments {
    /// A runner with the ledger of a directory of flows, which the first signal cancels, and what tells how far it is until it is dropped.
    pub fn runner(&self, dir: &Path, watched: Watched) -> Result<(Runner, StopSignals, Watch)> {
        let mut runner = Runner::open(self.ledger.path(dir))?.accept_changes(self.accept_changes);
        if let Some(workers) = self.workers {
            runner = runner.workers(workers);
        }
        let mut context = Context::builder();
        if let Some(threads) = self.threads {
            context = context.threads(threads);
        }
        if let Some(bytes) = self.memory {
            context = context.memory_bytes(bytes);
        }
        let (runner, watch) = Watch::start(runner.context(context.build()?), watched, self.quiet)?;
        let (cancel, stopping) = (runner.cancel_token(), watch.stopping());
        let signals = StopSignals::catch(move |_| {
            cancel.cancel();
            stopping();
        })?;
        Ok((runner, signals, watch))
    }
}
