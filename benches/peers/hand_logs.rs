//! What one writes for this log alone: each thread reads half of the file in blocks, a parser goes through the bytes once, string
//! columns are views into the blocks, and each thread writes a Parquet file of its own.
//!
//! It takes for granted what the log happens to be like, and says nothing of the lines that it leaves out.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, NullBufferBuilder, RecordBatch, StringViewArray, TimestampMillisecondArray, UInt16Array,
    UInt64Array, make_view,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use memchr::{memchr, memchr2, memrchr};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::Outcome;

const BLOCK_BYTES: usize = 2 << 20;

/// Converts a log; returns the number of its rows.
pub fn run(input: &Path, output: &Path, threads: usize) -> Outcome<u64> {
    let bytes = std::fs::metadata(input)?.len();
    let schema = schema();
    std::thread::scope(|scope| {
        let part = |thread: u64| {
            let (start, end) = (bytes * thread / threads as u64, bytes * (thread + 1) / threads as u64);
            let to = output.join(format!("part-{thread}.parquet"));
            let schema = &schema;
            scope.spawn(move || convert(input, start, end, &to, schema))
        };
        let parts: Vec<_> = (0..threads as u64).map(part).collect();
        parts.into_iter().map(|part| part.join().map_err(|_| "a thread panicked")?).sum()
    })
}

fn schema() -> SchemaRef {
    let text = |name, nullable| Field::new(name, DataType::Utf8View, nullable);
    let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    Arc::new(Schema::new(vec![
        text("host", false),
        text("ident", true),
        text("user", true),
        Field::new("time", time, false),
        text("method", true),
        text("path", true),
        text("protocol", true),
        Field::new("status", DataType::UInt16, false),
        Field::new("bytes", DataType::UInt64, true),
        text("referer", true),
        text("agent", true),
    ]))
}

/// The lines that begin in a range of the file.
fn convert(input: &Path, start: u64, end: u64, output: &Path, schema: &SchemaRef) -> Outcome<u64> {
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
    let mut writer = ArrowWriter::try_new(File::create(output)?, schema.clone(), Some(properties))?;
    let mut file = File::open(input)?;
    let from = start.saturating_sub(1);
    file.seek(SeekFrom::Start(from))?;
    let (mut at, mut skips, mut rest, mut rows) = (from, start > 0, Vec::new(), 0);
    while at < end {
        let mut block = Vec::with_capacity(BLOCK_BYTES + rest.len());
        block.append(&mut rest);
        let before = block.len();
        (&mut file).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let is_last = block.len() == before;
        let whole = if is_last { block.len() } else { memrchr(b'\n', &block).map_or(0, |last| last + 1) };
        rest.extend_from_slice(&block[whole..]);
        block.truncate(whole);
        let mut begin = 0;
        if std::mem::take(&mut skips) {
            begin = memchr(b'\n', &block).map_or(block.len(), |first| first + 1);
        }
        // A line is of who has its first byte.
        let own = usize::try_from(end - at)?;
        at += whole as u64;
        let batch = parse(block, begin, own, schema)?;
        rows += batch.num_rows() as u64;
        writer.write(&batch)?;
        if is_last {
            break;
        }
    }
    writer.close()?;
    Ok(rows)
}

/// The columns of text, in the order of the schema.
const TEXTS: usize = 8;

#[derive(Default)]
struct Columns {
    views: [Vec<u128>; TEXTS],
    /// All but the host.
    valid: [Vec<bool>; TEXTS],
    times: Vec<i64>,
    statuses: Vec<u16>,
    sizes: Vec<u64>,
    has_size: Vec<bool>,
    /// Texts without their escapes.
    unescaped: Vec<u8>,
    day: Day,
}

/// The last date with its zone, and when it began.
#[derive(Default)]
struct Day {
    date: [u8; 11],
    zone: [u8; 5],
    begin: i64,
}

fn parse(block: Vec<u8>, begin: usize, own: usize, schema: &SchemaRef) -> Outcome<RecordBatch> {
    simdutf8::basic::from_utf8(&block)?;
    let mut columns = Columns::default();
    let mut at = begin;
    while at < block.len() && at < own {
        let end = memchr(b'\n', &block[at..]).map_or(block.len(), |length| at + length);
        if let Some(line) = Line::cut(&block[at..end]) {
            columns.push(&line, at);
        }
        at = end + 1;
    }
    columns.finish(block, schema)
}

/// The bounds of the fields of a line.
struct Line<'a> {
    bytes: &'a [u8],
    texts: [(usize, usize); TEXTS],
    time: &'a [u8; 26],
    status: &'a [u8],
    size: &'a [u8],
}

