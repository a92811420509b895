//! `gristmill recover`: completes and cleans up what dead runs have left.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::commit::{Recovered, recover};

/// Arguments of `gristmill recover`.
#[derive(Debug, Clone, clap::Args)]
pub struct RecoverOptions {
    /// The output that a run was writing when it died: its directory or file, even if it is not there
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
}

/// Does what the next run would do before it begins, and prints what that was.
///
/// # Errors
///
/// As [`recover`]; also if `out` cannot be written.
pub fn run(options: &RecoverOptions, out: &mut dyn Write) -> Result<()> {
    let recovered = recover(&options.output)?;
    match print(&recovered, out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("cannot print to standard output: {error}");
            Err(Error::new(ErrorKind::Output, message).because(error))
        }
        _ => Ok(()),
    }
}

fn print(recovered: &Recovered, out: &mut dyn Write) -> io::Result<()> {
    if *recovered == Recovered::default() {
        writeln!(out, "nothing to recover")?;
    }
    for path in &recovered.rolled_forward {
        writeln!(out, "completed {}", printable(path))?;
    }
    for dir in &recovered.deleted {
        writeln!(out, "deleted {}", printable(dir))?;
    }
    out.flush()
}
