//! Jobs of the engine by configuration: the commands of gristmill, within the process.

use std::path::Path;

use super::scope::Scope;
use super::step::{Argument, Engine};
use crate::cli;
use crate::context::Context;
use crate::error::{Error, ErrorKind, Result};

impl Engine {
    /// The arguments as the command takes them. What it writes replaces what was there.
    pub(super) fn argv(&self, scope: &Scope) -> Result<Vec<String>> {
        let mut argv = vec!["gristmill".to_owned(), self.command.name().to_owned()];
        for (name, value) in self.options() {
            let option = format!("--{}", name.replace('_', "-"));
            match value {
                Argument::Flag(true) => argv.push(option),
                Argument::Flag(false) => {}
                Argument::Number(number) => argv.push(format!("{option}={number}")),
                Argument::Text(text) => {
                    argv.push(format!("{option}={}", placed(name, &scope.expand(text)?, scope)?));
                }
                Argument::List(texts) => {
                    for text in texts {
                        argv.push(format!("{option}={}", placed(name, &scope.expand(text)?, scope)?));
                    }
                }
            }
        }
        argv.extend(["--overwrite".to_owned(), "--".to_owned()]);
        for path in scope.paths(self.input())? {
            argv.push(utf8(&path)?);
        }
        Ok(argv)
    }
}

/// Options whose values are paths, which begin at the directory of the flow.
const PATHS: [&str; 3] = ["output", "schema", "spill_dir"];

fn placed(name: &str, value: &str, scope: &Scope) -> Result<String> {
    match value.strip_prefix("reject=") {
        Some(dir) if name == "on_error" => Ok(format!("reject={}", utf8(&scope.dir.join(dir))?)),
        _ if PATHS.contains(&name) => utf8(&scope.dir.join(value)),
        _ => Ok(value.to_owned()),
    }
}

fn utf8(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        Error::new(ErrorKind::Config, format!("the path {} is no UTF-8", path.display())).hint("rename it")
    })
}

/// The names that the options of a command have as arguments. What is there is replaced in any case, so that `overwrite` is none.
pub(super) fn option_names(command: &str) -> Vec<String> {
    let names = cli::job::option_names(command).into_iter().map(|name| name.replace('-', "_"));
    names.filter(|name| name != "overwrite" && name != "help").collect()
}

/// Runs a command of gristmill, and gives what it tells.
pub(super) fn run(argv: &[String], context: &Context) -> Result<String> {
    cli::job::run(argv, context)
}
