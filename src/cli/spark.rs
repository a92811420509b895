//! `gristmill spark submit`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::{Args, Subcommand};

use crate::error::{Error, ErrorKind, Result};
use crate::spark::PLAN;
use crate::spark::submit::{Submission, find_program};

/// What can be done with Apache Spark.
#[derive(Debug, Subcommand)]
pub enum SparkCommand {
    /// Run a program that uses gristmill on a cluster
    ///
    /// `JOB --master URL` does the same for a program that takes no option of that name.
    Submit(Submit),
    /// Print the stages of a program's first job as JSON, and run nothing
    Plan(Plan),
}

/// Arguments of `gristmill spark plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The program
    job: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Arguments of `gristmill spark submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// The cluster, such as `spark://host:7077`, yarn or local[2] [default: `GRISTMILL_MASTER`]
    #[arg(long, value_name = "URL")]
    master: Option<OsString>,
    /// A setting of Spark, such as spark.executor.memory=4g; can be repeated [default: `GRISTMILL_SPARK_CONF`]
    #[arg(long = "conf", value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// The program
    job: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs a command. It returns only if Spark, or the program, cannot be started.
///
/// # Errors
///
/// If no cluster is named, or there is no Spark.
pub fn run(command: &SparkCommand) -> Result<ExitCode> {
    match command {
        SparkCommand::Submit(Submit { master, settings, job, arguments }) => {
            let submission = Submission::new(job, arguments.clone(), master.clone(), settings.clone())?;
            match submission.exec(None)? {}
        }
        SparkCommand::Plan(Plan { job, arguments }) => {
            let error = Command::new(find_program(job)).args(arguments).env(PLAN, "1").exec();
            Err(Error::io(ErrorKind::Config, "start the program", job, error))
        }
    }
}
