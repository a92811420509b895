//! Groups and joins against plain loops.

use std::collections::BTreeMap;

use gristmill::config::Rules;
use gristmill::prelude::*;

use crate::harness::{by_key, check, inputs, sorted};

fn groups(input: &[(Text, i64)]) -> BTreeMap<Text, Vec<i64>> {
    let mut groups: BTreeMap<Text, Vec<i64>> = BTreeMap::new();
    for (key, n) in input {
        groups.entry(key.clone()).or_default().push(*n);
    }
    groups
}

/// The rows of the other side: some keys are missing, some occur several times, some on this side only.
fn other(input: &[(Text, i64)]) -> Vec<(Text, String)> {
    let key = |key: &Text, n: i64| if n % 7 == 0 { Text::from(format!("other {n}")) } else { key.clone() };
    let some = input.iter().filter(|(key, n)| !key.as_str().ends_with('3') && n % 4 < 2);
    some.map(|(k, n)| (key(k, *n), format!("{n}"))).collect()
}

fn other_of(data: &Dataset<(Text, i64)>) -> Dataset<(Text, String)> {
    data.map_partitions(|rows| other(&rows))
}

#[test]
fn group_by_key() {
    check(
        |data| data.group_by_key().collect().unwrap(),
        |input, result| {
            assert_eq!(sorted(result), groups(input).into_iter().collect::<Vec<_>>());
        },
    );
}

#[test]
fn cogroup() {
    check(
        |data| data.cogroup(&other_of(data)).collect().unwrap(),
        |input, result| {
            let mut model: BTreeMap<Text, (Vec<i64>, Vec<String>)> = BTreeMap::new();
            for (key, n) in input {
                model.entry(key.clone()).or_default().0.push(*n);
            }
            for (key, text) in other(input) {
                model.entry(key).or_default().1.push(text);
            }
            assert_eq!(sorted(result), model.into_iter().collect::<Vec<_>>());
        },
    );
}

type Pairs = Vec<(Text, (Option<i64>, Option<String>))>;

/// Pairs with a match, and those without on each side, key by key.
fn full(input: &[(Text, i64)]) -> Pairs {
    let mut others: BTreeMap<Text, Vec<String>> = BTreeMap::new();
    for (key, text) in other(input) {
        others.entry(key).or_default().push(text);
    }
    let groups = groups(input);
    let mut pairs = Pairs::new();
    for (key, values) in &groups {
        for value in values {
            match others.get(key) {
                None => pairs.push((key.clone(), (Some(*value), None))),
                Some(others) => pairs
                    .extend(others.iter().map(|other| (key.clone(), (Some(*value), Some(other.clone()))))),
            }
        }
    }
    for (key, others) in others.iter().filter(|(key, _)| !groups.contains_key(*key)) {
        pairs.extend(others.iter().map(|other| (key.clone(), (None, Some(other.clone())))));
    }
    pairs.sort_by(|a, b| a.0.cmp(&b.0)); // the order of a key's pairs stays
    pairs
}

#[test]
fn inner_and_full_join() {
    check(
        |data| {
            let other = other_of(data);
            let inner = data.join(&other).map_values(|(a, b)| (Some(a), Some(b)));
            data.context().run((inner.to_vec(), data.full_join(&other).to_vec())).unwrap()
        },
        |input, (inner, outer)| {
            let model = full(input);
            assert_eq!(by_key(outer), model);
            let both = model.into_iter().filter(|(_, pair)| pair.0.is_some() && pair.1.is_some());
            assert_eq!(by_key(inner), both.collect::<Pairs>());
        },
    );
}

#[test]
fn left_and_right_join() {
    check(
        |data| {
            let other = other_of(data);
            let left = data.left_join(&other).map_values(|(a, b)| (Some(a), b));
            let right = data.right_join(&other).map_values(|(a, b)| (a, Some(b)));
            (left.collect().unwrap(), right.collect().unwrap())
        },
        |input, (left, right)| {
            let model = full(input);
            let of = |keep: fn(&(Option<i64>, Option<String>)) -> bool| -> Pairs {
                model.iter().filter(|(_, pair)| keep(pair)).cloned().collect()
            };
            assert_eq!(by_key(left), of(|pair| pair.0.is_some()));
            assert_eq!(by_key(right), of(|pair| pair.1.is_some()));
        },
    );
}

#[test]
fn semi_and_anti_join() {
    check(
        |data| {
            let other = other_of(data);
            (data.semi_join(&other).collect().unwrap(), data.anti_join(&other).collect().unwrap())
        },
        |input, (semi, anti)| {
            let keys: std::collections::BTreeSet<Text> = other(input).into_iter().map(|row| row.0).collect();
            let of = |wanted: bool| {
                by_key(input.iter().filter(|row| keys.contains(&row.0) == wanted).cloned().collect())
            };
            assert_eq!(by_key(semi), of(true));
            assert_eq!(by_key(anti), of(false));
        },
    );
}

#[test]
fn a_join_with_itself_and_one_after_another() {
    check(
        |data| {
            let few = data.filter(|(_, n)| n % 5 == 0);
            let twice = few.join(&few).map_values(|(a, b)| a * b);
            twice.join(&data.reduce_by_key(|a, b| a + b)).count().unwrap()
        },
        |input, result| {
            let few: Vec<_> = input.iter().filter(|(_, n)| n % 5 == 0).cloned().collect();
            let squares: usize = groups(&few).values().map(|values| values.len() * values.len()).sum();
            assert_eq!(result, squares as u64);
        },
    );
}

