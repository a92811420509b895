//! Sorts and aggregates of tables, whose columns are known only when the program runs, against plain models.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use gristmill::prelude::*;
use gristmill::record::{from_batch, schema, to_batch};
use gristmill::{Aggregate, SortColumn, Table, Total};

use crate::harness::check;

/// A key, special floats, a number, and one that is not exact.
type Row = (Text, Option<f64>, i64, f32);

fn row((key, n): (Text, i64)) -> Row {
    let float = match n.rem_euclid(9) {
        0 => None,
        1 => Some(f64::NAN),
        2 => Some(-f64::NAN),
        3 => Some(-0.0),
        4 => Some(0.0),
        _ => Some(n as f64 / 4.0),
    };
    (key, float, n, n as f32 * 0.1)
}

fn table(data: &Dataset<(Text, i64)>) -> Table {
    let batches = data
        .map(row)
        .map_partitions(|rows| rows.chunks(50).map(|rows| to_batch(rows).unwrap()).collect::<Vec<_>>());
    Table::from_batches(&batches, schema::<Row>())
}

fn rows<T: Record>(table: &Table) -> Vec<T> {
    let batches = table.batches().collect().unwrap();
    assert!(batches.iter().all(|batch| batch.schema_ref().fields() == table.schema().fields()));
    batches.iter().flat_map(|batch| from_batch::<T>(batch).unwrap()).collect()
}

/// Rows that can be compared to the bit.
fn bits(rows: Vec<Row>) -> Vec<(Text, Option<u64>, i64)> {
    rows.into_iter().map(|(key, float, n, _)| (key, float.map(f64::to_bits), n)).collect()
}

fn bits_of(batch: &RecordBatch) -> Vec<(Text, Option<u64>, i64)> {
    bits(from_batch(batch).unwrap())
}

fn sorted(input: &[(Text, i64)], compare: impl Fn(&Row, &Row) -> Ordering) -> Vec<(Text, Option<u64>, i64)> {
    let mut rows: Vec<Row> = input.iter().cloned().map(row).collect();
    rows.sort_by(compare);
    bits(rows)
}

#[test]
fn sort_by_is_stable_and_keeps_every_bit() {
    check(
        |data| {
            let table = table(data);
            let by_float = table.sort_by(&[SortColumn::ascending("_2")]).unwrap();
            let descending = [SortColumn::descending("_2").nulls_first(), SortColumn::ascending("_1")];
            let by_both = table.sort_by(&descending).unwrap();
            let by_text = table.sort_by(&[SortColumn::descending("_1")]).unwrap();
            let tables = [by_float, by_both, by_text];
            let [by_float, by_both, by_text] =
                &tables.each_ref().map(|table| table.batches().map(|batch| bits_of(&batch)));
            data.context().run((by_float.to_vec(), by_both.to_vec(), by_text.to_vec())).unwrap()
        },
        |input, (by_float, by_both, by_text)| {
            let last = |row: &Row| (row.1.is_none(), row.1.map(Total));
            assert_eq!(by_float.concat(), sorted(input, |a, b| last(a).cmp(&last(b))));
            let first = |row: &Row| (row.1.is_some(), Reverse(row.1.map(Total)), row.0.clone());
            assert_eq!(by_both.concat(), sorted(input, |a, b| first(a).cmp(&first(b))));
            assert_eq!(by_text.concat(), sorted(input, |a, b| b.0.cmp(&a.0)));
        },
    );
}

/// Of a group: its key, `count`, `count(_2)`, `sum(_3)`, `mean(_3)`, `min(_2)`, `max(_2)`, `min(_1)`, `max(_3)`, `sum(_4)`.
type Told<K> =
    (K, i64, i64, Option<i64>, Option<f64>, Option<f64>, Option<f64>, Option<Text>, Option<i64>, Option<f64>);

