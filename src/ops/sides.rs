//! On which side, and how often, each element occurs: what `subtract` and `intersection` are derived from.

use crate::dataset::Dataset;
use crate::error::CallSite;
use crate::exec::aggregate::{ByKey, Combine};
use crate::exec::narrow::Map;
use crate::record::Key;

/// How often an element occurs on the left, and whether it does on the right.
pub(super) type Sides = (u64, bool);

impl<T: Key> Dataset<T> {
    /// Each distinct element of either side, as it occurred first, with its [`Sides`].
    pub(super) fn sides(&self, call: CallSite, right: &Dataset<T>) -> Dataset<(T, Sides)> {
        let left: Dataset<(T, bool)> = self.narrow(call, Map::new(|item: T| (item, false)));
        let right: Dataset<(T, bool)> = right.narrow(call, Map::new(|item: T| (item, true)));
        left.followed_by(call, &right).wide(call, ByKey::<(T, bool), _>::new(BySide))
    }
}

struct BySide;

/// The side of an element as a state.
fn sides_of(right: bool) -> Sides {
    (u64::from(!right), right)
}

impl<T: Key> Combine<(T, bool)> for BySide {
    type Key = T;
    type State = Sides;

    const COMMUTES: bool = true;

    #[inline]
    fn key<'a>(&self, item: &'a (T, bool)) -> &'a T {
        &item.0
    }

    fn start(&self, (item, right): (T, bool)) -> (T, Sides) {
        (item, sides_of(right))
    }

    fn add(&self, state: &mut Sides, (_, right): (T, bool)) {
        <BySide as Combine<(T, bool)>>::merge(self, state, sides_of(right));
    }

    fn merge(&self, state: &mut Sides, later: Sides) {
        *state = (state.0 + later.0, state.1 || later.1);
    }
}
