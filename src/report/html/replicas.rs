//! Where time went: the timeline's frame, a text version of it, and the same as a table of replicas.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::numbers::{Times, duration, grouped, percent, seconds, time};
use crate::journal::event::{StopReason, Stopped};
use crate::journal::launch_state::LaunchEnd;
use crate::report::html::model::{
    RunHistory, SharedWork, Takeover, TaskHistory, TaskSource, TaskStanding, TimelineLaunch,
};
use crate::report::stop_reason;
use crate::units;

/// How many of the replicas that ended last are named.
const LAST: usize = 3;

/// How many of the replicas that took over from another one are named.
const TAKEOVERS: usize = 5;

/// One replica, all its launches together.
#[derive(Default)]
struct ReplicaRow<'a> {
    id: u32,
    launches: Vec<&'a TimelineLaunch>,
    ok: u64,
    failed: u64,
    missing: u64,
    /// Where replicas share their work.
    shared: SharedCounts,
}

/// How many files a replica had from where.
#[derive(Default)]
struct SharedCounts {
    /// Of its share.
    share: u64,
    /// Tasks of its share without a record, whichever replica has them.
    left: u64,
    /// Recorded by it, of other shares.
    of_others: u64,
    /// Recorded by it, of blocks that another replica had before.
    taken_over: u64,
}

impl ReplicaRow<'_> {
    fn begun(&self) -> Option<i64> {
        self.launches.iter().map(|launch| launch.begun_ms).min()
    }

    fn last(&self) -> Option<i64> {
        self.launches.iter().map(|launch| launch.last_ms).max()
    }

    fn has_died(&self) -> bool {
        self.launches.last().is_some_and(|launch| launch.end == LaunchEnd::Died)
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
            (timeline(history.shared.is_some()))
            details {
                summary { "The timeline as a table: " (grouped(rows.len() as u64)) @if rows.len() == 1 { " replica" } @else { " replicas" } }
                (table(&rows, history.shared.is_some()))
            }
        }
    }
}

/// Filled by the page's script.
fn timeline(is_shared: bool) -> Markup {
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
                    @if is_shared { " " span.swatch.taken {} " taken over from another replica" }
                }
            }
            canvas #timeline tabindex="0" role="img" aria-label="Timeline: a row for each replica and slot, from left to right in time. The table below has the same as text." {}
            p #timeline-info .hint { "Point at it to see what ran. Drag over a part to zoom in; arrow keys, + and − work, too." }
        }
    }
}

fn rows(history: &RunHistory) -> Vec<ReplicaRow<'_>> {
    let row = |id| (id, ReplicaRow { id, ..ReplicaRow::default() });
    let mut rows: BTreeMap<u32, ReplicaRow<'_>> = (1..=history.header.replica_count).map(row).collect();
    for launch in &history.launches {
        rows.entry(launch.replica).or_insert_with(|| row(launch.replica).1).launches.push(launch);
    }
    for (index, task) in (history.header.first_index..).zip(&history.tasks) {
        if let Some(row) = rows.get_mut(&task.replica) {
            match task.state {
                TaskStanding::Ok => row.ok += 1,
                TaskStanding::Failed => row.failed += 1,
                TaskStanding::Running | TaskStanding::Missing => row.missing += 1,
            }
        }
        if let Some(shared) = &history.shared {
            count_shared(&mut rows, shared, index, task);
        }
    }
    rows.into_values().collect()
}

fn count_shared(
    rows: &mut BTreeMap<u32, ReplicaRow<'_>>,
    shared: &SharedWork,
    index: u64,
    task: &TaskHistory,
) {
    let share = shared.share_of(index);
    let is_recorded = matches!(task.state, TaskStanding::Ok | TaskStanding::Failed);
    if let Some(owner) = rows.get_mut(&share) {
        owner.shared.share += 1;
        owner.shared.left += u64::from(!is_recorded);
    }
    if let Some(by) = rows.get_mut(&task.replica).filter(|_| is_recorded) {
        let is_taken_over = matches!(shared.source(index, by.id), TaskSource::TakenOver(_));
        by.shared.taken_over += u64::from(is_taken_over);
        by.shared.of_others += u64::from(share != by.id);
    }
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
            "{} stopped without a stop record: killed, or lost with the node.",
            units::plural(died, "launch", "launches")
        ));
    }
    match &history.shared {
        None => {
            let never = rows.iter().filter(|row| row.launches.is_empty() && row.missing > 0).count() as u64;
            if never > 0 {
                sentences.push(format!("{} never started.", units::count(never, "replica")));
            }
        }
        Some(shared) => sentences.extend(sharing_in_words(history, shared, rows)),
    }
    sentences
}

