//! Keys that are as uneven as keys can be: one that nearly all rows have, and many that are made to collide.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use gristmill::prelude::*;

const ROWS: u64 = 60_000;

/// A hundredth of the rows have keys of their own.
fn one_key(n: u64) -> (u64, u64) {
    (if n.is_multiple_of(100) { n } else { 7 }, n)
}

/// Less than a fourth of what the rows take.
fn contexts() -> impl Iterator<Item = Context> {
    let settings = [(1, u64::MAX), (2, 256 << 10), (8, 256 << 10)];
    settings.into_iter().map(|(threads, memory)| {
        let builder = Context::builder().threads(threads).memory_bytes(memory);
        builder.split_bytes(8 * 1000).build().unwrap()
    })
}

fn grouped(rows: impl Iterator<Item = (u64, u64)>) -> BTreeMap<u64, Vec<u64>> {
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    rows.for_each(|(key, n)| groups.entry(key).or_default().push(n));
    groups
}

#[test]
fn one_key_with_nearly_all_rows_is_right_within_the_memory() {
    let model = grouped((0..ROWS).map(one_key));
    let sums: BTreeMap<u64, u64> = model.iter().map(|(key, all)| (*key, all.iter().sum())).collect();
    for ctx in contexts() {
        let rows = ctx.range(0..ROWS).map(one_key);
        let reduced = rows.reduce_by_key(|a, b| a + b).collect().unwrap();
        assert!(reduced.into_iter().collect::<BTreeMap<_, _>>() == sums);

        let sorted = rows.sort_by_key(|(key, _)| *key).collect().unwrap();
        let expected = model.iter().flat_map(|(key, all)| all.iter().map(|n| (*key, *n)));
        assert!(sorted.into_iter().eq(expected), "the sort is stable");

        let names = ctx.range(0..ROWS).filter(|n| n % 100 == 0 || *n == 7).map(|key| (key, key + 1));
        let joined = rows.join(&names).map(|(_, (n, name))| n + name);
        let total = joined.fold(0, |sum, n| sum + n, |a, b| a + b).unwrap();
        assert_eq!(total, (0..ROWS).map(one_key).map(|(key, n)| n + key + 1).sum::<u64>());
        let distinct = rows.map(|(key, _)| key).distinct().count().unwrap();
        assert_eq!(distinct, model.len() as u64);
        drop((rows, names));
        assert_eq!(ctx.budget().used_bytes(), 0);
    }
    // All values of one key are one row, which must fit.
    let ctx = Context::builder().threads(2).split_bytes(8 * 1000).build().unwrap();
    let groups = ctx.range(0..ROWS).map(one_key).group_by_key().collect().unwrap();
    assert!(groups.into_iter().collect::<BTreeMap<_, _>>() == model);
}

#[test]
fn keys_that_are_made_to_collide_are_right_within_the_memory() {
    // A table is indexed by some bits of a hash, and partitions by others: these keys agree in the first or the last byte of it.
    for shift in [0, 56] {
        let keys: Vec<u64> =
            (0..).filter(|key: &u64| key.key_hash() >> shift & 0xff == 0x5a).take(2000).collect();
        let rows: Vec<(u64, u64)> = (0..ROWS).map(|n| (keys[(n % 2000) as usize], n)).collect();
        let model = grouped(rows.iter().copied());
        for ctx in contexts() {
            let data = ctx.from_vec(rows.clone());
            let sums = data.reduce_by_key(|a, b| a + b).collect().unwrap();
            let expected = model.iter().map(|(key, all)| (*key, all.iter().sum::<u64>()));
            assert!(sums.into_iter().collect::<BTreeMap<_, _>>() == expected.collect());
            let groups = data.group_by_key().collect().unwrap();
            assert!(groups.into_iter().collect::<BTreeMap<_, _>>() == model);
            let names = ctx.from_vec(keys.iter().map(|key| (*key, 1u64)).collect());
            assert_eq!(data.join(&names).count().unwrap(), ROWS);
        }
    }
}
