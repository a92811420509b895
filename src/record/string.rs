//! Columns of strings.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::primitive::internal;
use super::{Column, Record, Rows};
use crate::error::{Error, ErrorKind, Result};
use crate::text::{Block, Text, Utf8Block};

/// A text of at most so many bytes lies inline and needs no block.
const INLINE: i32 = 23;

/// Where each of `len` rows begins and ends, given their lengths.
#[inline]
pub(super) fn offsets(lengths: impl Iterator<Item = usize>, len: usize) -> Result<OffsetBuffer<i32>> {
    let mut offsets = Vec::with_capacity(len + 1);
    offsets.push(0);
    let mut end = 0_usize;
    offsets.extend(lengths.map(|length| {
        end += length;
        (end as u32).cast_signed() // wraps beyond 2 GiB, where the check below fails
    }));
    match i32::try_from(end) {
        Ok(_) => Ok(OffsetBuffer::new(offsets.into())),
        Err(_) => Err(too_long(end)),
    }
}

/// An offset of Arrow as an index: offsets are signed, but not negative.
#[inline]
pub(super) fn place(offset: i32) -> usize {
    offset.cast_unsigned() as usize
}

fn too_long(end: usize) -> Error {
    let message =
        format!("one column of a batch of rows would hold {end} bytes or items; it can hold {}", i32::MAX);
    Error::new(ErrorKind::Output, message).hint("make the rows, or the batches, smaller")
}

/// The column of `len` strings: one pass over the rows for the offsets, and one to copy bytes to where they belong.
#[inline]
fn to_strings<'a>(
    rows: impl Iterator<Item = &'a str> + Clone,
    nulls: Option<NullBuffer>,
    len: usize,
) -> Result<ArrayRef> {
    let offsets = offsets(rows.clone().map(str::len), len)?;
    let mut bytes = vec![0; offsets.last().map_or(0, |&end| place(end))];
    let mut rest = bytes.as_mut_slice();
    rows.for_each(|row| {
        let (to, after) = std::mem::take(&mut rest).split_at_mut(row.len());
        copy(row.as_bytes(), to);
        rest = after;
    });
    Ok(Arc::new(StringArray::try_new(offsets, bytes.into(), nulls).map_err(internal)?))
}

/// Copies bytes to where there is room for just as many. Strings are short, and then two loads and stores that may
/// overlap take half the time of a call of `memcpy`.
#[inline]
fn copy(from: &[u8], to: &mut [u8]) {
    match from.len() {
        16..=32 => copy_ends::<16>(from, to),
        8..16 => copy_ends::<8>(from, to),
        4..8 => copy_ends::<4>(from, to),
        _ => to.copy_from_slice(from),
    }
}

/// Copies the first `N` and the last `N` bytes.
#[inline]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(head), Some(slot)) = (from.first_chunk::<N>(), to.first_chunk_mut()) {
        *slot = *head;
    }
    if let (Some(tail), Some(slot)) = (from.last_chunk::<N>(), to.last_chunk_mut()) {
        *slot = *tail;
    }
}

/// The column as one of strings with 32-bit offsets. Files of other programs hold strings in other layouts too, which
/// mean the same.
fn strings(column: &Column) -> Result<StringArray> {
    column.without_nulls()?;
    let array = column.array();
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        DataType::LargeUtf8 | DataType::Utf8View => other_layout(column),
        DataType::Dictionary(_, values) if **values == DataType::Utf8 => other_layout(column),
        _ => Err(column.mismatch(&DataType::Utf8)),
    }
}

fn other_layout(column: &Column) -> Result<StringArray> {
    let array = cast(column.array(), &DataType::Utf8)
        .map_err(|error| column.mismatch(&DataType::Utf8).because(error))?;
    column.with_array(array.clone()).without_nulls()?; // a dictionary may hold a null as a value
    Ok(array.as_string::<i32>().clone())
}

impl Record for String {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        to_strings(rows.map(|row| row.map_or("", String::as_str)), nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let strings = strings(column)?;
        Ok((0..strings.len()).map(|row| strings.value(row).to_owned()).collect())
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

impl Record for Text {
    fn data_type() -> DataType {
        DataType::Utf8
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        to_strings(rows.map(|row| row.map_or("", Text::as_str)), nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let strings = strings(column)?;
        if strings.value_offsets().windows(2).any(|ends| ends[1] - ends[0] > INLINE) {
            return sharing(&strings);
        }
        Ok((0..strings.len()).map(|row| Text::from(strings.value(row))).collect())
    }

    #[inline]
    fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
        visit(self);
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.share_bytes()
    }
}

/// The texts of a column with one block for all of them: one allocation a column, not one a row.
fn sharing(strings: &StringArray) -> Result<Vec<Text>> {
    let ends = strings.value_offsets();
    let (Some(&first), Some(&last)) = (ends.first(), ends.last()) else { return Ok(Vec::new()) };
    let bytes = &strings.value_data()[place(first)..place(last)];
    let mut block = Block::with_capacity(bytes.len());
    block.buffer().extend_from_slice(bytes);
    let block = Utf8Block::new(block).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("an Arrow column of strings is not UTF-8: {error}"))
    })?;
    let range = |ends: &[i32]| place(ends[0] - first)..place(ends[1] - first);
    Ok(ends.windows(2).map(|ends| block.text(range(ends))).collect())
}
