//! No input panics, and records are what the columns of a line format are.

use std::fmt::Debug;

use gristmill::parse::{
    ColumnsBuilder, Combined, CombinedFormat, Common, CommonFormat, Fault, KeyValue, LineFormat, Logfmt,
    NginxAccess, NginxAccessFormat, NginxError, Row, Syslog3164, Syslog5424,
};
use gristmill::record::from_batch;
use gristmill::{Record, Text};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::samples::{self, NGINX_ERROR, SYSLOG};

/// A line of a sample in which a few characters are gone, or others stand in their place; or any line.
fn line() -> impl Strategy<Value = String> {
    let all: Vec<String> = samples::all().iter().flat_map(|(name, _)| samples::lines(name)).collect();
    let damage = (any::<Index>(), 0..4_usize, "[\\\\\"\\[\\]<>:= xn0-9é\u{0}-]{0,3}");
    let damaged = (select(all), proptest::collection::vec(damage, 0..3)).prop_map(|(line, damages)| {
        damages.iter().fold(line, |line, (place, gone, new)| {
            let chars: Vec<char> = line.chars().collect();
            let place = place.index(chars.len() + 1);
            let rest = &chars[(place + gone).min(chars.len())..];
            chars[..place].iter().copied().chain(new.chars()).chain(rest.iter().copied()).collect()
        })
    });
    prop_oneof![4 => damaged, 1 => any::<String>(), 1 => "[-\"\\\\\\[\\]<>:=; x0-9]{0,40}"]
}

/// The record of a line by way of columns.
fn by_columns<T: Record>(format: &dyn LineFormat, line: &str) -> Result<T, Fault> {
    let mut row = Row::new();
    format.cut(line, &mut row)?;
    assert_eq!(row.len(), format.fields().len());
    let mut columns = ColumnsBuilder::new(format).unwrap();
    columns.push(line, &row)?;
    Ok(from_batch::<T>(&columns.finish().unwrap()).unwrap().remove(0))
}

fn assert_same<T: Record + Debug + PartialEq>(
    format: &dyn LineFormat,
    line: &str,
    parsed: &Result<T, Fault>,
) {
    assert_eq!(parsed, &by_columns::<T>(format, line), "{line}");
    if let Err(fault) = parsed {
        assert!(fault.at() <= line.len(), "{fault:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn records_and_columns_agree(line in line()) {
        let text = Text::new(&line);
        assert_same::<Common>(&CommonFormat, &line, &Common::parse(&text));
        assert_same::<Combined>(&CombinedFormat, &line, &Combined::parse(&text));
        assert_same::<NginxAccess>(&NginxAccessFormat, &line, &NginxAccess::parse(&text));
        assert_same::<NginxError>(&NGINX_ERROR, &line, &NGINX_ERROR.parse(&text));
        assert_same::<Syslog3164>(&SYSLOG, &line, &SYSLOG.parse(&text));
    }

    #[test]
    fn nothing_panics(line in line(), signs: (u8, u8)) {
        let text = Text::new(&line);
        for (name, format) in samples::all() {
            let mut row = Row::new();
            if format.cut(&line, &mut row).is_ok() {
                prop_assert_eq!(row.len(), format.fields().len(), "{}: {}", name, line);
                let _ = ColumnsBuilder::new(&*format).unwrap().push(&line, &row);
            }
        }
        let _ = (Syslog5424::parse(&text), Logfmt::pairs(&text));
        let format = KeyValue::new(["a"]).unwrap().separator(signs.0).and_then(|format| format.assign(signs.1));
        let _ = format.map(|format| format.pairs(&text));
    }
}
