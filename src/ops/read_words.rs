//! `read_words`: the words of text files.

use super::read_text::{InputPaths, TextOptions, Unit, texts};
use crate::context::Context;
use crate::dataset::Dataset;
use crate::error::{CallSite, Result};
use crate::text::Text;

impl Context {
    /// The words of text files, one element a word: what lies between whitespace, as Unicode defines it.
    ///
    /// The same as `read_text(inputs)?.flat_map(|line| line.split_whitespace())`, but lines are not looked for first, which
    /// saves a third of the time of a word count.
    ///
    /// `inputs`, and how files are looked up, cut into splits and inflated, are as for [`Context::read_text`].
    ///
    /// # Ordering
    ///
    /// Files by the bytes of their paths, words as they stand.
    ///
    /// # Errors
    ///
    /// As [`Context::read_text`]. What fails on a word names its line.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// let ctx = Context::new()?;
    /// let words = ctx.read_words("examples/data/genesis.txt")?;
    /// assert_eq!(words.take(3)?, ["Genesis", "1", "In"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn read_words(&self, inputs: impl InputPaths) -> Result<Dataset<Text>> {
        texts(self, CallSite::here("read_words"), inputs, TextOptions::default(), Unit::Word)
    }

    /// The words of text files, as [`Context::read_words`], with a say in what lines that are not UTF-8 become.
    ///
    /// # Ordering
    ///
    /// As [`Context::read_words`].
    ///
    /// # Errors
    ///
    /// As [`Context::read_words`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("latin-1.txt");
    /// std::fs::write(&path, b"caf\xe9 noir\nblack tea\n")?;
    /// let ctx = Context::new()?;
    /// let options = TextOptions::default().invalid(Invalid::Skip);
    /// assert_eq!(ctx.read_words_with(&path, options)?.collect()?, ["black", "tea"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn read_words_with(&self, inputs: impl InputPaths, options: TextOptions) -> Result<Dataset<Text>> {
        texts(self, CallSite::here("read_words_with"), inputs, options, Unit::Word)
    }
}
