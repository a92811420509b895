//! Statistics, exact and approximate.

use std::collections::BTreeSet;

use gristmill::prelude::*;
use gristmill::{ErrorKind, Stats, Total};

use crate::harness::{check, inputs};

fn floats(data: &Dataset<(Text, i64)>) -> Dataset<f64> {
    data.map(|(_, n)| n as f64 / 8.0 + 1e6)
}

fn model_floats(input: &[(Text, i64)]) -> Vec<f64> {
    input.iter().map(|(_, n)| *n as f64 / 8.0 + 1e6).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

#[test]
fn stats() {
    check(
        |data| floats(data).stats().unwrap(),
        |input, stats| {
            let numbers = model_floats(input);
            let (count, sum) = (numbers.len() as f64, numbers.iter().sum::<f64>());
            assert_eq!(stats.count(), numbers.len() as u64);
            assert!(close(stats.sum(), sum));
            assert_eq!(stats.min(), numbers.iter().copied().min_by(f64::total_cmp));
            assert_eq!(stats.max(), numbers.iter().copied().max_by(f64::total_cmp));
            assert_eq!(stats.mean().is_some(), !numbers.is_empty());
            assert_eq!(stats.sample_variance().is_some(), numbers.len() > 1);
            let squares: f64 = numbers.iter().map(|number| (number - sum / count).powi(2)).sum();
            let pairs = [
                (stats.mean(), sum / count),
                (stats.variance(), squares / count),
                (stats.std_dev(), (squares / count).sqrt()),
                (stats.sample_variance(), squares / (count - 1.0)),
                (stats.sample_std_dev(), (squares / (count - 1.0)).sqrt()),
            ];
            for (figure, model) in pairs {
                assert!(figure.is_none_or(|figure| close(figure, model)), "{figure:?} is not {model}");
            }
        },
    );
}

#[test]
fn stats_of_what_is_no_ordinary_number() {
    let ctx = Context::builder().threads(2).split_bytes(8).build().unwrap();
    let stats = |numbers: &[f64]| -> Stats { ctx.from_vec(numbers.to_vec()).stats().unwrap() };
    for numbers in [[1.0, f64::NAN, 3.0], [f64::NAN, 2.0, 3.0], [1.0, 2.0, f64::NAN]] {
        let stats = stats(&numbers);
        let figures = [stats.min(), stats.max(), stats.mean(), stats.variance(), Some(stats.sum())];
        assert!(figures.iter().flatten().all(|figure| figure.is_nan()), "{stats:?}");
        assert_eq!(stats.count(), 3);
    }
    let infinite = stats(&[1.0, f64::INFINITY]);
    assert_eq!((infinite.min(), infinite.max()), (Some(1.0), Some(f64::INFINITY)));
    assert_eq!((infinite.sum(), infinite.mean()), (f64::INFINITY, Some(f64::INFINITY)));
    assert!(infinite.variance().is_some_and(f64::is_nan));
    // Of any type that becomes a float; and a large mean costs no digits of a small variance.
    assert_eq!(ctx.from_vec(vec![1u8, 2, 6]).stats().unwrap().mean(), Some(3.0));
    assert_eq!(stats(&[1e9, 1e9 + 1.0, 1e9 + 2.0]).sample_variance(), Some(1.0));
}

#[test]
fn histogram() {
    let boundaries = [-250.0, -100.5, 0.0, 7.0, 499.0];
    check(
        move |data| data.map(|(_, n)| n as f64).histogram(&boundaries).unwrap(),
        move |input, histogram| {
            let count =
                |accept: &dyn Fn(f64) -> bool| input.iter().filter(|(_, n)| accept(*n as f64)).count() as u64;
            let buckets: Vec<u64> = (0..4)
                .map(|i| count(&|n| boundaries[i] <= n && (n < boundaries[i + 1] || i == 3 && n <= 499.0)))
                .collect();
            assert_eq!(histogram.counts(), buckets);
            assert_eq!(histogram.boundaries(), boundaries);
            assert_eq!(histogram.below(), count(&|n| n < -250.0));
            assert_eq!((histogram.above(), histogram.nan()), (count(&|n| n > 499.0), 0));
        },
    );
}

#[test]
fn the_edges_of_a_histogram() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let data = ctx.from_vec(vec![0.0, -0.0, 1.0, 2.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let (narrow, wide) = ctx
        .run((data.to_histogram(&[0.0, 1.0, 2.0]), data.to_histogram(&[f64::NEG_INFINITY, f64::INFINITY])))
        .unwrap();
    assert_eq!((narrow.counts(), narrow.below(), narrow.above(), narrow.nan()), (&[2, 2][..], 1, 1, 1));
    assert_eq!((wide.counts(), wide.below(), wide.above(), wide.nan()), (&[6][..], 0, 0, 1));
    let bad: [&[f64]; 5] = [&[], &[1.0], &[1.0, 1.0], &[2.0, 1.0], &[0.0, f64::NAN]];
    for boundaries in bad {
        let error = data.histogram(boundaries).unwrap_err();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "histogram"));
        assert_eq!(data.to_histogram(boundaries).run().unwrap_err().kind(), ErrorKind::Config);
    }
}

