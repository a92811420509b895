//! `read_json_lines`: the objects of files that have one a line.

use super::elements::Rows;
use super::read_text::InputPaths;
use super::records::read_records;
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
        let call = CallSite::here("read_json_lines");
        let lines = LineOptions::of(self.config());
        let files = JsonFiles::new(format, schema::<T>(), lines).map_err(|error| error.in_call(call))?;
        read_records::<Rows<T>, _>(self, call, &inputs.into_paths(), false, files)
    }
}
