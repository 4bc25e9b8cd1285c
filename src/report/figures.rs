//! The lines about what tasks used: times, memory, the slowest, and the advice that follows.

use std::time::Duration;

use crate::model::histogram::Quantiles;
use crate::model::product::ProductTotals;
use crate::model::usage::{Slow, UsageFigures};
use crate::record::inputs::FoundRun;
use crate::report::advice;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// Which tasks are slow: the factor over the median, the fewest tasks for a median, and the fewest seconds.
const SLOW: (f64, u64, f64) = (4.0, 10, 5.0);

/// Prints it. With a line for every task, the slowest are always shown.
pub(super) fn say(console: &Console, figures: &UsageFigures, advice_after: Duration) {
    let say = |text: &str| console.say(Verbosity::Normal, Tone::Plain, text);
    if figures.attempts < 2 {
        return;
    }
    if let Some(times) = figures.duration_s.quantiles() {
        say(&each(times, figures.memory_bytes.quantiles()));
        let is_all = console.verbosity() == Verbosity::Verbose;
        let slow: Vec<String> = figures
            .slowest
            .iter()
            .filter(|slow| is_all || is_slow(slow, figures, times))
            .map(slow_one)
            .collect();
        if !slow.is_empty() {
            say(&format!("slowest: {}", slow.join(", ")));
        }
    }
    advice::lines(figures, advice_after).iter().for_each(|line| say(line));
}

/// Such as `CPU time 40m, 83 % of 4 CPUs`, or `... of 4 CPUs shared by 3 launches`.
pub(super) fn cpu_time(figures: &UsageFigures) -> String {
    let time = format!("CPU time {}", seconds(figures.cpu_s));
    let (Some(part), Some(cpus)) = (figures.efficiency(), figures.cpus()) else { return time };
    let cpus = advice::decimal(cpus);
    let unit = if cpus == "1" { "CPU" } else { "CPUs" };
    let shared = match figures.launches_at_once {
        0 | 1 => String::new(),
        launches => format!(" shared by {launches} launches"),
    };
    format!("{time}, {:.0} % of {cpus} {unit}{shared}", part * 100.0)
}

/// What was taken from a run with products that are the files of another one, and what was missing.
pub fn found(run: &FoundRun) -> String {
    let mut text = units::count(run.products, "product");
    for (count, what) in [(run.failed, "failed there"), (run.missing, "had no record")] {
        if count > 0 {
            text.push_str(&format!("; {} {what}", units::count(count, "file")));
        }
    }
    text
}

/// Such as `990 products, 1.2 GiB`.
pub(super) fn products(totals: ProductTotals) -> String {
    format!("{}, {}", units::count(totals.count, "product"), units::bytes(totals.bytes))
}

pub(super) fn seconds(seconds: f64) -> String {
    units::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// How long a task took: below a second in milliseconds, with two figures.
fn task_time(time: f64) -> String {
    let millis = time * 1000.0;
    match millis {
        _ if millis <= 0.0 || millis >= 995.0 => seconds(time),
        99.5.. => format!("{:.0} ms", (millis / 10.0).round() * 10.0),
        9.95.. => format!("{millis:.0} ms"),
        0.995.. => advice::decimal(millis) + " ms",
        _ => {
            // 0.4 and 0.04 ms, not 0.40.
            let text = format!("{:.2}", (millis * 100.0).round().max(1.0) / 100.0);
            text.trim_end_matches('0').to_owned() + " ms"
        }
    }
}

fn each(times: Quantiles, memory: Option<Quantiles>) -> String {
    let mut text = format!(
        "each task: {} (median), {} (95 %), {} (longest)",
        task_time(times.median),
        task_time(times.p95),
        task_time(times.max)
    );
    if let Some(Quantiles { median, p95, max }) = memory {
        let [median, p95, max] = [median, p95, max].map(bytes);
        text.push_str(&format!("; memory {median} (median), {p95} (95 %), {max} (largest)"));
    }
    text
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what was counted were bytes")]
fn bytes(count: f64) -> String {
    units::bytes(count as u64)
}

fn is_slow(slow: &Slow, figures: &UsageFigures, times: Quantiles) -> bool {
    let (factor, tasks, least) = SLOW;
    figures.attempts >= tasks && slow.duration_s >= least && slow.duration_s >= factor * times.median
}

fn slow_one(slow: &Slow) -> String {
    // It comes from a journal when merged.
    format!("{} ({}, task {})", units::printable(&slow.path), seconds(slow.duration_s), slow.index)
}

#[cfg(test)]
mod tests {
    #[test]
    fn short_tasks_are_told_in_milliseconds() {
        for (seconds, text) in [
            (0.12, "120 ms"),
            (0.034, "34 ms"),
            (0.0012, "1.2 ms"),
            (0.0004, "0.4 ms"),
            (0.000_000_1, "0.01 ms"),
            (0.9951, "1s"),
            (1.53, "1.5s"),
            (0.0, "0s"),
        ] {
            assert_eq!(super::task_time(seconds), text, "{seconds}");
        }
    }
}
