//! One block for all the texts of some rows that will live and die together.

use std::ops::Range;

use super::Record;
use crate::text::{Block, Text, Utf8Block};

/// Beyond this a block could not be referred to by all of its texts.
const MAX_BLOCK_BYTES: usize = 1 << 30;

/// Gives all texts of `rows` that are too long to lie inline one block together.
///
/// Rows that were cut out of the blocks of an input, or that each own a block, then keep exactly the bytes that they need,
/// in two allocations for all of them.
///
/// # Examples
///
/// ```
/// use gristmill::{Text, record::{pack, Record}};
///
/// let line = Text::from("a long line, of which only the last words are kept: eventually, twenty-nine bytes");
/// let mut rows = vec![(line.slice(52..81), 1), (Text::from("short"), 2)];
/// pack(&mut rows);
/// drop(line);
/// assert_eq!(rows[0].0, "eventually, twenty-nine bytes");
/// assert_eq!(rows[1].0.share_bytes(), 0);
/// ```
pub fn pack<T: Record>(rows: &mut [T]) {
    let mut sum = 0;
    each_long(rows, |text| sum += text.len());
    if sum == 0 || sum > MAX_BLOCK_BYTES {
        return;
    }
    let mut block = Block::with_capacity(sum);
    let buffer = block.buffer(); // once: it asks each time whether the block is shared
    each_long(rows, |text| buffer.extend_from_slice(text.as_bytes()));
    // What texts hold is UTF-8, one after the other as well.
    let Ok(block) = Utf8Block::new(block) else { return };
    let mut rest: Range<usize> = 0..sum;
    each_long(rows, |text| {
        let end = rest.start + text.len();
        *text = block.text(rest.start..end);
        rest.start = end;
    });
}

fn each_long<T: Record>(rows: &mut [T], mut visit: impl FnMut(&mut Text)) {
    let mut visit = |text: &mut Text| {
        if text.inline_words().is_none() {
            visit(text);
        }
    };
    for row in rows {
        row.each_text(&mut visit);
    }
}
