//! Records of a CSV file of orders, with quoted text in which there are line ends, quotes and commas.

use std::fmt::Write as _;

use super::random::Random;

/// The names of the columns.
pub const HEADER: &str = "id,customer,city,status,quantity,price,weight,ordered,shipped,comment\n";

/// A writer of records.
pub struct Orders {
    random: Random,
    id: u64,
}

const SYLLABLES: [&str; 16] = [
    "bal", "cor", "den", "el", "far", "gil", "har", "ing", "ket", "lan", "mor", "nor", "pen", "ris", "ton",
    "wick",
];
const WORDS: [&str; 16] = [
    "call", "before", "delivery", "leave", "at", "the", "door", "fragile", "gift", "wrap", "urgent",
    "second", "floor", "ring", "twice", "café",
];

impl Orders {
    pub fn new() -> Orders {
        Orders { random: Random::new(2), id: 1_000_000 }
    }

    /// Appends a record, with its end.
    pub fn record(&mut self, out: &mut String) {
        let random = &mut self.random;
        self.id += 1 + random.below(3) as u64;
        let _ = write!(out, "{},\"", self.id);
        let customer = &mut Random::new(random.skewed(300_000) as u64);
        name(customer, out);
        out.push_str(", ");
        name(customer, out);
        out.push_str("\",");
        let city = &mut Random::new(1_000_000 + random.skewed(5000) as u64);
        name(city, out);
        let _ = write!(out, " {}", city.below(90));
        let status = random.one(&["open", "paid", "packed", "shipped", "returned"]);
        let (quantity, cents) = (random.skewed(500) + 1, random.skewed(5_000_000));
        let _ = write!(out, ",{status},{quantity},{}.{:02},", cents / 100, cents % 100);
        if !random.per_mille(100) {
            let _ = write!(out, "{}.{:03}", random.below(80), random.below(1000));
        }
        let (month, day, days) = (random.below(12) + 1, random.below(28) + 1, random.below(28) + 1);
        let _ = write!(out, ",2026-{month:02}-{day:02},");
        if !random.per_mille(200) {
            let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
            let millis = random.below(1000);
            let _ = write!(out, "2026-{month:02}-{days:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
        }
        out.push(',');
        if !random.per_mille(250) {
            comment(random, out);
        }
        out.push('\n');
    }
}

fn name(random: &mut Random, out: &mut String) {
    let start = out.len();
    for _ in 0..random.below(3) + 2 {
        out.push_str(random.one(&SYLLABLES));
    }
    out[start..=start].make_ascii_uppercase();
}

fn comment(random: &mut Random, out: &mut String) {
    out.push('"');
    for word in 0..=random.below(14) {
        out.push_str(match random.below(40) {
            _ if word == 0 => "",
            0 => "\n",
            1..4 => ", ",
            _ => " ",
        });
        if random.per_mille(40) {
            let _ = write!(out, "\"\"{}\"\"", random.one(&WORDS));
        } else {
            out.push_str(random.one(&WORDS));
        }
    }
    out.push('"');
}
