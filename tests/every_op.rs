//! Every operator and action against a plain model, over threads, splits, chunk sizes, memory limits and rules.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::collections::BTreeMap;

use gristmill::config::Rules;
use gristmill::prelude::*;

/// What must not change any result.
#[derive(Debug, Clone, Copy)]
struct Setting {
    threads: usize,
    in_flight: usize,
    chunk_rows: usize,
    rules: Rules,
}

fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for threads in [1, 2, 8] {
        for chunk_rows in [1, 3, 1024] {
            for rules in [Rules::ALL, Rules::NONE] {
                settings.push(Setting { threads, in_flight: threads, chunk_rows, rules });
            }
        }
    }
    settings.push(Setting {
        threads: 2,
        in_flight: 1,
        chunk_rows: 7,
        rules: Rules { share: false, ..Rules::ALL },
    });
    settings
}

/// Pairs of a key and a value, of several shapes of keys.
fn inputs() -> Vec<(&'static str, Vec<(Text, i64)>)> {
    let mut state = 7u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut pairs = |keys: u64, rows: usize| -> Vec<(Text, i64)> {
        let long = "a key that is too long to stand inline: ";
        (0..rows)
            .map(|_| {
                let key = random() % keys;
                let key = if key.is_multiple_of(5) { format!("{long}{key}") } else { format!("k{key}") };
                (Text::from(key), (random() % 1000).cast_signed() - 500)
            })
            .collect()
    };
    vec![
        ("none", Vec::new()),
        ("one", pairs(1, 1)),
        ("equal", pairs(1, 500)),
        ("few", pairs(10, 700)),
        ("unique", pairs(u64::MAX, 600)),
        ("skewed", pairs(3, 400).into_iter().chain(pairs(1000, 300)).collect()),
    ]
}

/// Runs `job` on every input, in 1, 7 and 64 splits, under every setting; compares with `model`, and all settings of
/// one division into splits with each other, to the order.
fn check<R, F, M>(job: F, model: M)
where
    R: PartialEq + std::fmt::Debug,
    F: Fn(&Dataset<(Text, i64)>) -> R,
    M: Fn(&[(Text, i64)], R),
    R: Clone,
{
    for (name, input) in inputs() {
        for splits in [1, 7, 64] {
            let split_bytes = (input.len().div_ceil(splits).max(1) * size_of::<(Text, i64)>()) as u64;
            let mut first: Option<R> = None;
            for setting in settings() {
                let ctx = Context::builder()
                    .threads(setting.threads)
                    .in_flight_splits(setting.in_flight)
                    .chunk_rows(setting.chunk_rows)
                    .rules(setting.rules)
                    .split_bytes(split_bytes)
                    .build()
                    .unwrap();
                let result = job(&ctx.from_vec(input.clone()));
                match &first {
                    None => model(&input, result.clone()),
                    Some(first) => assert_eq!(&result, first, "{name}, {splits} splits, {setting:?}"),
                }
                first.get_or_insert(result);
            }
        }
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

#[test]
fn map() {
    check(
        |data| data.map(|(key, n)| format!("{key}{n}")).collect().unwrap(),
        |input, result| {
            assert_eq!(result, input.iter().map(|(key, n)| format!("{key}{n}")).collect::<Vec<_>>());
        },
    );
}

#[test]
fn flat_map() {
    let f = |(key, n): (Text, i64)| (0..n.unsigned_abs() % 5).map(move |i| (key.clone(), i));
    check(
        move |data| data.flat_map(f).collect().unwrap(),
        move |input, result| assert_eq!(result, input.iter().cloned().flat_map(f).collect::<Vec<_>>()),
    );
}

#[test]
fn filter() {
    check(
        |data| data.filter(|(_, n)| n % 3 == 0).collect().unwrap(),
        |input, result| {
            assert_eq!(result, input.iter().filter(|(_, n)| n % 3 == 0).cloned().collect::<Vec<_>>());
        },
    );
}

#[test]
fn filter_map() {
    let f = |(key, n): (Text, i64)| (n > 0).then_some((n, key));
    check(
        move |data| data.filter_map(f).collect().unwrap(),
        move |input, result| assert_eq!(result, input.iter().cloned().filter_map(f).collect::<Vec<_>>()),
    );
}

#[test]
fn inspect_sees_every_element_once() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};
    check(
        |data| {
            let sum = Arc::new(AtomicI64::new(0));
            let adder = Arc::clone(&sum);
            let count = data
                .inspect(move |(_, n)| {
                    adder.fetch_add(*n, Ordering::Relaxed);
                })
                .count()
                .unwrap();
            (count, sum.load(Ordering::Relaxed))
        },
        |input, result| assert_eq!(result, (input.len() as u64, input.iter().map(|(_, n)| n).sum())),
    );
}

