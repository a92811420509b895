//! Starts a program on a cluster: `spark-submit` starts the driver in Java, and that starts the program again as the driver of its job.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::{check_java, find_spark_submit, jar};
use crate::config::parse_bytes;
use crate::error::{Error, ErrorKind, Result, printable};

/// The option that names the cluster, in the arguments of any program.
const OPTION: &str = "--master";

/// The variable that names the cluster where the option does not.
pub(super) const VARIABLE: &str = "GRISTMILL_MASTER";

/// The variable with further settings of Spark, as `spark.executor.memory=4g spark.executor.cores=2`.
pub(super) const SETTINGS: &str = "GRISTMILL_SPARK_CONF";

/// The variable with what each worker may hold.
const MEMORY: &str = "GRISTMILL_MEMORY";

/// Spark tells every step; what a user of the program wants to hear of it are warnings. Settings that come later can ask for more.
const QUIET: &str = "spark.log.level=WARN";

/// What each worker may hold where the memory of executors is allotted, and the user says nothing.
const WORKER_MEMORY: u64 = 1 << 30;

/// What Spark itself needs beside the heap of an executor: its own default for small ones.
const EXECUTOR_OVERHEAD: u64 = 384 << 20;

/// Frames are compressed already; and of what goes to the driver, its memory is the limit, and no number.
const DEFAULTS: [&str; 3] =
    ["spark.shuffle.compress=false", "spark.broadcast.compress=false", "spark.driver.maxResultSize=0"];

/// A program, and the cluster that it is to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The master: `spark://host:7077`, `yarn`, `k8s://…`, `local[2]`.
    pub master: OsString,
    /// Settings of Spark, as `name=value`.
    pub settings: Vec<String>,
}

impl Submission {
    /// This process on the cluster that its arguments, or its environment, name; none if they name none.
    ///
    /// # Errors
    ///
    /// If the option has no value, or the program does not know where it is.
    pub fn of_this_process() -> Result<Option<Submission>> {
        let (master, arguments) = without_master(std::env::args_os().skip(1))?;
        let master = master.or_else(|| std::env::var_os(VARIABLE)).filter(|master| !master.is_empty());
        let Some(master) = master else { return Ok(None) };
        let program = std::env::current_exe().map_err(|error| {
            Error::new(ErrorKind::Config, format!("the program does not know where it is: {error}"))
                .because(error)
        })?;
        Ok(Some(Submission { program, arguments, master, settings: Vec::new() }))
    }

    /// A program with arguments, of which one may name the cluster as well.
    ///
    /// # Errors
    ///
    /// If nothing names a cluster, or there is no such program.
    pub fn new(
        program: &Path,
        arguments: Vec<OsString>,
        master: Option<OsString>,
        settings: Vec<String>,
    ) -> Result<Submission> {
        let (named, arguments) = without_master(arguments.into_iter())?;
        let master =
            master.or(named).or_else(|| std::env::var_os(VARIABLE)).filter(|master| !master.is_empty());
        let master = master.ok_or_else(|| {
            Error::new(ErrorKind::Config, "no cluster is named")
                .hint("give --master with spark://host:7077, yarn or local[2]")
        })?;
        let program = std::fs::canonicalize(program)
            .map_err(|error| Error::io(ErrorKind::Config, "find the program", program, error))?;
        if program.as_os_str().as_bytes().iter().any(|byte| b",#".contains(byte)) {
            let message =
                format!("Spark cannot ship {}: its name has a comma or a number sign", printable(&program));
            return Err(Error::new(ErrorKind::Config, message).hint("rename it"));
        }
        Ok(Submission { program, arguments, master, settings })
    }

    /// Becomes `spark-submit`; it returns only if that fails.
    ///
    /// # Errors
    ///
    /// If there is no Spark, or it cannot be started.
    pub fn exec(&self) -> Result<std::convert::Infallible> {
        let spark_submit = find_spark_submit()?;
        check_java(&spark_submit)?;
        let mut command = self.command(&spark_submit, &jar()?, std::io::stderr().is_terminal());
        let error = command.env_remove(VARIABLE).exec();
        let program = printable(Path::new(command.get_program()));
        Err(Error::new(ErrorKind::Config, format!("{program} cannot be started: {error}")).because(error))
    }

    /// What each worker may hold, where the cluster allots memory to executors: beyond it they are killed.
    fn worker_memory(&self) -> Option<u64> {
        let master = self.master.as_bytes();
        let allots = master == b"yarn" || master.starts_with(b"k8s://");
        let given = std::env::var(MEMORY).ok().and_then(|memory| parse_bytes(&memory));
        allots.then(|| given.unwrap_or(WORKER_MEMORY))
    }

