//! Execution: typed chunks pushed through fused chains, tasks on a pool, partitions that absorb what arrives.
//!
//! This layer knows neither the operators (they implement its traits) nor the planner's rules (the planner hands it a
//! finished [`job::Job`]). Reading order: [`chunk`] and [`push`] are what flows, [`erased`] is how it is assembled
//! without types, [`job`] is what is to be run, [`task`] runs one split, [`scheduler`] runs them all.

pub mod aggregate;
pub mod beside;
pub mod between;
pub mod broadcast;
pub mod bucket;
pub mod cancel;
pub mod chunk;
pub mod cogroup;
pub mod collect;
pub mod combiner;
pub mod counter;
pub mod cross;
pub mod disk;
pub mod divide;
pub mod erased;
pub mod exchange;
pub mod gate;
pub mod grace;
pub mod hold;
pub mod job;
pub mod join;
pub mod known;
pub mod lookup;
pub mod mapreduce;
pub mod measured;
pub mod memory;
pub mod metrics;
pub mod narrow;
pub mod out;
pub mod pages;
pub mod partition;
pub mod permute;
pub mod push;
pub mod relay;
pub mod scatter;
pub mod scheduler;
pub mod segments;
pub mod sequence;
pub mod shuffle;
pub mod sort;
pub mod source;
pub mod spill;
pub mod table;
pub mod task;
pub mod trace;
pub mod wire;
