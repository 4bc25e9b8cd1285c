//! Wall-clock times as records and journals write them: RFC 3339, UTC, milliseconds.

use jiff::Timestamp;

/// Now, such as `2026-11-23T01:02:03.456Z`.
pub fn now() -> String {
    format(Timestamp::now())
}

/// The time this long ago, in the same form; now, if the clock has no such time.
pub fn ago(time: std::time::Duration) -> String {
    let now = Timestamp::now();
    format(now.checked_sub(time).unwrap_or(now))
}

/// One instant in the form of [`now`].
pub fn format(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Now as part of a folder's name: `20261123T010203Z`.
pub fn now_as_name() -> String {
    Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_milliseconds_and_end_in_z() {
        let time = super::format(jiff::Timestamp::from_millisecond(1_795_395_723_456).unwrap());
        assert_eq!(time, "2026-11-23T01:02:03.456Z");
    }
}
