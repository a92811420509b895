//! Cross joins against plain loops.

use gristmill::ErrorKind;
use gristmill::prelude::*;

use crate::harness::check;

type Row = (Text, i64);

fn pairs(left: &[Row], right: &[Row]) -> Vec<(Row, Row)> {
    left.iter().flat_map(|a| right.iter().map(move |b| (a.clone(), b.clone()))).collect()
}

fn some(rows: &[Row]) -> Vec<Row> {
    rows.iter().filter(|(_, n)| n % 64 == 0).cloned().collect()
}

#[test]
fn every_row_with_every_row_of_a_side() {
    check(
        |data| {
            let some = data.filter(|(_, n)| n % 64 == 0);
            data.context().run((data.cross_join(&some).to_vec(), some.cross_join(data).to_vec())).unwrap()
        },
        |input, (right, left)| {
            assert_eq!(right, pairs(input, &some(input)));
            assert_eq!(left, pairs(&some(input), input));
        },
    );
}

#[test]
fn the_output_of_an_exchange_with_itself_and_with_nothing() {
    check(
        |data| {
            let once = data.filter(|(_, n)| n % 16 == 0).reduce_by_key(|a, b| a + b);
            let (all, none) = (once.cross_join(&once), once.cross_join(&once.filter(|_| false)));
            let other = once.filter(|_| false).cross_join(&once);
            data.context().run((once.to_vec(), all.to_vec(), none.to_count(), other.to_count())).unwrap()
        },
        |_, (once, all, none, other)| {
            assert_eq!(all, pairs(&once, &once));
            assert_eq!((none, other), (0, 0));
        },
    );
}

#[test]
fn a_side_beyond_the_memory_limit_goes_to_disk() {
    let ctx = Context::builder().threads(2).memory_bytes(100_000).split_bytes(20_000).build().unwrap();
    let right = ctx.range(0..40_000).map(|n| (n, Text::from(format!("a text that is not inline: {n}"))));
    let count = ctx.range(0..10).cross_join(&right).filter(|(a, (b, _))| b % 10 == *a).count();
    assert_eq!(count.unwrap(), 40_000);
    assert!(ctx.spilled_bytes() > 0);
    assert_eq!(ctx.budget().used_bytes(), 0);
}

#[test]
fn too_many_pairs_are_refused_before_they_are_made() {
    for threads in [1, 4] {
        // The first chunk is too large already: nothing needs to be paired before.
        let ctx =
            Context::builder().threads(threads).split_bytes(1 << 20).chunk_rows(20_000).build().unwrap();
        let many = ctx.range(0..100_000);
        let line = line!() + 1;
        let error = many.cross_join(&many).count().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        for part in [
            format!("cross_join at tests/every_op/cross.rs:{line}: "),
            "on the left and 100000 on the right give more than 1000000000 pairs".into(),
            "cross_join_up_to".into(),
        ] {
            assert!(message.contains(&part), "no {part} in: {message}");
        }
        let few = ctx.range(0..11);
        assert!(few.cross_join_up_to(&few, 120).count().is_err());
        assert_eq!(few.cross_join_up_to(&few, 121).count().unwrap(), 121);
        assert_eq!(many.cross_join_up_to(&few.filter(|_| false), 0).count().unwrap(), 0);
        assert_eq!(many.cross_join_up_to(&many, u64::MAX).take(2).unwrap(), [(0, 0), (0, 1)]);
    }
}
