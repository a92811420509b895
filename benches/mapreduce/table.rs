//! The tables, in Markdown.

use std::fmt::Write;

use super::mode::Mode;
use super::options::Comparison;
use super::report::{Measured, Report};
use super::run::Run;

const HEAD: &str = "\
| job | input | dataflow | MapReduce | ratio | between stages, dataflow | MapReduce | first output, dataflow | MapReduce | \
peak memory, dataflow | MapReduce |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
";

const LOOP_HEAD: &str = "\
| job | rounds | dataflow | MapReduce | ratio | between stages, dataflow | MapReduce |
|---|--:|--:|--:|--:|--:|--:|
";

/// All tables, with what their columns mean.
pub fn markdown(report: &Report, asked: &Comparison) -> String {
    let mut text = String::new();
    // A string takes everything.
    let _ = writeln!(
        text,
        "Wall time of whole processes, {} threads, medians of {} runs in turn. The ratio is the time of MapReduce by that of dataflow \
         within one turn, the least and the greatest behind it. Between stages: bytes written to files by one stage for another.\n",
        asked.threads, asked.runs
    );
    text.push_str(HEAD);
    report.jobs().into_iter().for_each(|measured| job_row(&mut text, measured));
    let loops = report.loops();
    if !loops.is_empty() {
        text.push('\n');
        text.push_str(LOOP_HEAD);
        loops.into_iter().flatten().for_each(|measured| loop_row(&mut text, measured));
    }
    text
}

fn job_row(text: &mut String, measured: &Measured) {
    let input = size(measured.input.bytes as f64);
    let first = both(measured, |run| run.metrics.first_output_seconds.unwrap_or(f64::NAN), seconds);
    let peak = both(measured, |run| run.usage.peak_bytes as f64, size);
    let (times, between) = (times(measured), between(measured));
    let _ = writeln!(text, "| {} | {input} | {times} | {between} | {first} | {peak} |", measured.case);
}

fn loop_row(text: &mut String, measured: &Measured) {
    let (name, rounds) = (measured.case.job.name(), measured.case.rounds.unwrap_or(0));
    let _ = writeln!(text, "| {name} | {rounds} | {} | {} |", times(measured), between(measured));
}

/// The times of both modes and their ratio.
fn times(measured: &Measured) -> String {
    let ratio = measured.ratio();
    let times = both(measured, |run| run.usage.wall.as_secs_f64(), seconds);
    format!("{times} | **{:.2}** ({:.2}–{:.2})", ratio.middle, ratio.least, ratio.greatest)
}

/// The bytes that both modes have written between stages.
fn between(measured: &Measured) -> String {
    both(measured, |run| run.metrics.stage_bytes_written as f64, size)
}

/// A figure of both modes.
fn both(measured: &Measured, of: impl Fn(&Run) -> f64, format: impl Fn(f64) -> String) -> String {
    Mode::ALL.map(|mode| format(measured.figure(mode, &of))).join(" | ")
}

/// Seconds; a dash where there is no figure.
fn seconds(value: f64) -> String {
    if value.is_nan() { "–".into() } else { format!("{value:.2} s") }
}

/// Millions of bytes.
fn size(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}
