//! The jobs on timely, after its examples: <https://github.com/TimelyDataflow/timely-dataflow/tree/master/timely/examples>.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::Operator;
use timely::dataflow::operators::vec::ToStream;
use timely::dataflow::{Scope, StreamVec};
use timely::worker::Worker;

use crate::files::{Count, Group, Joined, Part, Row, Sorted, batches, lines, numbers, range, table, texts};

pub fn run(job: &str, input: &Path, output: &Path, threads: usize) {
    let build = match job {
        "words" => words,
        "group" => group,
        "join" => join,
        "sort" => sort,
        _ => panic!("no job is called {job}"),
    };
    let (input, output) = (input.to_path_buf(), output.to_path_buf());
    // The worker steps until the dataflow is complete when the closure returns.
    timely::execute(timely::Config::process(threads), move |worker| build(worker, &input, &output))
        .expect("workers")
        .join()
        .into_iter()
        .for_each(|result| result.expect("a worker"));
}

/// `examples/wordcount.rs`, but that each worker counts its own words first, a word is spread by its hash and not by its length, and what
/// comes is added up once, in the end.
fn words(worker: &mut Worker, input: &Path, output: &Path) {
    let (index, peers, input, output) =
        (worker.index(), worker.peers(), input.to_path_buf(), output.to_path_buf());
    worker.dataflow::<u64, _, _>(move |scope| {
        let counted = lines(&input, index, peers).to_stream(scope).container::<Vec<_>>().unary_frontier(
            Pipeline,
            "count",
            |capability, _| {
                let (mut capability, mut counts) = (Some(capability), HashMap::<String, i64>::new());
                move |(input, frontier), output| {
                    input.for_each_stamp(|_, data| {
                        let lines: Vec<String> = data.flat_map(|batch| batch.drain(..)).collect();
                        lines
                            .iter()
                            .flat_map(|line| line.split_whitespace())
                            .for_each(|word| count(&mut counts, word, 1));
                    });
                    if frontier.is_empty()
                        && let Some(capability) = capability.take()
                    {
                        output.session(&capability).give_iterator(counts.drain());
                    }
                }
            },
        );
        let hasher = BuildHasherDefault::<DefaultHasher>::new();
        let by_word = Exchange::new(move |(word, _): &(String, i64)| hasher.hash_one(word));
        let mut counts = HashMap::<String, i64>::new();
        counted.container::<Vec<_>>().sink(by_word, "add", move |(input, frontier)| {
            input.for_each_stamp(|_, data| {
                data.flat_map(|batch| batch.drain(..))
                    .for_each(|(word, more)| *counts.entry(word).or_default() += more);
            });
            if frontier.is_empty() {
                write(&output, counts.drain().map(|(word, count)| Count(word, count)));
            }
        });
    });
}

/// Adds to the count of a word, which is copied only when it is new.
fn count(counts: &mut HashMap<String, i64>, word: &str, more: i64) {
    match counts.get_mut(word) {
        Some(count) => *count += more,
        None => drop(counts.insert(word.to_owned(), more)),
    }
}

fn group(worker: &mut Worker, input: &Path, output: &Path) {
    let (index, peers, input, output) =
        (worker.index(), worker.peers(), input.to_path_buf(), output.to_path_buf());
    worker.dataflow::<u64, _, _>(move |scope| {
        let rows = batches(&table(&input, "events"), &["account", "value"], index, peers)
            .flat_map(|batch| numbers(&batch, "account").into_iter().zip(numbers(&batch, "value")))
            .to_stream(scope);
        let mut groups = HashMap::<i64, [i64; 3]>::new();
        rows.sink(Exchange::new(|row: &(i64, i64)| row.0 as u64), "group", move |(input, frontier)| {
            input.for_each_stamp(|_, data| {
                for (account, value) in data.flat_map(|batch| batch.drain(..)) {
                    let [count, total, largest] = groups.entry(account).or_insert([0, 0, i64::MIN]);
                    (*count, *total, *largest) = (*count + 1, *total + value, value.max(*largest));
                }
            });
            if frontier.is_empty() {
                write(&output, groups.drain().map(|(account, sums)| Group(account, sums)));
            }
        });
    });
}

