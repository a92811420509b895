//! What every test of an operator is made of: settings that must not matter, inputs, and the comparison with a model.

use std::collections::BTreeMap;

use gristmill::config::{Execution, Rules};
use gristmill::prelude::*;

/// What must not change any result.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    pub threads: usize,
    pub in_flight: usize,
    pub chunk_rows: usize,
    pub rules: Rules,
    pub memory_bytes: u64,
    pub execution: Execution,
}

/// Less than half of what the inputs take, and less than what 64 splits leave at once.
const LITTLE_MEMORY: u64 = 32 << 10;

/// Every combination that a result must not depend on.
pub fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    for threads in [1, 2, 8] {
        for chunk_rows in [1, 3, 1024] {
            for rules in [Rules::ALL, Rules::NONE] {
                for memory_bytes in [u64::MAX, LITTLE_MEMORY] {
                    let execution = Execution::Dataflow;
                    settings.push(Setting {
                        threads,
                        in_flight: threads,
                        chunk_rows,
                        rules,
                        memory_bytes,
                        execution,
                    });
                }
            }
        }
    }
    settings.push(Setting {
        threads: 2,
        in_flight: 1,
        chunk_rows: 7,
        rules: Rules { share: false, ..Rules::ALL },
        memory_bytes: LITTLE_MEMORY,
        execution: Execution::Dataflow,
    });
    // Not with every other setting: each exchange writes files, which takes its time.
    for (rules, memory_bytes) in [(Rules::ALL, u64::MAX), (Rules::NONE, LITTLE_MEMORY)] {
        let execution = Execution::MapReduce;
        settings.push(Setting { threads: 2, in_flight: 2, chunk_rows: 7, rules, memory_bytes, execution });
    }
    settings
}

/// Pairs of a key and a value, of several shapes of keys.
pub fn inputs() -> Vec<(&'static str, Vec<(Text, i64)>)> {
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
        ("equal", pairs(1, 200)),
        ("few", pairs(10, 700)),
        ("unique", pairs(u64::MAX, 600)),
        ("skewed", pairs(3, 400).into_iter().chain(pairs(1000, 300)).collect()),
    ]
}

/// Runs `job` on every input, in 1, 7 and 64 splits, under every setting; compares with `model`, and all settings of
/// one division into splits with each other, to the order.
pub fn check<R, F, M>(job: F, model: M)
where
    R: Clone + PartialEq + std::fmt::Debug,
    F: Fn(&Dataset<(Text, i64)>) -> R,
    M: Fn(&[(Text, i64)], R),
{
    check_across_rules(job, |result| result, model);
}

/// As [`check`], for what comes in another order where the planner broadcasts: settings with and without this rule are compared with
/// each other by what `orderless` makes of their results.
pub fn check_across_rules<R, F, M>(job: F, orderless: fn(R) -> R, model: M)
where
    R: Clone + PartialEq + std::fmt::Debug,
    F: Fn(&Dataset<(Text, i64)>) -> R,
    M: Fn(&[(Text, i64)], R),
{
    for (name, input) in inputs() {
        for splits in [1, 7, 64] {
            let split_bytes = (input.len().div_ceil(splits).max(1) * size_of::<(Text, i64)>()) as u64;
            let mut firsts: [Option<R>; 2] = [None, None];
            for setting in settings() {
                let ctx = Context::builder()
                    .threads(setting.threads)
                    .in_flight_splits(setting.in_flight)
                    .chunk_rows(setting.chunk_rows)
                    .rules(setting.rules)
                    .memory_bytes(setting.memory_bytes)
                    .execution(setting.execution)
                    .split_bytes(split_bytes)
                    .build()
                    .unwrap();
                let result = job(&ctx.from_vec(input.clone()));
                match &mut firsts[usize::from(setting.rules.broadcast)] {
                    Some(first) => assert_eq!(&result, first, "{name}, {splits} splits, {setting:?}"),
                    first => {
                        model(&input, result.clone());
                        *first = Some(result);
                    }
                }
            }
            let [without, with] = firsts.map(|first| first.map(orderless));
            assert_eq!(without, with, "{name}, {splits} splits, with and without broadcasts");
        }
    }
}

/// The items in order, for results whose order is arbitrary.
pub fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}

/// Orders the keys, and leaves the pairs of a key as they are.
pub fn by_key<T>(mut pairs: Vec<(Text, T)>) -> Vec<(Text, T)> {
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    pairs
}

/// The model of a sum by key.
pub fn sums(input: &[(Text, i64)]) -> Vec<(Text, i64)> {
    let mut sums = BTreeMap::new();
    for (key, n) in input {
        *sums.entry(key.clone()).or_insert(0) += n;
    }
    sums.into_iter().collect()
}
