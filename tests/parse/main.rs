//! The formats of lines: sample files of each through the engine, fields that are written and cut again, and any input whatever.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod any_input;
mod files;
mod round_trip;
mod samples;
