//! What a run tells people and programs about itself.

pub mod run_report;
