//! `gristmill verify`: an output against its manifests.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::commit::verify::{FaultKind, Verified, check};

/// Arguments of `gristmill verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyOptions {
    /// The output: a directory that gristmill wrote
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
}

/// Reads all files of an output and prints what is not as its manifests say. The exit code is 1 if anything is wrong.
///
/// # Errors
///
/// If there is no manifest to compare with, a directory cannot be listed, or `out` cannot be written.
pub fn run(options: &VerifyOptions, out: &mut dyn Write) -> Result<ExitCode> {
    let found = check(&options.output)?;
    match print(options, &found, out) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let message = format!("cannot print to standard output: {error}");
            Err(Error::new(ErrorKind::Output, message).because(error))
        }
        _ => Ok(if found.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
    }
}

fn print(options: &VerifyOptions, found: &Verified, out: &mut dyn Write) -> io::Result<()> {
    for fault in &found.faults {
        let kind = match fault.kind {
            FaultKind::Missing => "missing",
            FaultKind::Changed => "changed",
            FaultKind::Foreign => "foreign",
            FaultKind::Unfinished => "unfinished",
        };
        writeln!(out, "{kind}: {}; {}", fault.message, fault.hint)?;
    }
    let partitions = match found.partitions {
        0 => String::new(),
        partitions => format!("{partitions} partition(s), "),
    };
    let Verified { parts, rows, bytes, .. } = found;
    let verdict = match found.faults.len() {
        0 => "as written".to_owned(),
        faults => format!("{faults} fault(s)"),
    };
    let path = printable(&options.output);
    writeln!(out, "{path}: {partitions}{parts} file(s), {rows} rows, {bytes} bytes: {verdict}")?;
    out.flush()
}
