//! What was measured.

use super::answer::Answer;
use super::input::Made;
use super::job::Case;
use super::mode::Mode;
use super::run::{Metrics, Run};
use crate::Outcome;
use crate::harness::figures::{Figures, spread};

/// All cases, in the order of the table.
#[derive(Default)]
pub struct Report {
    pub cases: Vec<Measured>,
}

/// The runs of a case.
pub struct Measured {
    pub case: Case,
    pub input: Made,
    /// What they cost, by mode.
    pub figures: Figures,
    /// What they say about themselves, by mode.
    metrics: [Vec<Metrics>; 2],
    answer: Option<Answer>,
}

impl Measured {
    /// A case that has not been run.
    pub fn new(case: Case, input: Made) -> Measured {
        let figures = Figures::new(Mode::ALL.len());
        Measured { case, input, figures, metrics: [Vec::new(), Vec::new()], answer: None }
    }

    /// Adds a run, which must have found what all others have.
    pub fn add(&mut self, mode: Mode, run: Run) -> Outcome<()> {
        let expected = *self.answer.get_or_insert(run.answer);
        if run.answer != expected || expected.rows == 0 {
            let (case, mode, found) = (self.case, mode.name(), run.answer);
            return Err(format!("{case}: {mode} found {found}, where the first run found {expected}").into());
        }
        self.figures.add(mode.index(), run.usage);
        self.metrics[mode.index()].push(run.metrics);
        Ok(())
    }

    /// The median of what the runs of a mode say.
    pub fn metric(&self, mode: Mode, of: impl Fn(&Metrics) -> f64) -> f64 {
        spread(self.metrics[mode.index()].iter().map(of).collect())[1]
    }

    /// How many times as long MapReduce took, within each turn: the least, the median and the most.
    pub fn ratios(&self) -> [f64; 3] {
        self.figures.ratios(Mode::MapReduce.index(), Mode::Dataflow.index())
    }

    /// The median of these.
    pub fn ratio(&self) -> f64 {
        self.ratios()[1]
    }

    /// The median of the wall times of a mode, in seconds.
    pub fn wall(&self, mode: Mode) -> f64 {
        self.figures.wall(mode.index())
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
