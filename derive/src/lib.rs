//! The derive macros of gristmill: `#[derive(Record)]` and `#[derive(Key)]`.
//!
//! Use them through the `gristmill` crate, which re-exports them; the code they generate names `::gristmill`.
//!
//! A macro reads the annotated item in two steps: `shape` turns it into the columns of a table, or into errors that
//! point at what is wrong; `record` and `key` turn the columns into code.

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Code;
use syn::{DeriveInput, parse_macro_input};

mod attributes;
mod key;
mod record;
mod shape;

use shape::Shape;

/// Implements `gristmill::Record` for a struct: its fields are the columns.
///
/// The struct must be `Clone`, have at least one column, and borrow nothing. Each field must be a `Record` itself;
/// type parameters get that bound. The fields of a tuple struct are named `_1`, `_2`, and so on.
///
/// | attribute of a field | meaning |
/// |---|---|
/// | `#[record(rename = "x")]` | the column is named `x` |
/// | `#[record(timestamp = "ms")]` | an `i64` or `Option<i64>` is an instant in UTC, counted from 1970 in `s`, `ms`, `us` or `ns`; Parquet files have `s` in milliseconds, and Spark reads no `ns` |
/// | `#[record(date)]` | an `i32` or `Option<i32>` is a date, counted in days from 1970-01-01 |
/// | `#[record(decimal(18, 2))]` | an `i128` or `Option<i128>` is a decimal number of 18 digits, 2 of them after the point; 1 to 38 digits |
/// | `#[record(skip)]` | the field is no column; it is `Default::default()` in what is read |
///
/// Parquet knows no instants in seconds: other programs see those as plain integers. Prefer `ms`.
///
/// There is an example at `gristmill::record::Record`.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    expand(&item, record::implementation).into()
}

/// Implements `gristmill::Key` for a struct that is a `Record`: its columns, in order, are the key.
///
/// A field with `#[record(skip)]` takes no part: it would be lost when a key goes through a file, and with it the
/// equality. Each other field must be a `Key` itself; type parameters get that bound.
#[proc_macro_derive(Key, attributes(record))]
pub fn derive_key(item: TokenStream) -> TokenStream {
    let item = parse_macro_input!(item as DeriveInput);
    expand(&item, key::implementation).into()
}

/// The implementation for an item, or what is wrong with the item.
fn expand(item: &DeriveInput, implementation: fn(&Shape) -> Code) -> Code {
    Shape::of(item).map_or_else(|error| error.to_compile_error(), |shape| implementation(&shape))
}
