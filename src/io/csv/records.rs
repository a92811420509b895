//! The records of a stream of CSV, each with its raw bytes and where it begins.

use std::io::{self, Read};

use csv_core::{ReadRecordResult, Reader};

use super::quotes;

/// Bytes that are read at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Cuts a stream into records and fields.
pub struct Records<R> {
    source: R,
    delimiter: u8,
    max_record_bytes: usize,
    core: Reader,
    buffer: Vec<u8>,
    /// Where the record that is being read begins in the buffer, and how far it has been read.
    start: usize,
    at: usize,
    /// The offset of the buffer in the stream.
    offset: u64,
    /// The bytes of the fields, one after the other, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    /// Whether the rest of a line that is too long comes first.
    skips_line: bool,
    is_over: bool,
}

/// A record, or what cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its bytes, with its quotes, without the end of its line.
    pub raw: &'a [u8],
    /// Where it begins in the stream.
    pub offset: u64,
    /// The bytes of its fields, one after the other, without their quotes.
    pub fields: &'a [u8],
    /// Where each field ends.
    pub ends: &'a [usize],
    /// What is wrong with it. It has no fields then, and is one line.
    pub fault: Option<&'static str>,
}

impl<R: Read> Records<R> {
    /// The records of a stream, of which `offset` bytes are left out; it begins with a record.
    pub fn new(source: R, offset: u64, delimiter: u8, max_record_bytes: usize) -> Records<R> {
        Records {
            source,
            delimiter,
            max_record_bytes,
            core: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            buffer: Vec::new(),
            start: 0,
            at: 0,
            offset,
            fields: vec![0; 1024],
            ends: vec![0; 64],
            count: 0,
            skips_line: false,
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
        self.start = self.at;
        self.skip_line_ends()?;
        let Some(fields) = self.cut()? else { return Ok(None) };
        let raw = trimmed(&self.buffer[self.start..self.at]);
        let fault =
            if memchr::memchr(b'"', raw).is_some() { quotes::fault(raw, self.delimiter) } else { None };
        let fault = if raw.len() > self.max_record_bytes { Some("it is too long") } else { fault };
        let end = self.start + raw.len();
        let fields = if fault.is_some() { self.only_line(end) } else { fields };
        let raw = trimmed(&self.buffer[self.start..self.at]);
        Ok(Some(Record {
            raw,
            offset: self.offset + self.start as u64,
            fields: &self.fields[..fields],
            ends: &self.ends[..self.count],
            fault,
        }))
    }

    /// Goes over what may stand between two records.
    fn skip_line_ends(&mut self) -> io::Result<()> {
        let mut is_skipping = self.skips_line;
        while is_skipping {
            let end = memchr::memchr(b'\n', &self.buffer[self.start..]);
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
            self.at = self.start;
            if self.start < self.buffer.len() || self.is_over {
                return Ok(());
            }
            self.fill()?;
        }
    }

    /// Cuts one record into its fields; gives the number of their bytes.
    fn cut(&mut self) -> io::Result<Option<usize>> {
        let (mut bytes, mut count) = (0, 0);
        loop {
            let input = &self.buffer[self.at..];
            let is_end = input.is_empty();
            if is_end && !self.is_over {
                self.fill()?;
                continue;
            }
            let (result, read, written, ended) =
                self.core.read_record(input, &mut self.fields[bytes..], &mut self.ends[count..]);
            self.at += read;
            bytes += written;
            count += ended;
            match result {
                ReadRecordResult::InputEmpty if self.at - self.start > self.max_record_bytes => break,
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(2 * self.fields.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(None),
            }
        }
        self.count = count;
        Ok(Some(bytes))
    }

    /// Leaves of a record that has something wrong only its first line, so that what follows is read again; it has no fields.
    #[cold]
    fn only_line(&mut self, end: usize) -> usize {
        self.core.reset();
        self.count = 0;
        match memchr::memchr(b'\n', &self.buffer[self.start..end]) {
            Some(line) => self.at = self.start + line + 1,
            None => self.skips_line = self.buffer[self.at - 1] != b'\n' && self.buffer[self.at - 1] != b'\r',
        }
        0
    }

    /// Reads another block behind what is there of the record.
    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.offset += self.start as u64;
            self.at = self.at.saturating_sub(self.start);
            self.start = 0;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + BLOCK_BYTES, 0);
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

/// A record without the end of its line.
fn trimmed(record: &[u8]) -> &[u8] {
    let record = record.strip_suffix(b"\n").unwrap_or(record);
    record.strip_suffix(b"\r").unwrap_or(record)
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
            let starts = std::iter::once(&0).chain(record.ends);
            let fields = starts.zip(record.ends).map(|(&start, &end)| record.fields[start..end].to_vec());
            let fields = fields.map(|field| String::from_utf8(field).unwrap()).collect();
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

    proptest! {
        #[test]
        fn what_is_cut_does_not_depend_on_how_it_is_read(text in "([a\n,\"]|\r\n|\"\"|,\"){0,40}", at_once in 1_usize..9) {
            prop_assert_eq!(cut(text.as_bytes(), at_once, 100), cut(text.as_bytes(), 1000, 100));
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
