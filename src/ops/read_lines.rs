//! `read_lines`: the rows of files whose lines have a format, such as logs.

use super::elements::Rows;
use super::read_text::InputPaths;
use super::records::read_records;
use super::with_origin::{Elements, RecordOrigin, WithOrigin};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::io::formatted_lines::FormattedLines;
use crate::io::lines::LineOptions;
use crate::parse::LineFormat;
use crate::record::{Record, schema};

impl Context {
    /// The rows of files whose lines a format cuts into columns, as records: logs, fields at fixed positions, whatever a regular expression
    /// matches; see [`parse`](crate::parse) for the formats.
    ///
    /// `inputs` are looked up as by [`Context::read_text`]. The columns that `T` has are found by their names, and no others are converted; they
    /// may have other types than the format says, as long as their text fits.
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, lines as they stand.
    ///
    /// # Errors
    ///
    /// Now: if a path does not exist or cannot be read, or the format has no such columns. From the action: if a line does not have
    /// the format, is not UTF-8, or a field is no value of its column, with file, line and byte offset, unless [`Dataset::on_error`] says otherwise; see
    /// [`Context::read_text`] for all else.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("access.log");
    /// use gristmill::parse::CombinedFormat;
    ///
    /// #[derive(Record, Clone)]
    /// struct Hit {
    ///     path: Text,
    ///     status: u16,
    /// }
    ///
    /// std::fs::write(&path, "::1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 404 7 \"-\" \"curl/8\"\n")?;
    /// let ctx = Context::new()?;
    /// let hits = ctx.read_lines::<Hit>(&path, CombinedFormat)?;
    /// assert_eq!(hits.filter(|hit| hit.status == 404).count()?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_lines<T: Record>(
        &self,
        inputs: impl InputPaths,
        format: impl LineFormat,
    ) -> Result<Dataset<T>> {
        formatted::<T, Rows<T>>(self, CallSite::here("read_lines"), inputs, format)
    }

    /// As [`Context::read_lines`], each row with its file, its line and its byte offset.
    ///
    /// For the lines a large file is read once more, as a rule from the cache of the system; compressed ones are inflated twice, each by one task.
    ///
    /// # Ordering
    ///
    /// As [`Context::read_lines`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_lines`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("pairs");
    /// use gristmill::parse::Logfmt;
    ///
    /// #[derive(Record, Clone)]
    /// struct Event {
    ///     level: Option<Text>,
    /// }
    ///
    /// std::fs::write(&path, "level=info\nlevel=warn\n")?;
    /// let ctx = Context::new()?;
    /// let events = ctx.read_lines_with_origin::<Event>(&path, Logfmt::new(["level"])?)?;
    /// let (origin, event) = events.collect()?.remove(1);
    /// assert_eq!((origin.line, event.level), (Some(2), Some("warn".into())));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_lines_with_origin<T: Record>(
        &self,
        inputs: impl InputPaths,
        format: impl LineFormat,
    ) -> Result<Dataset<(RecordOrigin, T)>> {
        formatted::<T, WithOrigin<T>>(self, CallSite::here("read_lines_with_origin"), inputs, format)
    }
}

fn formatted<T: Record, U: Elements>(
    ctx: &Context,
    call: CallSite,
    inputs: impl InputPaths,
    format: impl LineFormat,
) -> Result<Dataset<U::Item>> {
    let files = FormattedLines::new(Box::new(format), LineOptions::of(ctx.config()));
    let files = files.with_schema(schema::<T>()).map_err(|error| error.in_call(call))?;
    read_records::<U, _>(ctx, call, &inputs.into_paths(), false, files)
}
