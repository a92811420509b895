//! Sorts against those of the standard library.

use std::cmp::{Ordering, Reverse};

use gristmill::Total;
use gristmill::prelude::*;

use crate::harness::{check, sorted};

#[test]
fn sort_by_is_stable() {
    check(
        |data| data.sort_by(|a, b| a.1.rem_euclid(7).cmp(&b.1.rem_euclid(7))).collect().unwrap(),
        |input, result| {
            let mut model = input.to_vec();
            model.sort_by_key(|row| row.1.rem_euclid(7));
            assert_eq!(result, model);
        },
    );
}

#[test]
fn sort_by_key_is_stable_for_keys_of_every_kind() {
    check(
        |data| {
            data.context()
                .run((
                    data.sort_by_key(|row| row.1 / 100).to_vec(),
                    data.sort_by_key(|row| row.0.clone()).to_vec(),
                    data.sort_by_key(|row| (Reverse(row.0.len()), row.1 / 100)).to_vec(),
                ))
                .unwrap()
        },
        |input, (by_number, by_text, by_pair)| {
            let mut model = input.to_vec();
            model.sort_by_key(|row| row.1 / 100);
            assert_eq!(by_number, model);
            model = input.to_vec();
            model.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(by_text, model);
            model = input.to_vec();
            model.sort_by_key(|row| (Reverse(row.0.len()), row.1 / 100));
            assert_eq!(by_pair, model);
        },
    );
}

#[test]
fn sort_unstable_by_key_orders_the_keys() {
    check(
        |data| data.sort_unstable_by_key(|row| Reverse(row.1)).collect().unwrap(),
        |input, result| {
            assert!(result.is_sorted_by_key(|row| Reverse(row.1)));
            assert_eq!(sorted(result), sorted(input.to_vec()));
        },
    );
}

#[test]
fn what_follows_a_sort_sees_its_order_and_may_stop_early() {
    check(
        |data| {
            let sorted = data.map(|row| row.1).sort_by_key(|n| *n);
            (
                sorted.take(3).unwrap(),
                sorted.zip_with_index().filter(|(n, at)| n.cast_unsigned() > *at).count().unwrap(),
            )
        },
        |input, (least, count)| {
            let mut model: Vec<i64> = input.iter().map(|row| row.1).collect();
            model.sort_unstable();
            assert_eq!(count, model.iter().zip(0..).filter(|(n, at)| n.cast_unsigned() > *at).count() as u64);
            model.truncate(3);
            assert_eq!(least, model);
        },
    );
}

/// More rows than one range has, so that there are several, and the keys of half of the rows are equal.
#[test]
fn many_ranges_are_the_same_in_memory_and_on_disk() {
    const ROWS: u64 = 600_000;
    let key = |n: u64| if n.is_multiple_of(2) { 40_000 } else { n.wrapping_mul(0x9E37_79B9) % 90_000 };
    let mut model: Vec<(u64, u64)> = (0..ROWS).map(|n| (key(n), n)).collect();
    model.sort_by_key(|row| row.0);
    let mut first: Option<Vec<usize>> = None;
    for (threads, memory_bytes) in [(1, u64::MAX), (2, u64::MAX), (2, 8 << 20), (3, 2 << 20)] {
        let ctx = Context::builder().threads(threads).memory_bytes(memory_bytes).build().unwrap();
        let sorted = ctx.range(0..ROWS).map(move |n| (key(n), n)).sort_by_key(|row| row.0);
        let sizes = sorted.map_partitions(|part| [part.len()]);
        let (rows, sizes) = ctx.run((sorted.to_vec(), sizes.to_vec())).unwrap();
        assert!(rows == model, "{threads} threads, {memory_bytes} bytes");
        assert_eq!(ctx.spilled_bytes() > 0, memory_bytes < u64::MAX);
        assert_eq!(ctx.budget().used_bytes(), 0);
        assert_eq!(sizes.len(), 5);
        assert!(sizes.iter().all(|rows| (60_000..200_000).contains(rows)), "{sizes:?}");
        assert_eq!(first.get_or_insert_with(|| sizes.clone()), &sizes, "the ranges are the same, too");
    }
}

/// Comparing floats as many do: what has no order is equal. The order is unspecified then, but no row is lost or comes twice.
#[test]
fn a_comparison_that_is_no_total_order_loses_no_row() {
    const ROWS: u64 = 600_000;
    let value = |n: u64| match n % 3 {
        0 => f64::NAN,
        _ => (n.wrapping_mul(0x9E37_79B9) % 90_000) as f64,
    };
    for (threads, memory_bytes) in [(1, u64::MAX), (2, 8 << 20), (2, 1 << 20)] {
        let ctx = Context::builder().threads(threads).memory_bytes(memory_bytes).build().unwrap();
        let rows = ctx.range(0..ROWS).map(move |n| (value(n), n));
        let sorted = rows.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(Ordering::Equal));
        let sizes = sorted.map_partitions(|part| [part.len()]);
        let (rows, sizes) = ctx.run((sorted.to_vec(), sizes.to_vec())).unwrap();
        assert!(sizes.len() > 2, "{sizes:?}");
        let mut numbers: Vec<u64> = rows.iter().map(|row| row.1).collect();
        numbers.sort_unstable();
        assert!(numbers == (0..ROWS).collect::<Vec<_>>(), "{threads} threads, {memory_bytes} bytes");
    }
}

#[test]
fn special_floats_have_one_order_in_memory_and_after_a_spill() {
    const SPECIAL: [f64; 8] =
        [f64::NAN, -f64::NAN, 0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, 1.5, f64::MIN_POSITIVE];
    let float = |n: i64| SPECIAL[n.rem_euclid(8) as usize];
    check(
        move |data| {
            let floats = data.map(move |(_, n)| (Total(float(n)), n));
            let sorted = floats.sort_by_key(|(float, _)| *float).map(|(float, n)| (float.0.to_bits(), n));
            let sums =
                floats.reduce_by_key(|a, b| a + b).sort_by_key(|(float, _)| *float).map(|(_, sum)| sum);
            let of_plain = data.map(move |(_, n)| (float(n), n)).reduce_by_key(|a, b| a + b);
            let of_plain = of_plain.map(|(float, sum)| (Total(float), sum)).sort_by_key(|(float, _)| *float);
            data.context()
                .run((sorted.to_vec(), sums.to_vec(), of_plain.map(|(_, sum)| sum).to_vec()))
                .unwrap()
        },
        move |input, (sorted, sums, of_plain)| {
            let mut model: Vec<(Total<f64>, i64)> =
                input.iter().map(|(_, n)| (Total(float(*n)), *n)).collect();
            model.sort_by_key(|(float, _)| *float);
            let bits = model.iter().map(|(float, n)| (float.0.to_bits(), *n)).collect::<Vec<_>>();
            assert_eq!(sorted, bits);
            // Zeros are one key, and so are all values that are no numbers; these come last.
            let groups = model.chunk_by(|a, b| a.0 == b.0);
            let model_sums: Vec<i64> = groups.map(|group| group.iter().map(|(_, n)| n).sum()).collect();
            assert!(model_sums.len() <= 6);
            assert_eq!(sums, model_sums);
            assert_eq!(of_plain, model_sums);
        },
    );
}
