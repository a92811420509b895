//! The planner: a lazy graph in, stages out. Pure: no threads, no input, no output.
//!
//! [`graph`] is what `Dataset` builds, [`loops`] what is particular to loops in it; [`broadcast`] chooses the sides that are not
//! exchanged; [`stages`] cuts the graph into
//! pipelines and fuses them, a description; [`cycles`] cuts that into cycles for the MapReduce mode; [`lower`] turns the description into a job that can be run. All walks are
//! iterative, so that a graph of any depth plans on a small stack.

pub mod broadcast;
pub mod cycles;
pub mod explain;
pub mod graph;
pub mod loops;
pub mod lower;
pub mod stages;
