//! Sorted sources merged into one: a tree of losers (Knuth, *The Art of Computer Programming* 3, 5.4.1).
//!
//! Each node of the tree holds the source that lost the comparison there, so that the next row costs one comparison a level. What is
//! compared are the prefixes, which stand side by side; rows are looked at only where these are equal.

use std::cmp::Ordering;
use std::vec::IntoIter;

use super::order::{Order, Prefixes};
use crate::error::Result;
use crate::exec::push::Demand;

/// Rows in order, list by list; no list need be there before its turn comes.
pub type Lists<'a, T> = Box<dyn Iterator<Item = Result<Vec<T>>> + 'a>;

/// Hands the rows of all sources to `emit` in order, each with the number of its source, until it has enough. Rows that compare equal
/// come in the order of their sources.
///
/// # Errors
///
/// If a list cannot be read, or `emit` fails.
pub fn merge<T, O: Order<T>>(
    order: &O,
    sources: Vec<Lists<'_, T>>,
    emit: &mut impl FnMut(usize, T) -> Result<Demand>,
) -> Result<Demand> {
    let mut tree = Tree::new(order, sources)?;
    while let Some((source, row)) = tree.next()? {
        if emit(source, row)? == Demand::Enough {
            return Ok(Demand::Enough);
        }
    }
    Ok(Demand::More)
}

/// What is left of a source.
struct Source<'a, T> {
    lists: Lists<'a, T>,
    rows: IntoIter<T>,
}

/// Sources on their way to be merged; [`merge`] hands on all that comes, this gives row by row.
pub struct Tree<'a, T, O> {
    order: &'a O,
    exact: bool,
    sources: Vec<Source<'a, T>>,
    /// The prefix of the next row of each source; of one that is at its end, the largest.
    prefixes: Vec<u64>,
    /// The source that lost at each node; at the first, the one that lost nowhere.
    losers: Vec<u32>,
}

