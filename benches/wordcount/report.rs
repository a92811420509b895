//! The table in the end.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::check::Sum;
use super::contestant::Contestant;
use super::measure::Usage;
use crate::Outcome;

/// Everything measured on one input.
#[derive(Debug)]
pub struct Report {
    input: PathBuf,
    bytes: u64,
    contestants: Vec<Contestant>,
    samples: Vec<Sample>,
    sum: Option<Sum>,
}

/// One run of one contestant.
#[derive(Debug)]
struct Sample {
    contestant: Contestant,
    threads: usize,
    round: usize,
    usage: Usage,
}

impl Report {
    /// A report without samples.
    pub fn new(input: &Path, contestants: &[Contestant]) -> Outcome<Report> {
        let bytes = fs::metadata(input)?.len();
        Ok(Report { input: input.into(), bytes, contestants: contestants.into(), samples: vec![], sum: None })
    }

    /// Adds a run.
    pub fn add(&mut self, contestant: Contestant, threads: usize, round: usize, usage: Usage) {
        self.samples.push(Sample { contestant, threads, round, usage });
    }

    /// Takes note of what a contestant found, which must be what the others found.
    pub fn check(&mut self, contestant: Contestant, threads: usize, found: Sum) -> Outcome<()> {
        let expected = *self.sum.get_or_insert(found);
        if found == expected {
            return Ok(());
        }
        let name = contestant.name();
        let expectation = "the first contestant (rows, total, checksum)";
        Err(format!("{name} at {threads} threads found {found}, but {expected} was found by {expectation}")
            .into())
    }

    fn of(&self, contestant: Contestant, threads: usize) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.contestant == contestant && sample.threads == threads)
    }

    /// How many times as long as by hand the contestant took, in each round.
    fn ratios(&self, contestant: Contestant, threads: usize) -> Vec<f64> {
        let ratio = |sample: &Sample| {
            let hand = self.of(Contestant::Hand, threads).find(|hand| hand.round == sample.round)?;
            Some(sample.usage.wall.as_secs_f64() / hand.usage.wall.as_secs_f64())
        };
        self.of(contestant, threads).filter_map(ratio).collect()
    }

    fn row(&self, contestant: Contestant, threads: usize) -> Option<String> {
        let of = |value: fn(&Usage) -> f64| {
            median(self.of(contestant, threads).map(|s| value(&s.usage)).collect())
        };
        let wall = of(|usage| usage.wall.as_secs_f64())?;
        let cpu = of(|usage| usage.cpu.as_secs_f64())?;
        let peak = of(|usage| usage.peak_bytes as f64 / 1e6)?;
        let rate = self.bytes as f64 / 1e6 / wall;
        let a_word = wall * 1e9 / self.sum.map_or(f64::NAN, |sum| sum.total as f64);
        let mut ratios = self.ratios(contestant, threads);
        ratios.sort_by(f64::total_cmp);
        let ratios = match (ratios.first(), median(ratios.clone()), ratios.last()) {
            (Some(least), Some(middle), Some(most)) => format!("{least:.2} / {middle:.2} / {most:.2}"),
            _ => "-".into(),
        };
        let name = contestant.name();
        Some(format!(
            "{threads:>7}  {name:<10}{rate:>7.0}{a_word:>10.2}{wall:>9.3}{cpu:>8.3}{peak:>9.0}   {ratios}"
        ))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sum { rows, total, .. } = self.sum.unwrap_or_default();
        let rounds = self.samples.iter().map(|sample| sample.round + 1).max().unwrap_or(0);
        let compared = self.contestants.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
        let name = self.input.file_name().unwrap_or_default().display();
        writeln!(
            f,
            "\n{name}: {} bytes, {total} words, {rows} distinct; outputs compared: {compared}, all agree",
            self.bytes
        )?;
        writeln!(f, "medians of {rounds} rounds; ns a word are of wall time\n")?;
        writeln!(
            f,
            "threads  contestant   MB/s   ns/word   wall s   cpu s  peak MB   wall to hand: min / median / max"
        )?;
        let mut threads: Vec<usize> = self.samples.iter().map(|sample| sample.threads).collect();
        threads.sort_unstable();
        threads.dedup();
        for threads in threads {
            for row in self.contestants.iter().filter_map(|&contestant| self.row(contestant, threads)) {
                writeln!(f, "{row}")?;
            }
        }
        Ok(())
    }
}

/// The middle value, or the mean of the two middle ones.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some(lower.midpoint(*upper))
}
