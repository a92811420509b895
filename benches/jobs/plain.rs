//! The jobs as one writes them on a quiet afternoon: rayon, vectors and hash maps.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use rayon::prelude::*;

use super::data::{as_str, mix, sum, text};
use super::files;
use super::job::{Job, Task};
use crate::Outcome;

/// Runs a job; the answer is a count and a checksum.
pub fn run(task: &Task) -> Outcome<String> {
    rayon::ThreadPoolBuilder::new().num_threads(task.threads).build_global()?;
    Ok(match task.job {
        Job::WordCount => wordcount(task.rows)?,
        Job::Sort => sort(task.rows),
        Job::Join => join(task.rows),
        Job::Group => group(task.rows),
        Job::TopK => top_k(task.rows),
    })
}

/// Without the output: benches/peers.rs has the comparison of whole programs.
fn wordcount(words: u64) -> Outcome<String> {
    let text = std::fs::read_to_string(files::words(words)?)?;
    let lines: Vec<&str> = text.lines().collect();
    let count = |mut counts: HashMap<_, u64>, line: &&'_ str| {
        line.split_whitespace().for_each(|word| *counts.entry(word.to_owned()).or_default() += 1);
        counts
    };
    let counts = lines.par_iter().fold(HashMap::new, count).reduce(HashMap::new, |a, b| {
        let (mut all, few) = if a.len() < b.len() { (b, a) } else { (a, b) };
        for (word, count) in few {
            *all.entry(word).or_default() += count;
        }
        all
    });
    Ok(format!("{} words", counts.len()))
}

fn row(n: u64) -> (i64, String) {
    (mix(n).cast_signed(), as_str(&text(n)).to_owned())
}

fn sort(count: u64) -> String {
    let mut rows: Vec<(i64, String)> = (0..count).into_par_iter().map(row).collect();
    rows.par_sort_by_key(|row| row.0);
    let in_order = rows.is_sorted_by_key(|row| row.0);
    let sum = rows.par_iter().map(|row| sum(row.0.cast_unsigned(), &row.1)).reduce(|| 0, u64::wrapping_add);
    format!("{} rows, {sum:x}, in order: {in_order}", rows.len())
}

fn join(count: u64) -> String {
    let few = (count / 10).max(1);
    let large: Vec<(u64, String)> =
        (0..count).into_par_iter().map(|n| (mix(n) % few, as_str(&text(n)).to_owned())).collect();
    let small: Vec<(u64, String)> =
        (0..few).into_par_iter().map(|n| (n, as_str(&text(!n)).to_owned())).collect();
    let mut by_key: HashMap<u64, Vec<String>> = HashMap::new();
    for (key, value) in small {
        by_key.entry(key).or_default().push(value);
    }
    let pairs = large.par_iter().flat_map_iter(|(key, value)| {
        by_key.get(key).into_iter().flatten().map(move |other| (*key, value, other))
    });
    let (count, sum) = pairs
        .map(|(key, a, b)| (1u64, sum(key, a) ^ sum(key, b)))
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1.wrapping_add(b.1)));
    format!("{count} rows, {sum:x}")
}

fn group(count: u64) -> String {
    let groups = (count / 8).max(1);
    let pairs: Vec<(u64, u64)> = (0..count).into_par_iter().map(|n| (mix(n) % groups, n)).collect();
    let add = |mut groups: HashMap<u64, Vec<u64>>, (key, value): &(u64, u64)| {
        groups.entry(*key).or_default().push(*value);
        groups
    };
    let groups = pairs.par_iter().fold(HashMap::new, add).reduce(HashMap::new, |a, b| {
        let (mut all, few) = if a.len() < b.len() { (b, a) } else { (a, b) };
        for (key, mut values) in few {
            all.entry(key).or_default().append(&mut values);
        }
        all
    });
    let of_group = |(key, values): (&u64, &Vec<u64>)| {
        mix(*key ^ values.iter().fold(0u64, |sum, value| sum.wrapping_add(*value)))
    };
    let sum = groups.par_iter().map(of_group).reduce(|| 0, u64::wrapping_add);
    format!("{} groups, {sum:x}", groups.len())
}

fn top_k(count: u64) -> String {
    let add = |mut heap: BinaryHeap<Reverse<(i64, String)>>, row| {
        heap.push(Reverse(row));
        if heap.len() > 100 {
            heap.pop();
        }
        heap
    };
    let heap = (0..count)
        .into_par_iter()
        .map(row)
        .fold(BinaryHeap::new, add)
        .reduce(BinaryHeap::new, |a, b| b.into_iter().fold(a, |heap, Reverse(row)| add(heap, row)));
    let top: Vec<_> = heap.into_sorted_vec().into_iter().map(|Reverse(row)| row).collect();
    let sum = top.iter().fold(0u64, |all, row| mix(all ^ sum(row.0.cast_unsigned(), &row.1)));
    format!("{} rows, {sum:x}", top.len())
}
