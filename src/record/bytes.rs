//! Columns of bytes, of which only those who write them know what they mean.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::primitive::internal;
use super::string::{offsets, place};
use super::{Column, Key, Record, Rows, hash};
use crate::error::Result;

/// Bytes that own themselves; a few lie inline. As a column they are copied as a whole, unlike a `Vec<u8>`, which is a list of numbers.
#[derive(Debug, Clone)]
pub struct Bytes(Place);

/// The most bytes that take no memory elsewhere: keys that are a number or two.
const INLINE: usize = 22;

#[derive(Debug, Clone)]
enum Place {
    Inline(u8, [u8; INLINE]),
    Heap(Box<[u8]>),
}

impl Bytes {
    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Place::Inline(len, bytes) => &bytes[..usize::from(*len)],
            Place::Heap(bytes) => bytes,
        }
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes(Place::Inline(0, [0; INLINE]))
    }
}

impl From<&[u8]> for Bytes {
    #[inline]
    fn from(bytes: &[u8]) -> Bytes {
        if bytes.len() > INLINE {
            return Bytes(Place::Heap(bytes.into()));
        }
        let mut inline = [0; INLINE];
        inline[..bytes.len()].copy_from_slice(bytes);
        Bytes(Place::Inline(bytes.len() as u8, inline))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        if bytes.len() > INLINE { Bytes(Place::Heap(bytes.into())) } else { Bytes::from(bytes.as_slice()) }
    }
}

impl PartialEq for Bytes {
    #[inline]
    fn eq(&self, other: &Bytes) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes {}

impl Record for Bytes {
    fn data_type() -> DataType {
        DataType::Binary
    }

    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        let rows = rows.map(|row| row.map_or(&[][..], Bytes::as_slice));
        let offsets = offsets(rows.clone().map(<[u8]>::len), len)?;
        let mut bytes = Vec::with_capacity(offsets.last().map_or(0, |&end| place(end)));
        rows.for_each(|row| bytes.extend_from_slice(row));
        Ok(Arc::new(BinaryArray::try_new(offsets, bytes.into(), nulls).map_err(internal)?))
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let array =
            column.array().as_binary_opt::<i32>().ok_or_else(|| column.mismatch(&Self::data_type()))?;
        column.without_nulls()?;
        Ok((0..array.len()).map(|row| Bytes::from(array.value(row))).collect())
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        match &self.0 {
            Place::Inline(..) => 0,
            Place::Heap(bytes) => bytes.len(),
        }
    }
}

impl Key for Bytes {
    const EQUAL_IS_IDENTICAL: bool = true;

    #[inline]
    fn hash_into(&self, hash: u64) -> u64 {
        hash::bytes(self.as_slice(), hash)
    }

    #[inline]
    fn key_eq(&self, other: &Self) -> bool {
        self == other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{from_batch, to_batch};

    #[test]
    fn they_are_three_words_and_long_ones_lie_elsewhere() {
        assert_eq!((size_of::<Bytes>(), size_of::<Option<Bytes>>()), (24, 24));
        for len in [0, 1, INLINE, INLINE + 1, 300] {
            let bytes: Vec<u8> = (0..len).map(|n| n as u8).collect();
            let (slice, vec) = (Bytes::from(bytes.as_slice()), Bytes::from(bytes.clone()));
            assert_eq!((slice.as_slice(), vec.as_slice()), (bytes.as_slice(), bytes.as_slice()));
            assert_eq!(slice.heap_bytes(), if len > INLINE { len } else { 0 });
            assert!(slice == vec && slice.key_hash() == vec.key_hash());
            assert_eq!(slice == Bytes::from(vec![0; len]), len <= 1);
        }
    }

    #[test]
    fn they_come_back_and_nulls_stay_nulls() {
        let some = |bytes: &[u8]| Some(Bytes::from(bytes));
        let rows = vec![
            (Bytes::from(vec![0, 255]), some(&[])),
            (Bytes::default(), None),
            (vec![7].into(), some(&[1])),
        ];
        let batch = to_batch(&rows).unwrap();
        assert_eq!(*batch.schema().field(0).data_type(), DataType::Binary);
        assert_eq!(from_batch::<(Bytes, Option<Bytes>)>(&batch.slice(1, 2)).unwrap(), rows[1..]);
        assert!(from_batch::<(Bytes, Bytes)>(&batch).unwrap_err().to_string().contains("null"));
        assert!(from_batch::<(u8, Bytes)>(&batch).is_err());
    }
}