/// The events of a worker: account, id, value.
fn events<'scope>(
    scope: Scope<'scope, u64>,
    input: &Path,
    index: usize,
    peers: usize,
) -> StreamVec<'scope, u64, (i64, i64, i64)> {
    batches(&table(input, "events"), &["id", "account", "value"], index, peers)
        .flat_map(|batch| {
            let (accounts, ids, values) =
                (numbers(&batch, "account"), numbers(&batch, "id"), numbers(&batch, "value"));
            accounts.into_iter().zip(ids).zip(values).map(|((account, id), value)| (account, id, value))
        })
        .to_stream(scope)
}

/// `examples/hashjoin.rs`, but that an account occurs once, so that the accounts are a map and events wait only for one that is still to come.
fn join(worker: &mut Worker, input: &Path, output: &Path) {
    let (index, peers, input, output) =
        (worker.index(), worker.peers(), input.to_path_buf(), output.to_path_buf());
    worker.dataflow::<u64, _, _>(move |scope| {
        let accounts = batches(&table(&input, "accounts"), &["account", "label"], index, peers)
            .flat_map(|batch| numbers(&batch, "account").into_iter().zip(texts(&batch, "label")))
            .to_stream(scope);
        let by_account = Exchange::new(|account: &(i64, String)| account.0 as u64);
        let by_event = Exchange::new(|event: &(i64, i64, i64)| event.0 as u64);
        let joined =
            accounts.binary(events(scope, &input, index, peers), by_account, by_event, "join", |_, _| {
                let mut labels = HashMap::<i64, String>::new();
                let mut waiting = HashMap::<i64, Vec<(i64, i64)>>::new();
                move |accounts, events, output| {
                    accounts.for_each_stamp(|time, data| {
                        let mut session = output.session(&time);
                        for (account, label) in data.flat_map(|batch| batch.drain(..)) {
                            for (id, value) in waiting.remove(&account).into_iter().flatten() {
                                session.give((id, value, label.clone()));
                            }
                            labels.insert(account, label);
                        }
                    });
                    events.for_each_stamp(|time, data| {
                        let mut session = output.session(&time);
                        for (account, id, value) in data.flat_map(|batch| batch.drain(..)) {
                            match labels.get(&account) {
                                Some(label) => session.give((id, value, label.clone())),
                                None => waiting.entry(account).or_default().push((id, value)),
                            }
                        }
                    });
                }
            });
        let mut part = Part::new(&output);
        joined.container::<Vec<_>>().sink(Pipeline, "write", move |(input, _)| {
            input.for_each_stamp(|_, data| {
                let rows = data.flat_map(|batch| batch.drain(..));
                rows.for_each(|(id, value, label)| part.push(Joined(id, value, label)));
            });
        });
    });
}

/// Each worker sorts a range of the numbers, which are spread evenly.
fn sort(worker: &mut Worker, input: &Path, output: &Path) {
    let (index, peers, input, output) =
        (worker.index(), worker.peers(), input.to_path_buf(), output.to_path_buf());
    worker.dataflow::<u64, _, _>(move |scope| {
        let rows = batches(&table(&input, "events"), &["id", "name"], index, peers)
            .flat_map(|batch| numbers(&batch, "id").into_iter().zip(texts(&batch, "name")))
            .to_stream(scope);
        let mut sorted: Vec<(i64, String)> = Vec::new();
        let by_range = Exchange::new(move |row: &(i64, String)| range(row.0, peers as u64));
        rows.sink(by_range, "sort", move |(input, frontier)| {
            input.for_each_stamp(|_, data| sorted.extend(data.flat_map(|batch| batch.drain(..))));
            if frontier.is_empty() {
                sorted.sort_unstable_by_key(|row| row.0);
                write(&output, sorted.drain(..).map(|(id, name)| Sorted(id, name)));
            }
        });
    });
}

/// What a worker has found, to a file of its own; nothing the second time, because nothing is left.
fn write<R: Row>(output: &Path, rows: impl Iterator<Item = R>) {
    let mut part = Part::new(output);
    rows.for_each(|row| part.push(row));
}
