//! Tuples: structs whose fields are named `_1`, `_2`, … and read by position.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::derived::{field, struct_array, struct_type};
use super::{Column, Record, Rows};
use crate::error::Result;
use crate::text::Text;

macro_rules! tuple {
    ($count:literal: $($type:ident $index:tt $name:literal),+) => {
        impl<$($type: Record),+> Record for ($($type,)+) {
            fn data_type() -> DataType {
                struct_type(vec![$(field::<$type>($name)),+])
            }

            #[inline]
            fn to_array<'a>(rows: impl Rows<'a, Self>, nulls: Option<NullBuffer>, len: usize) -> Result<ArrayRef> {
                let columns = vec![
                    $($type::to_array(rows.clone().map(|row| row.map(|row| &row.$index)), None, len)?),+
                ];
                struct_array(Self::data_type(), columns, nulls, len)
            }

            #[inline]
            fn from_column(column: &Column) -> Result<Vec<Self>> {
                let children = column.children($count)?;
                let mut columns = ($($type::from_column(&children[$index])?.into_iter(),)+);
                let mut rows = Vec::with_capacity(column.len());
                rows.extend((0..column.len()).map_while(|_| Some(($(columns.$index.next()?,)+))));
                Ok(rows)
            }

            #[inline]
            fn each_text(&mut self, visit: &mut impl FnMut(&mut Text)) {
                $(self.$index.each_text(visit);)+
            }

            #[inline]
            fn heap_bytes(&self) -> usize {
                0 $(+ self.$index.heap_bytes())+
            }
        }
    };
}

tuple!(1: A 0 "_1");
tuple!(2: A 0 "_1", B 1 "_2");
tuple!(3: A 0 "_1", B 1 "_2", C 2 "_3");
tuple!(4: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4");
tuple!(5: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5");
tuple!(6: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6");
tuple!(7: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7");
tuple!(8: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7", H 7 "_8");
tuple!(9: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7", H 7 "_8", I 8 "_9");
tuple!(10: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7", H 7 "_8", I 8 "_9", J 9 "_10");
tuple!(11: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7", H 7 "_8", I 8 "_9", J 9 "_10",
    K 10 "_11");
tuple!(12: A 0 "_1", B 1 "_2", C 2 "_3", D 3 "_4", E 4 "_5", F 5 "_6", G 6 "_7", H 7 "_8", I 8 "_9", J 9 "_10",
    K 10 "_11", L 11 "_12");
