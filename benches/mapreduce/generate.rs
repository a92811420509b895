//! The lines of the inputs: functions of size and seed alone, so that figures of different days and machines compare.

use std::fmt::Write;

use super::random::Random;

/// Appends the next line, without its end; false if there are no more.
pub trait Lines: FnMut(&mut String) -> bool {}

impl<F: FnMut(&mut String) -> bool> Lines for F {}

/// Words to draw from.
const VOCABULARY: usize = 400_000;

/// A line of text is ended after so many bytes.
const LINE_BYTES: usize = 80;

/// A document: words about as often as one over their rank (Zipf's law).
pub fn text(document: u64) -> impl Lines {
    let mut random = Random::new(100 + document);
    move |line| {
        while line.len() < LINE_BYTES {
            if !line.is_empty() {
                line.push(' ');
            }
            push_word(line, random.skewed(VOCABULARY));
        }
        true
    }
}

/// The word of a rank: syllables, so that frequent ones are short and no two are the same.
pub fn word(rank: usize) -> String {
    let mut word = String::new();
    push_word(&mut word, rank);
    word
}

fn push_word(line: &mut String, rank: usize) {
    const CONSONANTS: [char; 16] =
        ['b', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'z'];
    const VOWELS: [char; 5] = ['a', 'e', 'i', 'o', 'u'];
    const SYLLABLES: usize = CONSONANTS.len() * VOWELS.len();
    let mut left = rank + 1; // the first word has a syllable, too
    while left > 0 {
        let syllable = left % SYLLABLES;
        line.push(CONSONANTS[syllable / VOWELS.len()]);
        line.push(VOWELS[syllable % VOWELS.len()]);
        left /= SYLLABLES;
    }
}

/// Films with up to 400 ratings; most users are content.
pub fn ratings() -> impl Lines {
    const RATINGS: [&str; 10] = ["1", "2", "3", "3", "4", "4", "4", "5", "5", "5"];
    let (mut random, mut film) = (Random::new(200), 0);
    move |line| {
        film += 1;
        let (mut separator, liked) = (':', random.below(3));
        line.push_str(&film.to_string());
        for _ in 0..=random.skewed(400) {
            let (user, rating) = (random.below(500_000), random.one(&RATINGS[liked..liked + 8]));
            let _ = write!(line, "{separator}{user}_{rating}"); // a string takes everything
            separator = ',';
        }
        true
    }
}

/// Associations of three items in ascending order, four of each first two items.
pub fn associations(bytes: u64) -> impl Lines {
    const BYTES: usize = 24; // of a line
    let mut random = Random::new(300);
    let pairs = (bytes as usize / BYTES / 4).max(1);
    let firsts = pairs.isqrt().max(1);
    move |line| {
        let pair = random.below(pairs);
        let first = pair / firsts;
        let second = first + 1 + pair % firsts;
        let third = second + 1 + random.below(10_000);
        let _ = write!(line, "i{first:06},i{second:06},i{third:06}");
        true
    }
}

/// Links from pages to others, eight from each: half of them to any page, and half to those that many link to.
pub fn links(bytes: u64) -> impl Lines {
    const BYTES: usize = 16; // of a line
    let mut random = Random::new(400);
    let pages = (bytes as usize / BYTES / 8).max(2);
    move |line| {
        let from = random.below(pages);
        let to = if random.per_mille(500) { random.skewed(pages) } else { random.below(pages) };
        let _ = write!(line, "p{from} p{to}");
        true
    }
}

/// Roads on a square of places: from each to the next one in both directions, if nothing is in the way. The places have names in
/// no order, as have their roads.
pub fn roads(bytes: u64) -> impl Lines {
    const BYTES: usize = 16; // of a line
    const PRIME: usize = 1_000_003; // no side is a multiple of it: every place gets a name of its own
    const FREE: usize = 700; // of a thousand
    let mut random = Random::new(500);
    let side = (bytes as f64 / BYTES as f64 / 2.0 / FREE as f64 * 1000.0).sqrt().max(2.0);
    #[allow(clippy::cast_sign_loss)] // positive
    let side = side as usize;
    let places = side * side;
    let shuffled = move |place: usize| place * PRIME % places;
    let mut roads = (0..2 * places).map(move |number| (shuffled(number / 2), number % 2 == 0));
    move |line| {
        for (place, right) in roads.by_ref() {
            let inside = if right { place % side + 1 < side } else { place + side < places };
            if inside && random.per_mille(FREE) {
                let next = place + if right { 1 } else { side };
                let _ = write!(line, "r{} r{}", shuffled(place), shuffled(next));
                return true;
            }
        }
        false
    }
}

/// Points in ten dimensions around eight centres.
pub fn points() -> impl Lines {
    let mut random = Random::new(600);
    let centres: Vec<[usize; 10]> = (0..8).map(|_| std::array::from_fn(|_| random.below(80_000))).collect();
    move |line| {
        let centre = &centres[random.below(centres.len())];
        for middle in centre {
            let coordinate = middle + random.below(20_000);
            if !line.is_empty() {
                line.push(',');
            }
            let _ = write!(line, "{:.3}", coordinate as f64 / 1000.0);
        }
        true
    }
}