#[test]
fn map_values_keys_values_key_by() {
    check(
        |data| {
            let doubled = data.map_values(|n| n * 2);
            let (keys, values) =
                data.context().run((doubled.keys().to_vec(), doubled.values().to_vec())).unwrap();
            (keys, values, data.key_by(|(_, n)| *n).collect().unwrap())
        },
        |input, (keys, values, keyed)| {
            assert_eq!(keys, input.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
            assert_eq!(values, input.iter().map(|(_, n)| n * 2).collect::<Vec<_>>());
            assert_eq!(keyed, input.iter().map(|pair| (pair.1, pair.clone())).collect::<Vec<_>>());
        },
    );
}

#[test]
fn union_keeps_the_order_of_both_sides() {
    check(
        |data| {
            let positive = data.filter(|(_, n)| *n > 0);
            let rest = data.filter(|(_, n)| *n <= 0);
            let both = rest.union(&positive).union(&rest);
            both.union(&both).map(|(_, n)| n).collect().unwrap()
        },
        |input, result| {
            let rest = input.iter().map(|(_, n)| *n).filter(|n| *n <= 0);
            let positive = input.iter().map(|(_, n)| *n).filter(|n| *n > 0);
            let both: Vec<i64> = rest.clone().chain(positive).chain(rest).collect();
            assert_eq!(result, [both.clone(), both].concat());
        },
    );
}

#[test]
fn union_of_an_exchange_and_what_fed_it() {
    check(
        |data| {
            let sums = data.reduce_by_key(|a, b| a + b);
            sums.union(data).union(&sums).count().unwrap()
        },
        |input, result| {
            let keys = input.iter().map(|(key, _)| key).collect::<std::collections::BTreeSet<_>>().len();
            assert_eq!(result, (input.len() + 2 * keys) as u64);
        },
    );
}

#[test]
fn map_partitions_sees_every_element_in_order() {
    check(
        |data| data.map_partitions(|part| part.into_iter().rev().collect::<Vec<_>>()).collect().unwrap(),
        |input, result| assert_eq!(sorted(result), sorted(input.to_vec())),
    );
}

fn sums(input: &[(Text, i64)]) -> Vec<(Text, i64)> {
    let mut sums = BTreeMap::new();
    for (key, n) in input {
        *sums.entry(key.clone()).or_insert(0) += n;
    }
    sums.into_iter().collect()
}

#[test]
fn reduce_by_key() {
    check(
        |data| data.reduce_by_key(|a, b| a + b).collect().unwrap(),
        |input, result| assert_eq!(sorted(result), sums(input)),
    );
}

#[test]
fn reduce_by_key_keeps_the_order_of_values() {
    check(
        |data| {
            data.map_values(|n| vec![n])
                .reduce_by_key(|mut a, b| {
                    a.extend(b);
                    a
                })
                .collect()
                .unwrap()
        },
        |input, result| {
            let mut lists: BTreeMap<Text, Vec<i64>> = BTreeMap::new();
            for (key, n) in input {
                lists.entry(key.clone()).or_default().push(*n);
            }
            assert_eq!(sorted(result), lists.into_iter().collect::<Vec<_>>());
        },
    );
}

#[test]
fn sums_of_floats_are_equal_to_the_bit() {
    // The model of a float sum depends on the splits; what is checked is that nothing else changes it. Without the
    // combine rule the additions are grouped in another way, so that only the other rules are compared.
    let rules = [Rules::ALL, Rules { fuse: false, share: false, combine: true }];
    for (name, input) in inputs() {
        let mut first = None;
        for threads in [1, 2, 3, 8] {
            for (chunk_rows, rules) in [(1, rules[0]), (3, rules[1]), (1024, rules[0])] {
                let builder = Context::builder().threads(threads).chunk_rows(chunk_rows).rules(rules);
                let ctx = builder.split_bytes(2000).build().unwrap();
                let floats = ctx.from_vec(input.clone()).map_values(|n| n as f64 / 7.0 + 1e9);
                let sums = floats.reduce_by_key(|a, b| a + b);
                let bits = sums.map_values(f64::to_bits).collect().unwrap();
                let total = floats.values().fold(0.0, |a, b| a + b, |a, b| a + b).unwrap().to_bits();
                assert_eq!(
                    first.get_or_insert((bits.clone(), total)),
                    &(bits, total),
                    "{name} {threads} {chunk_rows}"
                );
            }
        }
    }
}

#[test]
fn fold_by_key() {
    check(
        |data| {
            data.fold_by_key(
                (0u64, i64::MIN),
                |(n, max), x| (n + 1, max.max(x)),
                |a, b| (a.0 + b.0, a.1.max(b.1)),
            )
            .collect()
            .unwrap()
        },
        |input, result| {
            let mut states: BTreeMap<Text, (u64, i64)> = BTreeMap::new();
            for (key, x) in input {
                let state = states.entry(key.clone()).or_insert((0, i64::MIN));
                *state = (state.0 + 1, state.1.max(*x));
            }
            assert_eq!(sorted(result), states.into_iter().collect::<Vec<_>>());
        },
    );
}

#[test]
fn count_by_value_and_distinct() {
    check(
        |data| {
            let values = data.values().map(|n| n % 10);
            data.context().run((values.count_by_value().to_vec(), values.distinct().to_vec())).unwrap()
        },
        |input, (counts, distinct)| {
            let mut model = BTreeMap::new();
            for (_, n) in input {
                *model.entry(n % 10).or_insert(0u64) += 1;
            }
            assert_eq!(sorted(counts), model.clone().into_iter().collect::<Vec<_>>());
            assert_eq!(sorted(distinct), model.into_keys().collect::<Vec<_>>());
        },
    );
}

#[test]
fn exchanges_after_exchanges() {
    check(
        |data| {
            let counts =
                data.reduce_by_key(|a, b| a + b).map(|(_, n)| (n % 4, 1u64)).reduce_by_key(|a, b| a + b);
            counts.map(|(_, n)| n).distinct().count().unwrap()
        },
        |input, result| {
            let mut counts = BTreeMap::new();
            for (_, n) in sums(input) {
                *counts.entry(n % 4).or_insert(0u64) += 1;
            }
            let distinct: std::collections::BTreeSet<u64> = counts.into_values().collect();
            assert_eq!(result, distinct.len() as u64);
        },
    );
}

#[test]
fn cache_gives_the_same_elements_again() {
    check(
        |data| {
            let cached = data.reduce_by_key(|a, b| a + b).cache();
            let first = cached.collect().unwrap();
            let (second, count) =
                data.context().run((cached.to_vec(), cached.map(|pair| pair.1).to_count())).unwrap();
            assert_eq!(first, second);
            assert_eq!(count, first.len() as u64);
            second
        },
        |input, result| assert_eq!(sorted(result), sums(input)),
    );
}

#[test]
fn try_map_and_try_flat_map() {
    check(
        |data| {
            let ok = data.try_map(|(_, n)| i32::try_from(n)).collect().unwrap();
            let flat = data
                .try_flat_map(|(_, n)| u8::try_from(n.rem_euclid(200)).map(|n| vec![n; 2]))
                .count()
                .unwrap();
            let failed = data.try_map(|(_, n)| u8::try_from(n)).collect().map_err(|error| error.kind());
            (ok, flat, failed)
        },
        |input, (ok, flat, failed)| {
            assert_eq!(ok, input.iter().map(|(_, n)| *n as i32).collect::<Vec<_>>());
            assert_eq!(flat, 2 * input.len() as u64);
            match input.iter().map(|(_, n)| u8::try_from(*n)).collect::<Result<Vec<u8>, _>>() {
                Ok(all) => assert_eq!(failed, Ok(all)),
                Err(_) => assert_eq!(failed, Err(gristmill::ErrorKind::Closure)),
            }
        },
    );
}

#[test]
fn count_take_first() {
    check(
        |data| {
            let pairs = data.reduce_by_key(|a, b| a + b);
            let takes: Vec<_> = [0, 1, 5, 10_000].iter().map(|&n| data.take(n).unwrap()).collect();
            (data.count().unwrap(), takes, data.first().unwrap(), pairs.take(3).unwrap().len())
        },
        |input, (count, takes, first, few)| {
            assert_eq!(count, input.len() as u64);
            for (take, n) in takes.iter().zip([0, 1, 5, 10_000]) {
                assert_eq!(take, &input[..n.min(input.len())]);
            }
            assert_eq!(first.as_ref(), input.first());
            assert_eq!(few, sums(input).len().min(3));
        },
    );
}

#[test]
fn fold_joins_in_order() {
    check(
        |data| data.fold(String::new(), |all, (key, _)| all + key.as_str(), |a, b| a + &b).unwrap(),
        |input, result| assert_eq!(result, input.iter().map(|(key, _)| key.as_str()).collect::<String>()),
    );
}

#[test]
fn for_each_sees_every_element_once() {
    use std::sync::{Arc, Mutex};
    check(
        |data| {
            let seen = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&seen);
            data.for_each(move |pair| sink.lock().unwrap().push(pair)).unwrap();
            let seen = seen.lock().unwrap().clone();
            sorted(seen)
        },
        |input, result| assert_eq!(result, sorted(input.to_vec())),
    );
}

