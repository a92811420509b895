//! Counters: each element once, under all settings; nothing for a run that fails.

use gristmill::config::Rules;
use gristmill::prelude::*;
use gristmill::{Counter, ErrorKind};

use crate::harness::check;

/// The same elements, counted under a name.
fn counted<T: Data>(data: &Dataset<T>, name: &str) -> Dataset<T> {
    let counter = data.context().counter(name);
    data.inspect(move |_| counter.increment())
}

#[test]
fn a_shared_node_counts_each_element_once() {
    check(
        |data| {
            let ctx = data.context();
            let shared = counted(&data.filter(|(_, n)| n % 2 == 0), "even");
            let sums = shared.reduce_by_key(|a, b| a + b);
            let twice = shared.union(&shared);
            let outputs = (shared.to_count(), shared.to_take(1), sums.to_count(), twice.to_vec());
            let (count, ..) = ctx.run(outputs).unwrap();
            let first = ctx.counter("even").value();
            assert_eq!(count, first);
            shared.union(&data.clone()).count().unwrap();
            (first, ctx.counter("even").value())
        },
        |input, result| {
            let even = input.iter().filter(|(_, n)| n % 2 == 0).count() as u64;
            assert_eq!(result, (even, 2 * even), "a second run counts again");
        },
    );
}

#[test]
fn what_several_ways_lead_to_counts_on_each() {
    check(
        |data| {
            let ctx = data.context();
            let lists = data.map_values(|n| n + 1).union(&data.map_values(|n| n - 1));
            let sums = counted(&lists, "both").reduce_by_key(|a, b| a + b);
            // Behind an exchange: its own splits, and a chain that is longer than what stands on one stack.
            let long = (0..100).fold(counted(&sums, "keys"), |data, _| data.map(|pair| pair));
            let counts = ctx.run((counted(&long, "end").to_count(), long.to_count())).unwrap();
            assert_eq!(counts.0, counts.1);
            (counts.0, ["both", "keys", "end"].map(|name| ctx.counter(name).value()))
        },
        |input, (keys, result)| assert_eq!(result, [2 * input.len() as u64, keys, keys]),
    );
}

#[test]
fn closures_at_the_end_and_with_amounts_count_too() {
    check(
        |data| {
            let ctx = data.context();
            let (sum, folded) = (ctx.counter("sum"), ctx.counter("folded"));
            let sums = data.map(move |(_, n)| sum.add(n.unsigned_abs()));
            let fold = sums.to_fold((), move |(), ()| folded.increment(), |(), ()| {});
            let each = ctx.counter("each");
            ctx.run((fold, data.to_each(move |_| each.increment()))).unwrap();
            ["sum", "folded", "each"].map(|name| ctx.counter(name).value())
        },
        |input, result| {
            let sum = input.iter().map(|(_, n)| n.unsigned_abs()).sum();
            assert_eq!(result, [sum, input.len() as u64, input.len() as u64]);
        },
    );
}

#[test]
fn what_is_cached_counts_when_it_is_computed() {
    check(
        |data| {
            let cached = counted(data, "computed").cache();
            let counts = [cached.count().unwrap(), cached.count().unwrap()];
            (counts, data.context().counter("computed").value())
        },
        |input, result| {
            let rows = input.len() as u64;
            assert_eq!(result, ([rows; 2], rows));
        },
    );
}

#[test]
fn a_run_that_fails_or_is_cancelled_adds_nothing() {
    check(
        |data| {
            let ctx = data.context().clone();
            let joined = ctx.counter("joined");
            let last = counted(data, "seen").reduce_by_key(move |_, b| {
                joined.increment();
                b
            });
            let failing = last.try_map(|pair| Err::<(Text, i64), _>(format!("{pair:?}")));
            let failed = failing.count().map_err(|error| error.kind());
            let values = ["seen", "joined"].map(|name| ctx.counter(name).value());
            // The first element cancels the run.
            let token = ctx.cancel_token();
            let canceled = counted(data, "canceled").inspect(move |_| token.cancel());
            let canceled = canceled.count().map_err(|error| error.kind());
            (failed, values, canceled, ctx.counter("canceled").value())
        },
        |input, result| {
            let expected = match input.len() {
                0 => (Ok(0), [0; 2], Ok(0), 0),
                _ => (Err(ErrorKind::Closure), [0; 2], Err(ErrorKind::Canceled), 0),
            };
            assert_eq!(result, expected);
        },
    );
}

#[test]
fn outside_of_a_run_a_counter_counts_at_once() {
    let ctx = Context::builder().threads(1).build().unwrap();
    let counter = ctx.counter("bad");
    counter.add(3);
    ctx.counter("bad").increment();
    assert_eq!((counter.value(), counter.name(), ctx.counter("other").value()), (4, "bad", 0));
    assert_eq!(format!("{counter:?}"), "Counter(\"bad\", 4)");
}

#[test]
fn a_union_of_a_dataset_with_itself_is_one_computation() {
    check(
        |data| {
            let both = counted(&data.union(data), "both");
            let count = both.count().unwrap();
            (count, data.context().counter("both").value())
        },
        |input, result| assert_eq!(result, (2 * input.len() as u64, input.len() as u64)),
    );
}

/// The numbers below 40 in four splits, each counted when it is read.
struct Counted(Counter);

impl Source<u64> for Counted {
    fn splits(&self) -> usize {
        4
    }

    fn read(&self, split: usize, out: &mut Out<u64>) -> gristmill::Result<()> {
        for n in 0..10 {
            self.0.increment();
            if out.emit(split as u64 * 10 + n)? == Demand::Enough {
                break;
            }
        }
        Ok(())
    }
}

#[test]
fn a_source_that_is_read_twice_counts_once() {
    for rules in [Rules::ALL, Rules::NONE] {
        let ctx = Context::builder().threads(2).rules(rules).build().unwrap();
        let numbers = ctx.read(Counted(ctx.counter("read")));
        let sums = numbers.key_by(|n| n % 3).reduce_by_key(|a, b| a + b);
        ctx.run((numbers.to_count(), sums.to_count(), numbers.map(|n| n + 1).to_vec())).unwrap();
        assert_eq!(ctx.counter("read").value(), 40, "{rules:?}");
    }
}

#[test]
fn a_run_whose_output_cannot_be_committed_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("numbers");
    let ctx = Context::builder().threads(2).build().unwrap();
    let (counter, path) = (ctx.counter("written"), target.clone());
    let numbers = ctx.range(0..10).inspect(move |n| {
        counter.increment();
        if *n == 5 {
            // Somebody else takes the target's place meanwhile.
            std::fs::write(&path, "").unwrap();
        }
    });
    assert!(numbers.write_parquet(&target, ParquetOptions::default()).is_err());
    assert_eq!(ctx.counter("written").value(), 0);
    std::fs::remove_file(&target).unwrap();
    assert_eq!((numbers.count().unwrap(), ctx.counter("written").value()), (10, 10));
}
