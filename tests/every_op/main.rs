//! Every operator and action against a plain model, over threads, splits, chunk sizes, memory limits and rules.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

mod actions;
mod broadcasts;
mod by_key;
mod checkpoint;
mod counters;
mod cross;
mod harness;
mod joins;
mod loops;
mod narrow;
mod outputs;
mod partitions;
mod sample;
mod sets;
mod sorting;
mod statistics;
mod tables;
