//! Starts a program on a cluster: `spark-submit` starts the driver in Java, and that starts the program again as the driver of its job.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::{check_java, check_yarn, find_spark_submit, jar};
use super::launch::{ARGUMENTS, hash, text};
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
        if !is_master(&master) {
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
        if is_script(&self.program) {
            let message =
                format!("{} is a script, of which each task would run all", printable(&self.program));
            return Err(Error::new(ErrorKind::Config, message)
                .hint("submit the programs that it runs, each with --master"));
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
        // Else Java makes question marks, or other bytes, of some letters. A locale that is set need not be installed; this one is everywhere.
        command.env("LC_ALL", "C.UTF-8").env(ARGUMENTS, hash(&self.arguments));
        command.arg(OPTION).arg(&self.master).args(["--class", "gristmill.Driver", "--conf", QUIET]);
        let settings = std::env::var(SETTINGS).unwrap_or_default();
        let settings = settings.split_whitespace().map(str::to_owned);
        let settings = settings.chain(self.settings.iter().cloned());
        if shows_progress {
            command.args(["--conf", "spark.ui.showConsoleProgress=true"]);
        }
        if let Some(memory) = self.worker_memory(worker_memory) {
            command.env(MEMORY, memory.to_string());
            // With what the executors have else, the driver in Java knows what makes room for it.
            command.arg("--conf").arg(format!("spark.gristmill.workerMemory={memory}"));
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
    let is_program = |file: &Path| {
        std::fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if !is_name || is_program(program) {
        return std::path::absolute(program).unwrap_or_else(|_| program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|found| is_program(found));
    found.unwrap_or_else(|| program.to_owned())
}

/// Whether it is one that Spark has, as far as its form tells.
fn is_master(master: &str) -> bool {
    let is_number = |text: &str| text.trim().parse::<u32>().is_ok_and(|number| number > 0);
    let is_address = |address: &str| {
        address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && is_number(port))
    };
    if let Some(masters) = master.strip_prefix("spark://") {
        return masters.split(',').all(is_address);
    }
    if let Some(threads) = master.strip_prefix("local[").and_then(|rest| rest.strip_suffix(']')) {
        let mut numbers = threads.split(',');
        return numbers.next().is_some_and(|threads| threads.trim() == "*" || is_number(threads))
            && numbers.all(is_number);
    }
    let other = ["k8s://", "local-cluster["].iter().find_map(|kind| master.strip_prefix(kind));
    ["local", "yarn"].contains(&master) || other.is_some_and(|rest| !rest.is_empty())
}

fn is_script(program: &Path) -> bool {
    let mut head = [0; 2];
    File::open(program).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"#!"
}

/// The value of the option.
fn named(master: Option<OsString>) -> Result<OsString> {
    master.filter(|master| !master.is_empty()).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("{OPTION} has no value"))
            .hint("name a cluster, such as spark://host:7077, yarn or local[2]")
    })
}

/// The master that arguments name, and the others.
fn without_master(arguments: impl Iterator<Item = OsString>) -> Result<(Option<OsString>, Vec<OsString>)> {
    let (mut master, mut others, mut arguments) = (None, Vec::new(), arguments);
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            others.push(argument);
            others.extend(arguments.by_ref());
        } else if argument == OPTION {
            master = Some(named(arguments.next())?);
        } else if let Some(value) = argument.as_bytes().strip_prefix(b"--master=") {
            master = Some(named(Some(OsStr::from_bytes(value).to_owned()))?);
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
        for without_value in [&["--master"][..], &["--master", ""], &["--master="]] {
            assert!(without_master(without_value.iter().map(OsString::from)).is_err());
        }
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
        let expected = "--master local[2] --class gristmill.Driver --conf spark.log.level=WARN --conf spark.executor.cores=2 --files /opt/job /tmp/g.jar /opt/job in";
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
        for master in [
            "spark://h:7077",
            "spark://a:1,b:2",
            "local",
            "local[*]",
            "local[2, 3]",
            "yarn",
            "k8s://https://h:443",
        ] {
            submission("/opt/job", master, b"in").check().unwrap();
        }
        let refused = |program, master, argument, words: &str| {
            let error = submission(program, master, argument).check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        for master in ["locl[2]", "spark://", "spark://h", "local[", "local[x]", "local[0]", "k8s://", "YARN"]
        {
            refused("/opt/job", master, b"in", "there is no master");
        }
        refused("/opt/a,b/job", "yarn", b"in", "cannot ship /opt/a,b/job");
        refused("/opt/job", "yarn", b"out\xff", "is not UTF-8");
    }
}
