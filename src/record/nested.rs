//! Columns of what contains other records: `Option`, `Vec` and `Box`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field};

use super::primitive::internal;
use super::string::{offsets, place};
use super::{Column, Record, Rows};
use crate::error::Result;
use crate::text::Text;

impl<T: Record> Record for Option<T> {
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        const {
            assert!(
                !T::NULLABLE,
                "an `Option` of what is nullable itself is no record: its two `None`s look the same"
            );
        }
        T::data_type()
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, _: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        // A row that lies in a null struct is null here too, so that the nulls from outside tell nothing new.
        let rows = rows.map(|row| row.and_then(Option::as_ref));
        let mut present = rows.clone();
        let present = BooleanBuffer::collect_bool(len, |_| present.next().flatten().is_some());
        let nulls = Some(NullBuffer::new(present)).filter(|nulls| nulls.null_count() > 0);
        T::to_array(rows, nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let Some(nulls) = column.array().nulls().filter(|nulls| nulls.null_count() > 0) else {
            return Ok(T::from_column(column)?.into_iter().map(Some).collect());
        };
        // What lies under a null is arbitrary, also in the fields of a struct: only the other rows are read.
        let present =
            filter(column.array(), &BooleanArray::new(nulls.inner().clone(), None)).map_err(internal)?;
        let mut values = T::from_column(&column.renumbered(present))?.into_iter();
        Ok(nulls.iter().map(|valid| if valid { values.next() } else { None }).collect())
    }

    #[inline]
    fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
        if let Some(value) = self {
            value.each_text(visit);
        }
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: Record> Record for Vec<T> {
    fn data_type() -> DataType {
        DataType::List(Arc::new(item::<T>()))
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        let rows = rows.map(|row| row.map_or(&[][..], Vec::as_slice));
        let offsets = offsets(rows.clone().map(<[T]>::len), len)?;
        let count = offsets.last().map_or(0, |&end| place(end));
        let items = T::to_array(rows.flatten().map(Some), None, count)?;
        Ok(Arc::new(ListArray::try_new(Arc::new(item::<T>()), offsets, items, nulls).map_err(internal)?))
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        let array = column.array().as_list_opt::<i32>().ok_or_else(|| column.mismatch(&Self::data_type()))?;
        column.without_nulls()?;
        let ends = array.value_offsets();
        let (Some(&first), Some(&last)) = (ends.first(), ends.last()) else { return Ok(Vec::new()) };
        let items = array.values().slice(place(first), place(last - first));
        let mut items = T::from_column(&column.renumbered(items))?.into_iter();
        let lengths = ends.windows(2).map(|ends| place(ends[1] - ends[0]));
        Ok(lengths.map(|length| items.by_ref().take(length).collect()).collect())
    }

    fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
        for item in self {
            item.each_text(visit);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}

/// The field of the items of a list, named as other programs do.
fn item<T: Record>() -> Field {
    Field::new_list_field(T::data_type(), T::NULLABLE)
}

impl<T: Record> Record for Box<T> {
    const NULLABLE: bool = T::NULLABLE;

    fn data_type() -> DataType {
        T::data_type()
    }

    #[inline]
    fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
        T::to_array(rows.map(|row| row.map(|value| &**value)), nulls, len)
    }

    fn from_column(column: &Column) -> Result<Vec<Self>> {
        Ok(T::from_column(column)?.into_iter().map(Box::new).collect())
    }

    #[inline]
    fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
        T::each_text(self, visit);
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        size_of::<T>() + T::heap_bytes(self)
    }
}
