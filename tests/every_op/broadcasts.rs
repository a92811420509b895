//! Joins with a side that is held: those that say so, and those that the planner chooses.

use std::collections::BTreeMap;

use gristmill::ErrorKind;
use gristmill::config::Rules;
use gristmill::prelude::*;

use crate::harness::{by_key, check, check_across_rules};

type Row = (Text, i64);

/// A side of few keys, some of them several times, and some that no input has.
fn table() -> Vec<(Text, String)> {
    let key = |n: u32| if n.is_multiple_of(5) { long(n % 15) } else { Text::from(format!("k{}", n % 13)) };
    (0..40).map(|n| (key(n), format!("the value {n} of a table, too long to stand inline"))).collect()
}

fn long(n: u32) -> Text {
    Text::from(format!("a key that is too long to stand inline: {n}"))
}

fn values_of(rows: &[(Text, String)]) -> BTreeMap<Text, Vec<String>> {
    let mut values: BTreeMap<Text, Vec<String>> = BTreeMap::new();
    for (key, value) in rows {
        values.entry(key.clone()).or_default().push(value.clone());
    }
    values
}

/// Every row of the left side with all of the right one, in the order of both; or with `None`.
fn left_outer(left: &[Row], right: &[(Text, String)]) -> Vec<(Text, (i64, Option<String>))> {
    let values = values_of(right);
    let mut rows = Vec::new();
    for (key, n) in left {
        match values.get(key) {
            None => rows.push((key.clone(), (*n, None))),
            Some(values) => {
                rows.extend(values.iter().map(|value| (key.clone(), (*n, Some(value.clone())))));
            }
        }
    }
    rows
}

#[test]
fn broadcast_joins_keep_the_order_of_the_left_side() {
    check(
        |data| {
            let table = data.context().from_vec(table());
            let inner = data.broadcast_join(&table).map_values(|(n, value)| (n, Some(value)));
            data.context().run((inner.to_vec(), data.broadcast_left_join(&table).to_vec())).unwrap()
        },
        |input, (inner, outer)| {
            let model = left_outer(input, &table());
            assert_eq!(outer, model);
            let both: Vec<_> = model.into_iter().filter(|(_, pair)| pair.1.is_some()).collect();
            assert_eq!(inner, both);
        },
    );
}

/// What a dataset gives when it is joined with some of its own rows.
fn with_itself(rows: &[Row]) -> Vec<(Text, (i64, i64))> {
    let some = |row: &&Row| row.1 % 16 == 0;
    let pairs = |(key, n): &Row| {
        let others = rows.iter().filter(some).filter(|row| row.0 == *key).map(|row| row.1);
        others.map(|other| (key.clone(), (*n, other))).collect::<Vec<_>>()
    };
    rows.iter().flat_map(pairs).collect()
}

#[test]
fn a_dataset_with_some_of_its_own_rows() {
    check(
        |data| {
            let joined = data.broadcast_join(&data.filter(|(_, n)| n % 16 == 0));
            data.context().run((joined.to_vec(), data.to_count())).unwrap()
        },
        |input, result| assert_eq!(result, (with_itself(input), input.len() as u64)),
    );
}

#[test]
fn the_output_of_an_exchange_with_some_of_its_own_rows() {
    check(
        |data| {
            let once = data.reduce_by_key(|a, b| a + b).map_values(|n| n / 2);
            let joined = once.broadcast_join(&once.filter(|(_, n)| n % 16 == 0));
            // Three pipelines read the same output: for the table, after it, and after both tables.
            let twice = joined.values().key_by(|(n, _)| *n).broadcast_join(&joined.values());
            data.context().run((joined.to_vec(), twice.to_count(), once.to_vec())).unwrap()
        },
        |_, (joined, twice, once)| {
            assert_eq!(joined, with_itself(&once));
            let pairs =
                joined.iter().flat_map(|(_, (n, _))| joined.iter().filter(move |other| other.1.0 == *n));
            assert_eq!(twice, pairs.count() as u64);
        },
    );
}

#[test]
fn caches_and_unions_with_some_of_their_own_rows() {
    check(
        |data| {
            let cache = data.filter(|(_, n)| *n > 0).union(data).cache();
            let joined = cache.broadcast_join(&cache.filter(|(_, n)| n % 16 == 0));
            (joined.collect().unwrap(), joined.collect().unwrap())
        },
        |input, (first, second)| {
            let positive = input.iter().filter(|(_, n)| *n > 0);
            let rows: Vec<Row> = positive.chain(input).cloned().collect();
            assert_eq!(first, with_itself(&rows));
            assert_eq!(second, first);
        },
    );
}

