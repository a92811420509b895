//! Filters on Parquet files: exactly the rows that a filter of the dataset would leave, whatever row groups are left out.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use gristmill::ErrorKind;
use gristmill::io::parquet::{Filter, Literal, Statistics};
use gristmill::prelude::*;
use proptest::prelude::*;

#[derive(Record, Clone, Debug, PartialEq)]
struct Row {
    small: Option<i8>,
    unsigned: u64,
    float: Option<f64>,
    single: f32,
    flag: Option<bool>,
    text: Option<Text>,
    #[record(date)]
    day: i32,
    #[record(timestamp = "ms")]
    at: Option<i64>,
    #[record(decimal(20, 2))]
    price: i128,
    tags: Vec<u8>,
}

/// A condition, and the same in plain Rust: true, false, or null.
type Model = Box<dyn Fn(&Row) -> Option<bool>>;

#[derive(Debug, Clone)]
enum Tree {
    Leaf { column: usize, comparison: usize, value: i8 },
    IsIn { column: usize, values: Vec<i8> },
    IsNull { column: usize },
    All(Box<Tree>, Box<Tree>),
    Any(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
}

const COMPARABLE: usize = 9;
const COLUMNS: [&str; 10] =
    ["small", "unsigned", "float", "single", "flag", "text", "day", "at", "price", "tags"];

// Values of each column for a small number, in its order where it has one.

fn large(value: i8) -> u64 {
    (i64::from(value) - i64::from(i8::MIN)).cast_unsigned() * (u64::MAX / 255)
}

fn float(value: i8) -> f64 {
    match value {
        5 => f64::NAN,
        6 => f64::INFINITY,
        7 => -0.0,
        _ => f64::from(value) / 3.0,
    }
}

fn string(value: i8) -> String {
    // Some are longer than what statistics hold of a text.
    let prefix = if value % 3 == 0 { "a long text ".repeat(20) } else { String::new() };
    format!("{prefix}{value:+04}")
}

fn row(values: &[i8; 10]) -> Row {
    let some = |value: i8| (value % 4 != 0).then_some(value);
    Row {
        small: some(values[0]),
        unsigned: large(values[1]),
        float: some(values[2]).map(float),
        single: float(values[3]) as f32,
        flag: some(values[4]).map(|value| value > 0),
        text: some(values[5]).map(|value| string(value).into()),
        day: values[6].into(),
        at: some(values[7]).map(|value| i64::from(value) * 1000),
        price: i128::from(values[8]) * 100,
        tags: vec![1; usize::from(values[9] > 0)],
    }
}

#[allow(clippy::needless_pass_by_value, reason = "texts are borrowed, numbers are not")]
fn compare<T: PartialOrd>(comparison: usize, a: T, b: T) -> bool {
    match comparison {
        0 => a == b,
        1 => a != b,
        2 => a < b,
        3 => a <= b,
        4 => a > b,
        _ => a >= b,
    }
}

fn compared(row: &Row, column: usize, comparison: usize, value: i8) -> Option<bool> {
    Some(match column {
        0 => compare(comparison, row.small?, value),
        1 => compare(comparison, row.unsigned, large(value)),
        2 => compare(comparison, row.float?, float(value)),
        3 => compare(comparison, f64::from(row.single), float(value)),
        4 => compare(comparison, row.flag?, value > 0),
        5 => compare(comparison, row.text.as_deref()?, string(value).as_str()),
        6 => compare(comparison, row.day, value.into()),
        7 => compare(comparison, row.at?, i64::from(value) * 1000),
        _ => compare(comparison, row.price, i128::from(value) * 100),
    })
}

fn is_null(row: &Row, column: usize) -> bool {
    [row.small.is_none(), false, row.float.is_none(), false, row.flag.is_none(), row.text.is_none()]
        .get(column)
        .copied()
        .unwrap_or(column == 7 && row.at.is_none())
}

fn leaf(column: usize, comparison: usize, value: i8) -> Filter {
    let name = col(COLUMNS[column]);
    let literal: Literal = match column {
        0 => value.into(),
        1 => large(value).into(),
        2 | 3 => float(value).into(),
        4 => (value > 0).into(),
        5 => string(value).into(),
        6 => i32::from(value).into(),
        7 => instant(value).into(),
        _ => format!("{value}.0").into(),
    };
    match comparison {
        0 => name.eq(literal),
        1 => name.not_eq(literal),
        2 => name.lt(literal),
        3 => name.lt_eq(literal),
        4 => name.gt(literal),
        _ => name.gt_eq(literal),
    }
}

/// So many seconds after, or before, midnight.
fn instant(seconds: i8) -> String {
    let day = if seconds < 0 { "1969-12-31T23:59" } else { "1970-01-01T00:00" };
    format!("{day}:{:02}Z", seconds.rem_euclid(60))
}

impl Tree {
    fn filter(&self) -> Filter {
        match self {
            Tree::Leaf { column, comparison, value } => leaf(*column, *comparison, *value),
            Tree::IsIn { column, values } => {
                let name = col(COLUMNS[*column]);
                match column {
                    0 => name.is_in(values.iter().copied()),
                    1 => name.is_in(values.iter().map(|&value| large(value))),
                    _ => col("text").is_in(values.iter().map(|&value| string(value))),
                }
            }
            Tree::IsNull { column } => col(COLUMNS[*column]).is_null(),
            Tree::All(a, b) => a.filter().and(b.filter()),
            Tree::Any(a, b) => a.filter().or(b.filter()),
            Tree::Not(inner) => !inner.filter(),
        }
    }