fn aggregates() -> Vec<Aggregate> {
    let texts = "count, count(_2), sum(_3), mean(_3), min(_2), max(_2), min(_1), max(_3), sum(_4)";
    texts.split(", ").map(|text| text.parse().unwrap()).collect()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

/// What a plain loop tells of rows. A zero is positive, and a sum of floats is one of several that are near.
fn told<K>(key: K, rows: &[Row]) -> Told<K> {
    let floats = rows.iter().filter_map(|row| row.1).map(|float| Total(float + 0.0));
    let sum = (!rows.is_empty()).then(|| rows.iter().map(|row| row.2).sum::<i64>());
    let mean = sum.map(|sum| sum as f64 / rows.len() as f64);
    let values = rows.iter().filter(|row| row.1.is_some());
    let (smallest, greatest) = (floats.clone().min().map(|x| x.0), floats.max().map(|x| x.0));
    let first = rows.iter().map(|row| row.0.clone()).min();
    let last = rows.iter().map(|row| row.2).max();
    let near = sum.map(|_| rows.iter().map(|row| f64::from(row.3)).sum());
    (key, number(rows.len()), number(values.count()), sum, mean, smallest, greatest, first, last, near)
}

/// Told to the bit, but for the sign of a NaN, of which there is one only.
fn text<K: std::fmt::Debug>(told: &Told<K>) -> (String, Option<u64>) {
    let exact = (&told.0, told.1, told.2, told.3, told.4, told.5, told.6, &told.7, told.8);
    (format!("{exact:?}"), told.9.map(f64::to_bits))
}

fn assert_told(found: &[(String, Option<u64>)], expected: &[(String, Option<u64>)]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.0, expected.0);
        let float = |bits: Option<u64>| bits.map_or(0.0, f64::from_bits);
        let (sum, near) = (float(found.1), float(expected.1));
        assert!((sum - near).abs() <= 1e-9 * near.abs().max(1.0), "{sum} {near}");
    }
}

#[test]
fn aggregates_by_text_come_in_the_order_of_the_groups() {
    check(
        |data| {
            let groups = table(data).aggregate(&["_1"], &aggregates()).unwrap();
            rows::<Told<Text>>(&groups).iter().map(text).collect::<Vec<_>>()
        },
        |input, found| {
            let mut groups: BTreeMap<Text, Vec<Row>> = BTreeMap::new();
            for row in input.iter().cloned().map(row) {
                groups.entry(row.0.clone()).or_default().push(row);
            }
            let expected: Vec<_> = groups.iter().map(|(key, rows)| text(&told(key.clone(), rows))).collect();
            assert_told(&found, &expected);
        },
    );
}

#[test]
fn all_rows_are_one_group_also_if_there_are_none() {
    check(
        |data| {
            // The count comes twice, so that what stands in place of the key is one as well.
            let mut all = aggregates();
            all.insert(0, Aggregate::rows().named("rows"));
            let told = table(data).aggregate(&[] as &[&str], &all).unwrap();
            rows::<Told<i64>>(&told).iter().map(text).collect::<Vec<_>>()
        },
        |input, found| {
            let all: Vec<Row> = input.iter().cloned().map(row).collect();
            assert_told(&found, &[text(&told(number(input.len()), &all))]);
        },
    );
}

#[test]
fn floats_that_are_equal_are_one_group_and_nulls_are_another() {
    check(
        |data| {
            let groups = table(data).aggregate(&["_2"], &[Aggregate::rows(), Aggregate::max("_3")]).unwrap();
            let groups: Vec<(Option<f64>, i64, i64)> = rows(&groups);
            groups.into_iter().map(|(float, rows, n)| (format!("{float:?}"), rows, n)).collect::<Vec<_>>()
        },
        |input, found| {
            let mut groups = BTreeMap::new();
            for (_, float, n, _) in input.iter().cloned().map(row) {
                let float = float.map(|float| Total(float + 0.0));
                let (rows, last) = groups.entry((float.is_none(), float)).or_insert((0, n));
                (*rows, *last) = (*rows + 1, n.max(*last));
            }
            let model = groups.into_iter().map(|((_, float), (rows, n))| (format!("{float:?}"), rows, n));
            assert_eq!(found, model.collect::<Vec<_>>());
        },
    );
}

#[test]
fn groups_without_aggregates_are_the_distinct_values() {
    check(
        |data| {
            let days = table(data).aggregate(&["_3", "_1"], &[]).unwrap();
            rows::<(i64, Text)>(&days)
        },
        |input, found| {
            let mut model: Vec<(i64, Text)> = input.iter().map(|(key, n)| (*n, key.clone())).collect();
            model.sort();
            model.dedup();
            assert_eq!(found, model);
        },
    );
}

