//! Columns at fixed positions of the line.

use std::ops::Range;

use arrow::datatypes::Fields;

use super::{Fault, LineFormat, Row, text_columns};
use crate::error::{Error, ErrorKind, Result};

/// Columns at fixed positions, counted in characters and not in bytes, from 0.
///
/// Spaces around a field do not count, and a field of nothing but spaces is null. What lies in no column is left out; columns may
/// overlap. A line that ends before or in a column is a fault, unless [short lines](FixedWidth::allow_short) are allowed.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{FixedWidth, LineFormat, Row};
///
/// let format = FixedWidth::new([("name", 0..6), ("unit", 6..8), ("price", 8..13)])?;
/// let mut row = Row::new();
/// format.cut("rye     12.50", &mut row)?;
/// assert_eq!(row.iter().collect::<Vec<_>>(), [Some("rye"), None, Some("12.50")]);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct FixedWidth {
    columns: Fields,
    ranges: Vec<Range<usize>>,
    allow_short: bool,
}

impl FixedWidth {
    /// The format of these columns, each with the positions of its characters.
    ///
    /// # Errors
    ///
    /// If there is no column, two have the same name, or one has no width.
    pub fn new<N: Into<String>>(columns: impl IntoIterator<Item = (N, Range<usize>)>) -> Result<FixedWidth> {
        let (names, ranges): (Vec<String>, Vec<Range<usize>>) =
            columns.into_iter().map(|(name, range)| (name.into(), range)).unzip();
        if let Some((name, range)) = names.iter().zip(&ranges).find(|(_, range)| range.is_empty()) {
            let message = format!("column `{}` has no width: {range:?}", name.escape_debug());
            return Err(
                Error::new(ErrorKind::Config, message).hint("give a range of characters, such as 0..8")
            );
        }
        Ok(FixedWidth { columns: text_columns(names)?, ranges, allow_short: false })
    }

    /// Whether lines may end early, as where spaces at the end of lines have been taken away; what is missing counts as spaces then.
    /// Default: false.
    #[must_use]
    pub fn allow_short(mut self, allow: bool) -> FixedWidth {
        self.allow_short = allow;
        self
    }

    /// The fault of a line that ends too early.
    #[cold]
    fn short(&self, line: &str, column: usize) -> Fault {
        let fault = Fault::new(line.len(), "the line ends before the column does");
        match self.columns.get(column) {
            Some(field) => fault.in_column(field.name()),
            None => fault,
        }
    }
}

impl LineFormat for FixedWidth {
    fn fields(&self) -> Fields {
        self.columns.clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        row.clear();
        let mut places = Places::new(line);
        for (column, range) in self.ranges.iter().enumerate() {
            let (begin, end) = (places.byte(range.start), places.byte(range.end));
            if end.is_none() && !self.allow_short {
                return Err(self.short(line, column));
            }
            let field = begin.and_then(|begin| line.get(begin..end.unwrap_or(line.len())));
            let field = field.map(|field| field.trim_matches(' '));
            row.push(field.filter(|field| !field.is_empty()));
        }
        Ok(())
    }
}

/// Where the characters of a line are: that is plain in ASCII, and counted from the place before in other lines.
struct Places<'a> {
    line: &'a str,
    ascii: bool,
    /// A character, and its byte.
    last: (usize, usize),
}

impl<'a> Places<'a> {
    fn new(line: &'a str) -> Places<'a> {
        Places { line, ascii: line.is_ascii(), last: (0, 0) }
    }

    /// The byte where a character begins, or where the line ends; `None` beyond.
    fn byte(&mut self, char: usize) -> Option<usize> {
        if self.ascii {
            return (char <= self.line.len()).then_some(char);
        }
        if char < self.last.0 {
            self.last = (0, 0);
        }
        let (from, start) = self.last;
        let rest = self.line.get(start..)?;
        let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        let byte = start + ends.nth(char - from)?;
        self.last = (char, byte);
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn characters_are_counted() {
        let format = FixedWidth::new([("b", 4..6), ("a", 0..4), ("all", 0..6)]).unwrap();
        let mut row = Row::new();
        format.cut("né  🌾xyz", &mut row).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some("🌾x"), Some("né"), Some("né  🌾x")]);
    }

    #[test]
    fn short_lines() {
        let format = FixedWidth::new([("a", 0..2), ("b", 2..5), ("c", 5..6)]).unwrap();
        let mut row = Row::new();
        let fault = format.cut("aabb", &mut row).unwrap_err();
        assert_eq!(fault.to_string(), "the line ends before the column does (column `b`, byte 4)");
        let format = format.allow_short(true);
        for (line, expected) in
            [("aabb", [Some("aa"), Some("bb"), None]), ("", [None; 3]), ("é", [Some("é"), None, None])]
        {
            format.cut(line, &mut row).unwrap();
            assert_eq!(row.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    #[allow(clippy::reversed_empty_ranges, reason = "it is refused")]
    fn wrong_columns() {
        let error = FixedWidth::new([("a", 3..3)]).unwrap_err();
        assert!(error.to_string().contains("column `a` has no width: 3..3"), "{error}");
        assert!(FixedWidth::new([("a", 4..3)]).is_err());
        assert!(FixedWidth::new([("a", 0..1), ("a", 1..2)]).is_err());
    }

    proptest! {
        #[test]
        fn places_are_those_of_characters(line in "[aé🌾 ]{0,12}", start in 0..12_usize, width in 1..5_usize, other in 0..12_usize) {
            let format = FixedWidth::new([("o", other..other + 1), ("c", start..start + width)]).unwrap().allow_short(true);
            let mut row = Row::new();
            format.cut(&line, &mut row).unwrap();
            let expected: String = line.chars().skip(start).take(width).collect();
            let expected = expected.trim_matches(' ');
            prop_assert_eq!(row.get(1), Some(expected).filter(|field| !field.is_empty()));
        }
    }
}
