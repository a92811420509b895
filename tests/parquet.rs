//! Parquet files: what is written is read back, whoever encoded it, and the bytes depend on nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use gristmill::io::parquet::{
    Compression, EncodedRowGroup, ParquetFileWriter, ParquetOptions, RowGroupEncoder, SortedColumn,
    Statistics, read_parquet, read_parquet_schema,
};
use gristmill::record::{from_batch, schema, to_batch};
use gristmill::{ErrorKind, Record, Text};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

#[derive(Record, Clone, Debug, PartialEq)]
struct Visit {
    path: Text,
    #[record(timestamp = "s")]
    at: i64,
    #[record(timestamp = "us")]
    end: Option<i64>,
    #[record(date)]
    day: i32,
    #[record(decimal(9, 2))]
    price: i128,
    nothing: (),
    tags: Option<Vec<Option<(u8, String)>>>,
    seconds: f64,
}

fn visits(count: u64) -> Vec<Visit> {
    let tag = |n: u64| (!n.is_multiple_of(3)).then(|| (n as u8, format!("tag {n}")));
    let visit = |n: u64| Visit {
        path: Text::from(format!("/a/long/path/of/an/article/{}", n % 70).as_str()),
        at: n.cast_signed(),
        end: n.is_multiple_of(2).then_some(n.cast_signed() * 1000),
        day: n as i32,
        price: i128::from(n) - 50,
        nothing: (),
        tags: (!n.is_multiple_of(5)).then(|| (0..n % 4).map(tag).collect()),
        seconds: n as f64 / 3.0,
    };
    (0..count).map(visit).collect()
}

fn encoded<T: Record>(rows: &[T], options: &ParquetOptions) -> EncodedRowGroup {
    let mut encoder = RowGroupEncoder::new(&schema::<T>(), options).unwrap();
    for part in rows.chunks(100) {
        encoder.write(&to_batch(part).unwrap()).unwrap();
    }
    assert_eq!(encoder.rows(), rows.len());
    encoder.finish().unwrap()
}

fn file<T: Record>(groups: Vec<EncodedRowGroup>, options: &ParquetOptions) -> Vec<u8> {
    let mut file = ParquetFileWriter::new(Vec::new(), &schema::<T>(), options).unwrap();
    for group in groups {
        file.append(group).unwrap();
    }
    file.finish().unwrap()
}

/// A file for the length of one test.
struct Stored(PathBuf);