#[test]
fn top_k() {
    check(
        |data| [0, 1, 3, 1000].map(|k| data.top_k(k, |(key, n)| (*n, key.clone())).collect().unwrap()),
        |input, results| {
            let mut model = input.to_vec();
            model.sort_by_key(|(key, n)| std::cmp::Reverse((*n, key.clone())));
            for (result, k) in results.iter().zip([0, 1, 3, 1000]) {
                assert_eq!(result, &model[..k.min(model.len())]);
            }
        },
    );
}

#[test]
fn top_k_of_every_order_of_five() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let orders = (0..3125u32).map(|n| [n % 5, n / 5 % 5, n / 25 % 5, n / 125 % 5, n / 625 % 5]);
    for order in orders.filter(|order| (0..5).all(|n| order.contains(&n))) {
        for k in 0..6 {
            let top = ctx.from_vec(order.to_vec()).top_k(k, |n| *n).collect().unwrap();
            assert_eq!(top, [4, 3, 2, 1, 0][..k.min(5)], "{order:?}");
        }
    }
}

#[test]
fn many_keys_are_the_same_on_any_number_of_threads() {
    // Enough keys for combiners to grow and to drive keys out, and enough splits for workers to keep some.
    let key =
        |n: u64| if n.is_multiple_of(3) { n % 100 } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 90_000 };
    let mut model = BTreeMap::new();
    (0..300_000).for_each(|n| *model.entry(key(n)).or_insert(0u64) += 1);
    let mut first = None;
    for threads in [1, 2, 3, 8] {
        let ctx = Context::builder().threads(threads).split_bytes(64 << 10).build().unwrap();
        let keys = ctx.from_vec((0..300_000u64).collect()).map(key);
        let counts = keys.count_by_value().collect().unwrap();
        let sums = keys.map(|key| (key, 1e9 / (key + 3) as f64)).reduce_by_key(|a, b| a + b);
        let bits = sums.map_values(f64::to_bits).collect().unwrap();
        assert_eq!(counts.iter().copied().collect::<BTreeMap<_, _>>(), model, "{threads} threads");
        assert_eq!(first.get_or_insert((counts.clone(), bits.clone())), &(counts, bits), "{threads} threads");
    }
}