/// Which replica ran what in place of others.
fn sharing_in_words(history: &RunHistory, shared: &SharedWork, rows: &[ReplicaRow<'_>]) -> Vec<String> {
    let mut sentences = Vec::new();
    let of_others = rows.iter().map(|row| row.shared.of_others).sum::<u64>();
    if of_others > 0 {
        sentences.push(format!(
            "{} run by a replica other than the one that had them in its share.",
            units::plural(of_others, "file was", "files were")
        ));
    }
    let never = rows.iter().filter(|row| row.launches.is_empty() && row.shared.share > 0);
    let (count, files, left) = never.fold((0, 0, 0), |(count, files, left), row| {
        (count + 1, files + row.shared.share, left + row.shared.left)
    });
    if count > 0 {
        sentences.push(format!(
            "{} never started; others ran {} of the {} in their shares.",
            units::count(count, "replica"),
            grouped(files - left),
            units::count(files, "file"),
        ));
    }
    let takeovers = shared.takeovers(history.header.first_index, &history.tasks);
    let files: u64 = takeovers.iter().map(|takeover| takeover.files).sum();
    if files > 0 {
        let name = |takeover: &Takeover| {
            let Takeover { from, to, files } = takeover;
            format!("replica {to} from replica {from} ({files})")
        };
        let mut named: Vec<String> = takeovers.iter().take(TAKEOVERS).map(name).collect();
        if takeovers.len() > TAKEOVERS {
            named.push(format!("and {} more", takeovers.len() - TAKEOVERS));
        }
        sentences.push(format!(
            "{} taken over and run: by {}.",
            units::plural(files, "file was", "files were"),
            named.join(", ")
        ));
    }
    sentences
}

/// Which replica ended last, and how long after most others. The dead did not end when they were through.
fn stragglers(rows: &[ReplicaRow<'_>]) -> Option<String> {
    let ended = rows.iter().filter(|row| !row.has_died());
    let mut ends: Vec<(i64, u32)> = ended.filter_map(|row| Some((row.last()?, row.id))).collect();
    if ends.len() < 2 {
        return None;
    }
    ends.sort_unstable();
    let median = ends[(ends.len() - 1) / 2].0;
    let mut late = ends.iter().rev().take(LAST).filter(|(end, _)| *end > median);
    let (end, id) = late.next()?;
    let mut sentence = format!("Replica {id} ended last, {} after the median", duration(end - median));
    let others: Vec<String> =
        late.map(|(end, id)| format!("replica {id} (+{})", duration(end - median))).collect();
    if !others.is_empty() {
        sentence.push_str(&format!("; before it, {}", others.join(", ")));
    }
    Some(sentence + ".")
}

/// Columns for runs with shared work.
const SHARED_COLUMNS: [&str; 4] = ["Share", "Left of share", "Of other shares", "Taken over"];

fn table(rows: &[ReplicaRow<'_>], is_shared: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Replicas" {
            table {
                thead { tr {
                    @for name in ["Replica", "Launches", "OK", "Failed", "Missing"] { th scope="col" { (name) } }
                    @if is_shared { @for name in SHARED_COLUMNS { th scope="col" { (name) } } }
                    @for name in ["Began", "Last heartbeat", "Lasted", "Busy", "CPU time", "Ended", "Host"] {
                        th scope="col" { (name) }
                    }
                } }
                tbody { @for row in rows { (row_of(row, is_shared)) } }
            }
        }
    }
}

fn row_of(row: &ReplicaRow<'_>, is_shared: bool) -> Markup {
    let SharedCounts { share, left, of_others, taken_over } = row.shared;
    let last = row.launches.last();
    let begun = last.and_then(|launch| launch.begun.as_ref());
    html! {
        tr {
            th scope="row" { (row.id) }
            td { (row.launches.len()) }
            td { (grouped(row.ok)) } td { (grouped(row.failed)) } td { (grouped(row.missing)) }
            @if is_shared { @for count in [share, left, of_others, taken_over] { td { (grouped(count)) } } }
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
        LaunchEnd::Running => "running".to_owned(),
        LaunchEnd::Died => "died (no stop record)".to_owned(),
        LaunchEnd::Stopped(Stopped { reason: StopReason::Done, .. }) => "done".to_owned(),
        LaunchEnd::Stopped(Stopped { signal: Some(signal), .. }) => {
            format!("stopped by {}", units::signal(*signal))
        }
        LaunchEnd::Stopped(stopped) => format!("stopped: {}", stop_reason::in_words(stopped.reason)),
    }
}
