//! What an operator is that broadcasts one of its sides: every task of the other side, which streams past, looks at all of it.
//!
//! The side that is broadcast ends in a terminal. The other side is not exchanged: it passes an operator of its own pipeline, which
//! starts once the terminal is sealed.

use std::sync::Arc;

use super::erased::Elements;
use super::job::Terminal;
use super::memory::Budget;
use super::narrow::Operator;
use crate::config::Execution;

/// A side of an operator that reads two datasets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first one.
    Left,
    /// The second one.
    Right,
}

impl Side {
    /// The side whose dataset has this place.
    pub fn of_index(index: usize) -> Side {
        if index == 0 { Side::Left } else { Side::Right }
    }

    /// The place of its dataset among those that the operator reads.
    pub fn index(self) -> usize {
        match self {
            Side::Left => 0,
            Side::Right => 1,
        }
    }

    /// The side opposite.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }
}

/// An operator that broadcasts one side.
pub trait Broadcast: Send + Sync {
    /// The terminal that takes the side that is broadcast, and what the other side passes once the terminal is sealed.
    fn open(&self, budget: &Budget, execution: Execution) -> (Arc<dyn Terminal>, Arc<dyn Operator>);

    /// See [`Exchange::input_elements`](super::exchange::Exchange::input_elements).
    fn input_elements(&self, _side: Side) -> Option<Arc<dyn Elements>> {
        None
    }
}
