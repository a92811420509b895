//! `distinct_by`: one element for each computed key.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::Map;
use crate::record::{Key, Record};

impl<T: Record> Dataset<T> {
    /// For each distinct value of `f` the first element that has it.
    ///
    /// # Ordering
    ///
    /// By the stable hash of the value of `f`: arbitrary to look at, the same in every run.
    ///
    /// # Panics
    ///
    /// A panic of `f` ends the run with an error that names this call and the row of the input.
    ///
    /// # Examples
    ///
    /// ```
    /// # use gristmill::prelude::*;
    /// # let ctx = Context::new()?;
    /// let words = ctx.from_vec(vec![Text::from("mill"), "Mill".into(), "grist".into()]);
    /// let mut words = words.distinct_by(|word| word.to_lowercase()).collect()?;
    /// words.sort();
    /// assert_eq!(words, ["grist", "mill"]);
    /// # Ok::<(), gristmill::Error>(())
    /// ```
    #[track_caller]
    pub fn distinct_by<K: Key>(&self, f: impl Fn(&T) -> K + Send + Sync + 'static) -> Dataset<T> {
        let call = CallSite::here("distinct_by");
        let keyed: Dataset<(K, T)> = self.narrow(call, Map::new(move |item| (f(&item), item)));
        let firsts: Dataset<(K, T)> = keyed.wide(call, ByKey::<(K, T), _>::new(First));
        firsts.narrow_records(call, Map::new(|(_, item): (K, T)| item))
    }
}

/// The state of a key is its first element. It does not commute: which element is the first depends on their order.
struct First;

impl<K: Key, T: Record> Combine<(K, T)> for First {
    type Key = K;
    type State = T;

    #[inline]
    fn key<'a>(&self, item: &'a (K, T)) -> &'a K {
        &item.0
    }

    fn start(&self, item: (K, T)) -> (K, T) {
        item
    }

    fn add(&self, _: &mut T, _: (K, T)) {}

    fn merge(&self, _: &mut T, _: T) {}
}
