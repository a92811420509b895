//! Files in and out: what is read from where, in which pieces, how rows become files, and how files are committed.
//!
//! Nothing here knows of operators, stages or threads. A [split](split::Split) is planned from the input alone, and a
//! reader of it gives blocks until there are none; encoders turn batches into bytes; [`commit`] makes an output visible in one step.

pub mod commit;
pub mod csv;
pub mod formatted_lines;
pub mod hive;
pub mod infer;
pub mod inflate;
pub mod input;
pub mod json;
pub mod line_counts;
pub mod line_finder;
pub mod lines;
pub(crate) mod metrics_file;
pub(crate) mod mounts;
pub mod origin;
pub mod parquet;
pub mod parsed;
pub(crate) mod placement;
mod relay;
pub mod resolve;
pub mod schema_text;
pub mod split;
pub mod text;
pub mod text_compression;
