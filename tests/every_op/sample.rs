//! `sample` and `random_split`: the same elements under all settings, in the right proportions, independently.

use std::collections::BTreeSet;

use gristmill::ErrorKind;
use gristmill::prelude::*;

use crate::harness::{check, sorted};

/// Whether a count is what chance makes of `rows` with a probability: within five standard deviations.
fn is_likely(count: usize, rows: usize, probability: f64) -> bool {
    let expected = rows as f64 * probability;
    (count as f64 - expected).abs() <= 5.0 * (expected * (1.0 - probability)).sqrt()
}

#[test]
fn a_sample_is_a_part_of_the_input_in_its_order() {
    check(
        |data| {
            let numbered = data.values();
            [0.0, 0.2, 0.5, 1.0].map(|fraction| numbered.sample(fraction, 3).unwrap().collect().unwrap())
        },
        |input, samples| {
            let rows: Vec<i64> = input.iter().map(|(_, n)| *n).collect();
            assert_eq!((samples[0].len(), &samples[3]), (0, &rows));
            // What a smaller fraction takes, a larger one does, too.
            for pair in samples.windows(2) {
                let mut larger = pair[1].iter();
                assert!(pair[0].iter().all(|n| larger.any(|other| other == n)));
            }
            assert!(is_likely(samples[1].len(), rows.len(), 0.2), "{} of {}", samples[1].len(), rows.len());
            assert!(is_likely(samples[2].len(), rows.len(), 0.5), "{} of {}", samples[2].len(), rows.len());
        },
    );
}

#[test]
fn a_sample_behind_an_exchange_and_a_filter() {
    check(
        |data| {
            let sums = data.reduce_by_key(|a, b| a + b);
            sums.filter(|(_, n)| *n != 0).sample(0.5, 9).unwrap().collect().unwrap()
        },
        |input, sample| {
            let keys: BTreeSet<&Text> = input.iter().map(|(key, _)| key).collect();
            assert!(sample.iter().all(|(key, _)| keys.contains(key)));
        },
    );
}

#[test]
fn what_a_union_brings_twice_is_taken_twice() {
    check(
        |data| data.union(data).sample(0.5, 4).unwrap().collect().unwrap(),
        |_, both| {
            let (one, other) = both.split_at(both.len() / 2);
            assert_eq!(one, other);
        },
    );
}

#[test]
fn a_split_gives_each_element_to_one_part() {
    let weights = [1.0, 0.0, 3.0, 4.0, 0.0];
    check(
        move |data| {
            let parts = data.random_split(&weights, 11).unwrap();
            assert_eq!(parts.len(), weights.len());
            let outputs = (parts[0].to_vec(), parts[1].to_vec(), parts[2].to_vec(), parts[3].to_vec());
            let (first, none, third, fourth) = data.context().run(outputs).unwrap();
            vec![first, none, third, fourth, parts[4].collect().unwrap()]
        },
        move |input, parts| {
            for (part, weight) in parts.iter().zip(weights) {
                assert!(is_likely(part.len(), input.len(), weight / 8.0), "{} for {weight}", part.len());
            }
            assert_eq!(sorted(parts.concat()), sorted(input.to_vec()));
        },
    );
}

#[test]
fn seeds_splits_and_sides_of_a_union_draw_independently() {
    let ctx = Context::builder().threads(2).split_bytes(8 * 500).build().unwrap();
    let rows = 20_000;
    let taken = |data: Dataset<u64>| data.collect().unwrap().into_iter().collect::<BTreeSet<u64>>();
    let numbers = ctx.range(0..rows);
    let (one, two) = (taken(numbers.sample(0.5, 1).unwrap()), taken(numbers.sample(0.5, 2).unwrap()));
    let quarter = |common: usize| is_likely(common, rows as usize, 0.25);
    assert!(quarter(one.intersection(&two).count()), "two seeds");
    let shifted: BTreeSet<u64> = one.iter().map(|n| (n + 500) % rows).collect();
    assert!(quarter(one.intersection(&shifted).count()), "one split and the next");
    let other = ctx.range(0..rows).map(move |n| n + rows);
    let both = taken(numbers.union(&other).sample(0.5, 1).unwrap());
    let side = |from: u64| both.range(from..from + rows).map(|n| n - from).collect::<BTreeSet<u64>>();
    assert!(quarter(side(0).intersection(&side(rows)).count()), "both sides of a union");
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let data = ctx.range(0..10);
    for fraction in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = data.sample(fraction, 0).err().unwrap();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "sample"));
        assert!(error.to_string().contains("give a number from 0 to 1"), "{error}");
    }
    let bad: [&[f64]; 6] =
        [&[], &[0.0, 0.0], &[1.0, -1.0], &[1.0, f64::NAN], &[f64::INFINITY], &[f64::MAX, f64::MAX]];
    for weights in bad {
        let error = data.random_split(weights, 0).err().unwrap();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "random_split"));
    }
}

/// What a loop shares with the rest of a run is held, and comes in other splits from there.
#[test]
fn a_loop_that_reads_one_part_does_not_change_the_other() {
    const ROWS: u64 = 100_000;
    let ctx = Context::builder().threads(2).split_bytes(1000).build().unwrap();
    let data = ctx.range(0..ROWS).filter(|n| n % 3 != 1).map(|n| (n % 10, n));
    let parts = data.random_split(&[1.0, 1.0], 7).unwrap();
    let sample = data.sample(0.5, 3).unwrap();
    let (alone, sampled) = ctx.run((parts[1].to_vec(), sample.to_vec())).unwrap();
    let shared = parts[0].clone();
    let start = ctx.from_vec(vec![(u64::MAX, 0)]);
    let state = start.iterate(2, move |state| state.union(&shared).map(|row| row).distinct());
    let (first, second, third) = ctx.run((state.to_vec(), parts[1].to_vec(), sample.to_vec())).unwrap();
    assert_eq!(second, alone);
    assert_eq!(third, sampled);
    let mut all: Vec<u64> =
        first.iter().filter(|row| row.0 < u64::MAX).chain(&second).map(|row| row.1).collect();
    all.sort_unstable();
    assert!(all == (0..ROWS).filter(|n| n % 3 != 1).collect::<Vec<_>>(), "each element is in one part");
}
