//! The table in the end.

use std::fmt;

use super::job::{By, Job};
use super::measure::Usage;
use crate::Outcome;

/// All that was measured in a job.
pub struct Report {
    job: Job,
    bytes: u64,
    contestants: Vec<By>,
    /// By contestant, then by round.
    usages: Vec<Vec<Usage>>,
    answers: Vec<String>,
}

impl Report {
    /// A report without figures.
    pub fn new(job: Job, bytes: u64, contestants: Vec<By>) -> Report {
        let (usages, answers) = (vec![Vec::new(); contestants.len()], vec![String::new(); contestants.len()]);
        Report { job, bytes, contestants, usages, answers }
    }

    /// Adds the next round of a contestant.
    pub fn add(&mut self, contestant: usize, usage: Usage) {
        self.usages[contestant].push(usage);
    }

    /// Notes what a contestant found.
    pub fn answer(&mut self, contestant: usize, answer: String) {
        self.answers[contestant] = answer;
    }

    /// Makes sure that all but the peers have found the same.
    pub fn check(&self) -> Outcome<()> {
        let ours = self.contestants.iter().zip(&self.answers).filter(|(by, _)| !matches!(by, By::Peer(..)));
        let mut answers = ours.map(|(by, answer)| (by.name(), answer));
        let Some((first, expected)) = answers.next() else { return Ok(()) };
        match answers.find(|(_, answer)| *answer != expected) {
            Some((name, found)) => Err(format!("{name} found {found}, but {first} {expected}").into()),
            None => Ok(()),
        }
    }

    fn figures(&self, contestant: usize, of: impl Fn(&Usage) -> f64) -> [f64; 3] {
        spread(self.usages[contestant].iter().map(of).collect())
    }

    /// How many times as long as the first contestant it took, within each round.
    fn ratios(&self, contestant: usize) -> [f64; 3] {
        let pairs = self.usages[contestant].iter().zip(&self.usages[0]);
        spread(pairs.map(|(one, first)| one.wall.as_secs_f64() / first.wall.as_secs_f64()).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rounds, first) = (self.usages[0].len(), self.contestants[0].name());
        writeln!(f, "\n{}: {} bytes; medians of {rounds} rounds", self.job.name(), self.bytes)?;
        let ratio = format!("wall to {first}: min/med/max");
        writeln!(
            f,
            "{:<20}{:>7}{:>8}{:>8}{:>9}   {ratio:<47}found",
            "", "MB/s", "wall s", "cpu s", "peak MB"
        )?;
        for (index, by) in self.contestants.iter().enumerate() {
            let [_, wall, _] = self.figures(index, |usage| usage.wall.as_secs_f64());
            let [_, cpu, _] = self.figures(index, |usage| usage.cpu.as_secs_f64());
            let [_, peak, _] = self.figures(index, |usage| usage.peak_bytes as f64 / 1e6);
            let [least, middle, most] = self.ratios(index);
            let ratios = format!("{least:.2} / {middle:.2} / {most:.2}");
            let (rate, name) = (self.bytes as f64 / 1e6 / wall, by.name());
            let answer = &self.answers[index];
            writeln!(f, "{name:<20}{rate:>7.0}{wall:>8.2}{cpu:>8.2}{peak:>9.0}   {ratios:<47}{answer}")?;
        }
        Ok(())
    }
}

/// The least, the middle and the greatest of values.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    [at(0), at(last / 2).midpoint(at(values.len() / 2)), at(last)]
}