#[test]
fn many_rows_go_to_disk_and_come_back_in_order() {
    let mut first = None;
    for (threads, memory_bytes) in [(1, u64::MAX), (2, 4 << 20), (3, 1 << 20)] {
        let ctx = Context::builder().threads(threads).memory_bytes(memory_bytes).build().unwrap();
        let numbers =
            ctx.range(0..200_000).map(|n| (Text::from(format!("key {}", n % 70_001)), n.cast_signed()));
        let table = table(&numbers);
        let sorted = table.sort_by(&[SortColumn::descending("_1")]).unwrap();
        let groups = table.aggregate(&["_1"], &[Aggregate::sum("_3"), Aggregate::mean("_4")]).unwrap();
        let sizes = [&sorted, &groups].map(|table| table.batches().map(|batch| batch.num_rows()));
        let sizes = sizes.map(|sizes| sizes.collect().unwrap());
        let (sorted, groups) = (bits(rows(&sorted)), rows::<(Text, i64, f64)>(&groups));
        assert_eq!(ctx.spilled_bytes() > 0, memory_bytes < u64::MAX);
        assert_eq!(ctx.budget().used_bytes(), 0);
        assert!(sorted.is_sorted_by(|a, b| (&b.0, a.2) < (&a.0, b.2)), "stable, and no row twice");
        assert!(groups.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!((sorted.len(), groups.len()), (200_000, 70_001));
        assert_eq!(groups.iter().map(|group| group.1).sum::<i64>(), (0..200_000).sum::<i64>());
        let result = (sorted, groups, sizes);
        assert!(
            *first.get_or_insert_with(|| result.clone()) == result,
            "{threads} threads, {memory_bytes} bytes"
        );
    }
}

fn fault<T>(result: gristmill::Result<T>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn columns_that_are_not_there_and_names_that_come_twice_are_errors() {
    let ctx = Context::new().unwrap();
    let table = table(&ctx.from_vec(vec![(Text::from("a"), 1)]));
    let by = |name: &str| SortColumn::ascending(name);
    assert!(fault(table.sort_by(&[by("_1"), by("_9")])).contains("no column `_9`; the nearest name is `_1`"));
    assert!(fault(table.sort_by(&[by("_1"), SortColumn::descending("_1")])).contains("sorted by `_1` twice"));
    assert!(fault(table.sort_by(&[])).contains("no column to sort by"));
    assert!(fault(table.aggregate(&["_8"], &[])).contains("no column `_8`"));
    assert!(fault(table.aggregate(&["_1", "_1"], &[])).contains("two columns of the result are named `_1`"));
    assert!(fault(table.aggregate(&["_1"], &[Aggregate::sum("_3").named("_1")])).contains("named `_1`"));
    assert!(fault(table.aggregate(&[] as &[&str], &[])).contains("nothing to group by"));
    assert!(fault(table.aggregate(&["_1"], &[Aggregate::sum("_1")])).contains("has no sum: it is Utf8"));
    let batches = ctx.from_vec(vec![to_batch(&[1_i64]).unwrap()]);
    let wrong = Table::from_batches(&batches, schema::<Row>()).sort_by(&[by("_1")]).unwrap();
    assert!(fault(wrong.batches().collect()).contains("a batch has the columns"));
}

#[test]
fn a_sum_that_does_not_fit_names_its_group() {
    let ctx = Context::new().unwrap();
    let sum = |rows: Vec<(Text, i64, u64, i128)>, column: &str| {
        let batches = ctx.from_vec(rows.chunks(1).map(|rows| to_batch(rows).unwrap()).collect());
        let table = Table::from_batches(&batches, schema::<(Text, i64, u64, i128)>());
        let groups = table.aggregate(&["_1"], &[Aggregate::sum(column)]).unwrap();
        groups.batches().collect().map(|batches| batches.iter().map(RecordBatch::num_rows).sum::<usize>())
    };
    let many = 10_i128.pow(37) * 6;
    let row = |key: &str, n, m, whole| (Text::from(key), n, m, whole);
    let rows = vec![row("a", 1, 1, 1), row("b", i64::MAX, u64::MAX, many), row("b", 1, 1, many)];
    for (column, expected) in [
        ("_2", "sum(_2) of the group _1=b does not fit Int64; let the column be a decimal"),
        ("_3", "sum(_3) of the group _1=b does not fit UInt64"),
        ("_4", "sum(_4) of the group _1=b does not fit Decimal128(38, 0); let the column be Float64"),
    ] {
        let told = fault(sum(rows.clone(), column));
        assert!(told.contains(expected), "{told}");
    }
    // It is the result that must fit, and not what it is on its way there.
    let mut back = rows;
    back.push(row("b", -1, 0, -many));
    assert_eq!(sum(back.clone(), "_2").unwrap(), 2);
    assert_eq!(sum(back, "_4").unwrap(), 2);
}

/// A table of one batch with columns `g`, which is 1, 1, 2, and `x`.
fn with_column(ctx: &Context, x: ArrayRef) -> Table {
    let groups: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 2]));
    let batch = RecordBatch::try_from_iter_with_nullable([("g", groups, false), ("x", x, true)]).unwrap();
    Table::from_batches(&ctx.from_vec(vec![batch.clone()]), batch.schema())
}

