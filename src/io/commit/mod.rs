//! Atomic output: a reader sees the old output or the new one, never a mixture and never a part.
//!
//! A [`Target`] says where an output goes and what may be replaced there. Its [check](Target::check) finds at plan time
//! what cannot work. An [`Attempt`] then writes parts to a hidden staging directory beside the target, and its
//! [commit](Attempt::commit) puts them in place with one rename. What is written beforehand is made durable beforehand,
//! so this holds for a process that is killed and for a machine that loses power, at any instant.
//!
//! A table whose rows lie in a directory for each value of some columns can also be replaced [in part](Mode::Partitions), and several
//! outputs can be committed together, in a [`Transaction`]: each partition or output changes in one step, and a journal makes
//! all of them change or none, once the next run or [`recover`] has looked at what a dead run left.
//! [Parts can be added](Mode::AppendOnce) under an id, once.
//!
//! Local Linux file systems such as ext4, xfs, btrfs and tmpfs can exchange two directories in one step. Others, such as NFS and what
//! runs in user space, cannot: there a directory that is replaced is moved aside, and the new one takes its place, under a journal. For that
//! instant, or until the next run or [`recover`] if a run died in it, there is no directory; there is never a mixture.
//! Files that are replaced, and what is new, take their places in one step everywhere. Needed are renames that are atomic, file locks, and inodes that
//! keep their numbers; object stores have none of these.
//!
//! The instant of the exchange is exact for whoever opens the output by name afterwards. A reader that has opened the
//! old directory before it still lists that one, and may find files gone: [`manifest::verify`] and a second look
//! tell.

mod append;
mod attempt;
mod fs;
mod journal;
mod lock;
pub mod manifest;
mod mode;
mod part;
mod place;
mod recover;
mod staging;
mod table;
mod target;
mod transaction;
pub mod verify;

pub use attempt::{Attempt, PartNumbers};
pub use fs::{Call, Fs, Hook};
pub use manifest::{Manifest, PartEntry};
pub use mode::{Mode, Owned};
pub use part::{PartWriter, Parts};
pub use recover::{Recovered, recover};
pub use target::{CheckedTarget, Existing, Shape, Target};
pub use transaction::{Commit, Finished, Transaction};
