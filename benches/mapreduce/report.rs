//! What was measured.

use super::input::Made;
use super::job::Case;
use super::mode::Mode;
use super::run::Run;
use crate::Outcome;

/// All cases, in the order of the table.
#[derive(Debug, Default)]
pub struct Report {
    pub cases: Vec<Measured>,
}

/// The runs of a case.
#[derive(Debug)]
pub struct Measured {
    pub case: Case,
    pub input: Made,
    /// By mode, then by round of the bench.
    runs: [Vec<Run>; 2],
}

/// The least, the middle and the greatest of some values.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub middle: f64,
    pub greatest: f64,
}

impl Measured {
    /// A case that has not been run.
    pub fn new(case: Case, input: Made) -> Measured {
        Measured { case, input, runs: [Vec::new(), Vec::new()] }
    }

    /// Adds a run, which must have found what all others have.
    pub fn add(&mut self, mode: Mode, run: Run) -> Outcome<()> {
        if run.answer.rows == 0 {
            return Err(format!("{} has found nothing as {}", self.case, mode.name()).into());
        }
        if let Some(other) = self.runs.iter().flatten().next().filter(|other| other.answer != run.answer) {
            let (found, expected) = (run.answer, other.answer);
            return Err(format!("{}: {} found {found}, and not {expected}", self.case, mode.name()).into());
        }
        self.runs[mode.index()].push(run);
        Ok(())
    }

    /// A figure of a mode.
    pub fn figure(&self, mode: Mode, of: impl Fn(&Run) -> f64) -> f64 {
        spread(self.runs[mode.index()].iter().map(of).collect()).middle
    }

    /// Seconds from start to end.
    pub fn seconds(&self, mode: Mode) -> f64 {
        self.figure(mode, |run| run.usage.wall.as_secs_f64())
    }

    /// How many times as long MapReduce took, within each round.
    pub fn ratio(&self) -> Spread {
        let [dataflow, mapreduce] = &self.runs;
        let wall = |run: &Run| run.usage.wall.as_secs_f64();
        spread(mapreduce.iter().zip(dataflow).map(|(one, other)| wall(one) / wall(other)).collect())
    }
}

impl Report {
    /// The cases with rounds, by job, each with the fewest rounds first; those of one number of rounds show no growth.
    pub fn loops(&self) -> Vec<Vec<&Measured>> {
        let of_loops: Vec<&Measured> =
            self.cases.iter().filter(|measured| measured.case.rounds.is_some()).collect();
        let jobs = of_loops.chunk_by(|one, other| one.case.job == other.case.job);
        let mut jobs: Vec<Vec<&Measured>> = jobs.filter(|cases| cases.len() > 1).map(<[_]>::to_vec).collect();
        for cases in &mut jobs {
            cases.sort_by_key(|measured| measured.case.rounds);
        }
        jobs
    }

    /// A case for each job: that of the most rounds.
    pub fn jobs(&self) -> Vec<&Measured> {
        let jobs = self.cases.chunk_by(|one, other| one.case.job == other.case.job);
        jobs.filter_map(|cases| cases.iter().max_by_key(|measured| measured.case.rounds)).collect()
    }
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let last = values.len().saturating_sub(1);
    Spread { least: at(0), middle: at(last / 2).midpoint(at(values.len() / 2)), greatest: at(last) }
}
