use gristmill::{Key, Record};

#[derive(Record, Clone)]
enum Level {
    Low,
    High,
}

#[derive(Key, Clone)]
enum Color {
    Red,
}

#[derive(Record, Clone)]
struct Nothing;

#[derive(Record, Clone)]
struct AllSkipped {
    #[record(skip)]
    cache: u8,
}

fn main() {}
