//! Reading and writing files.

pub mod commit;
