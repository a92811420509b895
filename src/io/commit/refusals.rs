//! What of an output is refused where nothing can be renamed, before any work is done.

use super::mode::Mode;
use super::target::{CheckedTarget, Shape};
use crate::error::{Error, ErrorKind, Result, printable};

impl CheckedTarget {
    /// Fails for what cannot be committed without renames.
    pub(super) fn check_without_renames(&self) -> Result<()> {
        let whole = "write the whole output, or write to a file system that renames directories";
        match (self.mode(), self.shape()) {
            (Mode::Partitions(_), _) => Err(self.refusal("single partitions cannot be replaced", whole)),
            (Mode::AppendOnce(_), _) => Err(self.refusal("nothing can be appended", whole)),
            (Mode::Whole, Shape::File) if self.is_replacement() => {
                let hint = "delete it before, or write a directory, which can be replaced";
                Err(self.refusal("a single file cannot be replaced", hint))
            }
            (Mode::Whole, _) if !self.is_alone() => Err(self.not_together()),
            (Mode::Whole, _) => Ok(()),
        }
    }

    /// The error of an output that is one of several.
    pub(super) fn not_together(&self) -> Error {
        let hint =
            "write one output a run, and no rejects, or write to a file system that renames directories";
        self.refusal("several outputs cannot be committed together", hint)
    }

    fn refusal(&self, fault: &str, hint: &str) -> Error {
        let path = printable(self.path());
        let message = format!("the output {path} is committed without renames, and so {fault}");
        Error::new(ErrorKind::Config, message).hint(hint)
    }
}
