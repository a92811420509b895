//! Loops against plain ones, under all settings; and that what their rounds share is computed once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gristmill::prelude::*;
use gristmill::{Counter, ErrorKind};

use crate::harness::{check, sorted, sums};

fn context() -> Context {
    Context::builder().threads(2).chunk_rows(16).split_bytes(800).build().unwrap()
}

/// The same elements, counted when they are computed, whatever the run comes to.
fn watched<T: Data>(data: &Dataset<T>) -> (Dataset<T>, Arc<AtomicU64>) {
    let computed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&computed);
    let data = data.inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    (data, computed)
}

fn counted<T: Data>(data: &Dataset<T>, counter: &Counter) -> Dataset<T> {
    let counter = counter.clone();
    data.inspect(move |_| counter.increment())
}

#[test]
fn rounds_of_narrow_operators_keep_the_order() {
    check(
        |data| {
            let halved = data.iterate(3, |state| state.filter(|(_, n)| n % 2 == 0).map_values(|n| n / 2));
            halved.collect().unwrap()
        },
        |input, result| {
            let halves = input.iter().filter(|(_, n)| n % 8 == 0).map(|(key, n)| (key.clone(), n / 8));
            assert_eq!(result, halves.collect::<Vec<_>>());
        },
    );
}

#[test]
fn no_round_and_one_round() {
    check(
        |data| {
            let doubled = |rounds| data.iterate(rounds, |state| state.map_values(|n| 2 * n));
            (doubled(0).collect().unwrap(), doubled(1).collect().unwrap())
        },
        |input, (none, one)| {
            let doubled = input.iter().map(|(key, n)| (key.clone(), 2 * n));
            assert_eq!((none, one), (input.to_vec(), doubled.collect::<Vec<_>>()));
        },
    );
}

/// One round: every sum and what the input adds to it, modulo a prime.
fn grow(sums: &BTreeMap<Text, i64>, input: &[(Text, i64)]) -> BTreeMap<Text, i64> {
    let mut next: BTreeMap<Text, i64> = BTreeMap::new();
    for (key, n) in input {
        if let Some(sum) = sums.get(key) {
            *next.entry(key.clone()).or_default() += (3 * sum + n).rem_euclid(1009);
        }
    }
    next
}

#[test]
fn a_join_with_what_all_rounds_share() {
    check(
        |data| {
            let step = |(key, (sum, n)): (Text, (i64, i64))| (key, (3 * sum + n).rem_euclid(1009));
            let grown = data
                .reduce_by_key(|a, b| a + b)
                .iterate(2, |sums| sums.join(&data.map(|pair| pair)).map(step).reduce_by_key(|a, b| a + b));
            grown.collect().unwrap()
        },
        |input, result| {
            let first: BTreeMap<_, _> = sums(input).into_iter().collect();
            let model = (0..2).fold(first, |sums, _| grow(&sums, input));
            assert_eq!(sorted(result), model.into_iter().collect::<Vec<_>>());
        },
    );
}

/// Rounds until all are small, and how many that takes.
#[test]
fn a_condition_ends_the_loop() {
    check(
        |data| {
            let start = data.map_values(|n| (n, 0u64));
            let halved = start.iterate_until(
                100,
                |state| state.map_values(|(n, rounds)| (n / 2, rounds + 1)),
                |_, after| after.map(|(_, (n, _))| n.abs() < 10),
            );
            halved.collect().unwrap()
        },
        |input, result| {
            let mut model: Vec<_> = input.iter().map(|(key, n)| (key.clone(), (*n, 0u64))).collect();
            loop {
                for (_, (n, rounds)) in &mut model {
                    (*n, *rounds) = (*n / 2, *rounds + 1);
                }
                if model.iter().all(|(_, (n, _))| n.abs() < 10) {
                    break;
                }
            }
            assert_eq!(result, model);
        },
    );
}

/// Ends when a round takes no more than this from the sum.
const SMALL_CHANGE: i64 = 20_000;

#[test]
fn a_condition_may_compare_the_states_as_a_whole() {
    check(
        |data| {
            let until = |before: &Dataset<(Text, i64)>, after: &Dataset<(Text, i64)>| {
                let changes = before.union(&after.map_values(|n| -n)).map(|(_, n)| ((), n));
                changes.reduce_by_key(|a, b| a + b).map(|((), change)| change <= SMALL_CHANGE)
            };
            let positive = data.map_values(i64::abs);
            positive.iterate_until(50, |state| state.map_values(|n| n / 3), until).collect().unwrap()
        },
        |input, result| {
            let mut model: Vec<_> = input.iter().map(|(key, n)| (key.clone(), n.abs())).collect();
            loop {
                let before: i64 = model.iter().map(|(_, n)| n).sum();
                for (_, n) in &mut model {
                    *n /= 3;
                }
                if before - model.iter().map(|(_, n)| n).sum::<i64>() <= SMALL_CHANGE {
                    break;
                }
            }
            assert_eq!(result, model);
        },
    );
}

