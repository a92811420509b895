//! The jobs on renoir, after the examples of its documentation: <https://deib-polimi.github.io/renoir/renoir/>.

use std::path::Path;

use renoir::prelude::*;

use crate::files::{Count, Group, Joined, Part, Sorted, batches, numbers, range, table, texts};

pub fn run(job: &str, input: &Path, output: &Path, threads: u64) {
    let config = RuntimeConfig::local(threads).expect("a configuration");
    let env = StreamContext::new(config);
    match job {
        "words" => words(&env, input, output),
        "group" => group(&env, input, output),
        "join" => join(&env, input, output),
        "sort" => sort(&env, input, output, threads),
        _ => panic!("no job is called {job}"),
    }
    env.execute_blocking();
}

/// `examples/wordcount_assoc.rs`: counted where they are read, and then by word.
fn words(env: &StreamContext, input: &Path, output: &Path) {
    let mut part = Part::new(output);
    env.stream_file(input)
        .batch_mode(BatchMode::fixed(1024))
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .group_by_count(|word: &String| word.clone())
        .unkey()
        .for_each(move |(word, count)| part.push(Count(word, count as i64)));
}

fn group(env: &StreamContext, input: &Path, output: &Path) {
    let (path, mut part) = (table(input, "events"), Part::new(output));
    let rows = move |index, peers| {
        batches(&path, &["account", "value"], index as usize, peers as usize)
            .flat_map(|batch| numbers(&batch, "account").into_iter().zip(numbers(&batch, "value")))
    };
    env.stream_par_iter(rows)
        .batch_mode(BatchMode::fixed(1024))
        .group_by_fold(
            |row| row.0,
            (0, 0, i64::MIN),
            |sums, (_, value)| *sums = (sums.0 + 1, sums.1 + value, sums.2.max(value)),
            |sums, more| *sums = (sums.0 + more.0, sums.1 + more.1, sums.2.max(more.2)),
        )
        .unkey()
        .for_each(move |(account, sums)| part.push(Group(account, sums.into())));
}

fn join(env: &StreamContext, input: &Path, output: &Path) {
    let mut part = Part::new(output);
    let path = table(input, "events");
    let events = env.stream_par_iter(move |index, peers| {
        batches(&path, &["id", "account", "value"], index as usize, peers as usize).flat_map(|batch| {
            let values = numbers(&batch, "id").into_iter().zip(numbers(&batch, "value"));
            numbers(&batch, "account").into_iter().zip(values)
        })
    });
    let path = table(input, "accounts");
    let accounts = env.stream_par_iter(move |index, peers| {
        batches(&path, &["account", "label"], index as usize, peers as usize)
            .flat_map(|batch| numbers(&batch, "account").into_iter().zip(texts(&batch, "label")))
    });
    events
        .batch_mode(BatchMode::fixed(1024))
        .join(accounts.batch_mode(BatchMode::fixed(1024)), |event| event.0, |account| account.0)
        .drop_key()
        .for_each(move |((_, (id, value)), (_, label))| part.push(Joined(id, value, label)));
}

/// `sorted_by` sorts what each replica has: so each gets a range of the numbers, which are spread evenly.
fn sort(env: &StreamContext, input: &Path, output: &Path, threads: u64) {
    let (path, mut part) = (table(input, "events"), Part::new(output));
    env.stream_par_iter(move |index, peers| {
        batches(&path, &["id", "name"], index as usize, peers as usize)
            .flat_map(|batch| numbers(&batch, "id").into_iter().zip(texts(&batch, "name")))
    })
    .batch_mode(BatchMode::fixed(1024))
    .repartition_by(Replication::Unlimited, move |row: &(i64, String)| range(row.0, threads))
    .sorted_by(|a, b| a.0.cmp(&b.0))
    .for_each(move |(id, name)| part.push(Sorted(id, name)));
}
