//! Failures by kind, each with its first examples in full.

use maud::{Markup, html};

use super::numbers::grouped;
use crate::report::html::model::{FailureExample, FailureKind, RunHistory};
use crate::units;

/// How many kinds are listed.
const KINDS: usize = 200;

/// How many kinds are open at first.
const OPEN: usize = 3;

pub(super) fn section(history: &RunHistory) -> Markup {
    let kinds = &history.kinds;
    html! {
        section aria-labelledby="failures-title" {
            h2 #failures-title { "Failures" }
            @if kinds.is_empty() {
                p { "No task failed." }
            } @else {
                p { "By cause and last line of standard error, the most frequent first; " code { "{}" } " stands for the file." }
                @for (place, kind) in kinds.iter().take(KINDS).enumerate() { (kind_of(history, place, kind)) }
                @if kinds.len() > KINDS {
                    p { "And " (grouped((kinds.len() - KINDS) as u64)) " more kinds: the table of tasks has all." }
                }
            }
        }
    }
}

fn kind_of(history: &RunHistory, place: usize, kind: &FailureKind) -> Markup {
    html! {
        details.kind open[place < OPEN] {
            summary {
                span.count { (grouped(kind.group.count)) } " "
                span.cause { (kind.group.cause) } " "
                bdi.line { (kind.group.last_line) }
            }
            p { button type="button" data-kind=(place) { "Show " (files(kind.group.count)) " in the table" } }
            @for (place, example) in kind.examples.iter().enumerate() { (example_of(history, example, place == 0)) }
            @if kind.group.count > kind.examples.len() as u64 && !kind.examples.is_empty() {
                p.more { (grouped(kind.group.count - kind.examples.len() as u64)) " more of this kind" }
            }
        }
    }
}

fn files(count: u64) -> String {
    if count == 1 { "this file".to_owned() } else { format!("these {} files", grouped(count)) }
}

fn example_of(history: &RunHistory, example: &FailureExample, is_open: bool) -> Markup {
    let at = history.header.place_of(example.index);
    let path = at.and_then(|at| history.entries.get(at)).map(|entry| units::path(entry.path));
    let replica = at.and_then(|at| history.tasks.get(at)).map_or(0, |task| task.replica);
    let log = |title: &str, text: &str| {
        html! { p.title { (title) } pre tabindex="0" { bdi { (printable_lines(text)) } } }
    };
    html! {
        details.example open[is_open] {
            summary { bdi { (path.unwrap_or_default()) } }
            p { "Task " (example.index) ", replica " (replica) ": " (units::printable(&example.message)) }
            @if let Some(tail) = example.stderr_tail.as_deref().filter(|tail| !tail.trim().is_empty()) {
                (log("End of standard error", tail))
            }
            @if let Some(end) = &example.stdout_end { (log("End of standard output", end)) }
        }
    }
}

/// Text of several lines without other control characters.
fn printable_lines(text: &str) -> String {
    let line = |line: &str| units::printable(&line.trim_end_matches('\r').replace('\t', "    "));
    text.trim_end().split('\n').map(line).collect::<Vec<_>>().join("\n")
}