    fn command(&self, spark_submit: &Path, jar: &Path, shows_progress: bool) -> Command {
        let mut command = Command::new(spark_submit);
        if std::env::var_os("LC_ALL")
            .is_none_or(|locale| locale.is_empty() || locale == "C" || locale == "POSIX")
        {
            command.env("LC_ALL", "C.UTF-8"); // else Java makes question marks of some letters of arguments
        }
        command.arg(OPTION).arg(&self.master).args(["--class", "gristmill.Driver", "--conf", QUIET]);
        for setting in DEFAULTS {
            command.arg("--conf").arg(setting);
        }
        let settings = std::env::var(SETTINGS).unwrap_or_default();
        let settings = settings.split_whitespace().map(str::to_owned);
        let settings: Vec<String> = settings.chain(self.settings.iter().cloned()).collect();
        if shows_progress {
            command.args(["--conf", "spark.ui.showConsoleProgress=true"]);
        }
        if let Some(memory) = self.worker_memory() {
            command.env(MEMORY, memory.to_string());
            command.arg("--conf").arg(memory_overhead(memory, &settings));
        }
        for setting in settings {
            command.arg("--conf").arg(setting);
        }
        command.arg("--files").arg(&self.program).arg(jar).arg(&self.program).args(&self.arguments);
        command
    }
}

/// The setting by which executors get the memory of their workers: a worker on each core, with what it may hold, a quarter of it, and 64 MiB.
fn memory_overhead(worker: u64, settings: &[String]) -> String {
    let cores = settings.iter().rev().find_map(|setting| setting.strip_prefix("spark.executor.cores="));
    let cores = cores.and_then(|cores| cores.parse().ok()).unwrap_or(1);
    let bytes = EXECUTOR_OVERHEAD.saturating_add((worker + worker / 4 + (64 << 20)).saturating_mul(cores));
    format!("spark.executor.memoryOverhead={}m", bytes.div_ceil(1 << 20))
}

/// The master that arguments name, and the others.
fn without_master(arguments: impl Iterator<Item = OsString>) -> Result<(Option<OsString>, Vec<OsString>)> {
    let (mut master, mut others, mut arguments) = (None, Vec::new(), arguments);
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            others.push(argument);
            others.extend(arguments.by_ref());
        } else if argument == OPTION {
            let value = arguments.next().ok_or_else(|| {
                Error::new(ErrorKind::Config, format!("{OPTION} has no value"))
                    .hint("name a cluster, such as spark://host:7077, yarn or local[2]")
            })?;
            master = Some(value);
        } else if let Some(value) = argument.as_bytes().strip_prefix(b"--master=") {
            master = Some(OsStr::from_bytes(value).to_owned());
        } else {
            others.push(argument);
        }
    }
    Ok((master, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> (Option<String>, Vec<String>) {
        let (master, others) = without_master(text.split(' ').map(OsString::from)).unwrap();
        let text = |text: OsString| text.into_string().unwrap();
        (master.map(text), others.into_iter().map(text).collect())
    }

    #[test]
    fn the_master_is_taken_out_of_the_arguments() {
        let expected =
            |master: &str| (Some(master.to_owned()), vec!["a".to_owned(), "-o".to_owned(), "b".to_owned()]);
        assert_eq!(split("a --master local[2] -o b"), expected("local[2]"));
        assert_eq!(split("a -o b --master=yarn"), expected("yarn"));
        assert_eq!(
            split("a -- --master yarn"),
            (None, vec!["a".into(), "--".into(), "--master".into(), "yarn".into()])
        );
        assert!(without_master(std::iter::once(OsString::from("--master"))).is_err());
    }

    #[test]
    fn spark_is_started_with_the_program_as_a_file_and_as_an_argument() {
        let submission = Submission {
            program: "/opt/job".into(),
            arguments: vec!["in".into()],
            master: "local[2]".into(),
            settings: vec!["spark.executor.cores=2".into()],
        };
        let command =
            submission.command(Path::new("/spark/bin/spark-submit"), Path::new("/tmp/g.jar"), false);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        let expected = "--master local[2] --class gristmill.Driver --conf spark.log.level=WARN --conf spark.shuffle.compress=false --conf spark.broadcast.compress=false --conf spark.driver.maxResultSize=0 --conf spark.executor.cores=2 --files /opt/job /tmp/g.jar /opt/job in";
        assert_eq!(arguments.join(" "), expected);
    }

    #[test]
    fn executors_get_the_memory_of_their_workers() {
        let cores =
            |settings: &[&str]| settings.iter().map(|&setting| setting.to_owned()).collect::<Vec<_>>();
        let overhead = |settings: &[&str]| memory_overhead(1 << 30, &cores(settings));
        assert_eq!(overhead(&[]), "spark.executor.memoryOverhead=1728m");
        let four = ["spark.executor.cores=2", "spark.executor.memory=2g", "spark.executor.cores=4"];
        assert_eq!(overhead(&four), "spark.executor.memoryOverhead=5760m");
    }
}
