//! What is held between pipelines, in memory and on disk, against plain models: caches, other divisions, loops.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill::prelude::*;

const UNLIMITED: u64 = u64::MAX;

/// What must not change any result.
#[derive(Debug, Clone, Copy)]
struct Setting {
    threads: usize,
    chunk_rows: usize,
    memory_bytes: u64,
}

fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for threads in [1, 2, 8] {
        for chunk_rows in [1, 3, 1024] {
            for memory_bytes in [UNLIMITED, 4 << 10, 64 << 10] {
                settings.push(Setting { threads, chunk_rows, memory_bytes });
            }
        }
    }
    settings
}

fn context(setting: Setting, split_bytes: u64) -> Context {
    Context::builder()
        .threads(setting.threads)
        .chunk_rows(setting.chunk_rows)
        .memory_bytes(setting.memory_bytes)
        .split_bytes(split_bytes)
        .build()
        .unwrap()
}

fn few() -> Context {
    context(Setting { threads: 2, chunk_rows: 100, memory_bytes: 4 << 10 }, 8 * 100)
}

type Row = (Text, i64);

fn inputs() -> Vec<(&'static str, Vec<Row>)> {
    let mut state = 11u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut rows = |keys: u64, count: usize| -> Vec<Row> {
        let long = "a key that is too long to stand inline: ";
        let key = |key: u64| if key.is_multiple_of(5) { format!("{long}{key}") } else { format!("k{key}") };
        (0..count)
            .map(|_| (Text::from(key(random() % keys)), (random() % 1000).cast_signed() - 500))
            .collect()
    };
    vec![
        ("none", Vec::new()),
        ("one", rows(1, 1)),
        ("equal", rows(1, 300)),
        ("random", rows(u64::MAX, 500)),
        ("skewed", rows(3, 300).into_iter().chain(rows(1000, 100)).collect()),
    ]
}

/// Runs `job` on every input, in 1, 7 and 64 splits, under every setting; compares with `model`, and all settings of one
/// division into splits with each other, to the order.
fn check<R, F, M>(job: F, model: M)
where
    R: PartialEq + Clone + std::fmt::Debug,
    F: Fn(&Dataset<Row>) -> R,
    M: Fn(&[Row], R),
{
    for (name, input) in inputs() {
        for splits in [1, 7, 64] {
            let split_bytes = (input.len().div_ceil(splits).max(1) * size_of::<Row>()) as u64;
            let mut first: Option<R> = None;
            for setting in settings() {
                let result = job(&context(setting, split_bytes).from_vec(input.clone()));
                match &first {
                    None => model(&input, result.clone()),
                    Some(first) => assert_eq!(&result, first, "{name}, {splits} splits, {setting:?}"),
                }
                first.get_or_insert(result);
            }
        }
    }
}

/// Multiplies some rows, so that the sizes of partitions differ.
fn uneven(data: &Dataset<Row>) -> Dataset<Row> {
    data.flat_map(|row| vec![row.clone(); row.1.rem_euclid(4) as usize])
}

fn uneven_model(input: &[Row]) -> Vec<Row> {
    input.iter().flat_map(|row| vec![row.clone(); row.1.rem_euclid(4) as usize]).collect()
}

#[test]
fn a_cache_gives_the_same_elements_again() {
    check(
        |data| {
            let cached = uneven(data).cache();
            let first = cached.collect().unwrap();
            let two = (cached.to_vec(), cached.filter(|(_, n)| n % 2 == 0).to_count());
            let (second, even) = data.context().run(two).unwrap();
            assert_eq!(first, second);
            (first, even)
        },
        |input, (all, even)| {
            assert_eq!(even, uneven_model(input).iter().filter(|(_, n)| n % 2 == 0).count() as u64);
            assert_eq!(all, uneven_model(input));
        },
    );
}

#[test]
fn numbers_follow_the_order_of_the_input() {
    check(
        |data| {
            let data = uneven(data);
            data.context().run((data.zip_with_index().to_vec(), data.enumerate().to_vec())).unwrap()
        },
        |input, (zipped, enumerated)| {
            let model = uneven_model(input);
            assert!(enumerated.into_iter().eq((0..).zip(model.clone())));
            assert!(zipped.into_iter().eq(model.into_iter().zip(0..)));
        },
    );
}

