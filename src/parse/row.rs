//! [`Row`]: the fields of one line, still text.

/// The fields of one line, in the order of the columns: each is null, a part of the line, or text that was unescaped.
///
/// One row is filled again and again. A part of the line costs its address and its length; what was unescaped lies in
/// strings that are reused. A row borrows the lines that it is filled from; [`Row::recycle`] takes it on to others.
///
/// # Examples
///
/// ```
/// use gristmill::parse::{Delimited, LineFormat, Row};
///
/// let format = Delimited::new(b';', ["id", "name"])?;
/// let mut row = Row::new();
/// for line in ["7;rye", "8;oats"] {
///     format.cut(line, &mut row)?;
///     assert_eq!(row.len(), 2);
/// }
/// assert_eq!(row.get(1), Some("oats"));
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Row<'a> {
    /// What is `None` is null, unless `owned` has a string for it.
    cells: Vec<Option<&'a str>>,
    /// Strings that belong to columns, of which the first `used` count.
    owned: Vec<(usize, String)>,
    used: usize,
}

impl<'a> Row<'a> {
    /// A row without fields.
    pub fn new() -> Row<'a> {
        Row::default()
    }

    /// Takes all fields away, and keeps the memory. Formats begin with it.
    #[inline]
    pub fn clear(&mut self) {
        self.cells.clear();
        self.used = 0;
    }

    /// Makes all of so many fields null. Formats begin with it that find their fields in any order.
    pub fn clear_to_nulls(&mut self, columns: usize) {
        self.clear();
        self.cells.resize(columns, None);
    }

    /// Adds a field that is a part of the line, or null.
    #[inline]
    pub fn push(&mut self, field: Option<&'a str>) {
        self.cells.push(field);
    }

    /// Adds a field that `write` appends to an empty string.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut row = gristmill::parse::Row::new();
    /// row.push_with(|text| text.push_str("a \"b\""));
    /// assert_eq!(row.get(0), Some("a \"b\""));
    /// ```
    pub fn push_with(&mut self, write: impl FnOnce(&mut String)) {
        self.cells.push(None);
        self.own(self.cells.len() - 1, write);
    }

    /// Sets one of the fields that there are; without such a field it does nothing.
    #[inline]
    pub fn set(&mut self, column: usize, field: Option<&'a str>) {
        if let Some(cell) = self.cells.get_mut(column) {
            *cell = field;
            self.disown(column);
        }
    }

    /// Sets one of the fields that there are to what `write` appends to an empty string.
    pub fn set_with(&mut self, column: usize, write: impl FnOnce(&mut String)) {
        self.set(column, None);
        if column < self.cells.len() {
            self.own(column, write);
        }
    }

    /// A field, or `None` if it is null or there is no such column.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut row = gristmill::parse::Row::new();
    /// row.push(None);
    /// row.push(Some("b"));
    /// assert_eq!((row.get(0), row.get(1), row.get(2)), (None, Some("b"), None));
    /// ```
    #[inline]
    pub fn get(&self, column: usize) -> Option<&str> {
        match self.cells.get(column) {
            Some(Some(field)) => Some(field),
            Some(None) if self.used > 0 => self.owned(column),
            _ => None,
        }
    }

    /// How many fields there are, nulls included.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// The fields in the order of the columns.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        (0..self.len()).map(|column| self.get(column))
    }

    /// A row without fields that has the memory of this one, and may be filled from lines that live for less long.
    ///
    /// # Examples
    ///
    /// ```
    /// use gristmill::parse::{Delimited, LineFormat, Row};
    ///
    /// let format = Delimited::new(b'\t', ["word", "count"])?;
    /// let mut kept = Row::new();
    /// for block in ["a\t1\nb\t2", "c\t3"] {
    ///     let block = block.to_owned(); // is gone at the end of this round
    ///     let mut row = kept.recycle();
    ///     for line in block.lines() {
    ///         format.cut(line, &mut row)?;
    ///     }
    ///     kept = row.recycle();
    /// }
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[must_use]
    pub fn recycle<'b>(mut self) -> Row<'b> {
        self.clear();
        // The vector is empty, and collecting keeps its memory.
        let cells = self.cells.into_iter().map(|_| None).collect();
        Row { cells, owned: self.owned, used: 0 }
    }

    fn own(&mut self, column: usize, write: impl FnOnce(&mut String)) {
        if self.used == self.owned.len() {
            self.owned.push((column, String::new()));
        }
        if let Some((owner, text)) = self.owned.get_mut(self.used) {
            *owner = column;
            text.clear();
            write(text);
            self.used += 1;
        }
    }

    fn disown(&mut self, column: usize) {
        let found = self.owned.iter().take(self.used).position(|(owner, _)| *owner == column);
        if let Some(found) = found {
            self.used -= 1;
            self.owned.swap(found, self.used);
        }
    }

    fn owned(&self, column: usize) -> Option<&str> {
        let mut used = self.owned.iter().take(self.used);
        used.find(|(owner, _)| *owner == column).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_an_address_and_a_length() {
        assert_eq!(size_of::<Option<&str>>(), 16);
    }

    #[test]
    fn fields_are_set_again() {
        let mut row = Row::new();
        row.clear_to_nulls(3);
        row.set_with(1, |text| text.push_str("one"));
        row.set_with(2, |text| text.push_str("two"));
        row.set_with(1, |text| text.push_str("uno"));
        row.set(7, Some("nowhere"));
        row.set_with(7, |text| text.push_str("nowhere"));
        assert_eq!(row.iter().collect::<Vec<_>>(), [None, Some("uno"), Some("two")]);
        row.set(1, None);
        row.set(0, Some("zero"));
        assert_eq!(row.iter().collect::<Vec<_>>(), [Some("zero"), None, Some("two")]);
    }

    #[test]
    fn nothing_is_left_of_the_line_before() {
        let mut row = Row::new();
        row.push_with(|text| text.push_str("old"));
        row.clear();
        row.push(None);
        row.push_with(|text| text.push_str("new"));
        assert_eq!(row.iter().collect::<Vec<_>>(), [None, Some("new")]);
    }

    #[test]
    fn a_recycled_row_keeps_its_memory() {
        let mut row = Row::new();
        for _ in 0..100 {
            row.push(Some("x"));
        }
        let capacity = row.cells.capacity();
        let row = row.recycle();
        assert!(row.is_empty());
        assert_eq!(row.cells.capacity(), capacity);
    }
}
