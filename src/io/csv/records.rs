//! The records of a stream of CSV, each with its raw bytes and where it begins.

use std::io::{self, Read};

use memchr::{memchr, memchr2};

use super::cut::{Cells, Cut, Fields};
use super::quotes::Stray;

/// Bytes that are read at once.
const BLOCK_BYTES: usize = 256 << 10;

/// The mark that some programs write before all else.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

const NOT_CLOSED: &str = "a quote is not closed";
const TOO_LONG: &str = "it is too long";

/// Cuts a stream into records and fields.
pub struct Records<R> {
    source: R,
    delimiter: u8,
    max_record_bytes: usize,
    buffer: Vec<u8>,
    /// Where the record that is being read begins in the buffer, and how far it has been read.
    start: usize,
    at: usize,
    /// The offset of the buffer in the stream.
    offset: u64,
    cells: Cells,
    /// Whether the rest of a line that is too long comes first.
    skips_line: bool,
    /// Whether a byte order mark may come first.
    may_have_mark: bool,
    is_over: bool,
}

/// A record, or what cannot be one.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its bytes, with its quotes, without the end of its line.
    pub raw: &'a [u8],
    /// Where it begins in the stream.
    pub offset: u64,
    /// What is wrong with it. It has no fields then, and is one line.
    pub fault: Option<&'static str>,
    cells: &'a Cells,
}

impl<'a> Record<'a> {
    /// How many fields it has.
    #[inline]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether a field stands in quotes.
    #[inline]
    pub fn is_quoted(&self, field: usize) -> bool {
        self.cells.is_quoted(field)
    }

    /// Its fields, without their quotes; none if they are not UTF-8.
    #[inline]
    pub fn fields(&self) -> Option<Fields<'a>> {
        Fields::new(self.raw, self.cells)
    }
}

impl<R: Read> Records<R> {
    /// The records of a stream, of which `offset` bytes are left out; it begins with a record.
    pub fn new(source: R, offset: u64, delimiter: u8, max_record_bytes: usize) -> Records<R> {
        Records {
            source,
            delimiter,
            max_record_bytes,
            buffer: Vec::new(),
            start: 0,
            at: 0,
            offset,
            cells: Cells::default(),
            skips_line: false,
            may_have_mark: offset == 0,
            is_over: false,
        }
    }

    /// The source.
    pub fn source(&self) -> &R {
        &self.source
    }

    /// The offset in the stream up to which it has been read.
    pub fn read_to(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// The next record; none after the last one. Empty lines are none.
    ///
    /// # Errors
    ///
    /// If the stream cannot be read.
    pub fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        if std::mem::take(&mut self.may_have_mark) {
            self.skip_mark()?;
        }
        self.start = self.at;
        self.skip_line_ends()?;
        if self.start == self.buffer.len() {
            return Ok(None);
        }
        let (bytes, fault) = match self.cut()? {
            Cut::Record(bytes) if bytes <= self.max_record_bytes => (bytes, None),
            cut => self.first_line(cut)?,
        };
        self.at = self.start + bytes;
        Ok(Some(Record {
            raw: &self.buffer[self.start..self.at],
            offset: self.offset + self.start as u64,
            fault,
            cells: &self.cells,
        }))
    }

