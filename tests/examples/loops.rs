//! The examples with loops, on real input, against plain loops over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use gristmill::Text;
use gristmill::io::commit::manifest;
use gristmill::io::parquet::read_parquet;
use gristmill::record::from_batch;

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

/// Centres and how many points each has, after so many rounds or when no point changes its centre any more.
fn plain_means(points: &[Point], clusters: usize, rounds: usize) -> Vec<(Point, usize)> {
    let start = |cluster: usize| points[cluster * points.len() / clusters].clone();
    let mut centres: Vec<(Point, usize)> = (0..clusters).map(|cluster| (start(cluster), 0)).collect();
    let mut homes = vec![usize::MAX; points.len()];
    for _ in 0..rounds {
        let nearest = |point: &Point| {
            let apart = |cluster: &usize| apart(point, &centres[*cluster].0);
            (0..clusters).min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap()
        };
        let next: Vec<usize> = points.iter().map(nearest).collect();
        if next == homes {
            break;
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
    centres
}

fn lines_of(centres: &[(Point, usize)]) -> String {
    let numbers = |centre: &Point| centre.iter().map(|x| format!("{x:.3}")).collect::<Vec<_>>().join(" ");
    let lines = centres.iter().enumerate();
    lines.map(|(cluster, (centre, _))| format!("{cluster}: {}\n", numbers(centre))).collect()
}

#[test]
fn kmeans_finds_the_centres_of_flowers() {
    let path = file("flowers/iris.csv");
    let text = std::fs::read_to_string(&path).unwrap();
    let numbers = |line: &str| line.split(',').take(4).map(|field| field.parse().unwrap()).collect();
    let points: Vec<Point> = text.lines().skip(1).map(numbers).collect();
    assert_eq!(points.len(), 150);
    for clusters in [1, 2, 3] {
        let argument = clusters.to_string();
        let centres = plain_means(&points, clusters, usize::MAX);
        assert_eq!(printed_by("kmeans", &[&path, Path::new(&argument)]), lines_of(&centres));
        let two_rounds = lines_of(&plain_means(&points, clusters, 2));
        assert_eq!(printed_by("kmeans", &[&path, Path::new(&argument), Path::new("2")]), two_rounds);
        // As everybody finds who divides these flowers into three.
        let sizes: Vec<usize> = centres.iter().map(|(_, size)| *size).collect();
        assert!(clusters != 3 || sizes == [50, 62, 38], "{sizes:?}");
    }
}

/// The nodes and their ranks after so many rounds or when they change no more, the highest first.
fn plain_ranks(links: &[(String, String)], rounds: usize) -> Vec<(f64, &str)> {
    let nodes: BTreeSet<&str> = links.iter().flat_map(|(from, to)| [from.as_str(), to.as_str()]).collect();
    let mut from: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (node, to) in links {
        from.entry(node).or_default().insert(to);
    }
    let mut ranks: BTreeMap<&str, f64> = nodes.iter().map(|node| (*node, 1.0)).collect();
    for _ in 0..rounds {
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
    let first = |ranked: &[(f64, &str)]| {
        ranked[..10].iter().map(|(rank, word)| format!("{rank:.4} {word}\n")).collect::<String>()
    };
    let ranked = plain_ranks(&links, 100);
    assert_eq!(printed_by("pagerank", &[&path]), first(&ranked));
    assert_eq!(ranked[0].1, "and");
    assert_eq!(printed_by("pagerank", &[&path, Path::new("2")]), first(&plain_ranks(&links, 2)));
}

/// The first name of each node's component after so many rounds, or when none changes any more.
fn plain_components(links: &[(String, String)], rounds: usize) -> BTreeMap<&str, &str> {
    let nodes = links.iter().flat_map(|(one, other)| [one.as_str(), other.as_str()]);
    let mut names: BTreeMap<&str, &str> = nodes.map(|node| (node, node)).collect();
    for _ in 0..rounds {
        let before = names.clone();
        for (one, other) in links {
            for (node, told) in [(one, other), (other, one)] {
                let name = names.get_mut(node.as_str()).unwrap();
                *name = before[told.as_str()].min(name);
            }
        }
        if names == before {
            break;
        }
    }
    names
}

/// A chain, a ring, a star, and a node that links to itself.
#[test]
fn connected_components_have_the_name_of_their_first_node() {
    let link = |one: String, other: String| (one, other);
    let mut links: Vec<(String, String)> =
        (0..20).map(|n| link(format!("chain-{:02}", n + 1), format!("chain-{n:02}"))).collect();
    links.extend((0..9).map(|n| link(format!("ring-{n}"), format!("ring-{}", (n + 1) % 9))));
    links.extend((0..50).map(|n| link("star".into(), format!("ray-{n:02}"))));
    links.push(link("alone".into(), "alone".into()));
    let dir = tempfile::tempdir().unwrap();
    let (path, out) = (dir.path().join("links.txt"), dir.path().join("out"));
    let text: String = links.iter().map(|(one, other)| format!("{one} {other}\n")).collect();
    std::fs::write(&path, text + "a-line-without-a-link\n\n").unwrap();
    let found = |more: &[&Path]| {
        let printed = printed_by("connected_components", &[&[path.as_path(), &out], more].concat());
        let parts = manifest::verify(&out).unwrap().parts;
        let batches = parts.iter().flat_map(|part| read_parquet(&out.join(&part.name), None).unwrap());
        let rows: BTreeMap<Text, Text> =
            batches.flat_map(|batch| from_batch::<(Text, Text)>(&batch.unwrap()).unwrap()).collect();
        assert_eq!(printed, format!("{} nodes\n", rows.len()));
        rows
    };
    let expected = |rounds| -> BTreeMap<Text, Text> {
        plain_components(&links, rounds).into_iter().map(|(node, name)| (node.into(), name.into())).collect()
    };
    let all = expected(usize::MAX);
    assert_eq!(all.values().collect::<BTreeSet<_>>().len(), 4);
    assert_eq!(found(&[]), all);
    assert_eq!(found(&[Path::new("3")]), expected(3));
    assert_ne!(expected(3), all);
}

#[test]
fn loops_without_arguments_tell_their_usage() {
    for (name, usage) in [
        ("connected_components", "usage: connected_components LINKS OUT [ROUNDS]\n"),
        ("kmeans", "usage: kmeans POINTS.csv CLUSTERS [ROUNDS]\n"),
        ("pagerank", "usage: pagerank LINKS [ROUNDS]\n"),
    ] {
        let output = run(name, &[]);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(2), usage.as_bytes()));
    }
}
