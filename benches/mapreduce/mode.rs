//! The two modes of the engine.

/// How a graph is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Stages at the same time, data handed over in memory.
    Dataflow,
    /// One map, shuffle and reduce after the other, with files between them.
    MapReduce,
}

impl Mode {
    /// Both; the place of each is its index.
    pub const ALL: [Mode; 2] = [Mode::Dataflow, Mode::MapReduce];

    /// The value of `GRISTMILL_EXECUTION`, and of `execution` in the metrics.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Dataflow => "dataflow",
            Mode::MapReduce => "mapreduce",
        }
    }

    /// Its place in [`Mode::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}
