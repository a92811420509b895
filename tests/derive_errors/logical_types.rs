use gristmill::Record;

#[derive(Record, Clone)]
struct Parameters {
    #[record(timestamp = "min")]
    a: i64,
    #[record(timestamp)]
    b: i64,
    #[record(decimal(39, 2))]
    c: i128,
    #[record(decimal(5, 6))]
    d: i128,
    #[record(date, timestamp = "s")]
    e: i32,
}

#[derive(Record, Clone)]
struct Types {
    #[record(timestamp = "s")]
    a: u64,
    #[record(date)]
    b: Option<i64>,
    #[record(decimal(5, 2))]
    c: f64,
}

fn main() {}
