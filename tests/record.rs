//! Rows to Arrow and back: every type, nested in every other, with nulls and in slices of larger tables.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, TimeUnit};
use gristmill::record::{batch_of, from_batch, schema, to_batch, with_names};
use gristmill::{ErrorKind, Key, Record, Text};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Record, Clone, Debug, PartialEq)]
struct Visit {
    ip: Text,
    #[record(timestamp = "ms")]
    at: i64,
    #[record(rename = "day of visit", date)]
    day: Option<i32>,
    #[record(timestamp = "ns", rename = "end")]
    r#type: Option<i64>,
    #[record(decimal(20, 2))]
    price: i128,
    tags: Vec<Option<String>>,
    agent: Option<Agent>,
    #[record(skip)]
    parsed: PhantomData<u8>,
}

#[derive(Record, Key, Clone, Debug, PartialEq)]
struct Agent {
    name: Text,
    version: (u8, Option<u16>),
}

#[derive(Record, Key, Clone, Debug, PartialEq)]
struct Pair<A, B: Clone>(A, #[record(rename = "second")] Vec<B>);

/// What is written is read again: from the table, from a part of it, and from its columns in another order.
fn round_trip<T: Record + PartialEq + Debug>(rows: &[T]) {
    let batch = to_batch(rows).unwrap();
    assert_eq!(batch.schema(), schema::<T>());
    assert_eq!(from_batch::<T>(&batch).unwrap(), rows);
    let (from, to) = (rows.len() / 3, rows.len() - rows.len() / 4);
    assert_eq!(from_batch::<T>(&batch.slice(from, to - from)).unwrap(), rows[from..to]);
}

/// A long or short string, with characters beyond ASCII.
fn string() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zé ]{0,12}", "[a-zé€\u{1F980}]{0,60}"]
}

fn text() -> impl Strategy<Value = Text> {
    string().prop_map(|text| Text::from(text.as_str()))
}

fn agent() -> impl Strategy<Value = Agent> {
    (text(), any::<(u8, Option<u16>)>()).prop_map(|(name, version)| Agent { name, version })
}

fn visit() -> impl Strategy<Value = Visit> {
    let times = any::<(i64, Option<i32>, Option<i64>)>();
    let price = -100_000_000_000_000_000_000_i128 + 1..100_000_000_000_000_000_000;
    let tags = vec(proptest::option::of(string()), 0..4);
    (text(), times, price, tags, proptest::option::of(agent())).prop_map(
        |(ip, (at, day, end), price, tags, agent)| Visit {
            ip,
            at,
            day,
            r#type: end,
            price,
            tags,
            agent,
            parsed: PhantomData,
        },
    )
}

proptest! {
    #[test]
    fn numbers(rows in vec(any::<((i8, i16, i32, i64), (u8, u16, u32, u64), (isize, usize, i128), bool)>(), 0..50)) {
        round_trip(&rows);
    }

    #[test]
    fn single_columns(numbers in vec(any::<i64>(), 0..50), flags in vec(any::<Option<bool>>(), 0..50), strings in vec(string(), 0..50)) {
        round_trip(&numbers);
        round_trip(&flags);
        round_trip(&strings);
        round_trip(&strings.iter().map(|text| Some(Text::from(text.as_str())).filter(|text| text.len() > 3)).collect::<Vec<_>>());
    }

    #[test]
    fn floats_keep_their_bits(bits in vec(any::<(u64, u32)>(), 0..50)) {
        let rows: Vec<_> = bits.iter().map(|&(a, b)| (f64::from_bits(a), f32::from_bits(b))).collect();
        let read = from_batch::<(f64, f32)>(&to_batch(&rows).unwrap()).unwrap();
        prop_assert_eq!(read.iter().map(|(a, b)| (a.to_bits(), b.to_bits())).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn lists(
        rows in vec(proptest::option::of(vec(vec(any::<Option<u8>>(), 0..4), 0..4)), 0..30),
        tuples in vec((vec(any::<(u8, bool)>(), 0..4), proptest::option::of(vec(any::<i32>(), 0..4))), 0..30),
    ) {
        round_trip(&rows);
        round_trip(&tuples);
    }

    #[test]
    fn options_of_structs(rows in vec(proptest::option::of((agent(), any::<Option<Box<i64>>>(), vec(agent(), 0..3))), 0..40)) {
        round_trip(&rows);
    }

    #[test]
    fn structs(rows in vec(visit(), 0..40), pairs in vec((text(), vec(any::<Option<i8>>(), 0..3)).prop_map(|(a, b)| Pair(a, b)), 0..40)) {
        round_trip(&rows);
        round_trip(&pairs);
        let batch = to_batch(&rows).unwrap();
        let turned: Vec<usize> = (0..batch.num_columns()).rev().collect();
        prop_assert_eq!(from_batch::<Visit>(&batch.project(&turned).unwrap()).unwrap(), rows);
    }

    #[test]
    fn twelve_columns(rows in vec(any::<(u8, u8, u8, u8, u8, u8, u8, u8, u8, u8)>(), 0..20)) {
        let rows: Vec<_> = rows.into_iter().map(|(a, b, c, d, e, f, g, h, i, j)| (a, b, c, d, e, f, g, h, i, j, (a,), ())).collect();
        round_trip(&rows);
    }
}

#[test]
fn units_are_a_column_of_nulls() {
    round_trip(&[(), (), ()]);
    round_trip(&[(1_u8, ()), (2, ())]);
}

#[test]
fn logical_types() {
    let schema = schema::<Visit>();
    let types: Vec<_> =
        schema.fields().iter().map(|field| (field.name().as_str(), field.data_type().clone())).collect();
    assert_eq!(types[1], ("at", DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))));
    assert_eq!(types[2], ("day of visit", DataType::Date32));
    assert_eq!(types[3], ("end", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))));
    assert_eq!(types[4], ("price", DataType::Decimal128(20, 2)));
    assert_eq!(types.len(), 7);
}

