//! `read_json_lines`: the objects of files that have one a line.

use super::elements::Rows;
use super::read_text::InputPaths;
use super::records::read_records;
use super::with_origin::{Elements, RecordOrigin, WithOrigin};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::io::json::{JsonFiles, JsonFormat};
use crate::io::lines::LineOptions;
use crate::record::{Record, schema};

impl Context {
    /// The rows of files of JSON with one object a line, as records.
    ///
    /// `inputs` are looked up as by [`Context::read_text`]. The fields of an object are found by the names of the columns. A
    /// field that is missing or `null` is a null; one that `T` does not have is an error, unless
    /// [`JsonFormat::ignore_extra`] is set. Structs are objects, vectors are arrays, times are texts (RFC 3339), decimals
    /// numbers or texts. Empty lines are left out. Commas that are missing or too many are not noticed.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, rows as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read. From the action: if a line is no object, is not UTF-8, or has a value that is none
    /// of its column, with file, line, and byte offset, unless [`Dataset::on_error`] says otherwise; see [`Context::read_text`] for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cities.jsonl");
    /// #[derive(Record, Clone, Debug, PartialEq)]
    /// struct City {
    ///     name: Text,
    ///     people: Option<u32>,
    ///     twins: Vec<Text>,
    /// }
    ///
    /// std::fs::write(&path, "{\"name\": \"Marburg\", \"people\": 85000, \"twins\": [\"Poitiers\", \"Sfax\"]}\n")?;
    /// let ctx = Context::new()?;
    /// let cities = ctx.read_json_lines::<City>(&path, JsonFormat::default())?.collect()?;
    /// assert_eq!((cities[0].people, cities[0].twins.len()), (Some(85_000), 2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_json_lines<T: Record>(
        &self,
        inputs: impl InputPaths,
        format: JsonFormat,
    ) -> Result<Dataset<T>> {
        json_lines::<T, Rows<T>>(self, CallSite::here("read_json_lines"), inputs, format)
    }

    /// As [`Context::read_json_lines`], each row with its file, its line and its byte offset.
    ///
    /// For the lines a large file is read once more, as a rule from the cache of the system; compressed ones are inflated twice, each by one task.
    ///
    /// # Ordering
    ///
    /// As [`Context::read_json_lines`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_json_lines`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("n.jsonl");
    /// #[derive(Record, Clone)]
    /// struct Number {
    ///     n: u8,
    /// }
    ///
    /// std::fs::write(&path, "{\"n\": 5}\n{\"n\": 7}\n")?;
    /// let ctx = Context::new()?;
    /// let rows = ctx.read_json_lines_with_origin::<Number>(&path, JsonFormat::default())?;
    /// let (origin, row) = rows.collect()?.remove(1);
    /// assert_eq!((origin.line, origin.offset, row.n), (Some(2), 9, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_json_lines_with_origin<T: Record>(
        &self,
        inputs: impl InputPaths,
        format: JsonFormat,
    ) -> Result<Dataset<(RecordOrigin, T)>> {
        json_lines::<T, WithOrigin<T>>(self, CallSite::here("read_json_lines_with_origin"), inputs, format)
    }
}

fn json_lines<T: Record, U: Elements>(
    ctx: &Context,
    call: CallSite,
    inputs: impl InputPaths,
    format: JsonFormat,
) -> Result<Dataset<U::Item>> {
    let lines = LineOptions::of(ctx.config());
    let files = JsonFiles::new(format, schema::<T>(), lines).map_err(|error| error.in_call(call))?;
    read_records::<U, _>(ctx, call, &inputs.into_paths(), false, files)
}
