//! Cuts the bytes of a CSV record into its fields, as RFC 4180 has them. [`super::quotes`] says the same byte by byte.

use memchr::memchr;

use super::quotes::Stray;

/// Where the fields of a record are.
#[derive(Debug, Default)]
pub struct Cells {
    cells: Vec<Cell>,
    /// The texts in which quotes are doubled, with one of each two, one text after the other.
    unescaped: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    start: usize,
    end: usize,
    form: Form,
}

/// How a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Quoted,
    /// With quotes in it, so that its bounds are those in [`Cells::unescaped`].
    Unescaped,
}

/// What bytes that begin with a record turn out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A record of so many bytes, behind which its line ends, or the bytes do.
    Record(usize),
    /// The beginning of a record.
    Open,
    /// A record that has a quote at, or before, a byte where it cannot be.
    Stray(usize, Stray),
}

impl Cells {
    /// Cuts the record that `bytes` begin with. Without more to come, `is_all`, their end is the end of a record, if no quote is open.
    pub fn cut(&mut self, bytes: &[u8], delimiter: u8, is_all: bool) -> Cut {
        self.cells.clear();
        self.unescaped.clear();
        let mut at = 0;
        loop {
            let field = if bytes.get(at) == Some(&b'"') {
                self.quoted(bytes, at + 1)
            } else {
                self.plain(bytes, at, delimiter)
            };
            at = match field {
                Ok(end) => end,
                Err(cut) => return cut,
            };
            match bytes.get(at) {
                Some(&byte) if byte == delimiter => at += 1,
                Some(b'\n' | b'\r') => return Cut::Record(at),
                Some(_) => return Cut::Stray(at, Stray::Before),
                None => return if is_all { Cut::Record(at) } else { Cut::Open },
            }
        }
    }

    /// A field without quotes, from its first byte; gives where it ends.
    #[inline]
    fn plain(&mut self, bytes: &[u8], start: usize, delimiter: u8) -> Result<usize, Cut> {
        let end = end_of_plain(bytes, start, delimiter);
        if bytes.get(end) == Some(&b'"') {
            return Err(Cut::Stray(end, Stray::Inside));
        }
        self.cells.push(Cell { start, end, form: Form::Plain });
        Ok(end)
    }

    /// A field within quotes, from the byte behind the first one; gives where what follows the last one is.
    #[inline]
    fn quoted(&mut self, bytes: &[u8], start: usize) -> Result<usize, Cut> {
        let unescaped = self.unescaped.len();
        let mut from = start;
        loop {
            let rest = bytes.get(from..).unwrap_or_default();
            let quote = memchr(b'"', rest).ok_or(Cut::Open)?;
            let (part, end) = (rest.get(..quote).unwrap_or_default(), from + quote);
            if bytes.get(end + 1) == Some(&b'"') {
                self.unescaped.extend_from_slice(part);
                self.unescaped.push(b'"');
                from = end + 2;
                continue;
            }
            let cell = if from == start {
                Cell { start, end, form: Form::Quoted }
            } else {
                self.unescaped.extend_from_slice(part);
                Cell { start: unescaped, end: self.unescaped.len(), form: Form::Unescaped }
            };
            self.cells.push(cell);
            return Ok(end + 1);
        }
    }

    /// How many fields there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether a field stands in quotes.
    #[inline]
    pub fn is_quoted(&self, field: usize) -> bool {
        self.cells.get(field).is_some_and(|cell| cell.form != Form::Plain)
    }
}

/// The fields of a record whose bytes are text.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    record: &'a str,
    unescaped: &'a str,
    cells: &'a Cells,
}

impl<'a> Fields<'a> {
    /// The fields that were cut from `record`; none if they are not UTF-8.
    #[inline]
    pub fn new(record: &'a [u8], cells: &'a Cells) -> Option<Fields<'a>> {
        let record = simdutf8::basic::from_utf8(record).ok()?;
        let unescaped = if cells.unescaped.is_empty() {
            ""
        } else {
            simdutf8::basic::from_utf8(&cells.unescaped).ok()?
        };
        Some(Fields { record, unescaped, cells })
    }

    /// A field, if there is one of this number.
    #[inline]
    pub fn get(&self, field: usize) -> Option<&'a str> {
        let cell = self.cells.cells.get(field)?;
        let text = if cell.form == Form::Unescaped { self.unescaped } else { self.record };
        text.get(cell.start..cell.end)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> {
        (0..self.cells.len()).filter_map(|field| self.get(field))
    }
}

