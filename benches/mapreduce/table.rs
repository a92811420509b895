//! The tables, in Markdown.

use std::fmt::Write;

use super::mode::Mode;
use super::options::Comparison;
use super::report::{Measured, Report};

const HEADING: &str =
    "# Dataflow beside MapReduce-style execution\n\nBy `cargo bench --bench mapreduce`.\n\n";

const HEAD: &str = "\
| job | input | dataflow | MapReduce | ratio | CPU time | between stages | first output | peak memory |
|---|--:|--:|--:|--:|--:|--:|--:|--:|
";

const LOOP_HEAD: &str = "\
| job | rounds | dataflow | MapReduce | ratio | CPU time | between stages |
|---|--:|--:|--:|--:|--:|--:|
";

/// All tables, with what their columns mean.
pub fn markdown(report: &Report, asked: &Comparison) -> String {
    let mut text = HEADING.to_owned();
    // A string takes everything.
    let _ = writeln!(
        text,
        "Wall times are those of whole processes with {} threads, and all figures medians of {}. The ratio is the time of MapReduce by that \
         of dataflow within a turn; behind it are the least and the greatest. Where two figures stand together, that of dataflow comes \
         first. Between stages: what one stage writes to files for another. First output: from the start of the run to the first rows of \
         its result.\n",
        asked.threads,
        if asked.runs == 1 { "one turn".into() } else { format!("{} turns", asked.runs) }
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
    let input = megabytes(measured.input.bytes as f64);
    let first = both(|mode| {
        let seconds = measured.metric(mode, |run| run.first_output_seconds.unwrap_or(f64::NAN));
        if seconds.is_nan() { "–".into() } else { format!("{seconds:.2}") }
    });
    let peak = both(|mode| format!("{:.0}", measured.figures.peak(mode.index())));
    let shared = shared(measured);
    let _ = writeln!(text, "| {} | {input} MB | {shared} | {first} s | {peak} MB |", measured.case);
}

fn loop_row(text: &mut String, measured: &Measured) {
    let (name, rounds) = (measured.case.job.name(), measured.case.rounds.unwrap_or(0));
    let _ = writeln!(text, "| {name} | {rounds} | {} |", shared(measured));
}

/// The columns of both tables: times, and bytes between stages.
fn shared(measured: &Measured) -> String {
    let ([least, middle, most], [dataflow, mapreduce]) =
        (measured.ratios(), Mode::ALL.map(|mode| measured.wall(mode)));
    let cpu = both(|mode| format!("{:.2}", measured.figures.cpu(mode.index())));
    let between = both(|mode| megabytes(measured.metric(mode, |run| run.stage_bytes_written as f64)));
    format!(
        "{dataflow:.2} s | {mapreduce:.2} s | **{middle:.2}** ({least:.2}–{most:.2}) | {cpu} s | {between} MB"
    )
}

/// A figure of both modes.
fn both(figure: impl Fn(Mode) -> String) -> String {
    Mode::ALL.map(figure).join(" / ")
}

fn megabytes(bytes: f64) -> String {
    format!("{:.0}", bytes / 1e6)
}
