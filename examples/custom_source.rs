//! A source of one's own: the numbers of a Collatz sequence for each start, made as they are read.
//!
//! `cargo run --release --example custom_source`

use gristmill::prelude::*;

/// The Collatz sequences that begin at 1, 2, …, `starts`.
struct Collatz {
    starts: u64,
}

/// Starts in a split: it must depend on the input alone, so that every run gives the same bytes.
const STARTS_PER_SPLIT: u64 = 10_000;

impl Source<(u64, u64)> for Collatz {
    fn splits(&self) -> usize {
        self.starts.div_ceil(STARTS_PER_SPLIT) as usize
    }

    fn read(&self, split: usize, out: &mut Out<(u64, u64)>) -> gristmill::Result<()> {
        let first = split as u64 * STARTS_PER_SPLIT + 1;
        for start in first..(first + STARTS_PER_SPLIT).min(self.starts + 1) {
            let mut n = start;
            while n != 1 {
                n = if n % 2 == 0 { n / 2 } else { 3 * n + 1 };
                if out.emit((start, n))? == Demand::Enough {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn main() -> gristmill::Result<()> {
    let ctx = Context::new()?;
    let steps =
        ctx.read(Collatz { starts: 100_000 }).map(|(start, _)| (start, 1u64)).reduce_by_key(|a, b| a + b);
    for (start, length) in steps.top_k(3, |(_, length)| *length).collect()? {
        println!("{start} needs {length} steps");
    }
    Ok(())
}
