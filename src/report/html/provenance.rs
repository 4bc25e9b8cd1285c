//! Where the results come from: the run's command, inputs and options, and its launches.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use maud::{Markup, html};

use super::numbers::{grouped, time};
use super::replicas;
use crate::discover::EntryType;
use crate::record::command_files::{CommandRecords, RecordsByContent};
use crate::record::inputs::{Header, InputSpec, SourceRun};
use crate::report::figures;
use crate::report::html::model::{RunHistory, TaskStanding, TimelineLaunch};
use crate::text::OsText;
use crate::units;

pub(super) fn section(history: &RunHistory, root: &Path) -> Markup {
    let header = &history.header;
    html! {
        section aria-labelledby="provenance-title" {
            h2 #provenance-title { "Provenance" }
            dl.facts {
                (fact("Run", &html! { code { (header.run) } }))
                (fact("Results directory", &html! { code { bdi { (units::path(root)) } } }))
                (fact("Command", &commands(history)))
                @if let Some(cwd) = &header.settings.cwd { (fact("Working directory", &code(cwd))) }
                (source(&header.source))
                (fact("Strategy", &html! { (header.strategy) ", " (units::count(u64::from(header.replica_count), "replica")) @if history.shared.is_some() { "; they share their work (--balance)" } }))
                (fact("Files", &html! { (grouped(header.count)) ", list BLAKE3 " code.hash { (header.blake3) } }))
                @if !header.unreadable.is_empty() { (fact("Unreadable directories", &list(&header.unreadable))) }
                (fact("List made", &html! { (header.created_at) " by " (units::printable(&header.created_by.to_string())) ", canfar-run " (units::printable(&header.created_by.version)) }))
                @if !header.settings.options.is_empty() { (fact("Options", &options(header))) }
                @if !header.settings.env.is_empty() { (fact("Variables", &variables(&header.settings.env))) }
                @for (name, contents) in &files_of_command(history) { (fact("File of the command", &file(name, contents))) }
                (fact("Versions", &html! { (told(&history.launches, |launch| Some(launch.begun.as_ref()?.process.version.clone()))) }))
                (fact("Hosts", &html! { (told(&history.launches, |launch| Some(launch.begun.as_ref()?.process.host.clone()))) }))
            }
            details {
                summary { "All launches: " (grouped(history.launches.len() as u64)) }
                (launches(&history.launches))
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn code(text: &OsText) -> Markup {
    html! { code { bdi { (units::path(&text.0)) } } }
}

/// How many patterns are shown: a shell may have expanded a glob.
const SHOWN: usize = 20;

fn list(texts: &[OsText]) -> Markup {
    let (shown, more) = texts.split_at(texts.len().min(SHOWN));
    html! { ul {
        @for text in shown { li { (code(text)) } }
        @if !more.is_empty() { li { "and " (more.len()) " more" } }
    } }
}

/// The command of the run, and those of launches that were given another one.
fn commands(history: &RunHistory) -> Markup {
    let of_run = history.header.command.to_string();
    let made = records_by_content(history).commands(&of_run);
    html! {
        code.command { bdi { (of_run) } }
        @if let [_, _, ..] = made.as_slice() {
            ul { @for CommandRecords { command, records } in &made {
                li { (units::count(*records, "record")) " by " code.command { bdi { (units::printable(command)) } } }
            } }
        }
    }
}

fn source(source: &InputSpec) -> Markup {
    match source {
        InputSpec::Patterns { patterns, cwd, exclude, entry_type } => html! {
            (fact("Patterns", &list(patterns)))
            @if let Some(cwd) = cwd { (fact("Relative to", &code(cwd))) }
            @if !exclude.is_empty() { (fact("Left out", &list(exclude))) }
            @if *entry_type == EntryType::Dir { (fact("Kind", &html! { "directories" })) }
        },
        InputSpec::List { file, null } => {
            fact("List given", &html! { (code(file)) @if *null { " (NUL-separated)" } })
        }
        InputSpec::Numbers { count } => fact("Tasks", &html! { (units::count(*count, "number")) }),
        InputSpec::Table { file, columns } => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            html! {
                (fact("Table", &code(file)))
                (fact("Columns", &html! { bdi { (units::printable(&names.join(", "))) } }))
            }
        }
        InputSpec::Products { runs, name, .. } => html! {
            @for run in runs { (fact("Products of", &source_run(run, name.as_deref()))) }
        },
    }
}

/// A run with products that are the files of this one.
fn source_run(run: &SourceRun, name: Option<&str>) -> Markup {
    html! {
        (code(&run.results_dir))
        @if let Some(name) = name { ", those called " code { bdi { (units::printable(name)) } } }
        @if let Some(found) = &run.found {
            ": run " code { (units::printable(&found.run)) } ", " (figures::found(found))
        }
    }
}

fn options(header: &Header) -> Markup {
    html! { ul { @for (name, value) in &header.settings.options { li { code { "--" (name) " " bdi { (units::path(&value.0)) } } } } } }
}

fn variables(env: &BTreeMap<String, String>) -> Markup {
    html! { ul { @for (name, value) in env { li { code { bdi { (units::printable(name)) "=" (units::printable(value)) } } } } } }
}

/// What a small file that the command names held, from when on.
struct Content<'a> {
    blake3: &'a str,
    since_ms: i64,
    launches: u64,
    /// Ok records that it made.
    records: u64,
}

/// Each such file with all versions that launches found, in order of time; before any launch, as the replica that made the list
/// found it.
fn files_of_command(history: &RunHistory) -> BTreeMap<&OsText, Vec<Content<'_>>> {
    let records = records_by_content(history);
    let mut files: BTreeMap<&OsText, Vec<Content<'_>>> = BTreeMap::new();
    let mut launches: Vec<&TimelineLaunch> = history.launches.iter().collect();
    launches.sort_by_key(|launch| launch.begun_ms);
    for launch in launches {
        for file in launch.begun.iter().flat_map(|begun| &begun.command_files) {
            let contents = files.entry(&file.name).or_default();
            if let Some(content) = contents.iter_mut().find(|content| content.blake3 == file.blake3) {
                content.launches += 1;
                continue;
            }
            let records = records.by(&file.name, &file.blake3);
            contents.push(Content { blake3: &file.blake3, since_ms: launch.begun_ms, launches: 1, records });
        }
    }
    for file in &history.header.command_files {
        let as_listed = || vec![Content { blake3: &file.blake3, since_ms: 0, launches: 0, records: 0 }];
        files.entry(&file.name).or_insert_with(as_listed);
    }
    files
}

fn records_by_content(history: &RunHistory) -> RecordsByContent {
    let mut ok: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for task in history.tasks.iter().filter(|task| task.state == TaskStanding::Ok) {
        *ok.entry((task.replica, task.launch)).or_default() += 1;
    }
    let mut records = RecordsByContent::default();
    for launch in &history.launches {
        let made = ok.get(&(launch.replica, launch.number)).copied().unwrap_or(0);
        launch.begun.iter().for_each(|begun| records.add(begun, made));
    }
    records
}

fn file(name: &OsText, contents: &[Content<'_>]) -> Markup {
    html! {
        (code(name))
        @if let [only] = contents { " BLAKE3 " code.hash { (only.blake3) } } @else {
            ", changed during the run:"
            ul { @for content in contents {
                li {
                    "BLAKE3 " code.hash { (content.blake3) } ": " (units::count(content.records, "record")) ", first in a launch of " (time(content.since_ms)) ", in "
                    (units::plural(content.launches, "launch", "launches"))
                }
            } }
        }
    }
}

/// What launches say about themselves, each once.
fn told(launches: &[TimelineLaunch], of: impl Fn(&TimelineLaunch) -> Option<String>) -> String {
    const NAMED: usize = 12;
    let all: BTreeSet<String> = launches.iter().filter_map(of).collect();
    let mut text = all.iter().take(NAMED).map(|one| units::printable(one)).collect::<Vec<_>>().join(", ");
    if all.len() > NAMED {
        text.push_str(&format!(" and {} more (below)", all.len() - NAMED));
    }
    text
}

fn launches(launches: &[TimelineLaunch]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Launches" {
            table {
                thead { tr {
                    @for name in ["Replica", "Launch", "Began", "Last heartbeat", "Ended", "Session", "Host", "Process", "Version", "Jobs", "CPUs", "Memory", "Options"] {
                        th scope="col" { (name) }
                    }
                } }
                tbody { @for launch in launches { (launch_row(launch)) } }
            }
        }
    }
}

fn launch_row(launch: &TimelineLaunch) -> Markup {
    html! {
        tr {
            th scope="row" { (launch.replica) }
            td { (launch.number) }
            td { (time(launch.begun_ms)) } td { (time(launch.last_ms)) }
            td { (replicas::end(&launch.end)) }
            @if let Some(begun) = &launch.begun {
                td { (units::printable(begun.process.session.as_deref().unwrap_or("–"))) }
                td { bdi { (units::printable(&begun.process.host)) } }
                td { (begun.process.pid) } td { (units::printable(&begun.process.version)) }
                td { (begun.jobs) } td { (begun.limits.cpus) }
                td { (begun.limits.memory_bytes.map_or_else(|| "no limit".to_owned(), units::bytes)) }
                td.options { @for (name, value) in &begun.options { code { "--" (units::printable(name)) " " bdi { (units::printable(&value.to_string())) } } " " } }
            } @else {
                td colspan="8" { "its first line can't be read" }
            }
        }
    }
}