#[test]
fn a_loop_within_a_loop_and_one_after_another() {
    check(
        |data| {
            let data = data.filter(|(_, n)| n % 3 == 0);
            let signs = data.map_values(|n| n % 2).filter(|(_, n)| *n != 0);
            let outer = data.iterate(2, |state| {
                let shifted = state.map_values(|n| n + 1);
                let inner =
                    shifted.iterate(2, |inner| inner.map_values(|n| 2 * n).union(&shifted).union(&signs));
                inner.reduce_by_key(|a, b| (a + b).rem_euclid(1009))
            });
            let after = outer.iterate(2, |state| state.map_values(|n| n + 1));
            let both = data.context().run((after.to_vec(), outer.union(&after).to_count()));
            both.unwrap()
        },
        |input, (result, both)| {
            let mut state = input.to_vec();
            state.retain(|(_, n)| n % 3 == 0);
            let signs: Vec<_> =
                state.iter().map(|(key, n)| (key.clone(), n % 2)).filter(|(_, n)| *n != 0).collect();
            for _ in 0..2 {
                let shifted: Vec<_> = state.into_iter().map(|(key, n)| (key, n + 1)).collect();
                let mut inner = shifted.clone();
                for _ in 0..2 {
                    inner = inner.into_iter().map(|(key, n)| (key, 2 * n)).collect();
                    inner.extend(shifted.iter().chain(&signs).cloned());
                }
                let mut reduced: BTreeMap<Text, i64> = BTreeMap::new();
                for (key, n) in inner {
                    reduced.entry(key).and_modify(|sum| *sum = (*sum + n).rem_euclid(1009)).or_insert(n);
                }
                state = reduced.into_iter().collect();
            }
            for (_, n) in &mut state {
                *n += 2;
            }
            assert_eq!((sorted(result), both), (state.clone(), 2 * state.len() as u64));
        },
    );
}

#[test]
fn counters_count_every_round_once() {
    check(
        |data| {
            let ctx = data.context().clone();
            let [first, shared, rounds, tests] =
                ["first", "shared", "rounds", "tests"].map(|name| ctx.counter(name));
            let keys = counted(&data.map_values(|_| 0), &shared).distinct_by(|(key, _)| key.clone());
            let result = counted(data, &first).iterate_until(
                3,
                |state| counted(&state.union(&keys.filter(|_| false)), &rounds),
                |_, after| counted(after, &tests).map(|_| false),
            );
            let last = counted(&result, &ctx.counter("last"));
            ctx.run((last.to_count(), last.to_vec())).unwrap();
            ["first", "shared", "rounds", "tests", "last"].map(|name| ctx.counter(name).value())
        },
        |input, result| {
            let rows = input.len() as u64;
            let rounds = if rows == 0 { 1 } else { 3 };
            assert_eq!(result, [rows, rows, rounds * rows, rounds * rows, rows]);
        },
    );
}

#[test]
fn what_all_rounds_share_is_computed_once() {
    let ctx = context();
    let (links, computed) = watched(&ctx.range(0..1000).map(|n| (n % 100, n)));
    let (sums, steps) = watched(&links.reduce_by_key(|a, b| a + b));
    let result = sums.iterate(5, |state| {
        let next = state.join(&links).map(|(key, (sum, n))| (key, (sum + n) % 7));
        next.union(&links.filter(|_| false)).reduce_by_key(|a, b| a + b)
    });
    let both = ctx.run((result.to_count(), result.keys().to_vec(), sums.to_count(), links.to_count()));
    assert_eq!(both.unwrap().0, 100);
    assert_eq!((computed.load(Ordering::Relaxed), steps.load(Ordering::Relaxed)), (1000, 100));
    assert_eq!(ctx.budget().used_bytes(), 0, "the loop is over, and nothing is held");
    result.count().unwrap();
    assert_eq!(computed.load(Ordering::Relaxed), 2000, "another run computes it again");
}

#[test]
fn a_loop_that_two_need_runs_once() {
    let ctx = context();
    let rounds = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&rounds);
    let result = ctx.range(0..1).iterate(4, |state| {
        state.map(move |n| {
            seen.lock().unwrap().push(n);
            n + 1
        })
    });
    let twice = result.union(&result.map(|n| 10 * n));
    let (all, count) = ctx.run((twice.to_vec(), result.to_count())).unwrap();
    assert_eq!((all, count, rounds.lock().unwrap().as_slice()), (vec![4, 40], 1, &[0, 1, 2, 3][..]));
}

