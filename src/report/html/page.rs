//! The page: the part that needs no scripts, then the data, then the scripts that draw the timeline and the table of tasks.

use std::io::{self, Write};
use std::path::Path;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::numbers::{self, Times, grouped};
use super::{data, failures, figures, provenance, replicas};
use crate::model::counts::TaskCounts;
use crate::report::html::model::RunHistory;

const STYLE: &str = include_str!("report.css");

/// In the order they need each other.
const SCRIPTS: [&str; 4] =
    [include_str!("data.js"), include_str!("timeline.js"), include_str!("table.js"), include_str!("page.js")];

/// Nothing is loaded from anywhere, and what is within the page sends nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The number of odd things that are named.
const PROBLEMS: usize = 50;

/// Writes the page about the run in `root`, to lie in the folder `page`.
///
/// # Errors
/// When it can't be written.
pub fn write(history: &RunHistory, root: &Path, page: &Path, out: &mut dyn Write) -> io::Result<()> {
    let counts = history.counts();
    let title = format!("Run {}: {}", history.header.run, standing(history, counts));
    let before = html! {
        (PreEscaped("<head>"))
        meta charset="utf-8";
        meta http-equiv="Content-Security-Policy" content=(POLICY);
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        meta name="generator" content={ "canfar-run " (env!("CARGO_PKG_VERSION")) };
        title { (title) }
        style { (PreEscaped(STYLE)) }
        (PreEscaped("</head><body>"))
        (body(history, counts, root))
        // It comes last: the page is visible before its data is loaded.
        (PreEscaped("<script type=\"application/json\" id=\"data\">"))
    };
    write!(out, "{}<html lang=\"en\">{}", DOCTYPE.into_string(), before.into_string())?;
    data::write(history, page, out)?;
    out.write_all(b"</script>")?;
    for script in SCRIPTS {
        write!(out, "<script>\n{script}</script>")?;
    }
    out.write_all(b"</body></html>\n")
}

/// The state of the run, in a few words.
fn standing(history: &RunHistory, counts: TaskCounts) -> String {
    let missing = counts.unfinished();
    let failed =
        if counts.failed > 0 { format!(", {} failed", grouped(counts.failed)) } else { String::new() };
    match (history.is_in_progress(), missing) {
        (true, _) => {
            format!("in progress, {} of {} done", grouped(counts.ok + counts.failed), grouped(counts.files))
        }
        (false, 0) => format!("complete{failed}"),
        (false, missing) => format!("incomplete, {} missing{failed}", grouped(missing)),
    }
}

fn body(history: &RunHistory, counts: TaskCounts, root: &Path) -> Markup {
    let times = Times::of(history);
    html! {
        a.skip href="#tasks-title" { "Skip to the table of tasks" }
        header {
            h1 { "Run " code { (history.header.run) } }
            p.standing data-standing { (standing(history, counts)) }
            p.made {
                "As of " (crate::clock::now()) @if history.is_in_progress() { "; the run is still going, so make this report again later" }
            }
            button #theme type="button" hidden { "Dark colours" }
        }
        nav aria-label="Parts of this page" {
            ul {
                @for (id, name) in [("numbers", "Numbers"), ("timeline", "Where time went"), ("charts", "Distributions"), ("failures", "Failures"), ("tasks", "Tasks"), ("provenance", "Provenance")] {
                    li { a href={ "#" (id) "-title" } { (name) } }
                }
            }
        }
        main {
            (numbers::section(history, counts, &times))
            (problems(history))
            (replicas::section(history, &times))
            (figures::section(history))
            (failures::section(history))
            (tasks(!counts.products.is_empty()))
            (provenance::section(history, root))
        }
        footer { p { "Made by canfar-run " (env!("CARGO_PKG_VERSION")) " from the list and the journals of the run." } }
    }
}

fn problems(history: &RunHistory) -> Markup {
    let problems = &history.problems;
    html! {
        @if !problems.is_empty() {
            section aria-labelledby="problems-title" {
                h2 #problems-title { "Skipped" }
                ul { @for problem in problems.iter().take(PROBLEMS) { li { bdi { (crate::units::printable(problem)) } } } }
                @if problems.len() > PROBLEMS { p { "And " (grouped((problems.len() - PROBLEMS) as u64)) " more." } }
            }
        }
    }
}

/// The table's columns: how the script calls them, and people. That of products is there where tasks made some.
const COLUMNS: [(&str, &str); 12] = [
    ("index", "#"),
    ("file", "File"),
    ("products", "Products"),
    ("state", "Status"),
    ("kind", "Reason"),
    ("replica", "Replica"),
    ("attempts", "Attempts"),
    ("start", "Began"),
    ("duration", "Duration"),
    ("cpu", "CPU time"),
    ("memory", "Memory"),
    ("size", "Size"),
];

/// Filled by the page's script.
fn tasks(has_products: bool) -> Markup {
    let columns = COLUMNS.iter().filter(|(key, _)| has_products || *key != "products");
    html! {
        section aria-labelledby="tasks-title" {
            h2 #tasks-title tabindex="-1" { "Tasks" }
            noscript { p { "The table of tasks and the timeline need JavaScript; nothing is loaded from anywhere." } }
            form #filters role="search" aria-label="Tasks" hidden {
                label { "Search " input #search type="search" autocomplete="off" spellcheck="false" placeholder="name or reason"; }
                label { "Status " select #by-state {
                    @for (value, name) in [("", "all"), ("0", "ok"), ("1", "failed"), ("2", "running"), ("3", "missing")] {
                        option value=(value) { (name) }
                    }
                } }
                label { "Reason " select #by-kind { option value="" { "all" } } }
                label { "Replica " input #by-replica type="number" min="1" inputmode="numeric"; }
                button type="reset" { "Clear" }
            }
            p #shown role="status" aria-live="polite" { "Loading …" }
            div #tasks.scroll tabindex="0" role="region" aria-labelledby="tasks-title" hidden {
                table aria-describedby="shown" {
                    thead { tr {
                        @for (key, name) in columns {
                            th scope="col" data-column=(key) { button type="button" { (name) } }
                        }
                    } }
                    tbody {}
                }
            }
            p #print-note hidden {}
        }
    }
}
