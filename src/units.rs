//! Sizes, durations and signals as people type and read them.

use std::time::Duration;

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads a size: `4G`, `4GiB` and `4 GB` all mean 4 GiB, as memory is counted; a plain number is bytes.
///
/// # Errors
/// When it is not a size.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|_| "write a number of bytes, or one with K, M, G or T, such as 4G (4 GiB)".to_owned())
}

/// Times further away than this are as good as never, and the system's clock can't represent all of them.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 10);

/// Reads a duration: `90s`, `1h30m`, `13d`, `500ms`; a plain number is seconds, as for timeout(1).
///
/// # Errors
/// When it is not a duration, a negative one, or longer than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms".to_owned();
    let seconds = |seconds| Duration::try_from_secs_f64(seconds).ok();
    let with_unit = || -> Option<Duration> {
        let span: Span = text.parse().ok()?;
        // A limit is a length of time: no day of it is longer for a change of clocks.
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok()
    };
    let duration = text.parse().map_or_else(|_| with_unit(), seconds).ok_or_else(wrong)?;
    if duration > LONGEST { Err("it is longer than ten years".to_owned()) } else { Ok(duration) }
}

/// A duration for people: `1h 2m 3s`, `1.5s`, `0.03s`.
pub fn duration(duration: Duration) -> String {
    let printer = SpanPrinter::new().designator(Designator::Compact).spacing(Spacing::BetweenUnits);
    let step = match duration.as_secs() {
        0 => 10,
        1..60 => 100,
        _ => 1000,
    };
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX - step);
    let rounded = SignedDuration::from_millis((millis + step / 2) / step * step);
    if rounded < SignedDuration::from_secs(60) {
        return format!("{}s", rounded.as_secs_f64());
    }
    printer.duration_to_string(&rounded)
}

/// An approximate duration, for people: its two largest units, such as `1h 2m`.
pub fn rough(time: Duration) -> String {
    let whole = duration(Duration::from_secs(time.saturating_add(Duration::from_millis(500)).as_secs()));
    whole.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A rate for people, in the unit in which it is at least one: `12.5/s`, `3.0/min`, `200/h`.
pub fn rate(per_second: f64) -> String {
    let (number, unit) = match per_second {
        1.0.. => (per_second, "s"),
        _ if per_second * 60.0 >= 1.0 => (per_second * 60.0, "min"),
        _ => (per_second * 3600.0, "h"),
    };
    let digits = usize::from(number < 100.0);
    format!("{number:.digits$}/{unit}")
}

/// A number with the three decimals that JSON has of seconds, rates and ratios.
pub fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Seconds as whole milliseconds.
#[expect(clippy::cast_possible_truncation, reason = "no time is that long, and it saturates")]
pub fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// Bytes for people, in binary units: `1.5 GiB`.
pub fn bytes(count: u64) -> String {
    humansize::format_size(count, humansize::BINARY)
}

/// A count with its noun: `1 file`, `3 files`.
pub fn count(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A count with a noun that has an irregular plural: `2 directories`.
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// A signal by name and number: `SIGKILL (9)`.
pub fn signal(number: i32) -> String {
    match signal_hook::low_level::signal_name(number) {
        Some(name) => format!("{name} ({number})"),
        None => format!("signal {number}"),
    }
}

/// Text that can't move the cursor or colour a terminal: control characters are shown as escapes.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// A path or other byte string for people, on one line.
pub fn path(path: impl AsRef<std::ffi::OsStr>) -> String {
    printable(&path.as_ref().to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn sizes_are_binary_whatever_their_suffix() {
        for (text, bytes) in [
            ("4G", 4 << 30),
            ("4GiB", 4 << 30),
            ("4 GB", 4 << 30),
            ("512m", 512 << 20),
            ("10", 10),
            ("1.5K", 1536),
        ] {
            assert_eq!(super::parse_size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "G", "-1", "4X", "lots"] {
            assert!(super::parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units_or_are_seconds() {
        for (text, millis) in [
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("60", 60_000),
            ("0.5", 500),
            ("2 min", 120_000),
            ("1d 12h", 129_600_000),
            ("2w", 1_209_600_000),
            ("0", 0),
        ] {
            assert_eq!(super::parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in ["", "x", "-5s", "-1", "1 fortnight", "NaN", "inf", "1e18", "200000h"] {
            assert!(super::parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_told_without_noise() {
        for (millis, text) in
            [(0, "0s"), (34, "0.03s"), (1_534, "1.5s"), (59_970, "1m"), (3_723_400, "1h 2m 3s")]
        {
            assert_eq!(super::duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn rates_and_estimates_have_no_more_digits_than_they_deserve() {
        for (per_second, text) in
            [(20_000.4, "20000/s"), (2.26, "2.3/s"), (0.05, "3.0/min"), (0.001, "3.6/h")]
        {
            assert_eq!(super::rate(per_second), text);
        }
        for (millis, text) in
            [(4_400, "4s"), (200_000, "3m 20s"), (9_000_000, "2h 30m"), (3_723_400, "1h 2m")]
        {
            assert_eq!(super::rough(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn names_cannot_reach_the_terminal_as_commands() {
        assert_eq!(super::printable("a\u{1b}[31m\nb"), "a\\u{1b}[31m\\nb");
        assert_eq!(super::signal(9), "SIGKILL (9)");
    }
}