    fn model(&self) -> Model {
        match self.clone() {
            Tree::Leaf { column, comparison, value } => {
                Box::new(move |row| compared(row, column, comparison, value))
            }
            Tree::IsIn { column, values } => Box::new(move |row| {
                let column = if column < 2 { column } else { 5 };
                values.iter().map(|&value| compared(row, column, 0, value)).fold(Some(false), or)
            }),
            Tree::IsNull { column } => Box::new(move |row| Some(is_null(row, column))),
            Tree::All(a, b) => {
                let (a, b) = (a.model(), b.model());
                Box::new(move |row| or(a(row).map(|a| !a), b(row).map(|b| !b)).map(|neither| !neither))
            }
            Tree::Any(a, b) => {
                let (a, b) = (a.model(), b.model());
                Box::new(move |row| or(a(row), b(row)))
            }
            Tree::Not(inner) => {
                let inner = inner.model();
                Box::new(move |row| inner(row).map(|value| !value))
            }
        }
    }
}

fn or(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => (0..COMPARABLE, 0..6_usize, -9..9_i8)
            .prop_map(|(column, comparison, value)| Tree::Leaf { column, comparison, value }),
        1 => (0..3_usize, prop::collection::vec(-9..9_i8, 0..4))
            .prop_map(|(column, values)| Tree::IsIn { column, values }),
        1 => (0..COLUMNS.len()).prop_map(|column| Tree::IsNull { column }),
    ];
    leaf.prop_recursive(3, 12, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::All(a.into(), b.into())),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Tree::Any(a.into(), b.into())),
            inner.prop_map(|inner| Tree::Not(inner.into())),
        ]
    })
}

/// Rows of which neighbours are alike, so that row groups can be left out.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let near = |value: i8, by: i8| (value / 2).saturating_add(by);
    prop::collection::vec((prop::array::uniform10(-9..9_i8), -9..9_i8, 0..9_usize), 0..8).prop_map(
        move |runs| {
            let run = |(values, by, length): ([i8; 10], i8, usize)| {
                (0..length).map(move |n| {
                    row(&values.map(|value| if n % 3 == 0 { value } else { near(value, by / 4) }))
                })
            };
            runs.into_iter().flat_map(run).collect()
        },
    )
}

fn write(path: &Path, rows: &[Row], statistics: Statistics) -> Context {
    let ctx = Context::builder().threads(1).build().unwrap();
    let options = ParquetOptions::default().row_group_rows(7).statistics(statistics);
    ctx.from_vec(rows.to_vec()).write_parquet(path, options).unwrap();
    ctx
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    #[test]
    fn a_filter_leaves_the_rows_that_the_model_leaves(
        rows in rows(),
        trees in prop::collection::vec(trees(), 1..6),
        statistics in prop_oneof![Just(Statistics::None), Just(Statistics::RowGroup), Just(Statistics::Page)],
    ) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("rows.parquet");
        let ctx = write(&path, &rows, statistics);
        for tree in trees {
            let options = ParquetReadOptions::default().filter(tree.filter());
            let found = ctx.read_parquet_with::<Row>(&path, options).unwrap().collect().unwrap();
            let model = tree.model();
            let expected: Vec<&Row> = rows.iter().filter(|row| model(row) == Some(true)).collect();
            // As texts, in which a NaN equals a NaN.
            prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{}", tree.filter());
        }
    }
}

/// `n` rises, in row groups of a hundred.
fn rising(path: &Path) -> Context {
    let ctx = Context::builder().threads(2).build().unwrap();
    let rows = ctx.range(0..1000).map(|n| (n, (n % 3 != 0).then_some(n), n % 2 == 0, 7_u64));
    let options = ParquetOptions::default().row_group_rows(100);
    rows.columns(["n", "some", "even", "seven"]).write_parquet(path, options).unwrap();
    ctx
}