#[test]
fn approx_distinct_of_small_numbers_is_exact() {
    check(
        |data| {
            let keys = data.keys();
            data.context().run((keys.to_approx_distinct(), data.to_approx_distinct())).unwrap()
        },
        |input, result| {
            let keys: BTreeSet<&Text> = input.iter().map(|(key, _)| key).collect();
            let pairs: BTreeSet<&(Text, i64)> = input.iter().collect();
            assert_eq!(result, (keys.len() as u64, pairs.len() as u64));
        },
    );
}

#[test]
fn approx_distinct_depends_on_the_set_alone() {
    let mut estimates = BTreeSet::new();
    for (threads, split_bytes) in [(1, 1 << 30), (2, 8 << 14), (8, 8 << 10)] {
        let ctx = Context::builder().threads(threads).split_bytes(split_bytes).build().unwrap();
        let up = ctx.range(0..200_000);
        let down = up.map(|n| 199_999 - n);
        estimates.extend([up.approx_distinct().unwrap(), down.union(&up).approx_distinct().unwrap()]);
    }
    assert_eq!(estimates.len(), 1, "{estimates:?}");
    assert!(estimates.iter().all(|estimate| (195_000..205_000).contains(estimate)), "{estimates:?}");
}

#[test]
fn approx_quantile_is_close() {
    let shares = [0.5, 0.0, 1.0, 0.01, 0.25, 0.999];
    check(
        move |data| floats(data).approx_quantile(&shares).unwrap(),
        move |input, result| {
            let numbers = model_floats(input);
            let count = |accept: &dyn Fn(f64) -> bool| numbers.iter().filter(|n| accept(**n)).count() as f64;
            assert_eq!(result.is_some(), !numbers.is_empty());
            for (share, quantile) in shares.into_iter().zip(result.into_iter().flatten()) {
                let (place, slack) = (share * numbers.len() as f64, 1.0 + 0.02 * numbers.len() as f64);
                let (below, up_to) = (count(&|n| n < quantile), count(&|n| n <= quantile));
                assert!(below <= place + slack && up_to >= place - slack, "{share}: {quantile}");
            }
        },
    );
}

#[test]
fn quantiles_of_many_numbers_and_of_infinities() {
    let mut first = None;
    for threads in [1, 2, 8] {
        let ctx = Context::builder().threads(threads).split_bytes(8 << 12).build().unwrap();
        let numbers = ctx.range(0..300_000).map(|n| (n.wrapping_mul(7_919) % 300_000) as f64);
        let quantiles = numbers.approx_quantile(&[0.0, 0.001, 0.3, 0.5, 0.9999, 1.0]).unwrap().unwrap();
        for (quantile, share) in quantiles.iter().zip([0.0, 0.001, 0.3, 0.5, 0.9999, 1.0]) {
            assert!((quantile - share * 300_000.0).abs() < 1_500.0, "{share}: {quantile}");
        }
        let bits: Vec<u64> = quantiles.into_iter().map(f64::to_bits).collect();
        assert_eq!(first.get_or_insert(bits.clone()), &bits, "{threads} threads");
    }
    let ctx = Context::builder().threads(1).build().unwrap();
    let (minus, plus) = (f64::NEG_INFINITY, f64::INFINITY);
    let quantiles = |numbers: Vec<f64>| ctx.from_vec(numbers).approx_quantile(&[0.0, 0.5, 1.0]).unwrap();
    assert_eq!(quantiles(vec![plus, 5.0, f64::NAN, minus, 5.0]), Some(vec![minus, 5.0, plus]));
    assert_eq!(quantiles(vec![minus, minus, plus]), Some(vec![minus, minus, plus]));
    assert_eq!(quantiles(vec![f64::NAN]), None);
    for share in [-0.1, 1.1, f64::NAN] {
        let error = ctx.from_vec(vec![Total(1.0)]).approx_quantile(&[0.5, share]).unwrap_err();
        assert_eq!((error.kind(), error.call().unwrap().operator), (ErrorKind::Config, "approx_quantile"));
    }
}

#[test]
fn a_refused_output_stops_the_others_before_they_run() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let counter = ctx.counter("seen");
    let seen = counter.clone();
    let data =
        ctx.from_vec(inputs().swap_remove(2).1).map(|(_, n)| n as f64).inspect(move |_| seen.increment());
    assert!(ctx.run((data.to_stats(), data.to_approx_quantile(&[2.0]))).is_err());
    assert_eq!(counter.value(), 0);
}
