//! The numbers at the top of the page, and how they are formatted.

use std::time::Duration;

use maud::{Markup, html};

use crate::model::counts::TaskCounts;
use crate::model::cpu_sharing::{CpuSharing, CpuUse};
use crate::report::html::model::{AttemptSpanEnd, RunHistory, TimelineLaunch};
use crate::units;

/// What a run took, milliseconds.
pub(super) struct Times {
    /// From the first launch's beginning to the last heartbeat.
    pub(super) wall: i64,
    /// CPU time of all attempts.
    pub(super) cpu: f64,
    /// CPU time that the containers of all launches had to give; CPUs that launches share count once.
    available: f64,
    /// Whether launches shared CPUs.
    are_cpus_shared: bool,
    /// Wall time of all attempts together.
    pub(super) busy: i64,
    /// Wall time of all slots together.
    pub(super) slots: i64,
    /// Wall time of attempts that came to nothing.
    pub(super) in_vain: i64,
}

impl Times {
    pub(super) fn of(history: &RunHistory) -> Self {
        let sum = |of: &dyn Fn(&TimelineLaunch) -> i64| history.launches.iter().map(of).sum();
        let cpu_use = |launch: &TimelineLaunch| CpuUse {
            cpus: launch.begun.as_ref().and_then(|begun| begun.host_cpus()),
            count: launch.begun.as_ref().map_or(0.0, |begun| begun.limits.cpus),
            begun_s: launch.begun_ms as f64 / 1000.0,
            ended_s: launch.last_ms as f64 / 1000.0,
        };
        let sharing = CpuSharing::of(history.launches.iter().map(cpu_use));
        let vain = history
            .spans
            .iter()
            .filter(|one| matches!(one.end, AttemptSpanEnd::Failed | AttemptSpanEnd::Cut));
        Self {
            wall: history.times().map_or(0, |(begun, last)| last - begun),
            cpu: history.launches.iter().map(|launch| launch.cpu_s * 1000.0).sum(),
            available: sharing.available_s * 1000.0,
            are_cpus_shared: sharing.launches > 1,
            busy: sum(&|launch| launch.busy_ms),
            slots: sum(&|launch| i64::from(launch.slots) * launch.span_ms()),
            in_vain: vain.map(|one| one.ms).sum(),
        }
    }
}

pub(super) fn section(history: &RunHistory, counts: TaskCounts, times: &Times) -> Markup {
    let number = |name: &str, key: &str, count: u64, more: &str| {
        html! { div class={ "number " (key) } { dt { (name) } dd data-count=(key) data-value=(count) { (grouped(count)) } @if !more.is_empty() { dd.more { (more) } } } }
    };
    let text = |name: &str, value: String, more: &str| {
        html! { div.number { dt { (name) } dd { (value) } @if !more.is_empty() { dd.more { (more) } } } }
    };
    let missing = counts.unfinished();
    let given = if times.are_cpus_shared {
        "CPU time used of that given to the containers; shared CPUs count once"
    } else {
        "CPU time used of that given to the containers"
    };
    html! {
        section aria-labelledby="numbers-title" {
            h2 #numbers-title { "Numbers" }
            dl.numbers {
                (number("Files", "files", counts.files, ""))
                (number("OK", "ok", counts.ok, ""))
                @if counts.without_result > 0 {
                    (number("OK without a result", "without_result", counts.without_result, ""))
                }
                (number("Failed", "failed", counts.failed, ""))
                (number("Missing", "missing", missing, ""))
                @if !counts.products.is_empty() {
                    (number("Products", "products", counts.products.count, &units::bytes(counts.products.bytes)))
                }
                @if history.products_gone > 0 {
                    (number("Products gone", "products_gone", history.products_gone, "files of which launches found some gone"))
                }
                @if history.is_in_progress() { (number("Running now", "running", history.running(), "")) }
                (text("Wall time", duration(times.wall), "first to last heartbeat"))
                (text("CPU time", seconds(times.cpu / 1000.0), "all attempts"))
                (text("Efficiency", percent(times.cpu, times.available), given))
                (text("Slots busy", percent(times.busy as f64, times.slots as f64), "of the time that launches lasted"))
            }
        }
    }
}

/// `82 %`; a dash if the whole is zero.
pub(super) fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0} %", 100.0 * part / whole) } else { "–".to_owned() }
}

/// Milliseconds for people.
pub(super) fn duration(ms: i64) -> String {
    units::duration(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
}

/// Seconds for people.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        // Below, two digits of a second say too little.
        0.000_001..0.1 => format!("{} ms", rounded(seconds * 1000.0)),
        _ => Duration::try_from_secs_f64(seconds).map_or_else(|_| "–".to_owned(), units::duration),
    }
}

/// With one digit behind the point where it is small.
fn rounded(number: f64) -> f64 {
    if number < 10.0 { (number * 10.0).round() / 10.0 } else { number.round() }
}

/// `100,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds since 1970 for people and machines: `2026-11-26 12:00:05 UTC`.
pub(super) fn time(ms: i64) -> Markup {
    let Ok(at) = jiff::Timestamp::from_millisecond(ms) else { return html! { "–" } };
    html! { time datetime=(crate::clock::format(at)) { (at.strftime("%Y-%m-%d %H:%M:%S UTC")) } }
}

#[cfg(test)]
mod tests {
    use super::{grouped, percent, time};

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([percent(1.0, 3.0), percent(1.0, 0.0)], ["33 %", "–"]);
        assert!(time(1_795_395_723_456).into_string().contains(">2026-11-23 01:02:03 UTC<"));
        assert_eq!(time(i64::MAX).into_string(), "–");
    }
}
