//! Lines as they are.

use arrow::datatypes::{DataType, Field, Fields};

use super::{Fault, LineFormat, Row};

/// Lines that are not cut: their only column, `line`, is the whole line.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{LineFormat, Row, WholeLine};
///
/// let mut row = Row::new();
/// WholeLine.cut("to be, or not to be", &mut row)?;
/// assert_eq!(row.get(0), Some("to be, or not to be"));
/// # Ok::<(), gristmill::parse::Fault>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WholeLine;

impl LineFormat for WholeLine {
    fn fields(&self) -> Fields {
        vec![Field::new("line", DataType::Utf8, false)].into()
    }

    #[inline]
    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        row.clear();
        row.push(Some(line));
        Ok(())
    }
}
