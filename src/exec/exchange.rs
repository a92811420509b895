//! What a wide operator is to the planner: something that opens a terminal and the source behind it, once a run.

use std::sync::Arc;

use super::broadcast::{Broadcast, Side};
use super::erased::Elements;
use super::job::Terminal;
use super::memory::Budget;
use super::source::AnySource;
use crate::config::Execution;

/// What the planner decided about an exchange, and what it may use.
#[derive(Debug, Clone)]
pub struct ExchangeSettings {
    /// The number of partitions is `2^partition_bits`.
    pub partition_bits: u32,
    /// Whether values are combined within a split before they are exchanged.
    pub combine: bool,
    /// The context's memory budget.
    pub budget: Budget,
    /// How the graph is run.
    pub execution: Execution,
}

/// A wide operator.
pub trait Exchange: Send + Sync {
    /// The terminal that takes the input, and the source that gives the output once the terminal is sealed.
    fn open(&self, settings: &ExchangeSettings) -> (Arc<dyn Terminal>, Arc<dyn AnySource>);

    /// What the elements of the input of this lane can do, where it knows more than the operator that makes them: a join knows that
    /// they are records, which can go to disk.
    fn input_elements(&self, _lane: usize) -> Option<Arc<dyn Elements>> {
        None
    }

    /// What it is when it broadcasts one side instead of exchanging both, if its meaning allows that. What comes out is the same but for
    /// the order.
    fn broadcast(&self, _side: Side) -> Option<Arc<dyn Broadcast>> {
        None
    }

    /// Whether what comes out is never more than what goes in, in bytes.
    fn selects(&self) -> bool {
        false
    }

    /// For people: what it does with its input, where that is not partitioned by keys.
    fn note(&self) -> Option<&'static str> {
        None
    }
}
