//! Tasks run in turn, round after round, and the table of what they cost.

use std::io::Read;
use std::process::Stdio;

use super::job::Task;
use crate::Outcome;
use crate::harness::figures::{Figures, turns};
use crate::harness::measure::{self, Usage};

/// One of those that are compared.
pub struct Contestant {
    pub name: String,
    pub task: Task,
}

/// What each contestant cost in each round.
pub struct Comparison {
    contestants: Vec<Contestant>,
    pub figures: Figures,
    answer: String,
}

impl Comparison {
    /// Runs all contestants once a round, and checks that their answers agree.
    pub fn run(contestants: Vec<Contestant>, rounds: usize) -> Outcome<Comparison> {
        let mut figures = Figures::new(contestants.len());
        let mut answer = String::new();
        for index in turns(contestants.len(), rounds) {
            let (usage, found) = run(&contestants[index].task)?;
            if answer.is_empty() {
                answer.clone_from(&found);
            }
            if found != answer {
                let name = &contestants[index].name;
                return Err(format!("{name} found {found}, another one {answer}").into());
            }
            figures.add(index, usage);
        }
        Ok(Comparison { contestants, figures, answer })
    }

    /// The table, with the ratio of each to the contestant `base`.
    pub fn print(&self, title: &str, base: usize) {
        println!("\n{title}: all found {}", self.answer);
        println!(
            "{:<22} {:>8} {:>8} {:>9}   to {}",
            "", "wall s", "cpu s", "peak MB", self.contestants[base].name
        );
        for (index, Contestant { name, .. }) in self.contestants.iter().enumerate() {
            let figures = &self.figures;
            let (wall, cpu, peak) = (figures.wall(index), figures.cpu(index), figures.peak(index));
            let [_, ratio, _] = figures.ratios(index, base);
            println!("{name:<22} {wall:>8.2} {cpu:>8.2} {peak:>9.0}   {ratio:.2}");
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
