//! gristmill: an in-process DAG dataflow engine.

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("gristmill supports 64-bit little-endian targets only");

extern crate self as gristmill;

pub mod cli;
pub mod config;
mod context;
mod dataset;
pub mod error;
mod exec;
pub mod flow;
pub mod io;
mod ops;
pub mod parse;
mod plan;
pub mod record;
mod report;
mod spark;
pub mod text;

pub use context::{Context, ContextBuilder, RunTotals};
pub use dataset::{Dataset, Output};
pub use error::{CallSite, Error, ErrorKind, Place, Result};
pub use exec::cancel::CancelToken;
pub use exec::counter::Counter;
pub use exec::out::Out;
pub use exec::push::Demand;
pub use exec::source::Source;
#[doc(hidden)]
pub use record::derived as __private;

pub use gristmill_derive::{Key, Record};
pub use io::lines::Invalid;
pub use ops::{
    Aggregate, Columns, Groups, Histogram, InputPaths, OnError, OriginLine, Outer, Outputs, RecordOrigin,
    SortColumn, Stats, Table, TableFormat, TextOptions, WholeFile, Written, select_columns,
};
pub use record::{Data, Key, Record, Total};
pub use text::Text;

/// What a program usually needs.
pub mod prelude {
    pub use crate::io::commit::Existing;
    pub use crate::io::csv::{CsvFormat, CsvOptions};
    pub use crate::io::json::{JsonFormat, JsonOptions};
    pub use crate::io::parquet::{Compression, ParquetOptions, ParquetReadOptions, col};
    pub use crate::io::text_compression::TextCompression;
    pub use crate::{Context, Dataset, Demand, Invalid, OnError, Out, Output, Source, Text, TextOptions};
    pub use crate::{Data, Key, Record};
}