/// The type of the aggregate, and what it is of both groups.
fn of_groups(table: &Table, function: &str) -> (DataType, [String; 2]) {
    let aggregate = format!("{function}(x) as y").parse::<Aggregate>().unwrap();
    let groups = table.aggregate(&["g"], &[aggregate]).unwrap();
    let batches = groups.batches().collect().unwrap();
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    let options = FormatOptions::new().with_null("null");
    let values = ArrayFormatter::try_new(batch.column(1), &options).unwrap();
    (groups.schema().field(1).data_type().clone(), [0, 1].map(|row| values.value(row).to_string()))
}

#[test]
fn every_type_has_its_aggregates() {
    use DataType::{Date32, Decimal128, Float32, Float64, Int8, Int64, UInt8, UInt64, Utf8};
    let ctx = Context::new().unwrap();
    let words: StringArray = [Some("b"), Some("a"), None].into_iter().collect();
    let word = DataType::Dictionary(Box::new(DataType::Int32), Box::new(Utf8));
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(7), Some(2), None]));
    let of = |data_type: &DataType| match data_type {
        _ if *data_type == word || *data_type == Utf8 => cast(&words, data_type).unwrap(),
        _ => cast(&numbers, data_type).unwrap(),
    };
    let decimals = (DataType::Decimal32(9, 2), Decimal128(19, 2));
    let number = DataType::Dictionary(Box::new(DataType::Int32), Box::new(Int64));
    let sums = [
        (number, Int64),
        (Int8, Int64),
        (UInt8, UInt64),
        (Float32, Float64),
        (DataType::Float16, Float64),
        decimals,
    ];
    for (data_type, sum) in sums {
        let table = with_column(&ctx, of(&data_type));
        let text = |n: &str| match sum {
            Decimal128(..) => format!("{n}.00"),
            Float64 => format!("{n}.0"),
            _ => n.to_owned(),
        };
        assert_eq!(of_groups(&table, "sum"), (sum.clone(), [text("9"), "null".to_owned()]));
        assert_eq!(of_groups(&table, "mean"), (Float64, ["4.5", "null"].map(str::to_owned)));
        assert_eq!(of_groups(&table, "count"), (Int64, ["2", "0"].map(str::to_owned)));
        let (least, [value, _]) = of_groups(&table, "min");
        assert_eq!((least, value.trim_end_matches(".0")), (data_type, text("2").trim_end_matches(".0")));
    }
    for data_type in [word.clone(), Utf8, Date32, DataType::Boolean] {
        let table = with_column(&ctx, of(&data_type));
        let [least, greatest] = match data_type {
            Date32 => ["1970-01-03", "1970-01-08"],
            DataType::Boolean => ["true", "true"],
            _ => ["a", "b"],
        };
        assert_eq!(of_groups(&table, "min"), (data_type.clone(), [least, "null"].map(str::to_owned)));
        assert_eq!(of_groups(&table, "max"), (data_type.clone(), [greatest, "null"].map(str::to_owned)));
        assert!(fault(table.aggregate(&["g"], &[Aggregate::sum("x")])).contains("the column `x` has no sum"));
        let sorted = table.sort_by(&[SortColumn::descending("x")]).unwrap().batches().collect().unwrap();
        assert_eq!(*sorted[0].column(1).data_type(), data_type);
    }
}
