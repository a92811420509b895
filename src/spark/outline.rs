//! The stages of a job as JSON, for people and programs that want to see them before anything runs.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::stage::{self, Destination, fed_by};
use super::{driver, identity};
use crate::error::{Error, ErrorKind, Result};
use crate::exec::job::{Job, StepKind};
use crate::exec::task::Run;
use crate::exec::wire::Routing;

/// The version of what is printed.
const VERSION: u32 = 1;

/// Prints the stages of the first job of a program on standard output, and ends the process: what its other jobs are, their results can decide.
///
/// # Errors
///
/// If something of the job cannot be run on a cluster.
pub fn print(run: &Arc<Run>, plan: u64) -> Result<()> {
    let outline = of(&run.job, plan)?;
    let text = format!("{outline:#}\n");
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| {
        Error::new(ErrorKind::Output, format!("cannot print the plan: {error}")).because(error)
    })?;
    std::process::exit(0)
}

fn of(job: &Job, plan: u64) -> Result<Value> {
    let stages = (0..job.pipelines.len()).map(|pipeline| stage(job, pipeline)).collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "version": VERSION,
        "program": format!("{:016x}", identity::of_program()?),
        "plan": format!("{plan:016x}"),
        "stages": stages,
    }))
}

fn stage(job: &Job, pipeline: usize) -> Result<Value> {
    let read = &job.pipelines[pipeline];
    let reads = if let Some(terminal) = read.reads {
        let exchange = stage::exchange(job, terminal)?;
        json!({"exchange": terminal, "partitions": exchange.cells(), "sides": job.terminals[terminal].lanes.len()})
    } else {
        let splits = read.source.splits();
        let bytes: u64 = (0..splits).map(|split| read.source.split_bytes(split)).sum();
        json!({"splits": splits, "bytes": bytes, "paths": read.source.paths()})
    };
    let leaves = fed_by(job, pipeline).into_iter().map(|terminal| left(job, pipeline, terminal));
    Ok(json!({
        "stage": pipeline,
        "name": driver::name(job, pipeline),
        "line": read.call.location.to_string(),
        "reads": reads,
        "after": read.after,
        "leaves": leaves.collect::<Result<Vec<_>>>()?,
    }))
}

/// What a pipeline leaves for a terminal, by the name and number by which later stages read it.
fn left(job: &Job, pipeline: usize, terminal: usize) -> Result<Value> {
    let lanes = job.pipelines[pipeline].steps.iter().filter_map(|step| match step.kind {
        StepKind::Terminal { terminal: of_step, lane, .. } if of_step == terminal => Some(lane),
        _ => None,
    });
    let call = job.terminals[terminal].call;
    let mut left = json!({
        "for": terminal,
        "operator": call.operator,
        "line": call.location.to_string(),
        "sides": lanes.collect::<Vec<_>>(),
    });
    match stage::destination(job, terminal)? {
        Destination::Exchange(Routing::ByCell) => {
            let exchange = stage::exchange(job, terminal)?;
            left["to"] = json!("exchange");
            left["sampled"] = json!(exchange.is_sampled());
            left["partitions"] = json!(exchange.cells());
        }
        Destination::Exchange(Routing::ByTask(_)) => left["to"] = json!("kept"),
        Destination::Broadcast => left["to"] = json!("broadcast"),
        Destination::Driver => left["to"] = json!("driver"),
    }
    Ok(left)
}