#[test]
fn two_joins_each_of_which_needs_what_the_other_reads() {
    check(
        |data| {
            let ctx = data.context();
            let (sums, table) = (data.reduce_by_key(|a, b| a + b), ctx.from_vec(table()).distinct());
            let lengths = table.map_values(|value| value.len() as u64);
            let left = sums.broadcast_join(&lengths.reduce_by_key(|a, b| a + b));
            let right = lengths.broadcast_join(&sums.filter(|(_, n)| n % 8 == 0).reduce_by_key(|a, b| a + b));
            ctx.run((left.to_count(), right.to_count(), sums.to_count())).unwrap()
        },
        |input, (left, right, sums)| {
            let (keys, values) = (crate::harness::sums(input), values_of(&table()));
            let matching: Vec<_> =
                keys.iter().filter_map(|(key, sum)| Some((sum, values.get(key)?.len() as u64))).collect();
            assert_eq!(left, matching.len() as u64);
            let held = matching.into_iter().filter(|(sum, _)| *sum % 8 == 0);
            assert_eq!(right, held.map(|(_, values)| values).sum::<u64>());
            assert_eq!(sums, keys.len() as u64);
        },
    );
}

/// The rows of every kind of join between an input and the table, with what is missing on either side.
type Joined = Vec<(Text, (Option<i64>, Option<String>))>;

#[test]
fn a_small_right_side_is_broadcast_and_gives_the_same_rows() {
    check_across_rules(
        |data| {
            let table = data.context().from_vec(table()).filter(|(key, _)| key != "k3");
            let inner = data.join(&table).map_values(|(n, value)| (Some(n), Some(value)));
            let left = data.left_join(&table).map_values(|(n, value)| (Some(n), value));
            let empty = table.filter(|_| false);
            let none = data.left_join(&empty).map_values(|(n, value)| (Some(n), value));
            [inner, left, none].map(|joined| joined.collect().unwrap())
        },
        |joins: [Joined; 3]| joins.map(by_key),
        |input, [inner, left, none]| {
            let right: Vec<_> = table().into_iter().filter(|(key, _)| key != "k3").collect();
            let options = |rows: Vec<(Text, (i64, Option<String>))>| -> Joined {
                by_key(rows.into_iter().map(|(key, (n, value))| (key, (Some(n), value))).collect())
            };
            let model = options(left_outer(input, &right));
            assert_eq!(by_key(left), model);
            assert_eq!(by_key(none), options(left_outer(input, &[])));
            let both: Joined = model.into_iter().filter(|(_, pair)| pair.1.is_some()).collect();
            // An inner join holds the left side if that is smaller.
            assert_eq!(by_key(inner), both);
        },
    );
}

#[test]
fn a_small_left_side_is_broadcast_and_gives_the_same_rows() {
    check_across_rules(
        |data| {
            let ctx = data.context();
            let (table, rows) = (ctx.from_vec(table()), data.map(|row| row));
            let right = table.right_join(&rows).map_values(|(value, n)| (Some(n), value));
            let inner = table.join(&rows).map_values(|(value, n)| (Some(n), Some(value)));
            ctx.run((right.to_vec(), inner.to_vec())).unwrap()
        },
        |(right, inner): (Joined, Joined)| (by_key(sorted_pairs(right)), by_key(sorted_pairs(inner))),
        |input, (right, inner)| {
            let rows = left_outer(input, &table()).into_iter();
            let model: Joined = rows.map(|(key, (n, value))| (key, (Some(n), value))).collect();
            assert_eq!(sorted_pairs(right), sorted_pairs(model.clone()));
            let both = model.into_iter().filter(|(_, pair)| pair.1.is_some());
            assert_eq!(sorted_pairs(inner), sorted_pairs(both.collect()));
        },
    );
}

/// Pairs in order: with the left side held, those of a key come in the order of the right side.
fn sorted_pairs(mut pairs: Joined) -> Joined {
    pairs.sort();
    pairs
}

