//! What tasks have measured, as it travels between processes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::beside::Beside;
use super::metrics::PipelineMetrics;
use super::task::Run;
use super::wire::{damaged, take_u64};
use crate::error::Result;

/// The metrics of a run. Where tasks must run twice, first for a sample, their rows and bytes are those of the first time, and their time is that of
/// both.
pub struct Measured;

impl Beside for Measured {
    fn pack(&self, run: &Run) -> Result<Vec<Vec<Vec<u8>>>> {
        let pipelines = run.metrics.pipelines.iter().enumerate();
        let measured = pipelines.filter(|(_, metrics)| metrics.tasks_done.load(Ordering::Relaxed) > 0);
        Ok(measured.map(|(pipeline, metrics)| vec![to_bytes(pipeline, metrics)]).collect())
    }

    fn unpack(&self, run: &Run, frames: &[&[u8]]) -> Result<()> {
        let bytes = frames.concat();
        let mut rest = bytes.as_slice();
        let pipeline = take_u64(&mut rest)? as usize;
        let metrics =
            run.metrics.pipelines.get(pipeline).ok_or_else(|| damaged("no pipeline was measured"))?;
        add(metrics, rest)
    }
}

fn to_bytes(pipeline: usize, metrics: &PipelineMetrics) -> Vec<u8> {
    let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let tasks = metrics.tasks_done.load(Ordering::Relaxed) as u64;
    let mut numbers = vec![pipeline as u64, of(&metrics.nanos), tasks, of(&metrics.bytes_done)];
    numbers.extend(metrics.steps.iter().flat_map(|step| [of(&step.nanos), of(&step.rows)]));
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn add(metrics: &PipelineMetrics, mut rest: &[u8]) -> Result<()> {
    let is_again = metrics.tasks_done.load(Ordering::Relaxed) >= metrics.tasks.load(Ordering::Relaxed);
    let add = |to: &AtomicU64, number: u64| to.fetch_add(number, Ordering::Relaxed);
    add(&metrics.nanos, take_u64(&mut rest)?);
    let (tasks, bytes) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
    if !is_again {
        metrics.tasks_done.fetch_add(tasks as usize, Ordering::Relaxed);
        add(&metrics.bytes_done, bytes);
    }
    for step in &metrics.steps {
        add(&step.nanos, take_u64(&mut rest)?);
        let rows = take_u64(&mut rest)?;
        if !is_again {
            add(&step.rows, rows);
        }
    }
    Ok(())
}