#[test]
fn row_groups_without_wanted_rows_are_not_read() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows");
    let ctx = rising(&path);
    let cases = [
        (col("n").lt(250), 3, 250),
        (col("n").gt_eq(999), 1, 1),
        (col("n").eq(500), 1, 1),
        (col("n").is_in([5, 6, 905]), 2, 3),
        (!col("n").lt(250), 8, 750),
        (col("n").lt(100).or(col("n").gt(899)), 2, 200),
        (col("n").lt(500).and(col("seven").eq(7)), 5, 500),
        (col("seven").not_eq(7), 0, 0),
        (col("seven").is_null(), 0, 0),
        (col("some").is_not_null().and(col("n").lt(100)), 1, 66),
        (col("even").eq(true), 10, 500),
        (col("n").is_in(Vec::<u64>::new()), 0, 0),
    ];
    for (filter, groups, rows) in cases {
        let options = ParquetReadOptions::default().filter(filter.clone());
        let read = ctx.read_parquet_with::<(u64, Option<u64>, bool, u64)>(&path, options).unwrap();
        let expected = format!("{groups} of 10 row groups, where {filter}");
        assert!(read.explain().contains(&expected), "{expected}: {}", read.explain());
        assert_eq!(read.count().unwrap(), rows, "{filter}");
    }
}

/// What lies before a row in its file is counted, also where it is not read.
#[test]
fn a_failure_is_at_the_row_of_the_file() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows.parquet");
    let ctx = rising(&path);
    for filter in [col("even").eq(true).and(col("n").gt(150)), col("n").gt_eq(200)] {
        let options = ParquetReadOptions::default().filter(filter);
        let rows = ctx.read_parquet_with::<(u64, Option<u64>, bool, u64)>(&path, options).unwrap();
        let failing = rows.try_map(|row| if row.0 == 458 { Err("458 is wrong") } else { Ok(row.0) });
        let error = failing.collect().unwrap_err().to_string();
        assert!(error.contains("rows.parquet") && error.contains("row 458"), "{error}");
    }
}

#[test]
fn columns_of_the_filter_need_not_be_read() {
    #[derive(Record, Clone)]
    struct Even {
        even: bool,
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows");
    let ctx = rising(&path);
    let options = ParquetReadOptions::default().filter(col("n").lt(5)).filter(col("seven").eq(7));
    let even = ctx.read_parquet_with::<Even>(&path, options).unwrap().map(|row| row.even);
    assert_eq!(even.collect().unwrap(), [true, false, true, false, true]);
}

#[test]
fn what_does_not_fit_is_an_error_now() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows.parquet");
    let ctx = write(&path, &[row(&[1; 10])], Statistics::Page);
    let cases = [
        (col("smal").eq(1), "the file has no column `smal`, which the filter is about"),
        (col("smal").eq(1), "the nearest name is `small`"),
        (
            col("small").eq(128),
            "column `small` is Int8, and the filter compares it with 128, which is no value of it",
        ),
        (col("small").eq("1"), "column `small` is Int8, and the filter compares it with \"1\""),
        (col("unsigned").eq(-1), "column `unsigned` is UInt64, and the filter compares it with -1"),
        (col("float").eq(u64::MAX), "column `float` is Float64"),
        (col("flag").eq(1), "give `true` or `false`"),
        (
            col("day").eq("2026-02-30"),
            "column `day` is Date32, and the filter compares it with \"2026-02-30\"",
        ),
        (col("at").eq("1970-01-01T00:00:00.0001Z"), "column `at` is Timestamp(ms, \"UTC\")"),
        (col("at").eq(0), "give a text of RFC 3339"),
        (col("price").eq("0.001"), "column `price` is Decimal128(20, 2)"),
        (col("price").eq(0.1), "give a text such as \"0.05\""),
        (col("tags").eq(1), "which a filter cannot compare"),
        (col("n").eq(1).or(!col("text").is_in([1])), "the file has no column `n`"),
    ];
    for (filter, expected) in cases {
        let options = ParquetReadOptions::default().filter(filter);
        let error = ctx.read_parquet_with::<Row>(&path, options).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Config);
        let error = error.to_string();
        assert!(error.contains(expected) && error.contains("rows.parquet"), "{expected}: {error}");
    }
}

#[test]
fn damaged_files_are_errors_and_never_panics() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("rows.parquet");
    let rows: Vec<Row> = (0..40).map(|n| row(&[n % 9; 10])).collect();
    let ctx = write(&path, &rows, Statistics::Page);
    let good = std::fs::read(&path).unwrap();
    let wanted = COLUMNS[..COMPARABLE].iter().enumerate().map(|(column, _)| leaf(column, 3, 4));
    let filter = wanted.reduce(Filter::or).unwrap();
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let options = ParquetReadOptions::default().filter(filter.clone());
        ctx.read_parquet_with::<Row>(&path, options).and_then(|rows| rows.collect())
    };
    assert!(!read(&good).unwrap().is_empty());
    for at in (0..good.len()).step_by(23) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x35;
        if let Err(error) = read(&bytes) {
            assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
        }
    }
}
