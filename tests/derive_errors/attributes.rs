use gristmill::Record;

#[derive(Record, Clone)]
struct Unknown {
    #[record(renam = "x")]
    a: u8,
    #[record]
    b: u8,
    #[record(rename = "x", rename = "y")]
    c: u8,
    #[record(skip, rename = "x")]
    d: u8,
}

#[derive(Record, Clone)]
struct Names {
    #[record(rename = "")]
    a: u8,
}

#[derive(Record, Clone)]
struct Doubled {
    a: u8,
    #[record(rename = "a")]
    b: u8,
}

#[derive(Record, Clone)]
#[record(rename = "x")]
struct OnStruct {
    a: u8,
}

fn main() {}
