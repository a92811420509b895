//! The exchanges of the MapReduce mode, as Hadoop has them (Dean and Ghemawat, *MapReduce: Simplified Data Processing on Large
//! Clusters*, 2004; White, *Hadoop: The Definitive Guide*, chapter 7).
//!
//! A map task collects what is to be exchanged in a buffer of limited size. A full buffer is ordered by partition and by the hash of the
//! key, combined, and written to local disk as a run; at the end of the task its runs are merged to one, with an index by partition
//! ([`map_output`]). A terminal takes the segments of each partition and does nothing else with them, so that all reducing waits for
//! the last map task. A reduce task fetches the segments of its partition, merges them in the order of the map tasks ([`merge`]), and
//! hands each key with what there is of it to the operator ([`aggregate`], [`matching`]) or passes all rows on ([`divide`]).
//!
//! In front of the buffer, an aggregation combines with the hash table of the dataflow mode ([`super::combiner`]), which Hadoop does not
//! have: it orders all that a map emits, and combines then. So less is ordered, written and merged here than by Hadoop: comparisons of
//! the two modes err in favour of MapReduce.
//!
//! Keys are ordered by their hashes, as everything is that leaves an exchange of this engine: so both modes give the same order.

pub mod aggregate;
pub mod divide;
pub mod group;
pub mod map_output;
pub mod map_rows;
pub mod matching;
pub mod merge;
pub mod partitions;
