//! Where the benches keep what they read and write: `target/bench-data`.

use std::path::PathBuf;

use crate::Outcome;

/// The directory, beside the one that this program was built in.
pub fn dir() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).ok_or("the bench runs from its target directory")?;
    let data = target.join("bench-data");
    std::fs::create_dir_all(&data)?;
    Ok(data)
}

/// An empty path: whatever was there is deleted.
pub fn cleared(path: PathBuf) -> Outcome<PathBuf> {
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(path),
    }
}