    #[cold]
    fn skip_mark(&mut self) -> io::Result<()> {
        while self.buffer.len() < BYTE_ORDER_MARK.len() && !self.is_over {
            self.fill()?;
        }
        if self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.at = BYTE_ORDER_MARK.len();
        }
        Ok(())
    }

    /// Goes over what may stand between two records.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        let mut is_skipping = self.skips_line;
        while is_skipping {
            let end = memchr(b'\n', &self.buffer[self.start..]);
            is_skipping = end.is_none() && !self.is_over;
            self.start = end.map_or(self.buffer.len(), |end| self.start + end);
            if is_skipping {
                self.fill()?;
            }
        }
        self.skips_line = false;
        loop {
            let ends = self.buffer[self.start..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
            self.start += ends.count();
            if self.start < self.buffer.len() || self.is_over {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Cuts one record, which is begun anew when there is more of it. It is open in the end only if it has no end within the
    /// greatest length.
    fn cut(&mut self) -> io::Result<Cut> {
        loop {
            let bytes = &self.buffer[self.start..];
            let cut = self.cells.cut(bytes, self.delimiter, self.is_over);
            if cut != Cut::Open || self.is_over || bytes.len() > self.max_record_bytes {
                return Ok(cut);
            }
            self.fill()?;
        }
    }

    /// The length of the first line of what is no record, so that what follows is read again, and what is wrong.
    #[cold]
    fn first_line(&mut self, cut: Cut) -> io::Result<(usize, Option<&'static str>)> {
        let bytes = &self.buffer[self.start..];
        // A lone CR ends a record, and so this line, if it cannot be in quotes.
        let (plain_from, reason) = match cut {
            Cut::Record(end) => (end, TOO_LONG),
            Cut::Open if bytes.len() > self.max_record_bytes => (bytes.len(), TOO_LONG),
            Cut::Open => (bytes.len(), NOT_CLOSED),
            // A quote of a later record seems to close it.
            Cut::Stray(at, _) if memchr(b'\n', &bytes[..at]).is_some() => (at, NOT_CLOSED),
            Cut::Stray(at, Stray::Inside) => (at, "a quote stands in a field that does not begin with one"),
            Cut::Stray(at, Stray::Before) => (at, "a quote ends a field, and something else follows it"),
        };
        loop {
            let bytes = &self.buffer[self.start..];
            let (first, plain) = bytes.split_at(plain_from);
            let end = memchr(b'\n', first);
            let end = end.or_else(|| memchr2(b'\n', b'\r', plain).map(|end| plain_from + end));
            let length = end.unwrap_or(bytes.len());
            let is_too_long = length > self.max_record_bytes;
            if end.is_none() && !self.is_over && !is_too_long {
                self.fill()?;
                continue;
            }
            self.skips_line = end.is_none() && !self.is_over;
            return Ok((length, Some(if is_too_long { TOO_LONG } else { reason })));
        }
    }

    /// Reads another block behind what is there of the record, and twice as much of a large one, so that all of it is cut again a few
    /// times only.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.start = 0;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + BLOCK_BYTES.max(filled), 0);
        let count = loop {
            match self.source.read(&mut self.buffer[filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(filled + *count.as_ref().unwrap_or(&0));
        self.is_over = count? == 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Cut = (u64, Vec<String>, Option<&'static str>);

    /// A source that gives few bytes at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(to.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn cut(text: &[u8], at_once: usize, max: usize) -> Vec<Cut> {
        let mut records = Records::new(Drops(text, at_once), 0, b',', max);
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let fields = record.fields().filter(|_| record.fault.is_none());
            let fields = fields.map_or_else(Vec::new, |fields| fields.iter().map(str::to_owned).collect());
            assert!(text[record.offset as usize..].starts_with(record.raw));
            all.push((record.offset, fields, record.fault));
        }
        all
    }

    fn fields(fields: &[&str]) -> Vec<String> {
        fields.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn records_end_where_rfc_4180_says() {
        let text = b"\r\n\na,\"b\r\n\"\"c\"\"\"\r\n\nd,e\n,\nlast,\"\"";
        for at_once in [1, 2, 7, 100] {
            let expected = [
                (3, fields(&["a", "b\r\n\"c\""]), None),
                (18, fields(&["d", "e"]), None),
                (22, fields(&["", ""]), None),
                (24, fields(&["last", ""]), None),
            ];
            assert_eq!(cut(text, at_once, 100), expected, "{at_once}");
        }
        assert!(cut(b"", 1, 10).is_empty() && cut(b"\n\r\n", 1, 10).is_empty());
    }

    #[test]
    fn a_line_with_a_fault_is_left_behind_and_the_next_one_is_read() {
        let text = b"a,\"b\nc,d\ne,\"f\ng\"\nh\"i,j\n\"k\"l,\"m\nn,\"o";
        let cut = cut(text, 3, 100);
        let seen: Vec<_> =
            cut.iter().map(|(offset, fields, fault)| (*offset, fields.len(), fault.is_some())).collect();
        assert_eq!(
            seen,
            [(0, 0, true), (5, 2, false), (9, 2, false), (17, 0, true), (23, 0, true), (31, 0, true)]
        );
    }

    #[test]
    fn a_record_that_is_too_long_is_a_fault() {
        let text = [b"a,".as_slice(), &vec![b'x'; 300_000], b"\nb,c\n"].concat();
        let cut = cut(&text, 1000, 1000);
        let seen: Vec<_> =
            cut.iter().map(|(offset, fields, fault)| (*offset, fields.len(), fault.is_some())).collect();
        assert_eq!(seen, [(0, 0, true), (300_003, 2, false)]);
    }

    #[test]
    fn a_byte_order_mark_is_left_out() {
        for at_once in [1, 2, 100] {
            let expected = [(3, fields(&["a", "b"]), None), (9, fields(&["\u{feff}c"]), None)];
            assert_eq!(cut("\u{feff}\"a\",b\n\u{feff}c".as_bytes(), at_once, 100), expected);
            assert!(cut("\u{feff}".as_bytes(), at_once, 100).is_empty());
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let fault = |text: &str| cut(text.as_bytes(), 7, 100)[0].2;
        assert_eq!(fault("a,\"b\",\"c\"\"d\ne\"\r\n"), None);
        assert!(fault("a,b\"c").is_some_and(|fault| fault.contains("does not begin")));
        assert!(fault("a,\"b\"c").is_some_and(|fault| fault.contains("follows")));
        assert!(fault("a,\"bc\n").is_some_and(|fault| fault.contains("not closed")));
        assert!(fault("a,\"bc\nd,\"e\"\n").is_some_and(|fault| fault.contains("not closed")));
    }

    proptest! {
        #[test]
        fn what_is_cut_does_not_depend_on_how_it_is_read(text in "([a\n,\"]|\r\n|\"\"|,\"){0,40}", at_once in 1_usize..9) {
            prop_assert_eq!(cut(text.as_bytes(), at_once, 100), cut(text.as_bytes(), 1000, 100));
        }

        #[test]
        fn it_reads_what_the_csv_crate_reads(text in "([a-cé]{0,9}|[,\n]|\r|\"([a,\n\r]|\"\"){0,9}\"[,\n\r]){0,20}") {
            let found = cut(text.as_bytes(), 5, 1000);
            if found.iter().all(|record| record.2.is_none()) {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
                let expected: Vec<Vec<String>> =
                    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
                prop_assert_eq!(found.into_iter().map(|record| record.1).collect::<Vec<_>>(), expected);
            }
        }

        #[test]
        fn what_the_csv_crate_writes_is_read(rows in prop::collection::vec(prop::collection::vec("[a,\"\n\r é]{0,5}", 2..4), 0..9)) {
            let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let read: Vec<Vec<String>> = cut(&text, 5, 1000).into_iter().map(|record| record.1).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
