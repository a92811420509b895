//! `read_csv`: the rows of CSV files.

use super::elements::Rows;
use super::read_text::InputPaths;
use super::records::read_records;
use super::with_origin::{Elements, RecordOrigin, WithOrigin};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::io::csv::{CsvFiles, CsvFormat};
use crate::io::lines::LineOptions;
use crate::record::{Record, schema};

impl Context {
    /// The rows of CSV files, as records.
    ///
    /// `inputs` are looked up as by [`Context::read_text`]. A file's first record names its columns, unless
    /// [`CsvFormat::header`] is off; those that `T` has are found by their names, in any order, and no others are looked at. Fields are
    /// quoted as RFC 4180 says, and may contain line ends: large files are cut all the same, see [`CsvFormat::whole_files`].
    ///
    /// Numbers, times (RFC 3339, without a zone UTC), dates (`2026-01-31`), decimals and booleans (`true`, `false`, `t`, `f`, `1`, `0`) must fit
    /// their columns exactly: nothing is wrapped, rounded or trimmed.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, rows as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or `T` has a column that is no field, such as a list. From the action: if
    /// a column is missing, a record has another number of fields than its header, a quote is where none can be or is not closed, or
    /// a field is no value of its column; with file, line, byte offset, column and value. Also if a file has changed since now, or
    /// a record is longer than [`Config::max_line_bytes`](crate::config::Config::max_line_bytes).
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("cities.csv");
    /// #[derive(Record, Clone, Debug, PartialEq)]
    /// struct City {
    ///     name: Text,
    ///     people: Option<u32>,
    /// }
    ///
    /// std::fs::write(&path, "people,country,name\n85000,DE,\"Marburg, Lahn\"\n,IS,Hof\n")?;
    /// let ctx = Context::new()?;
    /// let cities = ctx.read_csv::<City>(&path, CsvFormat::default())?.collect()?;
    /// assert_eq!(cities[0], City { name: "Marburg, Lahn".into(), people: Some(85_000) });
    /// assert_eq!(cities[1].people, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_csv<T: Record>(&self, inputs: impl InputPaths, format: CsvFormat) -> Result<Dataset<T>> {
        csv::<T, Rows<T>>(self, CallSite::here("read_csv"), inputs, format)
    }

    /// As [`Context::read_csv`], each row with its file, its line and its byte offset.
    ///
    /// For the lines a large file is read once more, as a rule from the cache of the system; compressed ones are inflated twice, each by one task.
    ///
    /// # Ordering
    ///
    /// As [`Context::read_csv`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_csv`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("n.csv");
    /// std::fs::write(&path, "n\n5\n\n7\n")?;
    /// let ctx = Context::new()?;
    /// let rows = ctx.read_csv_with_origin::<(u8,)>(&path, CsvFormat::default().header(false))?;
    /// let rows = rows.on_error(OnError::skip())?;
    /// let (origin, row) = rows.collect()?.remove(1);
    /// assert_eq!((origin.line, origin.offset, row.0), (Some(4), 5, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_csv_with_origin<T: Record>(
        &self,
        inputs: impl InputPaths,
        format: CsvFormat,
    ) -> Result<Dataset<(RecordOrigin, T)>> {
        csv::<T, WithOrigin<T>>(self, CallSite::here("read_csv_with_origin"), inputs, format)
    }
}

fn csv<T: Record, U: Elements>(
    ctx: &Context,
    call: CallSite,
    inputs: impl InputPaths,
    format: CsvFormat,
) -> Result<Dataset<U::Item>> {
    let whole_files = format.reads_whole_files();
    let lines = LineOptions::of(ctx.config());
    let files = CsvFiles::new(format, schema::<T>(), lines.max_line_bytes, lines.inflate);
    let files = files.map_err(|error| error.in_call(call))?;
    read_records::<U, _>(ctx, call, &inputs.into_paths(), whole_files, files)
}
