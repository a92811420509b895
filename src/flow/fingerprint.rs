//! What a task has read and where it has written: whether it need not run again.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::files;
use crate::error::{Error, ErrorKind, Result};
use crate::io::commit::{generations, manifest};

/// The fingerprint of files, directories and globs. Of what gristmill has written it is what the manifests say, so that the same output written again
/// has the same one; of other files it is their names, sizes and times.
///
/// # Errors
///
/// If a glob is none, or what there is cannot be looked at.
pub(super) fn of_inputs(paths: &[PathBuf]) -> Result<String> {
    let mut hash = Xxh3::new();
    for path in paths {
        for found in files::matching(path)? {
            add(&mut hash, &found)?;
        }
    }
    Ok(format!("xxh3:{:032x}", hash.digest128()))
}

/// Whether all outputs are there; a directory that gristmill has begun to write is complete if and only if it has a manifest.
pub(super) fn are_complete(paths: &[PathBuf]) -> bool {
    paths.iter().all(|path| match path.metadata() {
        Ok(found) if found.is_dir() => manifest::read(path).is_ok() && !generations::is_unfinished(path),
        found => found.is_ok(),
    })
}

/// What lies at the outputs: which file or directory, and which manifest, not what is in them.
pub(super) fn identity(paths: &[PathBuf]) -> String {
    let of = |path: &Path| {
        path.metadata().map_or(String::new(), |found| format!("{}:{}", found.ino(), found.mtime_nsec()))
    };
    let all: Vec<String> = paths
        .iter()
        .map(|path| format!("{} {}", of(path), of(&generations::path_of_manifest(path))))
        .collect();
    all.join(", ")
}

fn add(hash: &mut Xxh3, path: &Path) -> Result<()> {
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update(&[0]);
    let looked = |error| Error::io(ErrorKind::Input, "look at", path, error);
    let found = match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(looked)?,
    };
    if !found.is_dir() {
        hash.update(&times(&found));
        return Ok(());
    }
    if let Ok(Some(manifest)) = manifest::read(path)
        && (manifest.partition_by.is_empty() || !manifest.parts.is_empty())
    {
        hash.update(manifest.attempt.as_bytes());
        return Ok(());
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(looked)? {
        entries.push(entry.map_err(looked)?.path());
    }
    entries.retain(|entry| !entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    entries.sort();
    entries.iter().try_for_each(|entry| add(hash, entry))
}

fn times(found: &Metadata) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&found.len().to_le_bytes());
    bytes[8..16].copy_from_slice(&found.mtime().to_le_bytes());
    bytes[16..].copy_from_slice(&found.mtime_nsec().to_le_bytes());
    bytes
}
