//! The chart: the times of both modes as bars, and lines of how their ratio grows with the rounds of a loop.
//!
//! It is drawn in user units, of which a browser makes pixels, on a ground of its own, so that it can be read on any page; it
//! follows the light or dark setting of the reader's system.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::mode::Mode;
use super::report::{Measured, Report};

const WIDTH: f64 = 860.0;

/// The names of jobs end, and bars begin, here.
const BARS_FROM: f64 = 250.0;

/// The longest bar ends here, and its figures follow.
const BARS_TO: f64 = 690.0;

/// The two bars of a job, and the space after them.
const JOB_HEIGHT: f64 = 32.0;

const BAR_HEIGHT: f64 = 11.0;

/// The lines: the place of the least and the greatest number of rounds.
const LINES_FROM: f64 = 60.0;
const LINES_TO: f64 = 620.0;

const LINES_HEIGHT: f64 = 220.0;

const LABEL_HEIGHT: f64 = 16.0;

/// The colours, which differ in lightness, too, and text in both settings.
const STYLE: &str = "\
<style>
text { font: 13px sans-serif; fill: #1f2328 }
.title { font-weight: bold; font-size: 15px }
.ground { fill: #ffffff }
.axis { stroke: #8c959f; stroke-width: 1; fill: none }
.dataflow { fill: #0969da }
.mapreduce { fill: #bc8a3c }
.line { fill: none; stroke-width: 2.5 }
.line0 { stroke: #1a7f37 } .line1 { stroke: #bf3989 } .line2 { stroke: #8250df }
.dot0 { fill: #1a7f37 } .dot1 { fill: #bf3989 } .dot2 { fill: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.ground { fill: #0d1117 }
.dataflow { fill: #58a6ff }
.mapreduce { fill: #d9a74a }
.line0 { stroke: #3fb950 } .line1 { stroke: #f778ba } .line2 { stroke: #bc8cff }
.dot0 { fill: #3fb950 } .dot1 { fill: #f778ba } .dot2 { fill: #bc8cff }
}
</style>
";

/// The chart of a report.
pub fn svg(report: &Report) -> String {
    let (jobs, loops) = (report.jobs(), report.loops());
    let mut body = String::new();
    let bars_end = bars(&mut body, &jobs, 24.0);
    let end = if loops.is_empty() { bars_end } else { lines(&mut body, &loops, bars_end + 36.0) };
    let height = end + 16.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"Times of jobs in dataflow and in MapReduce mode\">\n{STYLE}\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n{body}</svg>\n"
    )
}

/// Appends text; a string takes everything.
macro_rules! put {
    ($to:expr, $($arguments:tt)*) => { let _ = writeln!($to, $($arguments)*); };
}

/// Two bars for each job; returns where they end.
fn bars(body: &mut String, jobs: &[&Measured], top: f64) -> f64 {
    put!(
        body,
        "<text class=\"title\" x=\"16\" y=\"{}\">Seconds of dataflow and of MapReduce</text>",
        top + 4.0
    );
    for (mode, label, x) in [(Mode::Dataflow, "dataflow", 520.0), (Mode::MapReduce, "MapReduce", 620.0)] {
        let (class, y) = (mode.name(), top - 7.0);
        put!(body, "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\"/>");
        put!(body, "<text x=\"{}\" y=\"{}\">{label}</text>", x + 18.0, top + 4.0);
    }
    let longest = jobs.iter().flat_map(|job| Mode::ALL.map(|mode| job.wall(mode))).fold(0.0, f64::max);
    let top = top + 20.0;
    for (row, job) in (0_u16..).zip(jobs) {
        bars_of(body, job, top + f64::from(row) * JOB_HEIGHT, (BARS_TO - BARS_FROM) / longest);
    }
    top + jobs.len() as f64 * JOB_HEIGHT
}

/// The bars of a job, of which a second is so long, between its name and its figures.
fn bars_of(body: &mut String, job: &Measured, top: f64, second: f64) {
    let (name, y) = (&job.case, top + 15.0);
    put!(body, "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{name}</text>", BARS_FROM - 10.0);
    let seconds = Mode::ALL.map(|mode| job.wall(mode));
    for (mode, seconds) in Mode::ALL.into_iter().zip(seconds) {
        let (class, width) = (mode.name(), seconds * second);
        let y = top + mode.index() as f64 * (BAR_HEIGHT + 1.0);
        put!(
            body,
            "<rect class=\"{class}\" x=\"{BARS_FROM}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>"
        );
    }
    let [dataflow, mapreduce] = seconds;
    let x = BARS_FROM + dataflow.max(mapreduce) * second + 8.0;
    put!(body, "<text x=\"{x:.1}\" y=\"{y}\">{dataflow:.1} and {mapreduce:.1} s: {:.1}×</text>", job.ratio());
}

/// Where numbers of rounds and ratios lie.
struct Scale {
    top: f64,
    bottom: f64,
    most_rounds: f64,
    greatest: f64,
}

impl Scale {
    fn of(cases: &[&Measured], top: f64) -> Scale {
        let most = |of: fn(&Measured) -> f64| cases.iter().map(|measured| of(measured)).fold(1.0, f64::max);
        let greatest = most(Measured::ratio).ceil();
        Scale { top, bottom: top + LINES_HEIGHT, most_rounds: most(rounds), greatest }
    }

    fn x(&self, rounds: f64) -> f64 {
        LINES_FROM + (LINES_TO - LINES_FROM) * rounds / self.most_rounds
    }

    fn y(&self, ratio: f64) -> f64 {
        self.bottom - LINES_HEIGHT * ratio / self.greatest
    }
}

fn rounds(measured: &Measured) -> f64 {
    measured.case.rounds.unwrap_or(0) as f64
}

/// A line for each job with rounds: its ratio over their number; returns where they end.
fn lines(body: &mut String, loops: &[Vec<&Measured>], top: f64) -> f64 {
    put!(
        body,
        "<text class=\"title\" x=\"16\" y=\"{top}\">How many times as long MapReduce takes, by the rounds of a loop</text>"
    );
    let cases: Vec<&Measured> = loops.iter().flatten().copied().collect();
    let scale = Scale::of(&cases, top + 24.0);
    axes(body, &scale, &cases);
    // From the highest line downwards, so that labels make room for each other in one direction.
    let mut loops: Vec<&Vec<&Measured>> = loops.iter().collect();
    let end = |cases: &[&Measured]| cases.last().map_or(0.0, |last| last.ratio());
    loops.sort_by(|one, other| end(other).total_cmp(&end(one)));
    let mut free = f64::NEG_INFINITY;
    for (number, cases) in loops.into_iter().enumerate() {
        let place = |measured: &&Measured| (scale.x(rounds(measured)), scale.y(measured.ratio()));
        let points: Vec<(f64, f64)> = cases.iter().map(place).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        put!(body, "<polyline class=\"line line{}\" points=\"{}\"/>", number % 3, path.join(" "));
        for (x, y) in &points {
            put!(body, "<circle class=\"dot{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>", number % 3);
        }
        let (Some((x, y)), Some(last)) = (points.last(), cases.last()) else { continue };
        let y = (y + 4.0).max(free);
        free = y + LABEL_HEIGHT;
        let (name, ratio) = (last.case.job.name(), last.ratio());
        put!(body, "<text x=\"{:.1}\" y=\"{y:.1}\">{name} {ratio:.1}×</text>", x + 12.0);
    }
    scale.bottom + 24.0
}

/// The axes with their marks, and the line where both modes take the same time.
fn axes(body: &mut String, scale: &Scale, cases: &[&Measured]) {
    let Scale { top, bottom, .. } = scale;
    put!(body, "<path class=\"axis\" d=\"M{LINES_FROM} {top}V{bottom}H{LINES_TO}\"/>");
    put!(
        body,
        "<path class=\"axis\" stroke-dasharray=\"3 4\" d=\"M{LINES_FROM} {:.1}H{LINES_TO}\"/>",
        scale.y(1.0)
    );
    for ratio in ticks(scale.greatest) {
        let (x, y) = (LINES_FROM - 8.0, scale.y(ratio) + 4.0);
        put!(body, "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{ratio}×</text>");
    }
    let marks: BTreeSet<usize> = cases.iter().filter_map(|measured| measured.case.rounds).collect();
    for mark in marks {
        let x = scale.x(mark as f64);
        put!(body, "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{mark}</text>", bottom + 18.0);
    }
    put!(body, "<text x=\"{}\" y=\"{}\">rounds</text>", LINES_TO + 20.0, bottom + 18.0);
}

/// Whole numbers up to `greatest`, not more than about six.
fn ticks(greatest: f64) -> impl Iterator<Item = f64> {
    let step = (greatest / 6.0).ceil().max(1.0);
    (0_u16..).map(move |number| f64::from(number) * step).take_while(move |ratio| *ratio <= greatest)
}
