//! The total order of floats, and that it agrees with the equality and the hash of keys.

#![allow(clippy::unwrap_used)] // in a test, a panic is the report

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use gristmill::record::{from_batch, to_batch};
use gristmill::{Key, Total};
use proptest::prelude::*;

const NAN: f64 = f64::from_bits(0xfff8_0000_0000_1234);

/// Any bits, and often those that make a difference.
fn float() -> impl Strategy<Value = f64> {
    let special = [0.0, -0.0, f64::NAN, NAN, f64::INFINITY, f64::NEG_INFINITY, 1.0, f64::MIN_POSITIVE];
    prop_oneof![any::<u64>().prop_map(f64::from_bits), prop::sample::select(special.to_vec())]
}

#[test]
fn the_order_is_that_of_the_numbers_with_nan_at_the_end() {
    let ordered = [f64::NEG_INFINITY, f64::MIN, -1.0, -0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY, NAN];
    for (i, a) in ordered.into_iter().enumerate() {
        for (j, b) in ordered.into_iter().enumerate() {
            assert_eq!(Total(a).cmp(&Total(b)), i.cmp(&j), "{a} {b}");
            assert_eq!(Total(a as f32) == Total(b as f32), (a as f32).key_eq(&(b as f32)), "{a} {b}");
        }
    }
    assert_eq!(Total(-0.0_f32), Total(0.0));
    assert_eq!([Total(NAN), Total(f64::NAN), Total(-f64::NAN)].into_iter().collect::<HashSet<_>>().len(), 1);
}

#[test]
fn it_looks_and_is_stored_as_the_float() {
    let totals = vec![Total(1.5), Total(-0.0), Total(f64::NAN)];
    assert_eq!(format!("{} {:?} {:.2}", totals[0], totals[1], totals[0]), "1.5 -0.0 1.50");
    let batch = to_batch(&totals).unwrap();
    assert_eq!(batch.schema(), to_batch(&[1.5]).unwrap().schema());
    assert_eq!(from_batch::<Total<f64>>(&batch).unwrap(), totals);
    assert_eq!((f64::from(Total(1.5_f32)), Total::from(2.0), f32::from(Total(0.5))), (1.5, Total(2.0), 0.5));
}

proptest! {
    #[test]
    fn it_is_a_total_order(a in float(), b in float(), c in float()) {
        let (a, b, c) = (Total(a), Total(b), Total(c));
        prop_assert_eq!(a.cmp(&a), Ordering::Equal);
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        if a <= b && b <= c {
            prop_assert!(a <= c);
        }
        prop_assert_eq!(a.partial_cmp(&b), Some(a.cmp(&b)));
    }

    #[test]
    fn it_agrees_with_key_and_with_the_numbers(a in float(), b in float()) {
        let (x, y) = (Total(a), Total(b));
        prop_assert_eq!(x == y, a.key_eq(&b));
        prop_assert_eq!(x == y, x.cmp(&y) == Ordering::Equal);
        prop_assert_eq!(x.key_hash(), a.key_hash());
        if x == y {
            let state = RandomState::new();
            prop_assert_eq!(x.key_hash(), y.key_hash());
            prop_assert_eq!(state.hash_one(x), state.hash_one(y));
        }
        if let Some(order) = a.partial_cmp(&b) {
            prop_assert_eq!(x.cmp(&y), order);
        }
    }
}
