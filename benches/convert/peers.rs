//! DuckDB, Polars and DataFusion, of Python's package index, in a virtual environment under `target/bench-data`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::job::Job;
use crate::Outcome;

/// The versions that are compared.
const PACKAGES: [&str; 4] = ["duckdb==2.0.1", "polars==2.1.0", "datafusion==55.0.0", "pyarrow==26.0.1"];

/// A virtual environment that has them.
pub struct Peers {
    python: PathBuf,
}

impl Peers {
    /// Makes the environment where it is not there yet.
    pub fn install(data: &Path) -> Outcome<Peers> {
        let dir = data.join("peers");
        let (python, installed) = (dir.join("bin/python"), dir.join("installed"));
        let packages = PACKAGES.join("\n");
        if std::fs::read_to_string(&installed).is_ok_and(|text| text == packages) {
            return Ok(Peers { python });
        }
        eprintln!("installing {} (once)", PACKAGES.join(", "));
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&dir))?;
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
        std::fs::write(installed, packages)?;
        Ok(Peers { python })
    }

    /// The process of one of them.
    pub fn command(
        &self,
        job: Job,
        name: &str,
        way: &str,
        input: &Path,
        output: &Path,
        threads: usize,
    ) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/convert/peers.py");
        let mut command = Command::new(&self.python);
        command.arg(script).args([job.name(), name, way]).arg(input).arg(output).arg(threads.to_string());
        command
    }
}

fn succeed(command: &mut Command) -> Outcome<()> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed: {status}").into()) }
}
