//! What a submission needs on this host: Spark, Java, and the jar with the driver.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, ErrorKind, Result, printable};

/// The driver in Java, as `spark/build.sh` makes it.
const JAR: &[u8] = include_bytes!("../../spark/gristmill.jar");

/// `spark-submit` of `SPARK_HOME`, else in `PATH`, else of the pyspark of `python3`.
///
/// # Errors
///
/// If there is none.
pub fn find_spark_submit() -> Result<PathBuf> {
    const NAME: &str = "spark-submit";
    if let Some(home) = std::env::var_os("SPARK_HOME").filter(|home| !home.is_empty()) {
        let found = Path::new(&home).join("bin").join(NAME);
        return if found.exists() {
            Ok(found)
        } else {
            let message = format!("there is no {}", printable(&found));
            Err(Error::new(ErrorKind::Config, message).hint("SPARK_HOME must be where Apache Spark is"))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|dir| dir.join(NAME)).find(|found| found.is_file());
    in_path.or_else(of_pyspark).ok_or_else(|| {
        Error::new(
            ErrorKind::Config,
            "there is no Apache Spark: no SPARK_HOME, no spark-submit in PATH, and python3 has no pyspark",
        )
        .hint("install it, for instance by `pip install pyspark`, or set SPARK_HOME")
    })
}

fn of_pyspark() -> Option<PathBuf> {
    let script = "import pyspark, sys; sys.stdout.write(pyspark.__path__[0])";
    let output = Command::new("python3")
        .args(["-c", script])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let found = Path::new(OsStr::from_bytes(&output.stdout)).join("bin/spark-submit");
    found.is_file().then_some(found)
}

/// Whether a script of the user's sets what Spark needs of its environment.
fn has_script(spark_submit: &Path) -> bool {
    let conf = std::env::var_os("SPARK_CONF_DIR").map(PathBuf::from);
    let conf = conf.or_else(|| Some(spark_submit.parent()?.parent()?.join("conf")));
    conf.is_some_and(|conf| conf.join("spark-env.sh").exists())
}

/// Looks for what tells where YARN is.
///
/// # Errors
///
/// If there is nothing.
pub fn check_yarn(spark_submit: &Path) -> Result<()> {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|dir| !dir.is_empty());
    if has_script(spark_submit) || ["HADOOP_CONF_DIR", "YARN_CONF_DIR"].iter().any(is_set) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Config, "nothing says where YARN is")
        .hint("set HADOOP_CONF_DIR to the directory with yarn-site.xml and core-site.xml"))
}

/// Looks for the Java that `spark-submit` needs: it does not say well what is missing. Where it has a script that may set `JAVA_HOME`, it is asked itself.
///
/// # Errors
///
/// If there is none.
pub fn check_java(spark_submit: &Path) -> Result<()> {
    if has_script(spark_submit) {
        return Ok(());
    }
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = match home {
        Some(home) => {
            let java = Path::new(&home).join("bin/java");
            if java.is_file() {
                return Ok(());
            }
            format!("JAVA_HOME has no {}", printable(&java))
        }
        None if std::env::split_paths(&path).any(|dir| dir.join("java").is_file()) => return Ok(()),
        None => "no JAVA_HOME, and no java in PATH".to_owned(),
    };
    Err(Error::new(ErrorKind::Config, format!("there is no Java: {missing}"))
        .hint("install Java 17, which every Spark runs on, or set JAVA_HOME to where it is"))
}

/// The jar as a file, whose name tells what is in it, in a directory where nobody else can change it.
///
/// # Errors
///
/// If it cannot be written.
pub fn jar() -> Result<PathBuf> {
    let dir = own_dir(&std::env::temp_dir())?;
    let path = dir.join(format!("gristmill-{:016x}.jar", xxh3_64(JAR)));
    if std::fs::read(&path).is_ok_and(|bytes| bytes == JAR) {
        return Ok(path);
    }
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(&dir)?;
        file.write_all(JAR)?;
        file.persist(&path).map_err(|error| error.error)
    };
    write().map_err(|error| {
        Error::io(ErrorKind::Config, "write", &path, error)
            .hint("let TMPDIR name a directory that can be written")
    })?;
    Ok(path)
}

/// A directory of this user in one that all share.
fn own_dir(shared: &Path) -> Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let dir = shared.join(format!("gristmill-{user}"));
    let made = match std::fs::DirBuilder::new().mode(0o700).create(&dir) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    let there = made.and_then(|()| std::fs::symlink_metadata(&dir)).map_err(|error| {
        Error::io(ErrorKind::Config, "create", &dir, error)
            .hint("let TMPDIR name a directory that can be written")
    })?;
    if there.is_dir() && there.uid() == user && there.mode() & 0o022 == 0 {
        return Ok(dir);
    }
    let message = format!("{} is not a directory that only this user can write", printable(&dir));
    Err(Error::new(ErrorKind::Config, message).hint("delete it, or let TMPDIR name another directory"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_write_is_not_used() {
        let shared = tempfile::tempdir().unwrap();
        let dir = own_dir(shared.path()).unwrap();
        assert_eq!(own_dir(shared.path()).unwrap(), dir);
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(own_dir(shared.path()).unwrap_err().to_string().contains("only this user"));
        std::fs::remove_dir(&dir).unwrap();
        std::os::unix::fs::symlink("/", &dir).unwrap();
        assert!(own_dir(shared.path()).is_err());
    }
}
