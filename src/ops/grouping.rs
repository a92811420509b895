//! Which rows of a batch belong together.

use hashbrown::HashMap;

use super::row_format::Encoded;
use crate::record::Bytes;

/// The groups of a batch, in the order of their first rows.
pub(super) struct Grouping {
    /// The group of each row.
    of_rows: Vec<u32>,
    /// The first row of each group.
    firsts: Vec<usize>,
}

/// Rows that a table of groups has room for from the beginning.
const FEW: usize = 1024;

impl Grouping {
    /// The groups of rows that have the same bytes.
    pub(super) fn of(keys: &Encoded, rows: usize) -> Grouping {
        let mut numbers: HashMap<&[u8], u32> = HashMap::with_capacity(rows.min(FEW));
        let mut firsts: Vec<usize> = Vec::new();
        let number = |row| {
            *numbers.entry(keys.row(row)).or_insert_with(|| {
                firsts.push(row);
                firsts.len() as u32 - 1
            })
        };
        let of_rows = (0..rows).map(number).collect();
        Grouping { of_rows, firsts }
    }

    /// The number of groups.
    pub(super) fn len(&self) -> usize {
        self.firsts.len()
    }

    /// The rows, each with its group.
    pub(super) fn rows(&self) -> impl Iterator<Item = (usize, usize)> {
        self.of_rows.iter().map(|group| *group as usize).enumerate()
    }

    /// What the rows of each group have in common.
    pub(super) fn keys(&self, keys: &Encoded) -> impl Iterator<Item = Bytes> {
        self.firsts.iter().map(|row| Bytes::from(keys.row(*row)))
    }
}