/// The table of one column.
fn table(name: &str, column: ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter([(name, column)]).unwrap()
}

#[test]
fn errors_name_what_they_are_about() {
    #[derive(Record, Clone, Debug)]
    struct Row {
        #[allow(dead_code, reason = "only its column matters")]
        status: u16,
    }
    let message = |batch: &RecordBatch| from_batch::<Row>(batch).unwrap_err().to_string();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    assert_eq!(
        message(&table("statsu", numbers.clone())),
        "the table has no column `status`; the nearest name is `statsu`"
    );
    assert_eq!(message(&table("status", numbers.clone())), "column `status` is Int64, not UInt16");
    let error = from_batch::<i64>(&table("n", numbers)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column `n` has a null where a value is needed (row 1); read it as an `Option`"
    );
    let error = from_batch::<(u8,)>(&to_batch(&[(1_u8, 2_u8)]).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the table has 2 columns, where a tuple of 1 is to be read; the columns are `_1`, `_2`"
    );
}

#[test]
fn errors_in_nested_columns() {
    let rows = [(1_u8, (Some(2_u8), 3_u8)), (1, (None, 3))];
    let error = from_batch::<(u8, (u8, u8))>(&to_batch(&rows).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert_eq!(
        error.to_string(),
        "column `_2._1` has a null where a value is needed (row 1); read it as an `Option`"
    );
}

#[test]
fn names() {
    let batch = to_batch(&[(Text::from("mill"), 3_u64)]).unwrap();
    let renamed = with_names(&batch, &["word", "count"]).unwrap();
    assert_eq!(from_batch::<(Text, u64)>(&renamed).unwrap(), from_batch::<(Text, u64)>(&batch).unwrap());
    let message = |names: &[&str]| with_names(&batch, names).unwrap_err().to_string();
    assert_eq!(message(&["word"]), "1 names are given for 2 columns; the columns are `_1`, `_2`");
    assert_eq!(message(&["word", "word"]), "two columns are named `word`");
    assert_eq!(message(&["word", ""]), "the name of a column is empty");
}

#[test]
fn what_lies_under_a_null_is_not_read() {
    let child: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2)]));
    let field = Field::new("_1", DataType::Int64, true);
    let nulls = Some(NullBuffer::from(vec![false, true]));
    let array: ArrayRef = Arc::new(StructArray::new(vec![field].into(), vec![child], nulls));
    assert_eq!(from_batch::<Option<(i64,)>>(&table("value", array)).unwrap(), [None, Some((2,))]);
}

#[test]
fn strings_of_other_layouts() {
    let large = table("s", Arc::new(LargeStringArray::from(vec!["a", "more than twenty-three bytes"])));
    assert_eq!(from_batch::<String>(&large).unwrap(), ["a", "more than twenty-three bytes"]);
    let coded: DictionaryArray<Int32Type> = vec![Some("x"), None, Some("x")].into_iter().collect();
    let read = from_batch::<Option<Text>>(&table("s", Arc::new(coded))).unwrap();
    assert_eq!(read, [Some("x".into()), None, Some("x".into())]);
}

#[test]
fn too_much_text_is_an_error() {
    let mebibyte = "x".repeat(1 << 20);
    let error = batch_of(std::iter::repeat_n(&mebibyte, 2048), 2048).unwrap_err();
    assert!(error.to_string().contains("2147483648 bytes"), "{error}");
}

#[test]
fn a_decimal_of_too_many_digits_is_an_error() {
    #[derive(Record, Clone)]
    struct Price {
        #[record(decimal(3, 2))]
        price: i128,
    }
    assert!(to_batch(&[Price { price: 999 }]).is_ok());
    let error = to_batch(&[Price { price: 1000 }]).unwrap_err();
    assert!(error.to_string().starts_with("column `price` cannot hold a value"), "{error}");
}

#[test]
fn memory() {
    let row = Pair("a long text, of more than 23 bytes".to_owned(), vec![1_u16; 8]);
    assert_eq!(row.heap_bytes(), row.0.capacity() + 16);
    assert_eq!(Box::new((1_u64, Some(2_u64))).heap_bytes(), 24);
    let nan = to_batch(&[f64::from_bits(0x7ff8_0000_0000_1234)]).unwrap();
    assert_eq!(nan.column(0).as_primitive::<Float64Type>().value(0).to_bits(), 0x7ff8_0000_0000_1234);
}
