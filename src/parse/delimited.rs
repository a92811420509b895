//! Fields with one character between them, and nothing else.

use arrow::datatypes::Fields;

use super::{Fault, LineFormat, Row, text_columns};
use crate::error::{Error, ErrorKind, Result};

/// Fields with a delimiter between them, which no field can contain: there are neither quotes nor escapes. TSV and `/etc/passwd` are
/// such formats; CSV is not.
///
/// Each line has as many fields as there are columns. An empty field is an empty string; a text that stands for null can be
/// [set](Delimited::null).
///
/// # Examples
///
/// ```
/// use gristmill::parse::{Delimited, LineFormat, Row};
///
/// let format = Delimited::new(b'\t', ["id", "name", "price"])?.null("\\N");
/// let mut row = Row::new();
/// format.cut("7\t\t\\N", &mut row)?;
/// assert_eq!(row.iter().collect::<Vec<_>>(), [Some("7"), Some(""), None]);
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Delimited {
    columns: Fields,
    delimiter: u8,
    null: Option<String>,
}

impl Delimited {
    /// The format of these columns, with a delimiter that is any ASCII character but a line feed.
    ///
    /// # Errors
    ///
    /// If there is no column, or two have the same name, or the delimiter is another.
    pub fn new(delimiter: u8, columns: impl IntoIterator<Item = impl Into<String>>) -> Result<Delimited> {
        if !delimiter.is_ascii() || delimiter == b'\n' {
            let message = format!("`{}` cannot stand between fields", delimiter.escape_ascii());
            return Err(Error::new(ErrorKind::Config, message).hint("give an ASCII character"));
        }
        Ok(Delimited { columns: text_columns(columns)?, delimiter, null: None })
    }

    /// A text that stands for null. Default: there is none.
    #[must_use]
    pub fn null(mut self, text: impl Into<String>) -> Delimited {
        self.null = Some(text.into());
        self
    }
}

impl LineFormat for Delimited {
    fn fields(&self) -> Fields {
        self.columns.clone()
    }

    fn cut<'a>(&self, line: &'a str, row: &mut Row<'a>) -> Result<(), Fault> {
        row.clear();
        let mut begin = 0;
        for end in memchr::memchr_iter(self.delimiter, line.as_bytes()).chain([line.len()]) {
            if row.len() == self.columns.len() {
                return Err(Fault::new(begin, "the line has more fields than there are columns"));
            }
            let field = line.get(begin..end);
            row.push(field.filter(|&field| self.null.as_deref() != Some(field)));
            begin = end + 1;
        }
        match self.columns.get(row.len()) {
            Some(missing) => {
                let reason = "the line has fewer fields than there are columns";
                Err(Fault::new(line.len(), reason).in_column(missing.name()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn format(columns: usize) -> Delimited {
        Delimited::new(b'|', (0..columns).map(|column| format!("c{column}"))).unwrap()
    }

    #[test]
    fn the_number_of_fields() {
        let mut row = Row::new();
        format(2).cut("|é", &mut row).unwrap();
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some(""), Some("é")]);
        let fault = format(2).cut("a|b|c", &mut row).unwrap_err();
        assert_eq!(fault.to_string(), "the line has more fields than there are columns (byte 4)");
        let fault = format(3).cut("a|b", &mut row).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "the line has fewer fields than there are columns (column `c2`, byte 3)"
        );
        assert!(format(1).cut("", &mut row).is_ok());
        assert!(Delimited::new(b'\n', ["a"]).is_err() && Delimited::new(0xC3, ["a"]).is_err());
    }

    proptest! {
        #[test]
        fn it_splits_as_strings_do(line in "[a|é]{0,20}", columns in 1..9_usize) {
            let mut row = Row::new();
            let expected: Vec<_> = line.split('|').map(Some).collect();
            let is_cut = format(columns).cut(&line, &mut row).is_ok();
            prop_assert_eq!(is_cut, columns == expected.len());
            prop_assert!(!is_cut || row.iter().eq(expected));
        }
    }
}
