//! gristmill: an in-process DAG dataflow engine.

#[cfg(not(target_pointer_width = "64"))]
compile_error!("gristmill supports 64-bit targets only");

pub mod error;

pub use error::{CallSite, Error, ErrorKind, Place, Result};
