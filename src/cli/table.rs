//! An aligned table of text for a terminal or a pipe.

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Cell, CellAlignment};

use super::escape::escaped;

/// Longer cells are cut, so that one long text does not push all other columns out of sight.
const MAX_CELL_CHARS: usize = 100;

/// Where the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    /// For numbers.
    Right,
}

/// A column: its name and where its cells stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    pub align: Align,
}

/// Rows of cells under named columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The lines of the table: the header, a rule, and one line a row, whatever is in the cells.
    pub fn lines(&self) -> Vec<String> {
        let mut table = comfy_table::Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(self.cells(self.columns.iter().map(|column| column.name.as_str())));
        for row in &self.rows {
            table.add_row(self.cells(row.iter().map(String::as_str)));
        }
        table.lines().collect()
    }

    fn cells<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Vec<Cell> {
        let aligned = texts.zip(&self.columns);
        aligned.map(|(text, column)| Cell::new(cell_text(text)).set_alignment(column.align.into())).collect()
    }
}

impl From<Align> for CellAlignment {
    fn from(align: Align) -> CellAlignment {
        match align {
            Align::Left => CellAlignment::Left,
            Align::Right => CellAlignment::Right,
        }
    }
}

/// A cell as it is printed: escaped, and cut with an ellipsis where it is too long.
fn cell_text(text: &str) -> String {
    let safe = escaped(text);
    match safe.char_indices().nth(MAX_CELL_CHARS) {
        None => safe.into_owned(),
        Some((end, _)) => format!("{}…", &safe[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[[&str; 2]]) -> String {
        let columns = [("word", Align::Left), ("n", Align::Right)];
        let columns = columns.map(|(name, align)| Column { name: name.to_owned(), align }).to_vec();
        let rows = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        Table { columns, rows }.lines().join("\n")
    }

    #[test]
    fn numbers_stand_right_and_wide_characters_count_twice() {
        let expected = "\
| word |     n |
|------|-------|
| a    |     1 |
| 日本 | 12345 |";
        assert_eq!(table(&[["a", "1"], ["日本", "12345"]]), expected);
    }

    #[test]
    fn every_row_is_one_safe_line_of_bounded_width() {
        let long = "x".repeat(100_000);
        let lines = table(&[["a\nb\u{1b}[2J", "1"], [&long, "2"]]);
        assert_eq!(lines.lines().count(), 4);
        assert!(!lines.contains('\u{1b}'));
        assert!(lines.contains("a\\nb\\u{1b}[2J"));
        assert!(lines.lines().all(|line| line.chars().count() < 120));
        assert!(lines.contains('…'));
    }

    #[test]
    fn a_table_without_rows_or_columns_is_printed_too() {
        assert_eq!(table(&[]).lines().count(), 2);
        Table::default().lines();
    }
}
