//! The tables, in Markdown.

use std::fmt::Write;

use super::mode::Mode;
use super::options::Comparison;
use super::report::{Measured, Report};

const HEAD: &str = "\
| job | input | dataflow | MapReduce | ratio | CPU, dataflow | MapReduce | between stages, dataflow | MapReduce | \
first output, dataflow | MapReduce | peak memory, dataflow | MapReduce |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|
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
    let cpu = both(|mode| seconds(measured.figures.cpu(mode.index())));
    let first =
        both(|mode| seconds(measured.metric(mode, |run| run.first_output_seconds.unwrap_or(f64::NAN))));
    let peak = both(|mode| size(measured.figures.peak(mode.index()) * 1e6));
    let (times, between) = (times(measured), between(measured));
    let _ =
        writeln!(text, "| {} | {input} | {times} | {cpu} | {between} | {first} | {peak} |", measured.case);
}

fn loop_row(text: &mut String, measured: &Measured) {
    let (name, rounds) = (measured.case.job.name(), measured.case.rounds.unwrap_or(0));
    let _ = writeln!(text, "| {name} | {rounds} | {} | {} |", times(measured), between(measured));
}

/// The times of both modes and their ratio.
fn times(measured: &Measured) -> String {
    let ([least, middle, most], times) = (measured.ratios(), both(|mode| seconds(measured.wall(mode))));
    format!("{times} | **{middle:.2}** ({least:.2}–{most:.2})")
}

/// The bytes that both modes have written between stages.
fn between(measured: &Measured) -> String {
    both(|mode| size(measured.metric(mode, |run| run.stage_bytes_written as f64)))
}

/// A figure of both modes.
fn both(figure: impl Fn(Mode) -> String) -> String {
    Mode::ALL.map(figure).join(" | ")
}

/// Seconds; a dash where there is no figure.
fn seconds(value: f64) -> String {
    if value.is_nan() { "–".into() } else { format!("{value:.2} s") }
}

/// Millions of bytes.
fn size(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}
