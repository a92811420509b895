//! Actions, and what is kept from one run to the next.

use crate::harness::{check, sorted, sums};

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
