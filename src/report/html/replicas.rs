//! Where time went: the timeline's frame, what it shows in words, and the same as a table of replicas.

use maud::{Markup, html};

use super::numbers::{Times, duration, grouped, percent, seconds, time};
use crate::journal::event::{StopReason, Stopped};
use crate::journal::launch_state::LaunchEnd;
use crate::report::html::model::{RunHistory, TaskStanding, TimelineLaunch};
use crate::report::stop_reason;
use crate::units;

/// So many replicas that ended last are named.
const LAST: usize = 3;

/// One replica, all its launches together.
#[derive(Default)]
struct ReplicaRow<'a> {
    id: u32,
    launches: Vec<&'a TimelineLaunch>,
    ok: u64,
    failed: u64,
    missing: u64,
}

impl ReplicaRow<'_> {
    fn begun(&self) -> Option<i64> {
        self.launches.iter().map(|launch| launch.begun_ms).min()
    }

    fn last(&self) -> Option<i64> {
        self.launches.iter().map(|launch| launch.last_ms).max()
    }

    fn sum(&self, of: impl Fn(&TimelineLaunch) -> i64) -> i64 {
        self.launches.iter().map(|launch| of(launch)).sum()
    }
}

pub(super) fn section(history: &RunHistory, times: &Times) -> Markup {
    let rows = rows(history);
    html! {
        section aria-labelledby="timeline-title" {
            h2 #timeline-title { "Where time went" }
            @for sentence in in_words(history, &rows, times) { p { (sentence) } }
            (timeline())
            details {
                summary { "The timeline as a table: " (grouped(rows.len() as u64)) " replicas" }
                (table(&rows))
            }
        }
    }
}

/// Filled by the page's script.
fn timeline() -> Markup {
    let button = |action: &str, sign: &str, name: &str| {
        html! { button type="button" data-view=(action) aria-label=(name) title=(name) { (sign) } }
    };
    html! {
        div.timeline role="group" aria-label="Timeline of all replicas and slots" hidden {
            div.toolbar {
                (button("in", "+", "Zoom in")) (button("out", "−", "Zoom out"))
                (button("left", "←", "Earlier")) (button("right", "→", "Later"))
                (button("up", "↑", "Lower replica numbers")) (button("down", "↓", "Higher replica numbers"))
                (button("all", "All", "Show all"))
                p.legend {
                    span.swatch.ok {} " ok " span.swatch.failed {} " failed " span.swatch.cut {} " cut short "
                    span.swatch.running {} " running " span.swatch.idle {} " idle"
                }
            }
            canvas #timeline tabindex="0" role="img" aria-label="Timeline: a row for each replica and slot, from left to right in time. The table below has the same as text." {}
            p #timeline-info .hint { "Point at it to see what ran. Drag over a part to see it larger; arrow keys, + and − work, too." }
        }
    }
}

fn rows(history: &RunHistory) -> Vec<ReplicaRow<'_>> {
    let count = history.header.replica_count;
    let mut rows: Vec<ReplicaRow<'_>> =
        (1..=count).map(|id| ReplicaRow { id, ..ReplicaRow::default() }).collect();
    let at = |replica: u32| (replica as usize).wrapping_sub(1);
    for task in &history.tasks {
        let Some(row) = rows.get_mut(at(task.replica)) else { continue };
        match task.state {
            TaskStanding::Ok => row.ok += 1,
            TaskStanding::Failed => row.failed += 1,
            TaskStanding::Running | TaskStanding::Missing => row.missing += 1,
        }
    }
    for launch in &history.launches {
        if let Some(row) = rows.get_mut(at(launch.replica)) {
            row.launches.push(launch);
        }
    }
    rows
}