#[test]
fn caches_before_within_and_after_a_loop() {
    let ctx = context();
    let (numbers, computed) = watched(&ctx.range(0..10));
    let (before, (other, shared)) = (numbers.cache(), watched(&ctx.range(0..3).map(|n| 100 * n)));
    let other = other.cache();
    let (rounds, within) = (Arc::new(AtomicU64::new(0)), other.clone());
    let counter = Arc::clone(&rounds);
    let after = before.iterate(3, move |state| {
        // What depends on the state is cached for the round only.
        let next = state.map(move |n| n + counter.fetch_add(0, Ordering::Relaxed) + 1).cache();
        next.filter(|n| n % 2 == 0).union(&next.filter(|n| n % 2 == 1)).union(&within.filter(|_| false))
    });
    let after = after.cache();
    let model: Vec<u64> = (0..3).fold((0..10).collect(), |state, _| {
        let next = state.iter().map(|n| n + 1);
        next.clone().filter(|n| n % 2 == 0).chain(next.filter(|n| n % 2 == 1)).collect()
    });
    for _ in 0..2 {
        assert_eq!(after.collect().unwrap(), model);
        assert_eq!((before.count().unwrap(), other.count().unwrap()), (10, 3));
    }
    assert_eq!((computed.load(Ordering::Relaxed), shared.load(Ordering::Relaxed)), (10, 3));
}

#[test]
fn a_body_may_ignore_its_state_or_give_it_back() {
    let ctx = context();
    let numbers = ctx.range(0..5);
    assert_eq!(numbers.iterate(3, Dataset::clone).collect().unwrap(), [0, 1, 2, 3, 4]);
    assert_eq!(numbers.iterate(3, |_| ctx.range(7..9)).collect().unwrap(), [7, 8]);
    assert_eq!(numbers.iterate(3, |_| ctx.range(7..9).map(|n| n + 1)).collect().unwrap(), [8, 9]);
    let until = |_: &Dataset<u64>, _: &Dataset<u64>| ctx.range(0..1).map(|_| true);
    assert_eq!(numbers.iterate_until(3, |state| state.map(|n| n + 1), until).collect().unwrap()[0], 1);
}

#[test]
fn a_panic_in_the_third_round_names_operator_and_line() {
    let ctx = context();
    let passed = ctx.counter("passed");
    let seen = passed.clone();
    let line = line!() + 3;
    let failing = ctx.range(0..1000).iterate(5, |state| {
        let counted = state.inspect(move |_| seen.increment());
        counted.map(|n| if n == 999 + 2 { panic!("boom") } else { n + 1 })
    });
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let error = failing.collect().unwrap_err();
    std::panic::set_hook(hook);
    assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Panic, "map"));
    let place = format!("map at tests/every_op/loops.rs:{line}: the closure panicked: boom (row 999)");
    assert_eq!(error.to_string(), place);
    assert_eq!(passed.value(), 0, "a run that fails counts nothing");
    assert_eq!(ctx.budget().used_bytes(), 0);
    assert_eq!(ctx.range(0..10).count().unwrap(), 10);
}

#[test]
fn a_cancel_ends_a_loop() {
    let ctx = context();
    let token = ctx.cancel_token();
    let endless = ctx.range(0..100).iterate(usize::MAX, |state| {
        state.map(move |n| {
            if n == 1000 {
                token.cancel();
            }
            n + 1
        })
    });
    assert_eq!(endless.count().unwrap_err().kind(), ErrorKind::Canceled);
}

#[test]
fn a_state_is_there_in_its_rounds_only() {
    let ctx = context();
    let kept = Mutex::new(None);
    let result = ctx.range(0..3).iterate(2, |state| {
        assert_eq!(state.count().unwrap_err().kind(), ErrorKind::Config);
        let next = state.map(|n| n + 1);
        *kept.lock().unwrap() = Some(next.clone());
        next
    });
    assert_eq!(result.collect().unwrap(), [2, 3, 4]);
    let error = kept.into_inner().unwrap().unwrap().collect().unwrap_err();
    assert!(error.to_string().starts_with("collect at tests/every_op/loops.rs:"), "{error}");
    assert!(error.to_string().contains("the state of a loop"), "{error}");
}

#[test]
fn two_runs_of_one_loop_at_the_same_time() {
    let ctx = context();
    let result = ctx.range(0..100).iterate(20, |state| {
        let next = state.map(|n| n + 1).cache();
        next.union(&next.filter(|_| false))
    });
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| result.collect().unwrap())).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), (20..120).collect::<Vec<_>>());
        }
    });
}

#[test]
fn runs_that_fill_a_cache_of_a_loop_at_the_same_time() {
    let ctx = context();
    for _ in 0..50 {
        let first = ctx.range(0..10).iterate(2, |state| state.map(|n| n + 1));
        let cached = first.iterate(2, |state| state.map(|n| n + 1).union(&first.filter(|_| false))).cache();
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| cached.map(|n| n).collect().unwrap())).collect();
            for run in runs {
                assert_eq!(run.join().unwrap(), (4..14).collect::<Vec<_>>());
            }
        });
    }
}
