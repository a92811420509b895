//! Times against a calendar that counts day by day, and texts that are no times.

use super::*;
use proptest::prelude::*;

const IN_2003: Assumed = Assumed::year(2003);

fn leap(year: i32) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

#[test]
fn every_day_follows_the_day_before() {
    let mut expected = -719_528; // 0000-01-01
    for year in 0..=9999 {
        let february = 28 + i32::from(leap(year));
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            for day in 1..=length {
                assert_eq!(days(year, month, day), Ok(expected), "{year}-{month}-{day}");
                expected += 1;
            }
            assert_eq!(days(year, month, length + 1), Err(NO_DAY));
        }
    }
    assert_eq!(days(1970, 1, 1), Ok(0));
}

/// The examples of RFC 3339, section 5.8, and more.
#[test]
fn times_of_rfc_3339() {
    let millis = |text| rfc3339(text).map(UnixTime::millis);
    assert_eq!(millis("1996-12-19T16:39:57-08:00"), millis("1996-12-20T00:39:57Z"));
    assert_eq!(millis("1990-12-31T23:59:60Z"), millis("1991-01-01T00:00:00Z"));
    assert_eq!(millis("1990-12-31T15:59:60-08:00"), millis("1991-01-01T00:00:00Z"));
    assert_eq!(millis("1937-01-01T12:00:27.87+00:20"), Ok(-1_041_337_172_130));
    assert_eq!(millis("2003-08-24t05:14:15.000003-07:00"), Ok(1_061_727_255_000));
    assert_eq!(rfc3339("2003-08-24 05:14:15.000003-07:00").map(UnixTime::micros), Ok(1_061_727_255_000_003));
    assert_eq!(rfc3339("1969-12-31T23:59:59.1234567899z").map(|time| time.nanos), Ok(123_456_789));
}

#[test]
fn times_of_other_logs() {
    let seconds = |time: Result<UnixTime, Invalid>| time.map(|time| time.seconds);
    let at = seconds(rfc3339("2003-10-11T22:14:15Z"));
    assert_eq!(seconds(clf("11/Oct/2003:22:14:15 +0000")), at);
    assert_eq!(seconds(clf("12/Oct/2003:03:44:15 +0530")), at);
    assert_eq!(seconds(rfc3164("Oct 11 22:14:15", IN_2003)), at);
    assert_eq!(seconds(rfc3164("Oct 12 00:14:15", Assumed { offset_minutes: 120, ..IN_2003 })), at);
    assert_eq!(rfc3164("Oct  1 00:00:00", IN_2003), rfc3164("Oct 01 00:00:00", IN_2003));
    assert_eq!(seconds(nginx_error("2003/10/11 22:14:15", Assumed::year(1))), at);
    assert_eq!(seconds(unix_seconds("1065910455")), at);
    assert_eq!(seconds(unix_millis("1065910455000")), at);
    assert_eq!(TimeFormat::Rfc3164(IN_2003).parse("2003-10-11T22:14:15Z").map(|time| time.seconds), at);
    assert_eq!(unix_seconds("-1.25").map(UnixTime::millis), Ok(-1250));
    assert_eq!(unix_seconds("-2").map(UnixTime::micros), Ok(-2_000_000));
}

