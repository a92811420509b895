//! The examples with loops, on real input, against plain loops over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{MAP_REDUCE, example, printed, run};

/// What an example prints, which must be the same with more threads than cores and so little memory that the state goes to disk, and
/// in both modes.
fn printed_by(name: &str, arguments: &[&Path]) -> String {
    let text = printed(&run(name, arguments)).to_string();
    for variables in [&[][..], &[MAP_REDUCE]] {
        let mut command = Command::new(example(name));
        command.args(arguments).env("GRISTMILL_THREADS", "3").env("GRISTMILL_MEMORY", "1MB");
        assert_eq!(printed(&command.envs(variables.iter().copied()).output().unwrap()), text);
    }
    text
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

type Point = Vec<f64>;

/// The squared distance of two points.
fn apart(a: &Point, b: &Point) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// Centres and how many points each has, when no point changes its centre any more.
fn plain_means(points: &[Point], clusters: usize) -> Vec<(Point, usize)> {
    let start = |cluster: usize| points[cluster * points.len() / clusters].clone();
    let mut centres: Vec<(Point, usize)> = (0..clusters).map(|cluster| (start(cluster), 0)).collect();
    let mut homes = vec![usize::MAX; points.len()];
    loop {
        let nearest = |point: &Point| {
            let apart = |cluster: &usize| apart(point, &centres[*cluster].0);
            (0..clusters).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap()
        };
        let next: Vec<usize> = points.iter().map(nearest).collect();
        if next == homes {
            return centres;
        }
        homes = next;
        for (cluster, centre) in centres.iter_mut().enumerate() {
            let own: Vec<&Point> = points
                .iter()
                .zip(&homes)
                .filter(|(_, home)| **home == cluster)
                .map(|(point, _)| point)
                .collect();
            let mean = |column: usize| own.iter().map(|point| point[column]).sum::<f64>() / own.len() as f64;
            *centre = ((0..points[0].len()).map(mean).collect(), own.len());
        }
    }
}

#[test]
fn kmeans_finds_the_centres_of_flowers() {
    let path = file("flowers/iris.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let numbers = |line: &str| line.split(',').take(4).map(|field| field.parse().unwrap()).collect();
    let points: Vec<Point> = text.lines().skip(1).map(numbers).collect();
    assert_eq!(points.len(), 150);
    for clusters in [1, 2, 3] {
        let centres = plain_means(&points, clusters);
        let mut expected = String::new();
        for (cluster, (centre, _)) in centres.iter().enumerate() {
            let centre: Vec<String> = centre.iter().map(|x| format!("{x:.3}")).collect();
            writeln!(expected, "{cluster}: {}", centre.join(" ")).unwrap();
        }
        assert_eq!(printed_by("kmeans", &[&path, Path::new(&clusters.to_string())]), expected);
        // As everybody finds who divides these flowers into three.
        let sizes: Vec<usize> = centres.iter().map(|(_, size)| *size).collect();
        assert!(clusters != 3 || sizes == [50, 62, 38], "{sizes:?}");
    }
}

/// The nodes and their ranks, the highest first.
fn plain_ranks(links: &[(String, String)]) -> Vec<(f64, &str)> {
    let nodes: BTreeSet<&str> = links.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    let mut from: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (node, to) in links {
        from.entry(node).or_default().insert(to);
    }
    let mut ranks: BTreeMap<&str, f64> = nodes.iter().map(|node| (*node, 1.0)).collect();
    for _ in 0..100 {
        let mut next: BTreeMap<&str, f64> = nodes.iter().map(|node| (*node, 0.15)).collect();
        for (node, to) in &from {
            for target in to {
                *next.get_mut(target).unwrap() += 0.85 * ranks[node] / to.len() as f64;
            }
        }
        let change: f64 = nodes.iter().map(|node| (next[node] - ranks[node]).abs()).sum();
        ranks = next;
        if change < 1e-6 {
            break;
        }
    }
    let mut ranked: Vec<(f64, &str)> = ranks.into_iter().map(|(node, rank)| (rank, node)).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    ranked
}

/// The words that follow each other in a book are a graph.
#[test]
fn pagerank_ranks_the_words_of_a_book() {
    let book = std::fs::read_to_string(file("data/genesis.txt")).unwrap();
    let words: Vec<&str> = book.split(|c: char| !c.is_ascii_alphabetic()).filter(|w| !w.is_empty()).collect();
    let links: Vec<(String, String)> =
        words.windows(2).map(|pair| (pair[0].to_string(), pair[1].to_string())).collect();
    assert!(links.len() > 30_000, "{}", links.len());
    let mut text = String::from("\na-line-without-a-link\n");
    for (from, to) in &links {
        writeln!(text, "{from}\t{to}").unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("links.txt");
    std::fs::write(&path, text).unwrap();
    let ranked = plain_ranks(&links);
    let first = ranked[..10].iter().map(|(rank, word)| format!("{rank:.4} {word}\n"));
    assert_eq!(printed_by("pagerank", &[&path]), first.collect::<String>());
    assert_eq!(ranked[0].1, "and");
}

#[test]
fn loops_without_arguments_tell_their_usage() {
    for (name, usage) in
        [("kmeans", "usage: kmeans POINTS.csv CLUSTERS\n"), ("pagerank", "usage: pagerank LINKS\n")]
    {
        let output = run(name, &[]);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), usage.as_bytes()));
    }
}