#[test]
fn repartition_makes_partitions_of_equal_size() {
    check(
        |data| {
            [1, 3, 64, 1000].map(|n| {
                let parts = uneven(data).repartition(n).map_partitions(|part| [part]).collect().unwrap();
                assert_eq!(parts.len(), n);
                parts
            })
        },
        |input, results| {
            let model = uneven_model(input);
            for (parts, n) in results.into_iter().zip([1, 3, 64, 1000]) {
                let least = model.len() / n;
                assert!(parts.iter().all(|part| [least, least + 1].contains(&part.len())));
                assert_eq!(parts.concat(), model);
            }
        },
    );
}

#[test]
fn coalesce_joins_neighbours() {
    check(
        |data| {
            [0, 1, 3, 100].map(|n| {
                let parts = uneven(data).coalesce(n).map_partitions(|part| [part]).collect().unwrap();
                assert!(parts.len() <= n.max(1));
                parts
            })
        },
        |input, results| results.iter().for_each(|parts| assert_eq!(parts.concat(), uneven_model(input))),
    );
}

#[test]
fn coalesce_never_cuts_what_one_task_left() {
    let parts = few().range(0..1000).coalesce(3).map_partitions(|part| [part.len()]).collect().unwrap();
    assert_eq!(parts, [400, 400, 200]);
}

#[test]
fn divisions_follow_each_other_and_meet_in_unions() {
    check(
        |data| {
            let divided = uneven(data).repartition(5).zip_with_index().coalesce(2).repartition(3);
            let twice = divided.union(&divided.map(|(row, n)| (row, n + 1)));
            (divided.collect().unwrap(), twice.count().unwrap())
        },
        |input, (numbered, twice)| {
            assert_eq!(twice, 2 * numbered.len() as u64);
            assert!(numbered.into_iter().eq(uneven_model(input).into_iter().zip(0..)));
        },
    );
}

#[test]
fn whoever_has_enough_does_not_read_on() {
    let ctx = few();
    for n in [0, 1, 150, 100_000] {
        assert_eq!(ctx.range(0..10_000).repartition(7).take(n).unwrap().len(), n.min(10_000));
        assert_eq!(ctx.range(0..10_000).cache().take(n).unwrap().len(), n.min(10_000));
    }
}

#[test]
fn a_cache_beyond_the_memory_limit_is_read_from_disk_again_and_again() {
    let ctx = few();
    let computed = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&computed);
    let long = |n: u64| Text::from(format!("a text that is too long to stand inline {n}"));
    let cached = ctx
        .range(0..5000)
        .inspect(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
        })
        .map(long)
        .cache();
    let model: Vec<Text> = (0..5000).map(long).collect();
    for _ in 0..3 {
        assert_eq!(cached.collect().unwrap(), model);
    }
    assert_eq!(computed.load(Ordering::Relaxed), 5000);
    assert!(ctx.spilled_bytes() > 1000);
}

#[test]
fn a_cache_makes_room_for_what_needs_the_memory() {
    let ctx = context(Setting { threads: 2, chunk_rows: 100, memory_bytes: 1 << 20 }, 8 * 1000);
    let cached = ctx.range(0..60_000).cache();
    assert_eq!(cached.count().unwrap(), 60_000);
    assert_eq!(ctx.spilled_bytes(), 0, "half of the memory is enough for it");
    let sums = cached.map(|n| (n % 50_000, n)).reduce_by_key(|a, b| a + b);
    assert_eq!(sums.count().unwrap(), 50_000);
    assert!(ctx.spilled_bytes() > 0);
    assert_eq!(cached.collect().unwrap(), (0..60_000).collect::<Vec<_>>());
}

#[test]
fn an_element_beyond_the_memory_limit_is_an_error() {
    let ctx = few();
    let large = ctx.range(0..3).map(|n| vec![n; 1000]);
    let error = large.cache().count().unwrap_err();
    assert_eq!(error.kind(), gristmill::ErrorKind::Memory, "{error}");
    assert!(error.to_string().starts_with("cache at tests/hold.rs:"), "{error}");
}
