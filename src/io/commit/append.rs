//! Adding parts to an output: the new directory has hard links to the old parts, and takes the old one's place in one step.
//!
//! So nothing is copied, the files of old parts stay what they are, and a reader sees the output with all new parts or without any.

use std::ffi::OsStr;
use std::path::Path;

use super::fs::Fs;
use super::manifest::{self, FILE_NAME, Manifest};
use super::part::Parts;
use super::table::partitions_in;
use super::target::CheckedTarget;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// Links all parts of a directory into another one, without its manifest.
pub(super) fn link_parts(fs: &Fs, from: &Path, to: &Path, manifest: &Manifest) -> Result<()> {
    for name in fs.list(from)? {
        let is_part = manifest.parts.iter().any(|part| OsStr::new(&part.name) == name);
        if is_part {
            fs.link(&from.join(&name), &to.join(&name))?;
        } else if name != FILE_NAME {
            return Err(foreign(&from.join(&name)));
        }
    }
    Ok(())
}

/// Links the partitions of a table that nothing is appended to into the new one, with their manifests.
pub(super) fn link_partitions(
    target: &CheckedTarget,
    new: &Parts,
    changed: impl Fn(&PartitionPath) -> bool,
) -> Result<()> {
    let fs = target.fs();
    for partition in partitions_in(target, None)? {
        if changed(&partition) {
            continue;
        }
        let (from, to) = (target.path().join(partition.as_path()), new.partition(&partition)?);
        let manifest = manifest_of(&from)?;
        link_parts(fs, &from, to.dir(), &manifest)?;
        fs.link(&from.join(FILE_NAME), &to.dir().join(FILE_NAME))?;
        fs.sync_dir(to.dir())?;
    }
    Ok(())
}

/// The manifest of a partition that is there.
pub(super) fn manifest_of(partition: &Path) -> Result<Manifest> {
    manifest::read(partition)?.ok_or_else(|| {
        let message = format!("the partition {} has no {FILE_NAME}", printable(partition));
        Error::new(ErrorKind::Output, message).hint("nothing was appended: write that partition again")
    })
}

/// The number of the first part that can be added to others.
pub(super) fn next_part_number(manifest: &Manifest) -> usize {
    let number = |name: &str| {
        let digits: String = name.strip_prefix("part-")?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().ok()
    };
    manifest.parts.iter().filter_map(|part| number(&part.name)).max().map_or(0, |last| last.saturating_add(1))
}

fn foreign(path: &Path) -> Error {
    let message = format!("{} is not in the manifest of its output", printable(path));
    Error::new(ErrorKind::Output, message).hint("nothing was appended: move it away, and run again")
}
