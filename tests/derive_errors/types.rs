use gristmill::{Key, Record};

#[derive(Record, Clone)]
struct Borrowed<'a> {
    name: &'a str,
}

#[derive(Clone)]
struct Other;

#[derive(Record, Clone)]
struct Foreign {
    other: Other,
}

#[derive(Record, Clone)]
struct Part {
    a: u8,
}

#[derive(Record, Key, Clone)]
struct Whole {
    part: Part,
}

fn main() {}