/// The first delimiter, quote or line end from `at` on, or else the end.
///
/// Fields without quotes are short: eight bytes at once, without a call, take less time than any search that has to be set up.
#[inline]
fn end_of_plain(bytes: &[u8], mut at: usize, delimiter: u8) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let eight = u64::from_le_bytes(*eight);
        let found = equal(eight, delimiter) | equal(eight, b'"') | equal(eight, b'\n') | equal(eight, b'\r');
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_end = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(is_end).unwrap_or(rest.len())
}

/// The highest bit of each of eight bytes that equals `byte`. Bits above the lowest one that is set may be wrong.
#[inline]
fn equal(eight: u64, byte: u8) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let differing = eight ^ (ONES * u64::from(byte));
    differing.wrapping_sub(ONES) & !differing & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::super::quotes::State;
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str, is_all: bool) -> (Cut, Vec<(String, bool)>) {
        let mut cells = Cells::default();
        let cut = cells.cut(text.as_bytes(), b',', is_all);
        let Some(fields) = Fields::new(text.as_bytes(), &cells) else { return (cut, Vec::new()) };
        let quoted = (0..cells.len()).map(|field| cells.is_quoted(field));
        (cut, fields.iter().map(str::to_owned).zip(quoted).collect())
    }

    /// The same, byte by byte: fields are all that the states say is neither a quote, a delimiter nor an end.
    fn model(text: &str, is_all: bool) -> (Cut, Vec<(String, bool)>) {
        let (mut state, mut fields, mut field, mut is_quoted) = (State::Start, Vec::new(), Vec::new(), false);
        let string = |bytes: &mut Vec<u8>| String::from_utf8(std::mem::take(bytes)).unwrap();
        for (at, &byte) in text.as_bytes().iter().enumerate() {
            let next = match state.after(byte, b',') {
                Ok(next) => next,
                Err(stray) => return (Cut::Stray(at, stray), fields),
            };
            match (state, next) {
                (State::Start, State::Quoted) => is_quoted = true,
                (State::Closed, State::Quoted) => field.push(b'"'),
                (_, State::Start) => {
                    fields.push((string(&mut field), std::mem::take(&mut is_quoted)));
                    if byte != b',' {
                        return (Cut::Record(at), fields);
                    }
                }
                (_, State::Closed) => {}
                _ => field.push(byte),
            }
            state = next;
        }
        if state == State::Quoted || !is_all {
            return (Cut::Open, fields);
        }
        fields.push((string(&mut field), is_quoted));
        (Cut::Record(text.len()), fields)
    }

    #[test]
    fn fields_and_faults() {
        let fields = |fields: &[(&str, bool)]| -> Vec<(String, bool)> {
            fields.iter().map(|(text, quoted)| ((*text).to_owned(), *quoted)).collect()
        };
        let (record, found) = cut("a long field without quotes,\"b\",,\"c, \"\"d\"\"\ne\"\r\nf", false);
        assert_eq!(record, Cut::Record(45));
        let expected =
            [("a long field without quotes", false), ("b", true), ("", false), ("c, \"d\"\ne", true)];
        assert_eq!(found, fields(&expected));
        assert_eq!(cut("a,b\"c", true).0, Cut::Stray(3, Stray::Inside));
        assert_eq!(cut("a,\"b\"c", true).0, Cut::Stray(5, Stray::Before));
        assert_eq!(cut("a,\"bc\n", true).0, Cut::Open);
        assert_eq!(cut("a,\"b\"", false).0, Cut::Open);
        assert_eq!(cut("a,", true), (Cut::Record(2), fields(&[("a", false), ("", false)])));
    }

    proptest! {
        #[test]
        fn it_cuts_as_the_states_say(text in "([a-cé]{0,9}|[,\"\n]|\r|\"\"|\",\"|,\"){0,20}", is_all: bool) {
            let (expected, mut fields) = model(&text, is_all);
            let (found, mut cells) = cut(&text, is_all);
            prop_assert_eq!(found, expected);
            if !matches!(found, Cut::Record(_)) {
                // Of what is no record, nobody looks at the last field.
                let common = fields.len().min(cells.len());
                prop_assert!(cells.len() <= common + 1);
                fields.truncate(common);
                cells.truncate(common);
            }
            prop_assert_eq!(cells, fields);
        }
    }
}