#[test]
fn one_key_that_exceeds_the_memory_is_streamed_by_a_join_and_refused_by_a_group() {
    let rows = |count: usize| (0..count).map(|n| (Text::from("the only key"), n as u64)).collect::<Vec<_>>();
    let rules = Rules { broadcast: false, ..Rules::ALL }; // one side is small
    let builder = Context::builder().threads(2).memory_bytes(20_000).split_bytes(2_000).rules(rules);
    let ctx = builder.build().unwrap();
    let (left, right) = (ctx.from_vec(rows(300)), ctx.from_vec(rows(1000)));
    let joined = left.join(&right);
    let expected: Vec<_> = (0..300).flat_map(|a| (0..1000).map(move |b| (a, b))).collect();
    assert_eq!(joined.values().collect().unwrap(), expected);
    assert!(ctx.spilled_bytes() > 0);
    let outer = left.full_join(&right.map(|(_, n)| (Text::from("another key"), n)));
    assert_eq!(outer.count().unwrap(), 1300);
    assert_eq!(left.semi_join(&right).count().unwrap(), 300);
    let error = right.group_by_key().count().unwrap_err();
    assert_eq!(error.kind(), gristmill::ErrorKind::Memory);
    assert!(error.to_string().contains("group_by_key at tests/every_op/joins.rs"), "{error}");
}

#[test]
fn sides_of_every_input_with_every_other() {
    let ctx = Context::builder().threads(2).memory_bytes(30_000).split_bytes(3000).build().unwrap();
    for (_, left) in inputs() {
        for (_, right) in inputs() {
            let counts = groups(&right);
            let pairs: usize =
                left.iter().map(|(key, _)| counts.get(key).map_or(0, |values: &Vec<i64>| values.len())).sum();
            let joined = ctx.from_vec(left.clone()).join(&ctx.from_vec(right.clone()));
            assert_eq!(joined.count().unwrap(), pairs as u64);
        }
    }
}

/// Of the rows of the left side 99 of 100 have one key, and they are many times the memory.
#[test]
fn a_key_that_nearly_all_rows_have_is_joined_within_the_memory() {
    const ROWS: u64 = 100_000;
    let key = |n: u64| if n.is_multiple_of(100) { n % 1009 } else { 7 };
    let ctx = Context::builder().threads(2).memory_bytes(1 << 20).build().unwrap();
    let left =
        ctx.range(0..ROWS).map(move |n| (key(n), Text::from(format!("a value beyond inline size {n}"))));
    let right = ctx.range(0..1000).map(|n| (n, n * n));
    let joined = left.join(&right).map(|(key, (text, square))| (key, text.len() as u64, square));
    let pairs = joined.collect().unwrap();
    assert!(ctx.spilled_bytes() > 1 << 20);
    let matched = || (0..ROWS).filter(|n| key(*n) < 1000);
    assert_eq!(pairs.len(), matched().count());
    assert!(pairs.iter().all(|(key, _, square)| key * key == *square));
    let lengths: u64 = matched().map(|n| format!("a value beyond inline size {n}").len() as u64).sum();
    assert_eq!(pairs.iter().map(|(_, length, _)| length).sum::<u64>(), lengths);
    assert_eq!(ctx.budget().used_bytes(), 0);
}

/// Pairs of keys whose hashes differ in the last bit only.
#[derive(Record, Clone, Debug, PartialEq)]
struct Alike(u64);

impl Key for Alike {
    fn hash_into(&self, seed: u64) -> u64 {
        self.key_hash().wrapping_mul(seed | 1)
    }

    fn key_hash(&self) -> u64 {
        ((self.0 / 2).wrapping_mul(0x9E37_79B9_7F4A_7C15) << 1) | (self.0 % 2)
    }

    fn key_eq(&self, other: &Self) -> bool {
        self == other
    }
}

/// A part of a join with one key on the left and another one on the right is not one with one key.
#[test]
fn keys_of_nearly_one_hash_come_in_their_order_in_any_memory() {
    const ROWS: u64 = 3000;
    let joined = |memory_bytes: u64| {
        let ctx = Context::builder().threads(2).memory_bytes(memory_bytes).build().unwrap();
        let side = |parity: u64| ctx.range(0..ROWS).map(move |n| (Alike(n % 2 * 2 + parity), n));
        let joined = side(0).full_join(&side(1)).map(|(key, (left, right))| (key.0, left, right));
        let groups = side(0).cogroup(&side(1)).map(|(key, (left, right))| (key.0, left.len(), right.len()));
        (joined.collect().unwrap(), groups.collect().unwrap())
    };
    let (all, groups) = joined(u64::MAX);
    assert_eq!(all.len(), 2 * ROWS as usize);
    assert_eq!(groups.len(), 4);
    assert!(groups.iter().all(|(_, left, right)| left + right == ROWS as usize / 2));
    assert_eq!(joined(100 << 10), (all, groups));
}

/// Lists of one key are made once, and the rows that they come from are not held beside them.
#[test]
fn a_group_nearly_as_large_as_the_memory_is_made() {
    const ROWS: u64 = 50_000;
    let ctx = Context::builder().threads(2).memory_bytes(1 << 20).build().unwrap();
    let rows = ctx.range(0..2 * ROWS).map(|n| (n % 2, n));
    let groups = rows.group_by_key().map(|(key, values)| (key, values.len(), values.is_sorted())).collect();
    let mut groups = groups.unwrap();
    groups.sort_unstable();
    assert_eq!(groups, [(0, ROWS as usize, true), (1, ROWS as usize, true)]);
    assert!(ctx.spilled_bytes() > 0);
}
