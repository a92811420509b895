//! Tasks run in turn, round after round, and the table of what they cost.

use std::io::Read;
use std::process::Stdio;

use super::job::Task;
use super::measure::{self, Usage};
use crate::Outcome;

/// One of those that are compared.
pub struct Contestant {
    pub name: String,
    pub task: Task,
}

/// What each contestant cost in each round.
pub struct Comparison {
    contestants: Vec<Contestant>,
    /// By contestant, then by round.
    usages: Vec<Vec<Usage>>,
    answer: String,
}

impl Comparison {
    /// Runs all contestants once a round, and checks that their answers agree.
    pub fn run(contestants: Vec<Contestant>, rounds: usize) -> Outcome<Comparison> {
        let mut usages = vec![Vec::new(); contestants.len()];
        let mut answer = String::new();
        for round in 0..rounds {
            for turn in 0..contestants.len() {
                let index = (round + turn) % contestants.len();
                let (usage, found) = run(&contestants[index].task)?;
                if answer.is_empty() {
                    answer.clone_from(&found);
                }
                if found != answer {
                    let name = &contestants[index].name;
                    return Err(format!("{name} found {found}, another one {answer}").into());
                }
                usages[index].push(usage);
            }
        }
        Ok(Comparison { contestants, usages, answer })
    }

    /// The median of a figure of a contestant.
    pub fn median(&self, contestant: usize, of: impl Fn(&Usage) -> f64) -> f64 {
        median(self.usages[contestant].iter().map(of).collect())
    }

    /// How many times as long as `base` a contestant took, in the median of the rounds.
    pub fn ratio(&self, contestant: usize, base: usize) -> f64 {
        let pairs = self.usages[contestant].iter().zip(&self.usages[base]);
        median(pairs.map(|(one, other)| one.wall.as_secs_f64() / other.wall.as_secs_f64()).collect())
    }

    /// The table, with the ratio of each to the contestant `base`.
    pub fn print(&self, title: &str, base: usize) {
        println!("\n{title}: all found {}", self.answer);
        println!(
            "{:<22} {:>8} {:>8} {:>9}   to {}",
            "", "wall s", "cpu s", "peak MB", self.contestants[base].name
        );
        for (index, Contestant { name, .. }) in self.contestants.iter().enumerate() {
            let wall = self.median(index, |usage| usage.wall.as_secs_f64());
            let cpu = self.median(index, |usage| usage.cpu.as_secs_f64());
            let peak = self.median(index, |usage| usage.peak_bytes as f64 / 1e6);
            println!("{name:<22} {wall:>8.2} {cpu:>8.2} {peak:>9.0}   {:.2}", self.ratio(index, base));
        }
    }
}

fn run(task: &Task) -> Outcome<(Usage, String)> {
    let mut answer = String::new();
    let usage = measure::run(task.command()?.stdout(Stdio::piped()), |stdout| {
        stdout.map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut answer))
    })?;
    Ok((usage, answer.trim().to_owned()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = |at: usize| values.get(at).copied().unwrap_or(f64::NAN);
    middle(values.len().saturating_sub(1) / 2).midpoint(middle(values.len() / 2))
}