impl Stored {
    fn new(name: &str, bytes: &[u8]) -> Stored {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, bytes).unwrap();
        Stored(path)
    }

    fn rows<T: Record>(&self, limit: Option<usize>) -> Vec<T> {
        let batches: Vec<RecordBatch> = read_parquet(&self.0, limit).unwrap().map(Result::unwrap).collect();
        from_batch(&concat_batches(&read_parquet_schema(&self.0).unwrap(), &batches).unwrap()).unwrap()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn row_groups_of_several_encoders_make_one_file() {
    let rows = visits(1000);
    let options = ParquetOptions::default();
    let (first, second) = rows.split_at(400);
    let groups: Vec<_> = std::thread::scope(|scope| {
        let threads = [first, second].map(|rows| scope.spawn(|| encoded(rows, &ParquetOptions::default())));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(groups.iter().all(|group| group.bytes() > 0));
    let bytes = file::<Visit>(groups, &options);
    assert_eq!(bytes, file::<Visit>(vec![encoded(first, &options), encoded(second, &options)], &options));
    let stored = Stored::new("several.parquet", &bytes);
    assert_eq!(stored.rows::<Visit>(None), rows);
    assert_eq!(stored.rows::<Visit>(Some(410)), rows[..410]);
}

fn by(name: &str) -> SortedColumn {
    SortedColumn { name: name.to_owned(), descending: false, nulls_first: true }
}

fn metadata(stored: &Stored) -> ParquetMetaData {
    ParquetMetaDataReader::new().parse_and_finish(&std::fs::File::open(&stored.0).unwrap()).unwrap()
}

#[test]
fn the_footer_says_what_the_options_ask_for() {
    let options = ParquetOptions::default()
        .statistics(Statistics::RowGroup)
        .bloom_filters(["path"])
        .offset_index(false)
        .sorted_by([SortedColumn { descending: true, ..by("seconds") }])
        .metadata("made of", "logs")
        .metadata("made of", "lines");
    let bytes = file::<Visit>(vec![encoded(&visits(300), &options)], &options);
    let found = metadata(&Stored::new("footer.parquet", &bytes));
    let group = found.row_group(0);
    let filters: Vec<_> =
        group.columns().iter().filter(|column| column.bloom_filter_offset().is_some()).collect();
    assert_eq!(filters.iter().map(|column| column.column_path().string()).collect::<Vec<_>>(), ["path"]);
    let sorted = group.sorting_columns().unwrap();
    let name = group.column(usize::try_from(sorted[0].column_idx).unwrap()).column_path().string();
    assert_eq!(
        (sorted.len(), name.as_str(), sorted[0].descending, sorted[0].nulls_first),
        (1, "seconds", true, true)
    );
    let values = found.file_metadata().key_value_metadata().unwrap();
    let values: Vec<_> = values.iter().filter(|pair| pair.key == "made of").map(|pair| &pair.value).collect();
    assert_eq!(values, [&Some("lines".to_owned())]);
    assert!(group.columns().iter().all(|column| column.offset_index_offset().is_none()));

    let options = ParquetOptions::default();
    let bytes = file::<Visit>(vec![encoded(&visits(300), &options)], &options);
    let found = metadata(&Stored::new("footer-default.parquet", &bytes));
    assert!(found.row_group(0).columns().iter().all(|column| column.offset_index_offset().is_some()));
}

#[test]
fn a_row_group_ends_at_its_bytes() {
    let options = ParquetOptions::default().row_group_bytes(4000).compression(Compression::None);
    let mut encoder = RowGroupEncoder::new(&schema::<u64>(), &options).unwrap();
    let batch = to_batch(&(0..1000_u64).map(|n| n * 0x9E37_79B9).collect::<Vec<_>>()).unwrap();
    assert!(encoder.room() > 0);
    encoder.write(&batch.slice(0, 100)).unwrap();
    assert!(encoder.room() > 0);
    encoder.write(&batch).unwrap();
    assert_eq!(encoder.room(), 0);
}

#[test]
fn every_option_can_be_read() {
    let rows = visits(300);
    let options = ParquetOptions::default();
    let all = [
        options.clone().compression(Compression::None).statistics(Statistics::None),
        options.clone().compression(Compression::Snappy).statistics(Statistics::RowGroup),
        options.clone().compression(Compression::Zstd(9)).dictionary_bytes(0),
        options.clone().bloom_filters(["path", "day"]).offset_index(false).metadata("key", "value"),
        options.clone().row_group_bytes(1).sorted_by([by("at"), by("seconds")]),
        options.dictionary_bytes(64).data_page_bytes(100).row_group_rows(10),
    ];
    for (number, options) in all.iter().enumerate() {
        let bytes = file::<Visit>(vec![encoded(&rows, options)], options);
        assert_eq!(Stored::new(&format!("option{number}.parquet"), &bytes).rows::<Visit>(None), rows);
    }
}

#[test]
fn a_file_without_rows_has_a_schema() {
    // That of the rows; but Parquet has no instants in seconds.
    let mut fields = schema::<Visit>().fields().to_vec();
    let millis = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    fields[1] = Arc::new(Field::new("at", millis, false));
    let expected = Schema::new(fields);
    let options = ParquetOptions::default();
    for groups in [vec![], vec![encoded::<Visit>(&[], &options)]] {
        let stored = Stored::new(&format!("empty{}.parquet", groups.len()), &file::<Visit>(groups, &options));
        assert_eq!(*read_parquet_schema(&stored.0).unwrap(), expected);
        assert_eq!(read_parquet(&stored.0, None).unwrap().count(), 0);
    }
}

#[test]
fn sizes_are_known() {
    let options = ParquetOptions::default().row_group_rows(150);
    let mut encoder = RowGroupEncoder::new(&schema::<u64>(), &options).unwrap();
    encoder.write(&to_batch(&(0..100_u64).collect::<Vec<_>>()).unwrap()).unwrap();
    assert_eq!((encoder.rows(), encoder.room()), (100, 50));
    assert!(encoder.memory_bytes() >= 100);
    let mut file = ParquetFileWriter::new(Vec::new(), &schema::<u64>(), &options).unwrap();
    file.append(encoder.finish().unwrap()).unwrap();
    assert_eq!(file.rows(), 100);
    let written = file.bytes_written();
    assert!(written >= 100 && written < file.finish().unwrap().len() as u64);
}

#[test]
fn errors() {
    let refused = |options: ParquetOptions| RowGroupEncoder::new(&schema::<u64>(), &options).err().unwrap();
    let error = refused(ParquetOptions::default().compression(Compression::Zstd(23)));
    assert_eq!(error.to_string(), "the Zstandard level is 23; give 1 to 22");
    assert_eq!(refused(ParquetOptions::default().row_group_rows(0)).kind(), ErrorKind::Config);
    let error = refused(ParquetOptions::default().bloom_filters(["id"]));
    assert!(error.to_string().ends_with("their columns are `value`"), "{error}");
    assert_eq!(refused(ParquetOptions::default().sorted_by([by("id")])).kind(), ErrorKind::Config);
    assert_eq!(refused(ParquetOptions::default().data_page_bytes(usize::MAX)).kind(), ErrorKind::Config);

    let mut encoder = RowGroupEncoder::new(&schema::<u64>(), &ParquetOptions::default()).unwrap();
    assert_eq!(encoder.write(&to_batch(&[1_i64]).unwrap()).unwrap_err().kind(), ErrorKind::Internal);

    let stored = Stored::new("damaged.parquet", b"PAR1 and so on");
    let error = read_parquet_schema(&stored.0).unwrap_err();
    assert!(error.kind() == ErrorKind::Input && error.to_string().contains("damaged.parquet"), "{error}");
    assert!(read_parquet_schema(&stored.0.with_file_name("absent.parquet")).is_err());
}
