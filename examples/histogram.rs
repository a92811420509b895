//! Counts films by their average rating, and ratings by their value: `histogram-movies` and `histogram-ratings` of the PUMA suite.
//!
//! A line of the input is a film with its ratings from 1 to 5, each after the user who gave it: `12:71_4,903_5`.
//!
//! The idea it shows: two results of one pass. Both histograms read the film, whose line is read and taken apart once.
//!
//! `cargo run --release --example histogram -- ratings.txt`

use gristmill::prelude::*;

/// Averages are counted around 1, 1.5, 2, … 5.
const BOUNDARIES: [f64; 10] = [0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25];

fn main() -> gristmill::Result<()> {
    let inputs: Vec<String> = std::env::args().skip(1).collect();
    if inputs.is_empty() {
        eprintln!("usage: histogram INPUT...");
        std::process::exit(2);
    }
    let ctx = Context::new()?;
    let films = ctx.read_text(&inputs)?.try_map(|line| ratings(&line));
    let averages = films.filter(|ratings| !ratings.is_empty()).map(|ratings| average(&ratings));
    let ratings = films.flat_map(|ratings| ratings);
    let (averages, mut ratings) =
        ctx.run((averages.to_histogram(&BOUNDARIES), ratings.count_by_value().to_vec()))?;
    for (lower, count) in averages.boundaries().iter().zip(averages.counts()) {
        println!("{count} films of about {}", lower + 0.25);
    }
    ratings.sort_unstable();
    for (rating, count) in ratings {
        println!("{count} ratings of {rating}");
    }
    Ok(())
}

/// The ratings of a film.
fn ratings(line: &Text) -> Result<Vec<u8>, String> {
    let (_film, ratings) = line.split_once(':').ok_or_else(|| format!("{line:?} has no `:`"))?;
    let rating = |user: Text| {
        let value = user.rsplit_once('_').and_then(|(_, value)| value.parse().ok());
        value.filter(|value| (1..=5).contains(value)).ok_or_else(|| format!("{user:?} is no rating"))
    };
    ratings.split(',').map(|user| user.trim()).filter(|user| !user.is_empty()).map(rating).collect()
}

fn average(ratings: &[u8]) -> f64 {
    let sum: u64 = ratings.iter().map(|rating| u64::from(*rating)).sum();
    sum as f64 / ratings.len() as f64
}
