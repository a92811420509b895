//! Where the ranges of a sorted whole begin: at rows drawn from all runs.
//!
//! Which rows are drawn depends on their places in the input alone, and a border lies before one certain row, not before all that equal
//! it. So the ranges are the same in every run, and a value that most rows share is divided among them, too.

use std::cmp::Ordering;

use super::order::Order;
use super::run::{Run, Sampled};
use crate::exec::job::Order as Place;
use crate::record::{Key, Record};

/// Drawn rows that are kept, at most: more would not make the ranges noticeably more even.
const MAX_SAMPLE: usize = 1 << 16;

/// The place before one row of one run, and between the rows of all other runs.
pub struct Border<T> {
    pub(super) row: T,
    pub(super) run: usize,
    pub(super) at: usize,
}

impl<T> Border<T> {
    /// Whether a row, number `at` of a run, comes before it.
    pub fn is_after<O: Order<T>>(&self, order: &O, run: usize, at: usize, row: &T) -> bool {
        if run == self.run {
            return at < self.at;
        }
        match order.compare(row, &self.row) {
            Ordering::Less => true,
            Ordering::Equal => run < self.run,
            Ordering::Greater => false,
        }
    }

    /// How many of neighbouring rows of a run come before it; `start` is the number of the first of them.
    pub fn cut<O: Order<T>>(&self, order: &O, run: usize, start: usize, rows: &[T]) -> usize {
        if run == self.run {
            return self.at.saturating_sub(start).min(rows.len());
        }
        rows.partition_point(|row| self.is_after(order, run, start, row))
    }
}

/// Borders that divide the rows of all runs into `ranges` of about equal size, in order.
pub fn borders<T: Record, O: Order<T>>(order: &O, runs: &mut [Run<T>], ranges: usize) -> Vec<Border<T>> {
    prune(runs.iter_mut().map(|run| &mut run.sample), MAX_SAMPLE);
    let of_run = |(run, rows): (usize, &mut Run<T>)| {
        let borders = std::mem::take(&mut rows.sample).into_iter();
        borders.map(move |Sampled { row, at, .. }| Border { row, run, at })
    };
    let mut all: Vec<_> = runs.iter_mut().enumerate().flat_map(of_run).collect();
    // Those of a run come in its order, so that equal ones stay in the order of the whole.
    all.sort_by(|a, b| order.compare(&a.row, &b.row));
    let mut chosen: Vec<_> = (1..ranges).map(|range| range * all.len() / ranges).collect();
    chosen.dedup();
    let mut chosen = chosen.into_iter().peekable();
    let is_chosen = |(index, border)| (chosen.next_if_eq(&index).is_some()).then_some(border);
    all.into_iter().enumerate().filter_map(is_chosen).collect()
}

/// Leaves those of all drawn rows that have the smallest lots, if there are more than `most`: the same, whenever it is done.
pub fn prune<'a, T: 'a>(samples: impl Iterator<Item = &'a mut Vec<Sampled<T>>>, most: usize) {
    let samples: Vec<_> = samples.collect();
    let mut lots: Vec<u64> = samples.iter().flat_map(|sample| sample.iter().map(|drawn| drawn.lot)).collect();
    if lots.len() <= most {
        return;
    }
    let (_, &mut bound, _) = lots.select_nth_unstable(most);
    for sample in samples {
        sample.retain(|drawn| drawn.lot < bound);
    }
}

/// Draws one of every so many rows of a task.
pub struct Lottery {
    task: u64,
    every: u64,
    row: u64,
    next: u64,
}

impl Lottery {
    /// Draws one of `every` rows of the task at this place.
    pub fn new(task: Place, every: usize) -> Lottery {
        let mut lottery = Lottery {
            task: (task.rank as u64, task.split as u64).key_hash(),
            every: every.max(1) as u64,
            row: 0,
            next: 0,
        };
        lottery.next = lottery.place_in_round(0);
        lottery
    }

    /// The lot of the next row, if it is drawn.
    #[inline]
    pub fn draw(&mut self) -> Option<u64> {
        let row = self.row;
        self.row += 1;
        if row == self.next { Some(self.begin_round(row)) } else { None }
    }

    #[cold]
    fn begin_round(&mut self, row: u64) -> u64 {
        let round = row / self.every;
        self.next = self.place_in_round(round + 1);
        (self.task, round, 1u8).key_hash()
    }

    fn place_in_round(&self, round: u64) -> u64 {
        round * self.every + (self.task, round).key_hash() % self.every
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::ByKey;
    use super::*;
    use crate::exec::disk::Disk;
    use crate::exec::memory::Budget;

    fn runs(samples: &[&[(u64, usize)]]) -> Vec<Run<u64>> {
        let budget = Budget::new(u64::MAX, Disk::in_temp());
        let drawn = |(row, at): &(u64, usize)| Sampled { row: *row, at: *at, lot: row.key_hash() };
        let run = |sample: &&[(u64, usize)]| Run {
            sample: sample.iter().map(drawn).collect(),
            ..Run::new(budget.reservation())
        };
        samples.iter().map(run).collect()
    }

    #[test]
    fn borders_stand_before_one_row_of_one_run() {
        let order = ByKey::new(|n: &u64| *n);
        let mut runs = runs(&[&[(1, 0), (5, 9)], &[(5, 2), (5, 3), (9, 4)], &[(5, 0)]]);
        let borders = borders(&order, &mut runs, 3);
        let places: Vec<_> = borders.iter().map(|border| (border.row, border.run, border.at)).collect();
        assert_eq!(places, [(5, 1, 2), (5, 2, 0)], "of 1, 5, 5, 5, 5, 9 the third and the fifth");
        assert_eq!(
            borders[0].cut(&order, 0, 0, &[4, 5, 5, 6]),
            3,
            "equal rows of earlier runs come before it"
        );
        assert_eq!(borders[0].cut(&order, 2, 0, &[4, 5, 5, 6]), 1, "and those of later ones after it");
        assert_eq!(borders[0].cut(&order, 1, 1, &[5, 5, 5]), 1);
    }

    #[test]
    fn pruning_early_or_late_leaves_the_same() {
        let drawn: Vec<(u64, usize)> = (0..1000).map(|n| (n, n as usize)).collect();
        let left = |runs: &[Run<u64>]| -> Vec<u64> {
            runs.iter().flat_map(|run| run.sample.iter().map(|drawn| drawn.row)).collect()
        };
        let mut late = runs(&[&drawn[..400], &drawn[400..]]);
        prune(late.iter_mut().map(|run| &mut run.sample), 100);
        let mut early = runs(&[&drawn[..400], &drawn[400..]]);
        prune(early[..1].iter_mut().map(|run| &mut run.sample), 100);
        prune(early.iter_mut().map(|run| &mut run.sample), 100);
        assert_eq!(left(&late).len(), 100);
        assert_eq!(left(&late), left(&early));
    }

    #[test]
    fn one_of_every_so_many_rows_is_drawn() {
        let mut lottery = Lottery::new(Place { rank: 0, split: 3 }, 10);
        let drawn: Vec<usize> = (0..1000).filter(|_| lottery.draw().is_some()).collect();
        assert_eq!(drawn.len(), 100);
        assert!(drawn.iter().enumerate().all(|(round, row)| row / 10 == round), "{drawn:?}");
        assert!(drawn.iter().any(|row| row % 10 != drawn[0] % 10));
    }
}
