//! The sample files, and a format for each.

use gristmill::parse::{
    Assumed, CombinedFormat, CommonFormat, Delimited, FixedWidth, KeyValue, LineFormat, Logfmt,
    NginxAccessFormat, NginxErrorFormat, Regex, Syslog3164Format, Syslog5424Format,
};

pub const SYSLOG: Syslog3164Format = Syslog3164Format::new(Assumed { year: 2026, offset_minutes: 60 });
pub const NGINX_ERROR: NginxErrorFormat = NginxErrorFormat::new(-90);

/// Where a sample lies.
pub fn path(name: &str) -> String {
    format!("{}/tests/data/logs/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The lines of a sample.
pub fn lines(name: &str) -> Vec<String> {
    std::fs::read_to_string(path(name)).unwrap().lines().map(str::to_owned).collect()
}

pub fn logfmt() -> Logfmt {
    Logfmt::new(["level", "msg", "took", "retry", "user", "path"]).unwrap()
}

pub fn key_value() -> KeyValue {
    KeyValue::new(["id", "name", "price", "organic"]).unwrap().separator(b';').unwrap().assign(b':').unwrap()
}

pub fn fixed_width() -> FixedWidth {
    let columns = [("id", 0..5), ("name", 5..17), ("unit", 17..20), ("price", 20..28), ("day", 28..38)];
    FixedWidth::new(columns).unwrap()
}

pub fn delimited() -> Delimited {
    Delimited::new(b'\t', ["id", "name", "price", "organic", "day"]).unwrap().null("\\N")
}

pub fn regex() -> Regex {
    let pattern = r"^(?<time>[-\d]+ [:\d]+,\d{3}) (?<level>[A-Z]+) +\[(?<thread>[^\]]+)\](?: \(job (?<job>\d+)\))? (?<class>\S+) - (?<message>.*)$";
    Regex::new(pattern).unwrap()
}

/// Every format with the sample of it.
pub fn all() -> Vec<(&'static str, Box<dyn LineFormat>)> {
    vec![
        ("common.log", Box::new(CommonFormat)),
        ("combined.log", Box::new(CombinedFormat)),
        ("nginx_access.log", Box::new(NginxAccessFormat)),
        ("nginx_error.log", Box::new(NGINX_ERROR)),
        ("syslog3164.log", Box::new(SYSLOG)),
        ("syslog5424.log", Box::new(Syslog5424Format)),
        ("logfmt.log", Box::new(logfmt())),
        ("key_value.log", Box::new(key_value())),
        ("fixed_width.txt", Box::new(fixed_width())),
        ("delimited.tsv", Box::new(delimited())),
        ("application.log", Box::new(regex())),
    ]
}
