//! Lines of a combined access log, as a busy site writes them: few addresses, pages and agents make most of them, one in a
//! thousand is broken.

use std::fmt::Write as _;

use super::random::Random;

/// A writer of log lines.
pub struct Logs {
    random: Random,
    /// Seconds since 1970, UTC.
    now: i64,
    agents: Vec<String>,
    /// Lines of a thousand that are broken.
    broken: usize,
}

const WORDS: [&str; 24] = [
    "about", "archive", "article", "assets", "blog", "cart", "category", "checkout", "contact", "docs",
    "download", "forum", "gallery", "help", "images", "news", "press", "product", "profile", "search",
    "shop", "static", "tag", "users",
];
const EXTENSIONS: [&str; 8] = [".html", ".css", ".js", ".png", ".svg", "", "/", ".php"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 2026-03-20T00:00:00Z.
const BEGIN: i64 = 1_773_964_800;
/// When summer time begins in the middle of Europe, 2026-03-29T01:00:00Z.
const SUMMER: i64 = 1_774_746_000;

impl Logs {
    pub fn new() -> Logs {
        let mut random = Random::new(1);
        let agents = (0..2000).map(|_| agent(&mut random)).collect();
        Logs { random, now: BEGIN, agents, broken: 1 }
    }

    /// Without broken lines, and without quotes that are escaped.
    pub fn whole() -> Logs {
        let mut logs = Logs::new();
        logs.agents.retain(|agent| !agent.contains('\\'));
        Logs { broken: 0, ..logs }
    }

    /// Appends a line, with its end.
    pub fn line(&mut self, out: &mut String) {
        let start = out.len();
        self.whole_line(out);
        if self.random.per_mille(self.broken) {
            // A writer that was killed, a full disk: the line ends early, at the latest before its last quote.
            let end = start + self.random.below(out.len() - start - 1);
            out.truncate(end);
            out.push('-');
        }
        out.push('\n');
    }

    fn whole_line(&mut self, out: &mut String) {
        let random = &mut self.random;
        if random.below(20) < 3 {
            self.now += 1;
        }
        host(random, out);
        out.push_str(" - ");
        if random.per_mille(30) {
            let _ = write!(out, "{}{}", random.one(&WORDS), random.skewed(500));
        } else {
            out.push('-');
        }
        time(self.now, out);
        out.push_str(" \"");
        let method = random.below(1000);
        out.push_str(match method {
            0..890 => "GET",
            890..970 => "POST",
            970..990 => "HEAD",
            990..995 => "PUT",
            _ => "OPTIONS",
        });
        out.push(' ');
        path(random, out);
        out.push_str(if random.per_mille(700) { " HTTP/1.1\" " } else { " HTTP/2.0\" " });
        let status = match random.below(1000) {
            0..830 => 200,
            830..900 => 304,
            900..940 => 404,
            940..970 => 301,
            970..985 => 302,
            985..990 => 403,
            990..995 => 500,
            _ => 206,
        };
        if status == 304 {
            out.push_str("304 -");
        } else {
            let _ = write!(out, "{status} {}", 150 + random.skewed(2_000_000));
        }
        if random.per_mille(350) {
            out.push_str(" \"-\" \"");
        } else {
            out.push_str(" \"https://www.example.");
            out.push_str(random.one(&["com", "org", "net"]));
            path(random, out);
            out.push_str("\" \"");
        }
        let agent = random.skewed(self.agents.len());
        out.push_str(&self.agents[agent]);
        out.push('"');
    }
}

/// An address, in one of five cases of version 6, of some 200,000 visitors.
fn host(random: &mut Random, out: &mut String) {
    let visitor = random.skewed(200_000) as u64;
    let bits = Random::new(visitor).next();
    let _ = if visitor.is_multiple_of(5) {
        let [a, b, c, d] = [48, 32, 16, 0].map(|shift| bits >> shift & 0xFFFF);
        write!(out, "2001:db8:{a:x}:{b:x}::{c:x}:{d:x}")
    } else {
        let [a, b, c, d] = bits.to_le_bytes().first_chunk().copied().unwrap_or_default();
        write!(out, "{}.{b}.{c}.{d}", a % 223 + 1)
    };
}

/// The time in brackets, with spaces around, an hour or two ahead of UTC.
fn time(now: i64, out: &mut String) {
    let hours = if now < SUMMER { 1 } else { 2 };
    let local = now + hours * 3600;
    let (mut day, clock) = (local.div_euclid(86_400) - BEGIN / 86_400 + 20, local.rem_euclid(86_400));
    let mut month = 2; // March
    while day > [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month % 12] {
        day -= [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month % 12];
        month += 1;
    }
    let (name, year) = (MONTHS[month % 12], 2026 + month / 12);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    let _ = write!(out, " [{day:02}/{name}/{year}:{hour:02}:{minute:02}:{second:02} +0{hours}00]");
}

/// One of 20,000 paths, every third with a query.
fn path(random: &mut Random, out: &mut String) {
    let mut page = Random::new(random.skewed(20_000) as u64);
    for _ in 0..=page.below(4) {
        out.push('/');
        out.push_str(page.one(&WORDS));
    }
    let _ = write!(out, "/{}", page.below(100_000));
    out.push_str(page.one(&EXTENSIONS));
    if random.per_mille(330) {
        let (name, query) = (random.one(&WORDS), random.next() % 1_000_000);
        let _ = write!(out, "?session={:012x}&{name}={query}", random.next() & 0xFFFF_FFFF_FFFF);
    }
}

/// A user agent; one in a hundred has quotes, which the server escapes.
fn agent(random: &mut Random) -> String {
    let (major, minor) = (random.below(60) + 80, random.below(7000));
    let system = random.one(&[
        "Windows NT 10.0; Win64; x64",
        "Macintosh; Intel Mac OS X 10_15_7",
        "X11; Linux x86_64",
        "Linux; Android 13; SM-S901B",
        "iPhone; CPU iPhone OS 17_4 like Mac OS X",
    ]);
    match random.below(100) {
        0 => format!("Feeds \\\"Reader {minor}\\\" (+https://example.org/bot\\\\info)"),
        1..10 => format!(
            "Mozilla/5.0 (compatible; Crawler/{}.{}; +http://example.com/bot.html)",
            major % 9,
            minor % 10
        ),
        10..15 => format!("curl/{}.{}.0", major % 9, minor % 90),
        15..40 => format!("Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"),
        _ => format!(
            "Mozilla/5.0 ({system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{major}.0.{minor}.0 Safari/537.36"
        ),
    }
}
