//! Atomic output: a reader sees the old output or the new one, never a mixture and never a part. What programs other than gristmill see where nothing can be
//! renamed is said [below](#in-place).
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
//! keep their numbers.
//!
//! # In place
//!
//! Object stores that are mounted have none of these: there is no rename of a directory, or it is a copy of all that is in it. There a whole output, also
//! a table, is committed in place. Its parts are written to where they stay, under names that no other run uses, and a manifest of the next
//! generation, `_manifest-00000007.json`, which is created exclusively and in one step, makes them count. Before that the old output counts, to the byte,
//! whatever has died; afterwards the new one does, and what is older is deleted, with what the dead have left.
//!
//! Who reads by the manifest, as all readers of gristmill do, sees the old output or the new one, never a mixture; one that has opened the old one finds
//! files gone once they are deleted, and says so. **Another program that lists the directory sees old and new parts side by side, from the first
//! part to the end of the clean-up**, and parts of a run that has died until the next run has committed. Let such programs read the files that the
//! manifest names, or a copy of those.
//!
//! That a rename fails is found out when a run begins; and object stores that are known to rename by copying are known by their mounts. Where
//! renames of another file system are not atomic, say so: [`CommitBy`](crate::config::CommitBy).
//! Needed are files that can be created exclusively and deleted, and that are whole or absent for others, or at least keep what has been made
//! durable. Locks keep two runs apart where there are any, and else that one of them cannot create the manifest. Refused are: to replace some partitions only, to
//! append, to commit several outputs together, and to replace a single file. A new single file is copied to its place: it is there when that is closed.
//!
//! The instant of the exchange is exact for whoever opens the output by name afterwards. A reader that has opened the
//! old directory before it still lists that one, and may find files gone: [`manifest::verify`] and a second look
//! tell.

mod append;
mod attempt;
mod fs;
pub(crate) mod generations;
mod in_place;
mod journal;
mod lock;
pub mod manifest;
mod mode;
mod part;
mod place;
mod recover;
mod refusals;
mod staging;
mod stamp;
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
