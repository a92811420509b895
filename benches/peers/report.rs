//! The table of a job, as text and as Markdown.

use std::fmt::Write as _;

use super::contestant::Entry;
use super::job::Job;
use crate::harness::figures::Figures;
use crate::harness::measure::Usage;

/// All that was measured in a job.
pub struct Report {
    job: Job,
    bytes: u64,
    rounds: usize,
    entries: Vec<Entry>,
    figures: Figures,
    /// Who was the first to write something, and what, which all must write.
    answer: Option<(String, String)>,
    /// By contestant, why it has no figures.
    failures: Vec<Option<String>>,
}

impl Report {
    /// A report without figures. Ratios are taken to the first contestant.
    pub fn new(job: Job, bytes: u64, rounds: usize, entries: Vec<Entry>) -> Report {
        let (figures, failures) = (Figures::new(entries.len()), vec![None; entries.len()]);
        Report { job, bytes, rounds, entries, figures, answer: None, failures }
    }

    /// Adds the next round of a contestant and what it wrote, or notes that this is not what others wrote.
    pub fn add(&mut self, contestant: usize, usage: Usage, answer: &str) {
        let name = self.name(contestant);
        let (first, expected) = self.answer.get_or_insert_with(|| (name, answer.to_owned()));
        if answer == expected {
            self.figures.add(contestant, usage);
        } else {
            let reason = format!("WRONG: it wrote {answer}, but {first} wrote {expected}");
            self.fail(contestant, reason);
        }
    }

    /// Notes that a contestant has failed, so that it does not run again.
    pub fn fail(&mut self, contestant: usize, reason: String) {
        eprintln!("{}: {} has failed: {reason}", self.job.name(), self.name(contestant));
        self.failures[contestant] = Some(reason);
    }

    /// Whether a contestant has failed.
    pub fn has_failed(&self, contestant: usize) -> bool {
        self.failures[contestant].is_some()
    }

    /// Those that have failed.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let failed = (0..self.entries.len()).filter(|index| self.has_failed(*index));
        failed.map(|index| format!("{} by {}", self.job.name(), self.name(index)))
    }

    /// The threads of all, if they agree.
    fn threads(&self) -> Option<usize> {
        let first = self.entries.first()?.threads;
        self.entries.iter().all(|entry| entry.threads == first).then_some(first)
    }

    /// What the row of a contestant is called: its threads are said where they differ.
    fn name(&self, contestant: usize) -> String {
        let Entry { by, threads } = self.entries[contestant];
        match (self.threads(), threads) {
            (Some(_), _) => by.name().into(),
            (None, 1) => format!("{}, 1 thread", by.name()),
            (None, threads) => format!("{}, {threads} threads", by.name()),
        }
    }

    fn title(&self) -> String {
        let answer = self.answer.as_ref().map_or("nothing", |(_, answer)| answer);
        let threads = self.threads().map_or(String::new(), |threads| format!("{threads} threads, "));
        format!(
            "{}: {:.2} GB read, {threads}medians of {} rounds; all wrote {answer}",
            self.job.name(),
            self.bytes as f64 / 1e9,
            self.rounds
        )
    }

    /// The cells of the rows.
    fn rows(&self) -> Vec<[String; 5]> {
        let row = |index| {
            let name = self.name(index);
            if self.has_failed(index) {
                return [name, "failed".into(), String::new(), String::new(), String::new()];
            }
            let figures = &self.figures;
            let [least, middle, most] = figures.ratios(index, 0);
            [
                name,
                format!("{:.2}", figures.wall(index)),
                format!("{:.2}", figures.cpu(index)),
                format!("{:.0}", figures.peak(index)),
                format!("{middle:.2} ({least:.2}–{most:.2})"),
            ]
        };
        (0..self.entries.len()).map(row).collect()
    }

    fn head(&self) -> [String; 5] {
        let first = if self.entries.is_empty() { String::new() } else { self.name(0) };
        [String::new(), "wall s".into(), "CPU s".into(), "peak MB".into(), format!("wall to {first}")]
    }

    /// The table for a terminal.
    pub fn text(&self) -> String {
        let mut text = format!("\n{}\n", self.title());
        for [name, wall, cpu, peak, ratio] in std::iter::once(self.head()).chain(self.rows()) {
            let _ = writeln!(text, "{name:<21}{wall:>9}{cpu:>9}{peak:>9}   {ratio}");
        }
        text
    }

    /// The table as Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("\n{}\n\n", self.title());
        let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
        text.push_str(&line(self.head()));
        text.push_str("|---|---:|---:|---:|---:|\n");
        self.rows().into_iter().for_each(|row| text.push_str(&line(row)));
        text
    }
}
