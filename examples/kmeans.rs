//! Divides points into clusters of neighbours: k-means, all rounds in one run.
//!
//! `cargo run --release --example kmeans -- examples/flowers/iris.csv 3`
//!
//! It goes on until no centre moves any more, or for as many rounds as a number after that of the clusters says.

use gristmill::prelude::*;

const MAX_ROUNDS: usize = 100;

/// The loop is over when no centre has moved so far.
const EPSILON: f64 = 1e-6;

type Point = Vec<f64>;

/// The columns of a line that are numbers.
fn point(line: &Text) -> Point {
    line.split(',').filter_map(|field| field.trim().parse().ok()).collect()
}

/// The clusters, and the numbers of their centres one after the other: what every point is given costs two copies, however many they are.
type Centres = (Vec<u64>, Vec<f64>);

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

fn nearest(point: &Point, (clusters, centres): &Centres) -> u64 {
    let by_distance = centres
        .chunks(point.len())
        .zip(clusters)
        .map(|(centre, cluster)| (distance(point, centre), *cluster));
    by_distance.min_by(|a, b| a.0.total_cmp(&b.0)).map_or(0, |(_, cluster)| cluster)
}

fn sum(mut a: Point, b: &Point) -> Point {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
    a
}

/// Every point goes to the nearest centre, and every centre to the middle of its points.
fn step(points: &Dataset<Point>, centres: &Dataset<(u64, Point)>) -> Dataset<(u64, Point)> {
    let all_centres = centres
        .map(|(cluster, centre)| ((), (vec![cluster], centre)))
        .reduce_by_key(|a: Centres, b| ([a.0, b.0].concat(), [a.1, b.1].concat()))
        .values();
    points
        .cross_join(&all_centres)
        .map(|(point, centres)| (nearest(&point, &centres), (point, 1.0)))
        .reduce_by_key(|(a, m), (b, n)| (sum(a, &b), m + n))
        .map_values(|(sum, n): (Point, f64)| sum.iter().map(|x| x / n).collect())
}

/// The file, the number of clusters, and that of rounds if there is one.
fn understand(arguments: &[String]) -> Option<(&String, usize, Option<usize>)> {
    match arguments {
        [path, clusters] => Some((path, clusters.parse().ok()?, None)),
        [path, clusters, rounds] => Some((path, clusters.parse().ok()?, Some(rounds.parse().ok()?))),
        _ => None,
    }
}

fn main() -> gristmill::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((path, clusters, rounds)) = understand(&arguments) else {
        eprintln!("usage: kmeans POINTS.csv CLUSTERS [ROUNDS]");
        std::process::exit(2);
    };
    let ctx = Context::new()?;
    let points = ctx.read_text(path)?.map(|line| point(&line)).filter(|point| !point.is_empty());
    // The first point of each of as many equal parts of the file.
    let start = points.repartition(clusters).map_partitions(|part| part.into_iter().take(1)).enumerate();
    let step = |centres: &Dataset<(u64, Point)>| step(&points, centres);
    let centres = match rounds {
        Some(rounds) => start.iterate(rounds, step),
        None => start.iterate_until(MAX_ROUNDS, step, |before, after| {
            before.join(after).map(|(_, (old, new))| distance(&old, &new) < EPSILON)
        }),
    };
    let mut centres = centres.collect()?;
    centres.sort_by_key(|(cluster, _)| *cluster);
    for (cluster, centre) in centres {
        let numbers: Vec<String> = centre.iter().map(|x| format!("{x:.3}")).collect();
        println!("{cluster}: {}", numbers.join(" "));
    }
    Ok(())
}
