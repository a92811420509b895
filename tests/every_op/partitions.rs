//! Operators that divide a dataset by keys into partitions.

use std::collections::{BTreeMap, BTreeSet};

use gristmill::ErrorKind;
use gristmill::prelude::*;

use crate::harness::{check, sorted};

/// The elements of each partition, with their number.
fn parts(data: &Dataset<(Text, i64)>) -> Vec<Vec<(Text, i64)>> {
    data.map_partitions(|part| [part]).collect().unwrap()
}

/// In a partition are all elements of its keys, and no others, in the order of the input.
fn check_parts<K: Ord>(parts: &[Vec<(Text, i64)>], input: &[(Text, i64)], key: impl Fn(&(Text, i64)) -> K) {
    let mut part_of: BTreeMap<K, usize> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        for item in part {
            assert_eq!(*part_of.entry(key(item)).or_insert(index), index, "{item:?} is in two partitions");
        }
        let model: Vec<_> =
            input.iter().filter(|item| part_of.get(&key(item)) == Some(&index)).cloned().collect();
        assert_eq!(part, &model);
    }
    assert_eq!(parts.concat().len(), input.len());
}

#[test]
fn partition_by() {
    let counts = [0, 1, 3, 16, 200];
    check(
        move |data| counts.map(|n| parts(&data.partition_by(n, |(_, value)| value % 40))),
        move |input, results| {
            for (n, parts) in counts.into_iter().zip(results) {
                assert_eq!(parts.len(), n.max(1), "empty partitions are partitions, too");
                check_parts(&parts, input, |(_, value)| value % 40);
            }
        },
    );
}

#[test]
fn partition_by_key() {
    check(
        |data| {
            let partitioned = data.partition_by_key(5);
            // The same rows, once as they come and once in another exchange.
            let outputs =
                (partitioned.map_partitions(|part| [part]).to_vec(), partitioned.count_by_key().to_vec());
            data.context().run(outputs).unwrap()
        },
        |input, (parts, counts)| {
            assert_eq!(parts.len(), 5);
            check_parts(&parts, input, |(key, _)| key.clone());
            let mut model: BTreeMap<Text, u64> = BTreeMap::new();
            for (key, _) in input {
                *model.entry(key.clone()).or_default() += 1;
            }
            assert_eq!(sorted(counts), Vec::from_iter(model));
        },
    );
}

#[test]
fn partitions_are_of_about_the_same_size_and_spill() {
    let ctx = Context::builder().threads(2).memory_bytes(256 << 10).split_bytes(100 << 10).build().unwrap();
    let numbers = ctx.from_vec((0..100_000_u64).collect());
    let parts = numbers.partition_by(7, |n| *n).map_partitions(|part| [part]).collect().unwrap();
    assert!(
        parts.iter().all(|part| (13_000..16_000).contains(&part.len())),
        "{:?}",
        parts.iter().map(Vec::len)
    );
    assert!(parts.iter().all(|part| part.is_sorted()), "in the order of the input");
    assert_eq!(parts.concat().into_iter().collect::<BTreeSet<_>>().len(), 100_000);
    assert!(ctx.spilled_bytes() > 0);
}

#[test]
fn a_panic_of_the_key_names_call_and_row() {
    let ctx = Context::builder().threads(2).chunk_rows(3).build().unwrap();
    let line = line!() + 1;
    let parts = ctx.range(0..100).partition_by(4, |n| if *n == 50 { panic!("boom") } else { *n });
    let error = parts.count().unwrap_err();
    assert_eq!((error.kind(), error.call().unwrap().location.line()), (ErrorKind::Panic, line));
    assert!(error.to_string().contains("boom (row 50)"), "{error}");
}

#[test]
fn explain_says_into_how_many_partitions_and_what_is_held() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let text = ctx.range(0..10).partition_by(4, |n| n % 3).explain();
    assert!(text.contains("#2 partition_by of #1 into 4"), "{text}");
    assert!(text.contains("hold: all rows, each in the partition of its key, for partition_by #2"), "{text}");
    assert!(!text.contains("combine:"), "{text}");
}