fn in_words(history: &RunHistory, rows: &[ReplicaRow<'_>], times: &Times) -> Vec<String> {
    let mut sentences = Vec::new();
    if times.slots > 0 {
        sentences.push(format!(
            "Slots were busy {} of the time that their launches lasted, and idle {}.",
            percent(times.busy as f64, times.slots as f64),
            duration((times.slots - times.busy).max(0))
        ));
    }
    if times.in_vain > 0 {
        sentences.push(format!(
            "Attempts that failed or were cut short took {} of slot time.",
            duration(times.in_vain)
        ));
    }
    sentences.extend(stragglers(rows));
    let died = history.launches.iter().filter(|launch| launch.end == LaunchEnd::Died).count() as u64;
    if died > 0 {
        sentences.push(format!(
            "{} ended without a word: killed, or lost with the node.",
            units::plural(died, "launch", "launches")
        ));
    }
    let never = rows.iter().filter(|row| row.launches.is_empty() && row.missing > 0).count() as u64;
    if never > 0 {
        sentences.push(format!("{} never started.", units::count(never, "replica")));
    }
    sentences
}

/// Who ended last, and how long after most others.
fn stragglers(rows: &[ReplicaRow<'_>]) -> Option<String> {
    let mut ends: Vec<(i64, u32)> = rows.iter().filter_map(|row| Some((row.last()?, row.id))).collect();
    if ends.len() < 2 {
        return None;
    }
    ends.sort_unstable();
    let median = ends[ends.len() / 2].0;
    let last: Vec<String> = ends
        .iter()
        .rev()
        .take(LAST)
        .filter(|(end, _)| *end > median)
        .map(|(end, id)| format!("replica {id} (+{})", duration(end - median)))
        .collect();
    (!last.is_empty()).then(|| format!("Last to end, after half of the replicas had: {}.", last.join(", ")))
}

fn table(rows: &[ReplicaRow<'_>]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Replicas" {
            table {
                thead { tr {
                    @for name in ["Replica", "Launches", "OK", "Failed", "Missing", "Began", "Last sign", "Lasted", "Busy", "CPU time", "Ended", "Host"] {
                        th scope="col" { (name) }
                    }
                } }
                tbody { @for row in rows { (row_of(row)) } }
            }
        }
    }
}

fn row_of(row: &ReplicaRow<'_>) -> Markup {
    let last = row.launches.last();
    let begun = last.and_then(|launch| launch.begun.as_ref());
    html! {
        tr {
            th scope="row" { (row.id) }
            td { (row.launches.len()) }
            td { (grouped(row.ok)) } td { (grouped(row.failed)) } td { (grouped(row.missing)) }
            td { @if let Some(ms) = row.begun() { (time(ms)) } }
            td { @if let Some(ms) = row.last() { (time(ms)) } }
            td { @if last.is_some() { (duration(row.sum(TimelineLaunch::span_ms))) } }
            td {
                (percent(
                    row.sum(|launch| launch.busy_ms) as f64,
                    row.sum(|launch| i64::from(launch.slots) * launch.span_ms()) as f64,
                ))
            }
            td { @if last.is_some() { (seconds(row.launches.iter().map(|launch| launch.cpu_s).sum())) } }
            td { (last.map_or_else(|| "never started".to_owned(), |launch| end(&launch.end))) }
            td { bdi { (begun.map(|begun| units::printable(&begun.process.host)).unwrap_or_default()) } }
        }
    }
}

/// How a launch ended, in words.
pub(super) fn end(end: &LaunchEnd) -> String {
    match end {
        LaunchEnd::Running => "at work".to_owned(),
        LaunchEnd::Died => "died without a word".to_owned(),
        LaunchEnd::Stopped(Stopped { reason: StopReason::Done, .. }) => "done".to_owned(),
        LaunchEnd::Stopped(Stopped { signal: Some(signal), .. }) => {
            format!("stopped by {}", units::signal(*signal))
        }
        LaunchEnd::Stopped(stopped) => format!("stopped: {}", stop_reason::in_words(stopped.reason)),
    }
}
