//! Operators that exchange: aggregates by key and what is derived from them.

use std::collections::BTreeMap;

use gristmill::ErrorKind;
use gristmill::config::Rules;
use gristmill::prelude::*;

use crate::harness::{check, inputs, sorted, sums};

/// The values of each key, in order.
fn lists(input: &[(Text, i64)]) -> Vec<(Text, Vec<i64>)> {
    let mut lists: BTreeMap<Text, Vec<i64>> = BTreeMap::new();
    for (key, n) in input {
        lists.entry(key.clone()).or_default().push(*n);
    }
    lists.into_iter().collect()
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
            assert_eq!(sorted(result), lists(input));
        },
    );
}

#[test]
fn sums_of_floats_are_equal_to_the_bit() {
    // The model of a float sum depends on the splits; what is checked is that nothing else changes it. Without the
    // combine rule the additions are grouped in another way, so that only the other rules are compared.
    let rules = [Rules::ALL, Rules { combine: true, ..Rules::NONE }];
    for (name, input) in inputs() {
        let mut first = None;
        for threads in [1, 2, 3, 8] {
            for (chunk_rows, rules, memory) in
                [(1, rules[0], 1 << 30), (3, rules[1], 8 << 10), (1024, rules[0], 2 << 10)]
            {
                let builder = Context::builder().threads(threads).chunk_rows(chunk_rows).rules(rules);
                let ctx = builder.split_bytes(2000).memory_bytes(memory).build().unwrap();
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
fn many_keys_are_the_same_on_any_number_of_threads_and_with_any_memory() {
    // Enough keys for combiners to grow and to drive keys out, and enough splits for workers to keep some.
    let key =
        |n: u64| if n.is_multiple_of(3) { n % 100 } else { n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 90_000 };
    let mut model = BTreeMap::new();
    (0..300_000).for_each(|n| *model.entry(key(n)).or_insert(0u64) += 1);
    let mut first = None;
    for (threads, memory) in [(1, u64::MAX), (2, 600 << 10), (3, 300 << 10), (8, u64::MAX), (8, 20 << 10)] {
        let ctx =
            Context::builder().threads(threads).memory_bytes(memory).split_bytes(64 << 10).build().unwrap();
        let keys = ctx.from_vec((0..300_000u64).collect()).map(key);
        let counts = keys.count_by_value().collect().unwrap();
        let sums = keys.map(|key| (key, 1e9 / (key + 3) as f64)).reduce_by_key(|a, b| a + b);
        let bits = sums.map_values(f64::to_bits).collect().unwrap();
        assert_eq!(ctx.spilled_bytes() > 0, memory < u64::MAX, "{threads} threads, {memory} bytes");
        assert_eq!(counts.iter().copied().collect::<BTreeMap<_, _>>(), model, "{threads} threads");
        let same = first.get_or_insert((counts.clone(), bits.clone())) == &(counts, bits);
        assert!(same, "{threads} threads, {memory} bytes");
    }
}

#[test]
fn top_k() {
    check(
        |data| [0, 1, 3, 60].map(|k| data.top_k(k, |(key, n)| (*n, key.clone())).collect().unwrap()),
        |input, results| {
            let mut model = input.to_vec();
            model.sort_by_key(|(key, n)| std::cmp::Reverse((*n, key.clone())));
            for (result, k) in results.iter().zip([0, 1, 3, 60]) {
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
fn aggregate_by_key_is_fold_by_key() {
    check(
        |data| {
            let list = |mut list: Vec<i64>, n: i64| {
                list.push(n);
                list
            };
            let folded = data.fold_by_key(Vec::new(), list, |a, b| [a, b].concat());
            let aggregated = data.aggregate_by_key(Vec::new(), list, |a, b| [a, b].concat());
            let (folded, aggregated) = data.context().run((folded.to_vec(), aggregated.to_vec())).unwrap();
            assert_eq!(folded, aggregated);
            aggregated
        },
        |input, result| assert_eq!(sorted(result), lists(input)),
    );
}

#[test]
fn combine_by_key_keeps_the_order_of_values() {
    check(
        |data| {
            let add = |mut list: Vec<i64>, n| {
                list.push(n);
                list
            };
            data.combine_by_key(|n| vec![n], add, |a, b| [a, b].concat()).collect().unwrap()
        },
        |input, result| assert_eq!(sorted(result), lists(input)),
    );
}

#[test]
fn combine_by_key_with_states_that_may_be_null() {
    // The last value of a key, where it is positive.
    let positive = |n: i64| (n > 0).then_some(n);
    check(
        move |data| data.combine_by_key(positive, move |_, n| positive(n), |_, b| b).collect().unwrap(),
        move |input, result| {
            let lasts: BTreeMap<Text, Option<i64>> =
                input.iter().map(|(key, n)| (key.clone(), positive(*n))).collect();
            assert_eq!(sorted(result), lasts.into_iter().collect::<Vec<_>>());
        },
    );
}

#[test]
fn count_by_key() {
    check(
        |data| data.count_by_key().collect().unwrap(),
        |input, result| {
            let counts: Vec<(Text, u64)> =
                lists(input).into_iter().map(|(key, values)| (key, values.len() as u64)).collect();
            assert_eq!(sorted(result), counts);
        },
    );
}

#[test]
fn top_k_by_key() {
    check(
        |data| {
            // Many values are equal by `f`, so that the order of the input decides.
            [0, 1, 3, 1000].map(|k| data.top_k_by_key(k, |n| n % 7).collect().unwrap())
        },
        |input, results| {
            for (result, k) in results.into_iter().zip([0, 1, 3, 1000]) {
                let mut model = lists(input);
                for (_, values) in &mut model {
                    values.sort_by_key(|n| std::cmp::Reverse(n % 7));
                    values.truncate(k);
                }
                assert_eq!(sorted(result), model, "{k}");
            }
        },
    );
}

#[test]
fn windows_by_key() {
    // Many values are equal by the order, so that the order of the input decides.
    let (sizes, steps) = ([1, 2, 3, 50], [1, 2, 5]);
    let of_each = move || sizes.into_iter().flat_map(move |size| steps.map(move |step| (size, step)));
    check(
        move |data| {
            let windows = |(size, step)| data.windows_by_key(size, step, |n| n % 7).collect().unwrap();
            of_each().map(windows).collect::<Vec<_>>()
        },
        move |input, results| {
            for ((size, step), result) in of_each().zip(results) {
                let mut model = BTreeMap::new();
                for (key, mut values) in lists(input) {
                    values.sort_by_key(|n| n % 7);
                    let windows =
                        (0..values.len()).step_by(step).filter(|start| start + size <= values.len());
                    let windows: Vec<_> = windows.map(|start| values[start..start + size].to_vec()).collect();
                    model.insert(key, windows);
                }
                model.retain(|_, windows| !windows.is_empty());
                let mut windows: BTreeMap<Text, Vec<Vec<i64>>> = BTreeMap::new();
                for (key, window) in result {
                    windows.entry(key).or_default().push(window);
                }
                assert_eq!(windows, model, "{size} by {step}");
            }
        },
    );
}

#[test]
fn windows_of_nothing_are_of_one() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let data = ctx.from_vec(vec![(1, 2), (1, 1)]);
    assert_eq!(data.windows_by_key(0, 0, |n| *n).collect().unwrap(), [(1, vec![1]), (1, vec![2])]);
}

#[test]
fn windows_of_a_key_that_exceeds_the_memory_are_an_error() {
    let ctx = Context::builder().threads(2).memory_bytes(64 << 10).build().unwrap();
    let values = |keys| ctx.range(0..100_000).map(move |n| (n % keys, n));
    let error = values(1).windows_by_key(3, 1, |n| *n).count().unwrap_err();
    assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Memory, "windows_by_key"));
    assert!(error.to_string().contains("all values of one key"), "{error}");
    assert_eq!(values(1000).windows_by_key(3, 1, |n| *n).count().unwrap(), 1000 * 98);
    assert!(ctx.spilled_bytes() > 0);
}

#[test]
fn a_panic_of_the_order_names_the_call() {
    let ctx = Context::builder().threads(2).build().unwrap();
    let data = ctx.range(0..100).map(|n| (n % 3, n));
    let line = line!() + 1;
    let windows = data.windows_by_key(3, 1, |n| assert!(*n != 50, "boom"));
    let error = windows.count().unwrap_err();
    assert_eq!((error.kind(), error.call().unwrap().location.line()), (ErrorKind::Panic, line));
    assert!(error.to_string().contains("boom"), "{error}");
}
