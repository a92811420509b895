//! What is derived from aggregates: distinct elements and operations on sets.

use std::collections::{BTreeMap, BTreeSet};

use gristmill::prelude::*;

use crate::harness::{check, sorted};

#[test]
fn distinct_by_gives_the_first_of_each() {
    check(
        |data| data.distinct_by(|(_, n)| n % 10).collect().unwrap(),
        |input, result| {
            let mut firsts = BTreeMap::new();
            for pair in input {
                firsts.entry(pair.1 % 10).or_insert_with(|| pair.clone());
            }
            assert_eq!(sorted(result), sorted(firsts.into_values().collect()));
        },
    );
}

/// Two sides that have some elements in common, some of them more than once.
fn sides(data: &Dataset<(Text, i64)>) -> (Dataset<i64>, Dataset<i64>) {
    let values = data.values();
    (values.map(|n| n.rem_euclid(50)), values.filter(|n| n % 3 == 0).map(|n| n.rem_euclid(80) + 10))
}

fn model_sides(input: &[(Text, i64)]) -> (Vec<i64>, BTreeSet<i64>) {
    let left = input.iter().map(|(_, n)| n.rem_euclid(50)).collect();
    let right = input.iter().filter(|(_, n)| n % 3 == 0).map(|(_, n)| n.rem_euclid(80) + 10).collect();
    (left, right)
}

#[test]
fn subtract_keeps_duplicates() {
    check(
        |data| {
            let (left, right) = sides(data);
            left.subtract(&right).collect().unwrap()
        },
        |input, result| {
            let (mut left, right) = model_sides(input);
            left.retain(|n| !right.contains(n));
            assert_eq!(sorted(result), sorted(left));
        },
    );
}

#[test]
fn intersection_gives_each_once() {
    check(
        |data| {
            let (left, right) = sides(data);
            left.intersection(&right).collect().unwrap()
        },
        |input, result| {
            let (left, right) = model_sides(input);
            let both: BTreeSet<i64> = left.into_iter().filter(|n| right.contains(n)).collect();
            assert_eq!(sorted(result), both.into_iter().collect::<Vec<_>>());
        },
    );
}

#[test]
fn a_dataset_and_itself() {
    check(
        |data| {
            let both = data.intersection(data);
            data.context().run((both.to_count(), data.subtract(data).to_count())).unwrap()
        },
        |input, result| {
            assert_eq!(result, (input.iter().collect::<BTreeSet<_>>().len() as u64, 0));
        },
    );
}

#[test]
fn equal_but_not_identical_elements_come_out_as_the_first() {
    let bits = |data: Dataset<f64>| data.map(f64::to_bits).collect().unwrap();
    for threads in [1, 4] {
        let ctx = Context::builder().threads(threads).split_bytes(8).build().unwrap();
        let (left, right) = (ctx.from_vec(vec![-0.0, 0.0, 0.0]), ctx.from_vec(vec![0.0, -0.0]));
        assert_eq!(bits(left.intersection(&right)), [(-0.0_f64).to_bits()]);
        assert_eq!(bits(left.subtract(&ctx.from_vec(vec![1.0]))), [(-0.0_f64).to_bits(); 3]);
    }
}
