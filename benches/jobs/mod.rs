//! Jobs that are run as processes of their own and compared: what `operators` and `spill` share.

pub mod compare;
mod data;
mod engine;
pub mod files;
pub mod job;
pub mod options;
mod plain;
