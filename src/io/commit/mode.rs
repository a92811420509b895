//! What of an output a run replaces.

use crate::io::hive::PartitionPath;

/// What of an output a run replaces, and so what it owns while it runs.
///
/// # Examples
///
/// ```
/// use gristmill::io::commit::{Mode, Owned};
/// use gristmill::io::hive::PartitionPath;
///
/// let day = Mode::Partitions(Owned::Declared(vec![PartitionPath::parse("dt=2026-01-01")?]));
/// assert_ne!(day, Mode::default());
/// # Ok::<(), gristmill::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// All of it, in one step.
    #[default]
    Whole,
    /// Some partitions of a table; no file of the others is touched. What [`Existing`](super::Existing) says is for whole
    /// outputs: here a table is expected to be there already, and is created if it is not.
    Partitions(Owned),
    /// Nothing: new parts are added under this id, unless it was added before. As with [`Mode::Partitions`], the output is
    /// expected to be there already, and is created if it is not.
    AppendOnce(String),
}

/// Which partitions a run replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owned {
    /// These, and all that lie in them if a path has fewer levels than the table. Rows of others are an error. A partition without rows
    /// becomes empty. Runs that own different partitions may write one table at the same time.
    Declared(Vec<PartitionPath>),
    /// Those that rows occur in. The run has the table for itself, since nobody knows beforehand which these are.
    Occurring,
}

impl Mode {
    /// The partitions that the run has declared; nothing if it has the whole output for itself.
    pub(super) fn declared(&self) -> Option<&[PartitionPath]> {
        match self {
            Mode::Partitions(Owned::Declared(declared)) => Some(declared),
            _ => None,
        }
    }

    /// Whether rows of a partition may be written.
    pub fn owns(&self, partition: &PartitionPath) -> bool {
        self.declared().is_none_or(|declared| declared.iter().any(|owned| partition.is_within(owned)))
    }

    /// The id to append under.
    pub(super) fn append_id(&self) -> Option<&str> {
        match self {
            Mode::AppendOnce(id) => Some(id),
            _ => None,
        }
    }
}
