//! Fields that are written as the programs write them, and cut again.

use gristmill::Text;
use gristmill::parse::{
    Combined, CombinedFormat, Common, CommonFormat, Delimited, FixedWidth, KeyValue, LineFormat, Logfmt,
    Regex, Row, SdElement, SdParam, Syslog3164, Syslog5424,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::samples::SYSLOG;

/// As Apache writes: quotes, backslashes and all that is not printable ASCII.
fn escaped(text: &str) -> String {
    let escape = |char: char| match char {
        '"' | '\\' => format!("\\{char}"),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        ' '..='~' => char.to_string(),
        _ => char.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\x{byte:02x}")).collect(),
    };
    text.chars().map(escape).collect()
}

fn or_hyphen(text: Option<&Text>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| escaped(text))
}

/// Any text but the hyphen, which means nothing.
fn text() -> impl Strategy<Value = Text> {
    any::<String>().prop_filter("a hyphen", |text| text != "-").prop_map(Text::from)
}

/// Method, path and protocol.
fn request() -> impl Strategy<Value = [Option<Text>; 3]> {
    let method = || "[A-Z][A-Z-]{0,8}".prop_map(Text::from);
    let path = any::<String>().prop_filter("empty", |path| !path.is_empty());
    let full = (method(), path, "HTTP/[0-9](\\.[0-9])?")
        .prop_map(|(method, path, protocol)| [method, path.into(), protocol.into()].map(Some));
    let short =
        (method(), "[^ \"\\\\]{1,20}").prop_map(|(method, path)| [Some(method), Some(path.into()), None]);
    let other = any::<String>().prop_map(|all| [None, Some(Text::from(format!("0{all}"))), None]);
    prop_oneof![4 => full, 1 => short, 1 => other, 1 => Just([None, Some(Text::EMPTY), None]), 1 => Just([None, None, None])]
}

/// A time as it is written, and in milliseconds.
fn time() -> impl Strategy<Value = (String, i64)> {
    (0..100_u8, 0..24_u8, 0..60_u8, 0..24_u8).prop_map(|(year, hour, second, zone)| {
        let days = (1970..1970 + i64::from(year)).map(|year| 365 + i64::from(year % 4 == 0)).sum::<i64>();
        let hours = i64::from(hour) - i64::from(zone);
        let text = format!("01/Jan/{}:{hour:02}:00:{second:02} +{zone:02}00", 1970 + u16::from(year));
        (text, ((days * 24 + hours) * 3600 + i64::from(second)) * 1000)
    })
}

/// A record, and the time as it is written.
fn combined() -> impl Strategy<Value = (Combined, String)> {
    let ident = option::of("[a-z]{1,6}".prop_map(Text::from));
    let user = text().prop_filter("an early bracket", |user| !user.contains(" ["));
    let fields = ("[0-9a-f.:]{1,30}", ident, option::of(user), time(), request());
    let more = (any::<u16>(), option::of(any::<u64>()), option::of(text()), option::of(text()));
    (fields, more).prop_map(
        |((host, ident, user, (written, time), request), (status, bytes, referer, agent))| {
            let [method, path, protocol] = request;
            let host = Text::from(host);
            let hit =
                Combined { host, ident, user, time, method, path, protocol, status, bytes, referer, agent };
            (hit, written)
        },
    )
}

fn write_common(hit: &Combined, time: &str) -> String {
    let user = hit
        .user
        .as_ref()
        .map_or("-".to_owned(), |user| if user.is_empty() { "\"\"".into() } else { escaped(user) });
    let request = [&hit.method, &hit.path, &hit.protocol].into_iter().flatten().map(|part| escaped(part));
    let request = request.collect::<Vec<_>>().join(" ");
    let request = if hit.path.is_none() { "-".to_owned() } else { request };
    let bytes = hit.bytes.map_or("-".to_owned(), |bytes| bytes.to_string());
    let ident = or_hyphen(hit.ident.as_ref());
    format!("{} {ident} {user} [{time}] \"{request}\" {} {bytes}", hit.host, hit.status)
}

fn assert_cut(format: &dyn LineFormat, line: &str, expected: &[Option<&str>]) {
    let mut row = Row::new();
    format.cut(line, &mut row).unwrap();
    assert_eq!(row.iter().collect::<Vec<_>>(), expected, "{line}");
}

