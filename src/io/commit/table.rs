//! The partitions of a table at its commit: which there are, what is sealed, and what may be replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::append::{link_partitions, link_parts, manifest_of};
use super::fs::Fs;
use super::manifest::{self, Head, Manifest, PartEntry};
use super::part::{Parts, twin};
use super::staging::Staging;
use super::target::CheckedTarget;
use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::hive::PartitionPath;

/// The parts of each partition that a run writes.
pub(super) type Partitions = BTreeMap<PartitionPath, Vec<PartEntry>>;

/// The partitions that are in a table, or in a part of it, in order. What is not called like a partition is passed over.
pub(super) fn partitions_in(
    target: &CheckedTarget,
    within: Option<&PartitionPath>,
) -> Result<Vec<PartitionPath>> {
    let (fs, root) = (target.fs(), target.path());
    let mut paths: Vec<String> = vec![within.map_or(String::new(), |within| within.as_str().to_owned())];
    let first = within.map_or(0, PartitionPath::depth);
    for _ in first..target.partition_by().len() {
        let mut next = Vec::new();
        for path in paths {
            if fs.inspect(&root.join(&path))?.is_none_or(|found| !found.is_dir()) {
                continue;
            }
            let separator = if path.is_empty() { "" } else { "/" };
            let names = fs.list(&root.join(&path))?;
            let names = names.iter().filter_map(|name| name.to_str()).filter(|name| name.contains('='));
            next.extend(names.map(|name| format!("{path}{separator}{name}")));
        }
        paths = next;
    }
    let is_there = |path: &String| root.join(path).is_dir();
    let paths = paths.iter().filter(|path| is_there(path)).filter_map(|path| PartitionPath::parse(path).ok());
    Ok(paths.filter(|path| path.begins(target.partition_by())).collect())
}

/// Adds the declared partitions that have no rows, which become empty.
pub(super) fn add_empty(target: &CheckedTarget, partitions: &mut Partitions) -> Result<()> {
    for declared in target.mode().declared().unwrap_or_default() {
        if declared.depth() == target.partition_by().len() {
            partitions.entry(declared.clone()).or_default();
        } else if target.table().is_some() {
            for there in partitions_in(target, Some(declared))? {
                partitions.entry(there).or_default();
            }
        }
    }
    Ok(())
}

/// Fails for a partition that the run does not own, or that is not one of the table's.
pub(super) fn check_owned(target: &CheckedTarget, partitions: &Partitions) -> Result<()> {
    let columns = target.partition_by();
    let wrong = partitions.keys().find(|partition| {
        partition.depth() != columns.len() || !partition.begins(columns) || !target.mode().owns(partition)
    });
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(Error::new(
            ErrorKind::Internal,
            format!("the partition {wrong} is not one that the run writes"),
        )),
    }
}

/// The parts of all partitions, by their paths in the table.
pub(super) fn parts_of_all(partitions: Partitions) -> Vec<PartEntry> {
    let of_one = |(path, parts): (PartitionPath, Vec<PartEntry>)| {
        parts.into_iter().map(move |part| PartEntry { name: format!("{path}/{}", part.name), ..part })
    };
    partitions.into_iter().flat_map(of_one).collect()
}

/// Writes and makes durable the manifests of all partitions and of the table; returns that of the table, and the attempts of
/// the partitions.
pub(super) fn seal(
    target: &CheckedTarget,
    staging: &Staging,
    parts: &Parts,
    head: Head,
    partitions: &Partitions,
) -> Result<(Manifest, Vec<(PartitionPath, String)>)> {
    let appends_to = target.table().filter(|_| target.mode().append_id().is_some());
    let mut attempts = Vec::new();
    for (path, entries) in partitions {
        let dir = parts.partition(path)?;
        let mut head = Head { partition_by: Vec::new(), append_ids: Vec::new(), ..head.clone() };
        let mut entries = entries.clone();
        let place = target.path().join(path.as_path());
        if appends_to.is_some() && target.fs().inspect(&place)?.is_some() {
            let old = manifest_of(&place)?;
            link_parts(target.fs(), &place, dir.dir(), &old)?;
            head.parameters = old.parameters;
            entries.extend(old.parts);
        }
        let manifest = Manifest::new(head, entries)?;
        staging.seal_partition(path, &manifest)?;
        attempts.push((path.clone(), manifest.attempt));
    }
    if appends_to.is_some() {
        link_partitions(target, parts, |partition| partitions.contains_key(partition))?;
    }
    sync_levels(target.fs(), &parts.dirs(), target.partition_by().len(), &staging.new_dir())?;
    let manifest = Manifest::new(head, Vec::new())?;
    staging.seal_dir(&staging.new_dir(), &manifest)?;
    Ok((manifest, attempts))
}

/// Makes the names of partitions durable that lie below the first level.
fn sync_levels(fs: &Fs, dirs: &[PathBuf], depth: usize, root: &Path) -> Result<()> {
    let levels = |dir: &PathBuf| dir.strip_prefix(root).map_or(0, |path| path.components().count());
    dirs.iter().filter(|dir| (1..depth).contains(&levels(dir))).rev().try_for_each(|dir| fs.sync_dir(dir))
}

/// Fails if what is at the place of a partition is not gristmill's, or is another partition on a file system that ignores case.
pub(super) fn check_places(target: &CheckedTarget, partitions: &Partitions) -> Result<()> {
    let mut listed: BTreeMap<PathBuf, BTreeSet<OsString>> = BTreeMap::new();
    for partition in partitions.keys() {
        let mut place = target.path().to_owned();
        for component in partition.as_path() {
            let parent = place.clone();
            place.push(component);
            if target.fs().inspect(&place)?.is_none() {
                break;
            }
            if !listed.contains_key(&parent) {
                listed.insert(parent.clone(), target.fs().list(&parent)?.into_iter().collect());
            }
            if !listed.get(&parent).is_some_and(|names| names.contains(component)) {
                return Err(twin(partition));
            }
        }
        check_place(target.fs(), &target.path().join(partition.as_path()))?;
    }
    Ok(())
}

fn check_place(fs: &Fs, place: &Path) -> Result<()> {
    let fault = match fs.inspect(place)? {
        None => return Ok(()),
        Some(found) if !found.is_dir() => "is not a directory",
        Some(_) => match manifest::read(place) {
            Ok(None) if !fs.list(place)?.is_empty() => "was not written by gristmill",
            // One with a damaged manifest is best replaced by this very run.
            Ok(_) | Err(_) => return Ok(()),
        },
    };
    Err(Error::new(ErrorKind::Output, format!("the partition {} {fault}", printable(place)))
        .hint("nothing was replaced: move it away, and run again"))
}
