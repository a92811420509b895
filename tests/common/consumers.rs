//! The programs that tests compare with, in the environment that `tests/setup.sh` makes.

use std::path::{Path, PathBuf};

/// A program of the environment, such as `python`.
pub fn program(name: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("consumers");
    let environment = std::env::var_os("GRISTMILL_CONSUMERS").map_or_else(default, PathBuf::from);
    let program = environment.join("bin").join(name);
    assert!(
        program.exists(),
        "{} is not there: run tests/setup.sh, which makes it, or set GRISTMILL_CONSUMERS to where it is",
        program.display()
    );
    program
}

/// A script of `tests/consumers`.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers").join(name)
}
