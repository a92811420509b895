//! Chains and graphs of 10,000 nodes plan, run and drop on a small stack.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use gristmill::prelude::*;

/// Runs `job` on a thread with a stack of 256 KiB.
fn on_small_stack(job: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 10).spawn(job).unwrap();
    thread.join().unwrap();
}

#[test]
fn a_chain_of_ten_thousand_maps() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let chain = (0..10_000).fold(ctx.range(0..100), |data, _| data.map(|n| n + 1));
        assert!(chain.explain().contains("fuse: 10000 operators"));
        assert_eq!(chain.collect().unwrap(), (10_000..10_100).collect::<Vec<u64>>());
    });
}

#[test]
fn a_chain_of_ten_thousand_closures_that_may_fail() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let strict = (0..10_000).fold(ctx.range(0..100), |data, _| data.try_map(|n| Ok::<_, String>(n + 1)));
        assert_eq!(strict.count().unwrap(), 100);
        // Each step refuses the number that has its place.
        let tolerant = (0..2000u64).fold(ctx.range(0..2100), |data, step| {
            let kept = data.try_map(move |n| if n == step { Err("refused") } else { Ok(n) });
            kept.on_error(OnError::skip()).unwrap()
        });
        assert_eq!(tolerant.collect().unwrap(), (2000..2100).collect::<Vec<u64>>());
        assert_eq!(ctx.counter(OnError::BAD_RECORDS).value(), 2000);
    });
}

#[test]
fn a_union_of_five_thousand_sources() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let all = (1..5000).fold(ctx.range(0..1), |all, n| all.union(&ctx.range(n..n + 1)));
        assert_eq!(all.collect().unwrap(), (0..5000).collect::<Vec<u64>>());
    });
}

#[test]
fn a_ladder_of_unions_does_not_multiply_the_work() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        // Each rung divides the elements and joins them again: 2^2500 paths, but never more than 100 elements.
        let ladder = (0..2500u64).fold(ctx.range(0..100), |data, rung| {
            let side = move |n: &u64| n.wrapping_mul(rung + 1).is_multiple_of(3);
            data.filter(side).union(&data.filter(move |n| !side(n)))
        });
        let mut elements = ladder.collect().unwrap();
        elements.sort_unstable();
        assert_eq!(elements, (0..100).collect::<Vec<u64>>());
    });
}

#[test]
fn a_chain_of_two_hundred_exchanges() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let chain = (0..200).fold(ctx.range(0..100), |data, _| data.distinct().map(|n| n / 2 * 2));
        assert_eq!(chain.count().unwrap(), 50);
    });
}

#[test]
fn take_stops_reading_behind_a_cut_chain() {
    // Without fusion each operator is a segment of its own; the first split alone has 2^58 elements.
    let ctx = Context::builder().threads(2).rules(gristmill::config::Rules::NONE).build().unwrap();
    let numbers = ctx.range(0..u64::MAX).map(|n| n + 1).filter(|n| n % 2 == 0);
    assert_eq!(numbers.take(2).unwrap(), [2, 4]);
}

#[test]
fn a_chain_of_loops() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let add = |data: Dataset<u64>, _| {
            let before = data.clone();
            data.iterate(2, move |state| state.map(|n| n + 1).union(&before.filter(|_| false)))
        };
        let chain = (0..100).fold(ctx.range(0..2), add);
        assert_eq!(chain.collect().unwrap(), [200, 201]);
        assert_eq!((0..2000).fold(ctx.range(0..2), add).explain().matches("Each round of").count(), 2000);
    });
}

#[test]
fn a_chain_of_joins_with_small_sides() {
    on_small_stack(|| {
        let ctx = Context::builder().threads(2).build().unwrap();
        let chain = (0..1000u64).fold(ctx.range(0..10).map(|n| (n % 2, n)), |data, n| {
            data.join(&ctx.from_vec(vec![(0, n)])).map_values(|(sum, n)| sum + n)
        });
        let sum: u64 = (0..1000).sum();
        assert_eq!(chain.values().collect().unwrap(), [0, 2, 4, 6, 8].map(|n| n + sum));
    });
}