#[test]
fn semi_and_anti_join_with_a_small_side() {
    check_across_rules(
        |data| {
            let table = data.context().from_vec(table());
            let rows = data.map(|row| row);
            (rows.semi_join(&table).collect().unwrap(), rows.anti_join(&table).collect().unwrap())
        },
        |(semi, anti): (Vec<Row>, Vec<Row>)| (by_key(semi), by_key(anti)),
        |input, (semi, anti)| {
            let values = values_of(&table());
            let of = |wanted: bool| {
                by_key(input.iter().filter(|row| values.contains_key(&row.0) == wanted).cloned().collect())
            };
            assert_eq!(by_key(semi), of(true));
            assert_eq!(by_key(anti), of(false));
        },
    );
}

#[test]
fn one_key_and_many_joins_in_one_pipeline() {
    let ctx = Context::builder().threads(2).split_bytes(1000).build().unwrap();
    let data = ctx.range(0..200).map(|n| (7u8, n));
    let sides = ctx.from_vec((0..50u32).map(|n| (7u8, n)).collect());
    let joined = data.broadcast_join(&sides).values();
    let expected: Vec<_> = (0..200).flat_map(|n| (0..50).map(move |other| (n, other))).collect();
    assert_eq!(joined.collect().unwrap(), expected);
    assert_eq!(joined.take(3).unwrap(), expected[..3]);
    let many = (0..300).fold(data.clone(), |data, n| {
        data.broadcast_join(&ctx.from_vec(vec![(7u8, n)])).map_values(|(sum, n)| sum + n)
    });
    let sum: u64 = (0..300).sum();
    assert_eq!(many.values().collect().unwrap(), (0..200).map(|n| n + sum).collect::<Vec<_>>());
}

#[test]
fn a_held_side_beyond_the_memory_limit_is_an_error_unless_the_planner_chose_it() {
    let ctx = Context::builder().threads(2).memory_bytes(30_000).split_bytes(4_000).build().unwrap();
    let rows = ctx.from_vec((0..6000u64).map(|n| (n % 1500, n)).collect());
    let table =
        ctx.from_vec((0..1500u64).map(|n| (n, Text::from(format!("a long text of its own: {n}")))).collect());
    let error = rows.broadcast_join(&table).count().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Memory);
    let message = error.to_string();
    for part in ["broadcast_join at tests/every_op/broadcasts.rs", "bytes or more", "30000", "use join"] {
        assert!(message.contains(part), "no {part} in: {message}");
    }
    assert_eq!(ctx.budget().used_bytes(), 0);
    let joined = rows.join(&table);
    assert!(joined.explain().contains("broadcast: the right side of join"), "{}", joined.explain());
    assert_eq!(joined.count().unwrap(), 6000);
    assert_eq!(ctx.budget().used_bytes(), 0);
}

#[test]
fn a_panic_before_and_after_a_broadcast_names_its_operator() {
    let ctx = Context::builder().threads(2).rules(Rules::ALL).build().unwrap();
    let rows = ctx.range(0..5000).map(|n| (n % 10, n));
    let table = ctx.range(0..10).map(|n| (n, n));
    let bad = table.filter(|(key, _)| if *key == 5 { panic!("no five") } else { true });
    let error = rows.broadcast_join(&bad).count().unwrap_err();
    assert!(error.to_string().starts_with("filter at "), "{error}");
    let error = rows.broadcast_join(&table).filter(|row| if row.1.0 == 4321 { panic!("bad") } else { true });
    let error = error.count().unwrap_err();
    assert!(error.to_string().contains("row 4321"), "{error}");
}

#[test]
fn closures_count_each_element_once_also_where_it_is_read_twice() {
    for rules in [Rules::ALL, Rules::NONE] {
        let ctx = Context::builder().threads(2).split_bytes(1000).rules(rules).build().unwrap();
        let (before, after) = (ctx.counter("before"), ctx.counter("after"));
        let (counts, also_counts) = (before.clone(), after.clone());
        let source = ctx.range(0..1000).map(move |n| {
            counts.increment();
            (n % 100, n)
        });
        let sums = source.reduce_by_key(|a, b| a + b).map_values(move |n| {
            also_counts.increment();
            n
        });
        assert_eq!(sums.broadcast_join(&sums.filter(|(key, _)| *key < 10)).count().unwrap(), 10);
        assert_eq!((before.value(), after.value()), (1000, 100), "{rules:?}");
        assert_eq!(source.broadcast_join(&source.filter(|(_, n)| *n < 10)).count().unwrap(), 100);
        assert_eq!(before.value(), 2000, "{rules:?}");
    }
}