impl<'a, T, O: Order<T>> Tree<'a, T, O> {
    /// The sources, in the order in which equal rows are to come.
    ///
    /// # Errors
    ///
    /// If a list cannot be read.
    pub fn new(order: &'a O, lists: Vec<Lists<'a, T>>) -> Result<Tree<'a, T, O>> {
        let exact = order.prefixes() == Prefixes::Exact;
        let count = lists.len();
        let sources = lists.into_iter().map(|lists| Source { lists, rows: Vec::new().into_iter() }).collect();
        let (prefixes, losers) = (vec![0; count], vec![0; count.max(1)]);
        let mut tree = Tree { order, exact, sources, prefixes, losers };
        for source in 0..count {
            tree.advance(source)?;
        }
        tree.play();
        Ok(tree)
    }

    /// Plays all matches; the leaf of source `i` is node `count + i`, and the parent of a node has half its number.
    fn play(&mut self) {
        let count = self.sources.len();
        let mut winners = vec![0u32; 2 * count];
        for node in (1..2 * count).rev() {
            if node >= count {
                winners[node] = (node - count) as u32;
                continue;
            }
            let (left, right) = (winners[2 * node], winners[2 * node + 1]);
            let right_wins = self.precedes(right as usize, left as usize);
            (winners[node], self.losers[node]) = if right_wins { (right, left) } else { (left, right) };
        }
        self.losers[0] = winners.get(1).copied().unwrap_or(0);
    }

    /// The next row of all, and where it comes from.
    ///
    /// # Errors
    ///
    /// If a list cannot be read.
    #[inline]
    pub fn next(&mut self) -> Result<Option<(usize, T)>> {
        let mut winner = self.losers[0] as usize;
        let Some(row) = self.sources.get_mut(winner).and_then(|source| source.rows.next()) else {
            return Ok(None);
        };
        let source = winner;
        self.advance(source)?;
        let mut node = usize::midpoint(winner, self.sources.len()); // the parent of its leaf
        while node > 0 {
            let loser = self.losers[node] as usize;
            if self.precedes(loser, winner) {
                self.losers[node] = winner as u32;
                winner = loser;
            }
            node /= 2;
        }
        self.losers[0] = winner as u32;
        Ok(Some((source, row)))
    }

    /// Makes the prefix of a source that of its next row, of its next list if need be.
    #[inline]
    fn advance(&mut self, source: usize) -> Result<()> {
        let rows = &mut self.sources[source].rows;
        if rows.as_slice().is_empty() {
            return self.begin_list(source);
        }
        self.prefixes[source] = self.order.prefix(&rows.as_slice()[0]);
        Ok(())
    }

    #[cold]
    fn begin_list(&mut self, source: usize) -> Result<()> {
        let Source { lists, rows } = &mut self.sources[source];
        while rows.as_slice().is_empty() {
            let Some(list) = lists.next() else { break };
            *rows = list?.into_iter();
        }
        self.prefixes[source] = rows.as_slice().first().map_or(u64::MAX, |row| self.order.prefix(row));
        Ok(())
    }

    /// Whether the next row of `a` comes before that of `b`.
    #[inline]
    fn precedes(&self, a: usize, b: usize) -> bool {
        let (first, second) = (self.prefixes[a], self.prefixes[b]);
        if first == second { self.precedes_by_rows(a, b) } else { first < second }
    }

    fn precedes_by_rows(&self, a: usize, b: usize) -> bool {
        let next = |source: usize| self.sources[source].rows.as_slice().first();
        match (next(a), next(b)) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(_)) if self.exact => a < b,
            (Some(first), Some(second)) => match self.order.compare(first, second) {
                Ordering::Less => true,
                Ordering::Equal => a < b,
                Ordering::Greater => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::{By, ByKey};
    use super::*;

    fn merged<O: Order<(u64, usize)>>(order: &O, sources: &[Vec<Vec<(u64, usize)>>]) -> Vec<(u64, usize)> {
        let lists = sources.iter().map(|lists| Box::new(lists.clone().into_iter().map(Ok)) as Lists<'_, _>);
        let mut rows = Vec::new();
        let flow = merge(order, lists.collect(), &mut |source, row: (u64, usize)| {
            assert_eq!(source, row.1);
            rows.push(row);
            Ok(Demand::More)
        });
        assert_eq!(flow.unwrap(), Demand::More);
        rows
    }

    #[test]
    fn any_number_of_sources_is_merged_and_equals_come_by_source() {
        for count in 0..20 {
            let source = |source: usize| -> Vec<Vec<(u64, usize)>> {
                let keys: Vec<_> = (0..source * 3).map(|n| ((n * n % 11) as u64, source)).collect();
                let mut keys = if source.is_multiple_of(4) { vec![(u64::MAX, source); 3] } else { keys };
                keys.sort_unstable();
                keys.chunks(4).map(<[_]>::to_vec).chain([Vec::new()]).collect()
            };
            let sources: Vec<_> = (0..count).map(source).collect();
            let mut expected: Vec<_> = sources.iter().flatten().flatten().copied().collect();
            expected.sort_unstable();
            assert_eq!(merged(&ByKey::new(|row: &(u64, usize)| row.0), &sources), expected);
            assert_eq!(merged(&By(|a: &(u64, usize), b: &(u64, usize)| a.0.cmp(&b.0)), &sources), expected);
        }
    }

    #[test]
    fn it_ends_when_nobody_wants_more() {
        let lists: Vec<Lists<'_, u64>> = vec![Box::new((0..).map(|n| Ok(vec![n]))), Box::new([].into_iter())];
        let mut seen = 0;
        let flow = merge(&ByKey::new(|n: &u64| *n), lists, &mut |_, row| {
            seen += 1;
            Ok(if row == 9 { Demand::Enough } else { Demand::More })
        });
        assert_eq!((flow.unwrap(), seen), (Demand::Enough, 10));
    }
}