#[test]
fn no_times() {
    for wrong in [
        "",
        "2003-10-11",
        "2003-10-11T22:14:15",
        "2003-10-11T22:14:15+0000",
        "2003-10-11T22:14Z",
        "2003-02-29T00:00:00Z",
        "2003-10-11T24:00:00Z",
        "2003-10-11T22:60:15Z",
        "2003-10-11T22:14:61Z",
        "2003-10-11T22:14:15.Z",
        "03-10-11T22:14:15Z",
        "2003-10-11T22:14:15+24:00",
        "2003-10-11T22:14:15Z ",
        "2003-00-11T22:14:15Z",
        "２003-10-11T22:14:15Z",
    ] {
        assert!(rfc3339(wrong).is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "[10/Oct/2000:13:55:36 -0700]",
        "10/Oct/2000:13:55:36",
        "10/oct/2000:13:55:36 -0700",
        "00/Oct/2000:13:55:36 -0700",
        "31/Apr/2000:13:55:36 -0700",
        "10/Oct/2000 13:55:36 -0700",
        "10/Oct/2000:13:55:36 0700 ",
        "1é/Oct/2000:13:55:3 -0700",
        " 1/Oct/2000:13:55:36 -0700",
        "10/Oct/2000:13-55-36 -0700",
        "10/Oct/2000:13:55:36 -0760",
    ] {
        assert!(clf(wrong).is_err(), "{wrong}");
    }
    for wrong in
        ["", "Oct 11 22:14", "Okt 11 22:14:15", "Oct 1 22:14:15", "Oct  0 22:14:15", "Nov 31 22:14:15"]
    {
        assert!(rfc3164(wrong, IN_2003).is_err(), "{wrong}");
    }
    for wrong in ["", "-", ".", "1.", ".5", "1.5.5", "+1", "1e3", " 1", "１", "9999999999999999999"] {
        assert!(unix_seconds(wrong).is_err(), "{wrong}");
    }
    assert!(unix_millis("9223372036854775808").is_err());
    assert!(date("2026-1-31").is_err() && date("2026/01/31").is_err() && date("2026-13-01").is_err());
    assert!(nginx_error("2026-01-31 23:59:59", IN_2003).is_err());
}

#[test]
fn units() {
    let time = UnixTime { seconds: -1, nanos: 999_999_999 };
    assert_eq!(time.in_unit(TimeUnit::Second), Ok(-1));
    assert_eq!(time.in_unit(TimeUnit::Millisecond), Ok(-1));
    assert_eq!(time.in_unit(TimeUnit::Nanosecond), Ok(-1));
    assert!(UnixTime { seconds: i64::MAX / 1_000_000, nanos: 0 }.in_unit(TimeUnit::Nanosecond).is_err());
    let year_9999 = rfc3339("9999-12-31T23:59:59.999999Z");
    assert!(year_9999.is_ok_and(|time| time.in_unit(TimeUnit::Nanosecond).is_err()));
    assert_eq!(year_9999.map(UnixTime::micros), Ok(253_402_300_799_999_999));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (year, month, day) in (0..=9999_u16, 1..=12_u8, 1..=28_i32),
        (hour, minute, second) in (0..24_i32, 0..60_i32, 0..60_i32),
        (zone, nanos) in (-1439..1440_i32, 0..1_000_000_000_u32),
    ) {
        let clock = hour * 3600 + minute * 60 + second - zone * 60;
        let seconds = i64::from(days(year.into(), month.into(), day).unwrap()) * 86_400 + i64::from(clock);
        let (sign, hours, minutes) = (if zone < 0 { '-' } else { '+' }, zone.abs() / 60, zone.abs() % 60);
        let digits = format!("{hour:02}:{minute:02}:{second:02}");
        let text = format!("{year:04}-{month:02}-{day:02}T{digits}.{nanos:09}{sign}{hours:02}:{minutes:02}");
        prop_assert_eq!(rfc3339(&text), Ok(UnixTime { seconds, nanos }));
        let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][usize::from(month) - 1];
        let text = format!("{day:02}/{name}/{year:04}:{digits} {sign}{hours:02}{minutes:02}");
        prop_assert_eq!(clf(&text), Ok(UnixTime { seconds, nanos: 0 }));
        let assumed = Assumed { year, offset_minutes: zone as i16 };
        let text = format!("{name} {day:2} {digits}");
        prop_assert_eq!(rfc3164(&text, assumed), Ok(UnixTime { seconds, nanos: 0 }));
        let text = format!("{year:04}/{month:02}/{day:02} {digits}");
        prop_assert_eq!(nginx_error(&text, assumed), Ok(UnixTime { seconds, nanos: 0 }));
    }

    #[test]
    fn nothing_panics(text in ".{0,30}", near in "[0-9A-Za-z:/ .+-]{10,27}", year: u16, offset_minutes: i16) {
        let assumed = Assumed { year, offset_minutes };
        for text in [text, near] {
            let _ = (date(&text), rfc3339(&text), clf(&text), rfc3164(&text, assumed), nginx_error(&text, assumed));
            let _ = (unix_seconds(&text), unix_millis(&text));
        }
    }
}
