//! Narrow operators and unions.

use gristmill::prelude::*;

use crate::harness::{check, sorted};

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
fn map_partitions_sees_every_element_in_order() {
    check(
        |data| data.map_partitions(|part| part.into_iter().rev().collect::<Vec<_>>()).collect().unwrap(),
        |input, result| assert_eq!(sorted(result), sorted(input.to_vec())),
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
fn what_closures_refuse_is_left_out_and_counts_once() {
    check(
        |data| {
            let bad = data.context().counter(OnError::BAD_RECORDS);
            let small = data.try_map(|(_, n)| u8::try_from(n)).on_error(OnError::skip()).unwrap();
            let twice = data.try_flat_map(|(_, n)| i8::try_from(n).map(|n| [n; 2]));
            let twice = twice.on_error(OnError::skip().max_share(1.0)).unwrap();
            let both = small.map(i64::from).union(&twice.map(i64::from));
            let found = data.context().run((both.to_vec(), small.to_count(), twice.to_count())).unwrap();
            (found, bad.value())
        },
        |input, ((both, small, twice), bad)| {
            let numbers = || input.iter().map(|(_, n)| *n);
            let small_model = numbers().filter(|n| u8::try_from(*n).is_ok());
            let twice_model = numbers().filter(|n| i8::try_from(*n).is_ok()).flat_map(|n| [n; 2]);
            let model: Vec<i64> = small_model.clone().chain(twice_model.clone()).collect();
            assert_eq!((small, twice), (small_model.count() as u64, twice_model.count() as u64));
            assert_eq!(bad, 2 * input.len() as u64 - small - twice / 2);
            assert_eq!(both, model);
        },
    );
}