impl<'a> Line<'a> {
    fn cut(bytes: &'a [u8]) -> Option<Line<'a>> {
        let word = |from: usize| Some(from + memchr(b' ', bytes.get(from..)?)?);
        let host = word(0)?;
        let ident = word(host + 1)?;
        let user = word(ident + 1)?;
        let time = bytes.get(user + 2..)?.first_chunk()?;
        let request = user + 31;
        if bytes.get(user + 1) != Some(&b'[') || bytes.get(request - 3..request) != Some(b"] \"") {
            return None;
        }
        let request_end = quote(bytes, request)?;
        let method = word(request).filter(|&end| end < request_end)?;
        let path = method + 1 + memrchr(b' ', bytes.get(method + 1..request_end)?)?;
        let status = word(request_end + 2)?;
        let size = word(status + 1)?;
        let referer_end = quote(bytes, size + 2)?;
        let agent = referer_end + 3;
        let agent_end = quote(bytes, agent)?;
        (agent_end + 1 == bytes.len()).then_some(Line {
            bytes,
            texts: [
                (0, host),
                (host + 1, ident),
                (ident + 1, user),
                (request, method),
                (method + 1, path),
                (path + 1, request_end),
                (size + 2, referer_end),
                (agent, agent_end),
            ],
            time,
            status: &bytes[request_end + 2..status],
            size: &bytes[status + 1..size],
        })
    }
}

/// Where the text ends that begins behind a quote.
fn quote(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        from += memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[from] == b'"' {
            return Some(from);
        }
        from += 2;
    }
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
}

impl Columns {
    fn push(&mut self, line: &Line, at: usize) {
        for (column, &(start, end)) in line.texts.iter().enumerate() {
            let text = &line.bytes[start..end];
            let view = if column > 3 && memchr(b'\\', text).is_some() {
                self.unescape(text)
            } else {
                make_view(text, 0, (at + start) as u32)
            };
            self.views[column].push(view);
            self.valid[column].push(text != b"-");
        }
        self.times.push(self.day.millis(line.time));
        self.statuses.push(number(line.status) as u16);
        self.has_size.push(line.size != b"-");
        self.sizes.push(if line.size == b"-" { 0 } else { number(line.size) });
    }

    #[cold]
    fn unescape(&mut self, text: &[u8]) -> u128 {
        let start = self.unescaped.len();
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            self.unescaped.extend(if *byte == b'\\' { bytes.next() } else { Some(byte) });
        }
        make_view(&self.unescaped[start..], 1, start as u32)
    }

    #[allow(unsafe_code)] // text that is known to be UTF-8 is not looked at again
    fn finish(self, block: Vec<u8>, schema: &SchemaRef) -> Outcome<RecordBatch> {
        let buffers: Arc<[Buffer]> = [block, self.unescaped].map(Buffer::from).into();
        let texts = self.views.into_iter().zip(self.valid).enumerate().map(|(column, (views, valid))| {
            let nulls = if column == 0 { None } else { nulls(&valid) };
            // SAFETY: the block is UTF-8, and the views end where ASCII characters are.
            Arc::new(unsafe { StringViewArray::new_unchecked(views.into(), Arc::clone(&buffers), nulls) })
                as ArrayRef
        });
        let mut columns: Vec<ArrayRef> = texts.collect();
        columns.insert(3, Arc::new(TimestampMillisecondArray::from(self.times).with_timezone("UTC")));
        columns.insert(7, Arc::new(UInt16Array::from(self.statuses)));
        columns.insert(8, Arc::new(UInt64Array::new(self.sizes.into(), nulls(&self.has_size))));
        Ok(RecordBatch::try_new(schema.clone(), columns)?)
    }
}

fn nulls(valid: &[bool]) -> Option<NullBuffer> {
    let mut nulls = NullBufferBuilder::new(valid.len());
    nulls.append_slice(valid);
    nulls.finish()
}

impl Day {
    /// The milliseconds since 1970 of `10/Oct/2000:13:55:36 -0700`.
    fn millis(&mut self, time: &[u8; 26]) -> i64 {
        let (date, zone) = (&time[..11], &time[21..]);
        if date != self.date || zone != self.zone {
            self.date.copy_from_slice(date);
            self.zone.copy_from_slice(zone);
            self.begin = begin_of_day(date) - offset(zone);
        }
        let pair = |at: usize| number(&time[at..at + 2]).cast_signed();
        (self.begin + pair(12) * 3600 + pair(15) * 60 + pair(18)) * 1000
    }
}

/// Days are counted from March, so that the leap day is the last one of its year.
fn begin_of_day(date: &[u8]) -> i64 {
    let months = b"MarAprMayJunJulAugSepOctNovDecJanFeb".as_chunks::<3>().0;
    let (month, _) = (0..).zip(months).find(|(_, month)| **month == date[3..6]).unwrap_or((0, &[0; 3]));
    let (day, year) = (number(&date[..2]).cast_signed(), number(&date[7..11]).cast_signed());
    let year = if month > 9 { year - 1 } else { year };
    (365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468) * 86_400
}

fn offset(zone: &[u8]) -> i64 {
    let seconds = (number(&zone[1..3]) * 3600 + number(&zone[3..5]) * 60).cast_signed();
    if zone[0] == b'-' { -seconds } else { seconds }
}
