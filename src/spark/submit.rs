//! Starts a program on a cluster: `spark-submit` starts the driver in Java, and that starts the program again as the driver of its job.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::{check_java, check_yarn, find_spark_submit, jar};
use super::launch::text;
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
        let program = std::fs::canonicalize(find_program(program))
            .map_err(|error| Error::io(ErrorKind::Config, "find the program", program, error))?;
        Ok(Submission { program, arguments, master, settings })
    }

    /// Finds what cannot work before Spark does, which says it in its own words, or not at all.
    fn check(&self) -> Result<()> {
        let master = text("the master", &self.master)?;
        let kinds = ["spark://", "k8s://", "mesos://", "local[", "local-cluster["];
        if !["local", "yarn"].contains(&&*master) && !kinds.iter().any(|kind| master.starts_with(kind)) {
            return Err(Error::new(ErrorKind::Config, format!("there is no master {master:?} of Spark"))
                .hint(
                    "name a cluster, such as spark://host:7077, yarn, k8s://https://host:443 or local[2]",
                ));
        }
        let program = text("the program", self.program.as_os_str())?;
        if program.contains([',', '#', '*', '?', '[', ']', '{', '}', '\\']) {
            let message = format!(
                "Spark cannot ship {}: its path has one of , # * ? [ ] {{ }} \\",
                printable(&self.program)
            );
            return Err(Error::new(ErrorKind::Config, message).hint("copy it to another place"));
        }
        self.arguments.iter().try_for_each(|argument| text("the argument", argument).map(drop))?;
        let dir = std::env::current_dir().unwrap_or_default(); // the driver says what is wrong with one that is none
        text("the working directory", dir.as_os_str()).map(drop)
    }

    /// Becomes `spark-submit`; it returns only if that fails. `worker_memory` is what the program lets each worker hold, if it says so.
    ///
    /// # Errors
    ///
    /// If there is no Spark, it cannot be started, or it cannot hand on what this one was given.
    pub fn exec(&self, worker_memory: Option<u64>) -> Result<std::convert::Infallible> {
        self.check()?;
        let spark_submit = find_spark_submit()?;
        check_java(&spark_submit)?;
        if self.master == "yarn" {
            check_yarn(&spark_submit)?;
        }
        let memory = worker_memory.or_else(|| parse_bytes(&std::env::var(MEMORY).ok()?));
        let mut command = self.command(&spark_submit, &jar()?, memory, std::io::stderr().is_terminal());
        let error = command.env_remove(VARIABLE).exec();
        let program = printable(Path::new(command.get_program()));
        Err(Error::new(ErrorKind::Config, format!("{program} cannot be started: {error}")).because(error))
    }

    /// What each worker may hold, where the cluster allots memory to executors: beyond it they are killed.
    fn worker_memory(&self, given: Option<u64>) -> Option<u64> {
        let master = self.master.as_bytes();
        let allots = master == b"yarn" || master.starts_with(b"k8s://");
        allots.then(|| given.unwrap_or(WORKER_MEMORY))
    }

    fn command(
        &self,
        spark_submit: &Path,
        jar: &Path,
        worker_memory: Option<u64>,
        shows_progress: bool,
    ) -> Command {
        let mut command = Command::new(spark_submit);
        if !is_utf8(&locale(|name| std::env::var_os(name))) {
            command.env("LC_ALL", "C.UTF-8"); // else Java makes question marks, or other bytes, of some letters of arguments
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
        if let Some(memory) = self.worker_memory(worker_memory) {
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

/// A program in this directory, or else in `PATH`, as its name alone says nothing of where it is.
pub fn find_program(program: &Path) -> PathBuf {
    let is_name = program.components().count() == 1 && !program.as_os_str().as_bytes().contains(&b'/');
    if !is_name || program.is_file() {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|found| found.is_file());
    found.unwrap_or_else(|| program.to_owned())
}

/// The locale that counts for the letters of arguments.
fn locale(variable: impl Fn(&str) -> Option<OsString>) -> OsString {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(|name| variable(name));
    set.into_iter().find(|locale| !locale.is_empty()).unwrap_or_default()
}

fn is_utf8(locale: &OsStr) -> bool {
    let name = locale.to_string_lossy().to_ascii_lowercase();
    name.contains(".utf-8") || name.contains(".utf8")
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
            submission.command(Path::new("/spark/bin/spark-submit"), Path::new("/tmp/g.jar"), None, false);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        let expected = "--master local[2] --class gristmill.Driver --conf spark.log.level=WARN --conf spark.shuffle.compress=false --conf spark.broadcast.compress=false --conf spark.driver.maxResultSize=0 --conf spark.executor.cores=2 --files /opt/job /tmp/g.jar /opt/job in";
        assert_eq!(arguments.join(" "), expected);
    }

    #[test]
    fn what_spark_would_not_understand_is_refused() {
        let submission = |program: &str, master: &str, argument: &[u8]| Submission {
            program: program.into(),
            arguments: vec![OsStr::from_bytes(argument).to_owned()],
            master: master.into(),
            settings: Vec::new(),
        };
        for master in ["spark://h:7077", "local", "local[*]", "local[2, 3]", "yarn", "k8s://https://h:443"] {
            submission("/opt/job", master, b"in").check().unwrap();
        }
        let refused = |program, master, argument, words: &str| {
            let error = submission(program, master, argument).check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused("/opt/job", "locl[2]", b"in", "no master \"locl[2]\"");
        refused("/opt/a,b/job", "yarn", b"in", "cannot ship /opt/a,b/job");
        refused("/opt/job", "yarn", b"out\xff", "is not UTF-8");
    }

    #[test]
    fn the_first_locale_that_is_set_counts() {
        let locale = |set: &[(&str, &str)]| {
            locale(|name| set.iter().find(|(one, _)| *one == name).map(|(_, value)| value.into()))
        };
        assert!(is_utf8(&locale(&[("LC_ALL", ""), ("LANG", "de_DE.UTF-8")])));
        assert!(!is_utf8(&locale(&[("LC_CTYPE", "de_DE.ISO-8859-1"), ("LANG", "de_DE.UTF-8")])));
        assert!(!is_utf8(&locale(&[])));
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
