//! Records with where they are: what `read_csv_with_origin` and its kin have as elements.

use std::marker::PhantomData;

use gristmill_derive::Record;

use super::elements::{Rows, Unpack};
use crate::error::Result;
use crate::exec::out::Out;
use crate::exec::push::Demand;
use crate::io::line_finder::LineFinder;
use crate::io::parsed::{FileRecords, Parsed};
use crate::record::{Data, Record, from_batch};
use crate::text::Text;

/// Where a record is, from [`Context::read_csv_with_origin`](crate::Context::read_csv_with_origin) and its kin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Record)]
pub struct RecordOrigin {
    /// The path of the file, as it was given or found; bytes that are not UTF-8 are replaced.
    pub path: Text,
    /// The 1-based number of the line that it begins in; none for standard input.
    pub line: Option<u64>,
    /// The 0-based offset of its first byte in the file, or in what a compressed file inflates to.
    pub offset: u64,
}

/// What a source makes of what its readers give.
pub(super) trait Elements: 'static {
    /// The elements.
    type Item: Data;

    /// Whether each row is an element.
    const ARE_ROWS: bool;

    /// Whether it asks for lines.
    const HAVE_ORIGINS: bool;

    /// How many elements a batch of so many rows is.
    fn elements(rows: u64) -> u64;

    /// Emits them. `lines` knows the lines of this split and of what comes after these.
    fn emit(parsed: Parsed, lines: &mut LineFinder, out: &mut Out<Self::Item>) -> Result<Demand>;
}

impl<U: Unpack> Elements for U {
    type Item = U::Item;

    const ARE_ROWS: bool = U::ARE_ROWS;
    const HAVE_ORIGINS: bool = false;

    fn elements(rows: u64) -> u64 {
        U::elements(rows)
    }

    fn emit(parsed: Parsed, _lines: &mut LineFinder, out: &mut Out<U::Item>) -> Result<Demand> {
        <U as Unpack>::emit(parsed.rows, |error| error, out)
    }
}

/// Rows, each with its origin.
pub(super) struct WithOrigin<T>(PhantomData<fn() -> T>);

impl<T: Record> Elements for WithOrigin<T> {
    type Item = (RecordOrigin, T);

    const ARE_ROWS: bool = true;
    const HAVE_ORIGINS: bool = true;

    fn elements(rows: u64) -> u64 {
        <Rows<T> as Unpack>::elements(rows)
    }

    fn emit(parsed: Parsed, lines: &mut LineFinder, out: &mut Out<Self::Item>) -> Result<Demand> {
        let mut rows = from_batch::<T>(&parsed.rows)?.into_iter();
        for FileRecords { file, offsets, .. } in &parsed.files {
            let path = Text::new(&file.path.to_string_lossy());
            for (&offset, row) in offsets.iter().zip(&mut rows) {
                let origin = RecordOrigin { path: path.clone(), line: lines.line(file, offset)?, offset };
                if out.emit((origin, row))? == Demand::Enough {
                    return Ok(Demand::Enough);
                }
            }
        }
        Ok(Demand::More)
    }
}
