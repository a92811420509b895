//! Workflows: jobs that can be re-run, retried and backfilled without fear.
//!
//! A [`Flow`] is a graph of tasks, built in Rust or read from a `*.flow.toml` file. With its parameters it gives a [`Plan`], always the same; a run of
//! the plan is recorded in a [`Ledger`], one `SQLite` file. Tasks are atomic and replace what they write, so that a run that has failed, or died at any
//! instant, is completed by running it again: what is complete is not run twice.
//!
//! The words are those of Airflow and Digdag; `docs/flows.md` has a table of them.

mod active;
mod backfill;
mod backoff;
mod bounds;
mod check;
mod child;
mod clock;
mod define;
mod due;
mod duration;
mod engine;
mod event;
mod failure;
mod file;
mod files;
mod fingerprint;
mod for_each;
mod ledger;
mod load;
mod load_in;
mod load_out;
mod log;
mod machine;
mod marked;
mod notify;
mod param;
mod period;
mod plan;
mod plan_text;
mod recover;
mod retry;
mod run;
mod run_lock;
mod schedule;
mod scheduler;
mod scope;
mod state;
mod step;
mod task_context;
mod template;
mod tls;
mod unfold;
mod usage;
mod work;

pub use crate::cli::flow::main;
pub use active::Which;
pub use backfill::{Backfill, BackfillReport, IntervalReport, Order, Reprocess};
pub use backoff::Backoff;
pub use bounds::{Bound, Bounds};
pub use define::{Flow, Task};
pub use event::FlowEvent;
pub use failure::{TaskError, transient};
pub use for_each::ForEach;
pub use ledger::{Ledger, RunRow, TaskRow, TryRow};
pub use load::{Load, LoadIn, LoadOut};
pub use notify::{Notifier, Occasion};
pub use param::{Param, ParamType, ParamValue, Params};
pub use period::{Every, Interval};
pub use plan::Plan;
pub(crate) use plan_text::NodeText;
pub use retry::retry;
pub use run::{Ran, Runner};
pub use schedule::{CatchUp, Overlap, Schedule};
pub use state::State;
pub use step::{Argument, Command, Engine, EngineCommand, Job, Step};
pub use task_context::{TaskContext, TaskResult};