proptest! {
    #[test]
    fn common_and_combined((hit, time) in combined()) {
        let common = write_common(&hit, &time);
        let line = format!("{common} \"{}\" \"{}\"", or_hyphen(hit.referer.as_ref()), or_hyphen(hit.agent.as_ref()));
        prop_assert_eq!(Combined::parse(&Text::new(&line)), Ok(hit.clone()));
        let (status, bytes) = (hit.status.to_string(), hit.bytes.map(|bytes| bytes.to_string()));
        let expected = [
            Some(&*hit.host), hit.ident.as_deref(), hit.user.as_deref(), Some(&*time), hit.method.as_deref(), hit.path.as_deref(),
            hit.protocol.as_deref(), Some(&*status), bytes.as_deref(), hit.referer.as_deref(), hit.agent.as_deref(),
        ];
        assert_cut(&CombinedFormat, &line, &expected);
        assert_cut(&CommonFormat, &common, &expected[..9]);
        let parsed = Common::parse(&Text::new(&common)).unwrap();
        prop_assert_eq!((parsed.host, parsed.user, parsed.time, parsed.path), (hit.host, hit.user, hit.time, hit.path));
    }

    #[test]
    fn syslog_3164(
        priority in option::of(0..192_u8),
        host in "[!-~]{1,20}",
        tag in option::of(("[a-zé/_.-]{1,12}", option::of("[0-9a-z.]{0,6}"))),
        message: String,
    ) {
        let written = match &tag {
            None => format!("-- {message}"),
            Some((app, None)) => format!("{app}: {message}"),
            Some((app, Some(pid))) => format!("{app}[{pid}]: {message}"),
        };
        let head = priority.map_or_else(String::new, |priority| format!("<{priority}>"));
        let line = format!("{head}Jan  1 01:00:00 {host} {written}");
        let (app, pid) = tag.clone().map_or((None, None), |(app, pid)| (Some(app.into()), pid.map(Text::from)));
        let message = if tag.is_none() { written.clone() } else { message };
        let expected = Syslog3164 {
            facility: priority.map(|priority| priority / 8),
            severity: priority.map(|priority| priority % 8),
            time: 1_767_225_600_000,
            host: host.into(),
            app,
            pid,
            message: message.into(),
        };
        prop_assert_eq!(SYSLOG.parse(&Text::new(&line)), Ok(expected));
    }

    #[test]
    fn syslog_5424(
        priority in 0..192_u8,
        names in proptest::array::uniform4(option::of("[!-~]{2,12}")),
        elements in vec(("[!#-<>-\\\\^-~]{1,9}", vec(("[a-z]{1,5}", any::<String>()), 0..3)), 0..3),
        message: Option<String>,
    ) {
        let name = |name: &Option<String>| name.clone().unwrap_or("-".into());
        let value = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace(']', "\\]");
        let mut data: String = elements.iter().map(|(id, params)| {
            let params: String = params.iter().map(|(name, text)| format!(" {name}=\"{}\"", value(text))).collect();
            format!("[{id}{params}]")
        }).collect();
        if data.is_empty() {
            data.push('-');
        }
        let head: Vec<String> = names.iter().map(name).collect();
        let tail = message.as_ref().map_or_else(String::new, |message| format!(" \u{FEFF}{message}"));
        let line = format!("<{priority}>1 - {} {data}{tail}", head.join(" "));
        let [host, app, procid, msgid] = names.map(|name| name.map(Text::from));
        let param = |(name, value): (String, String)| SdParam { name: name.into(), value: value.into() };
        let element = |(id, params): (String, Vec<(String, String)>)| {
            SdElement { id: id.into(), params: params.into_iter().map(param).collect() }
        };
        let expected = Syslog5424 {
            facility: priority / 8,
            severity: priority % 8,
            version: 1,
            time: None,
            host, app, procid, msgid,
            structured_data: elements.into_iter().map(element).collect(),
            message: message.map(Text::from),
        };
        prop_assert_eq!(Syslog5424::parse(&Text::new(&line)), Ok(expected));
    }

    #[test]
    fn pairs(values in vec(option::of(any::<String>()), 1..6), order: bool) {
        let keys: Vec<String> = (0..values.len()).map(|key| format!("key{key}")).collect();
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let pair = |assign| move |(key, value): (&String, &Option<String>)| {
            value.as_ref().map(|value| format!("{key}{assign}{}", quoted(value)))
        };
        let written = |assign| -> Vec<String> {
            let mut pairs: Vec<String> = keys.iter().zip(&values).filter_map(pair(assign)).collect();
            if order {
                pairs.reverse();
            }
            pairs
        };
        let expected: Vec<_> = values.iter().map(Option::as_deref).collect();
        assert_cut(&Logfmt::new(keys.clone()).unwrap(), &written("=").join(" "), &expected);
        let format = KeyValue::new(keys.clone()).unwrap().separator(b',').unwrap().assign(b':').unwrap();
        assert_cut(&format, &written(" : ").join(" , "), &expected);
    }

    #[test]
    fn plain_fields(values in vec("[a-zé0-9]{1,7}( [a-z]{1,2})?", 2..7)) {
        let names: Vec<String> = (0..values.len()).map(|column| format!("c{column}")).collect();
        let expected: Vec<_> = values.iter().map(|value| Some(value.as_str())).collect();
        assert_cut(&Delimited::new(b'|', names.clone()).unwrap(), &values.join("|"), &expected);
        let columns = names.iter().enumerate().map(|(column, name)| (name.clone(), column * 10..column * 10 + 10));
        let line: String = values.iter().map(|value| format!("{value:<10}")).collect();
        assert_cut(&FixedWidth::new(columns).unwrap(), &line, &expected);
        let pattern: Vec<String> = names.iter().map(|name| format!("(?<{name}>[^|]*)")).collect();
        let format = Regex::new(&format!("^{}$", pattern.join("\\|"))).unwrap();
        assert_cut(&format, &values.join("|"), &expected);
    }
}
