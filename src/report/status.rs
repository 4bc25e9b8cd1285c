//! The progress of a run as text: a table of replicas, why some are not running, and what to type to finish the rest.

use std::path::Path;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::journal::event::StopReason;
use crate::model::counts::TaskCounts;
use crate::record::command_files::FileVersions;
use crate::report::doubts::without_result;
use crate::report::figures as words;
use crate::report::groups;
use crate::report::resume::ids_in_words;
use crate::report::shared_status;
use crate::report::stop_reason;
use crate::status::{ReplicaState, ReplicaStatus, RunStatus};
use crate::template::quoted;
use crate::units;

/// Up to this many replicas, each has its own row.
const FEW: usize = 20;

/// Of many replicas, this many running ones with the most time left are shown.
const SLOWEST: usize = 3;

/// The client takes no more replicas than this.
const MOST_CONTAINERS: usize = 512;

/// A list of shares that is longer is not worth typing: `resume` finds them by itself.
const SHORT_LIST: usize = 40;

/// How it is shown.
#[derive(Debug, Clone, Copy)]
pub struct StatusForm {
    /// Whether every replica has a row, however many there are.
    pub all: bool,
    /// Whether states are coloured.
    pub color: bool,
    /// Columns; rows of the table are not longer.
    pub width: usize,
    /// Rows of the table, and lines about replicas that are not running, at most; `None` if there is no limit.
    pub most: Option<usize>,
}

/// The whole of it. `root` is the results directory.
pub fn text(figures: &RunStatus, root: &Path, form: StatusForm) -> String {
    let mut lines = vec![headline(figures)];
    lines.extend(figures.input_from.iter().map(|run| {
        format!(
            "from {}: run {}, {}",
            run.results_dir,
            units::printable(&run.found.run),
            words::found(&run.found)
        )
    }));
    lines.extend(figures.continued_by.iter().map(ToString::to_string));
    lines.push(states(figures));
    let products = figures.totals.counts.products;
    lines.extend((!products.is_empty()).then(|| words::products(products)));
    lines.push(String::new());
    let shown = shown(figures, form);
    let hidden = figures.replicas.len() - shown.len();
    if !shown.is_empty() {
        lines.extend(table(figures, &shown, form));
        if hidden > 0 {
            let rest = if shown.iter().all(|row| row.state == ReplicaState::Running) {
                "the slowest; --all shows every replica"
            } else {
                "what needs attention, and the slowest; --all shows every replica"
            };
            lines.push(format!("({rest})"));
        }
        lines.push(String::new());
    }
    let reasons = reasons(figures, form);
    if !reasons.is_empty() {
        lines.extend(reasons);
        lines.push(String::new());
    }
    if let Some(sharing) = &figures.sharing {
        let before = lines.len();
        lines.extend(shared_status::holdings(figures, sharing, most_lines(form)));
        lines.extend((lines.len() > before).then(String::new));
    }
    lines.extend(advice(figures, root));
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

fn headline(figures: &RunStatus) -> String {
    format!(
        "run {} in {}: {}, begun {}",
        units::printable(&figures.run),
        figures.dir,
        units::count(figures.files, "file"),
        units::printable(&figures.created_at)
    )
}

fn states(figures: &RunStatus) -> String {
    if let [only] = figures.replicas.as_slice() {
        return format!("its only replica: {}", only.state);
    }
    let count = |state: ReplicaState| (figures.count(state), state);
    let counts = ReplicaState::ALL.map(count).into_iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, state)| format!("{count} {state}")).collect();
    format!("{}: {}", units::count(figures.replicas.len() as u64, "replica"), counts.join(", "))
}

/// The replicas that have a row, in the order of their ids.
fn shown(figures: &RunStatus, form: StatusForm) -> Vec<&ReplicaStatus> {
    let all = figures.replicas.iter();
    let mut shown: Vec<&ReplicaStatus> = if form.all || figures.replicas.len() <= FEW {
        all.collect()
    } else {
        let needs_attention = |row: &&ReplicaStatus| {
            matches!(
                row.state,
                ReplicaState::Silent
                    | ReplicaState::Refused
                    | ReplicaState::Stopped
                    | ReplicaState::Unreadable
            )
        };
        let mut shown: Vec<_> = all.clone().filter(needs_attention).take(FEW).collect();
        let mut at_work: Vec<_> = all.filter(|row| row.state == ReplicaState::Running).collect();
        at_work.sort_by(|one, other| time_left(other).total_cmp(&time_left(one)));
        shown.extend(at_work.into_iter().take(SLOWEST));
        shown.sort_by_key(|row| row.replica_id);
        shown
    };
    shown.truncate(form.most.unwrap_or(usize::MAX));
    shown
}

fn time_left(row: &ReplicaStatus) -> f64 {
    row.eta_s.unwrap_or(f64::INFINITY)
}

/// The columns but for the first two and the last: right-aligned. Where replicas go on with what others left, the time that each
/// has left says nothing; what is left of its share does.
fn columns(figures: &RunStatus) -> [&'static str; 6] {
    let last = if figures.sharing.is_some() { "share left" } else { "time left" };
    ["ok", "failed", "left", "now", "rate", last]
}

fn table(figures: &RunStatus, shown: &[&ReplicaStatus], form: StatusForm) -> Vec<String> {
    let total = (figures.replicas.len() > 1).then(|| {
        let totals = &figures.totals;
        let numbers = [totals.counts.ok, totals.counts.failed, totals.left, totals.running];
        let last = match &figures.sharing {
            Some(_) => Some(format!("{} of {}", totals.left, figures.files)),
            None => totals.eta_s.map(about),
        };
        (String::from("all"), None, cells(numbers, totals.rate_per_s, last), String::new())
    });
    let row = |row: &&ReplicaStatus| {
        let numbers = [row.counts.ok, row.counts.failed, row.left, row.running];
        let last = match &figures.sharing {
            Some(sharing) => shared_status::share_left(sharing, row),
            None => row.eta_s.map(about),
        };
        let cells = cells(numbers, row.rate_per_s, last);
        (row.replica_id.to_string(), Some(row.state), cells, place(row))
    };
    let rows: Vec<_> = shown.iter().map(row).chain(total).collect();
    let columns = columns(figures);
    let mut widths = columns.map(str::len);
    for (_, _, cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |first: &str, state: &str, cells: [&str; 6], last: &str| {
        let mut line = format!("{first:>7}  {state:<10}");
        for (width, cell) in widths.iter().zip(cells) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        line.push_str(&format!("  {last}"));
        cut(line.trim_end(), form.width)
    };
    let mut lines = vec![line("replica", "state", columns, "session, host")];
    for (first, state, cells, last) in &rows {
        let name = state.map(|state| state.to_string()).unwrap_or_default();
        let text = line(first, &name, std::array::from_fn(|column| cells[column].as_str()), last);
        lines.push(match state.filter(|_| form.color) {
            Some(state) => coloured(&text, state),
            None => text,
        });
    }
    lines
}

fn cells(numbers: [u64; 4], rate: Option<f64>, last: Option<String>) -> [String; 6] {
    let [ok, failed, left, now] = numbers.map(|number| number.to_string());
    let unknown = || "-".to_owned();
    [ok, failed, left, now, rate.map_or_else(unknown, units::rate), last.unwrap_or_else(unknown)]
}

/// Session before host: it is what other commands take.
fn place(row: &ReplicaStatus) -> String {
    let parts = [row.session_id.as_deref(), row.host.as_deref()];
    units::printable(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
}

fn coloured(row: &str, state: ReplicaState) -> String {
    let style = match state {
        ReplicaState::Done => AnsiColor::Green.on_default(),
        ReplicaState::Silent | ReplicaState::Refused | ReplicaState::Unreadable => {
            AnsiColor::Red.on_default()
        }
        ReplicaState::Stopped | ReplicaState::Waiting => AnsiColor::Yellow.on_default(),
        ReplicaState::Running => Style::new(),
    };
    format!("{style}{row}{style:#}")
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(width.saturating_sub(1)).collect();
    cut.push('\u{2026}');
    cut
}

/// An estimate, in seconds.
pub(super) fn about(seconds: f64) -> String {
    units::rough(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// Why replicas with files left are not running, or can't be shown.
fn reasons(figures: &RunStatus, form: StatusForm) -> Vec<String> {
    let most = most_lines(form);
    let mut lines: Vec<String> = Vec::new();
    lines.extend(match &figures.sharing {
        Some(sharing) => shared_status::not_started(figures, sharing),
        None => never_started(&ids(figures, ReplicaState::Waiting)),
    });
    let told =
        figures.replicas.iter().filter_map(|row| Some(format!("replica {}: {}", row.replica_id, why(row)?)));
    let told: Vec<String> = told.collect();
    let more = told.len().saturating_sub(most);
    lines.extend(told.into_iter().take(most));
    if more > 0 {
        lines.push(format!("and {more} more such replicas"));
    }
    lines
}

/// How many lines of one kind there are, at most.
fn most_lines(form: StatusForm) -> usize {
    form.most.unwrap_or(usize::MAX).min(if form.all { usize::MAX } else { FEW })
}

fn never_started(waiting: &[u32]) -> Option<String> {
    let told = || {
        format!(
            "{} never started, or ended before anything could be written: ask the platform",
            named(waiting)
        )
    };
    (!waiting.is_empty()).then(told)
}

fn ids(figures: &RunStatus, state: ReplicaState) -> Vec<u32> {
    let replicas = figures.replicas.iter().filter(|row| row.state == state);
    replicas.map(|row| row.replica_id).collect()
}

pub(super) fn named(ids: &[u32]) -> String {
    format!("{} {}", if ids.len() == 1 { "replica" } else { "replicas" }, ids_in_words(ids))
}

fn why(row: &ReplicaStatus) -> Option<String> {
    let launch = row.launch.unwrap_or_default();
    let said = row.said.as_deref();
    match row.state {
        ReplicaState::Running | ReplicaState::Waiting | ReplicaState::Done => None,
        ReplicaState::Unreadable => Some(said.unwrap_or("its journals can't be read").to_owned()),
        ReplicaState::Silent => Some(died(row, launch)),
        ReplicaState::Refused => {
            let why = said.or(row.reason.map(stop_reason::in_words)).unwrap_or("nothing says why");
            Some(format!("launch {launch} ended before any task: {why}"))
        }
        ReplicaState::Stopped => {
            let signal = row.signal.map(units::signal);
            let why = signal
                .as_deref()
                .or(said)
                .or(row.reason.map(stop_reason::in_words))
                .unwrap_or("nothing says why");
            Some(format!("launch {launch} stopped early: {why}"))
        }
    }
}

fn died(row: &ReplicaStatus, launch: u32) -> String {
    let mut text = format!("launch {launch} stopped without a stop record");
    if let Some(host) = &row.host {
        text.push_str(&format!(" on host {}", units::printable(host)));
    }
    if let Some(age) = row.last_sign_age_s {
        text.push_str(&format!(", {} ago", about(age)));
    }
    if let Some(session) = &row.session_id {
        text.push_str(&format!("; `canfar events {}` may say why", units::printable(session)));
    }
    text
}

/// What to type next. Failures run again with what is missing, so that is said where nothing else is.
fn advice(figures: &RunStatus, root: &Path) -> Vec<String> {
    let dir = quoted(&[root.into()]);
    let mut lines = match &figures.sharing {
        _ if has_wrong_command(figures) => vec![groups::CORRECT_COMMAND.to_owned()],
        Some(sharing) => shared_status::advice(figures, sharing, &dir),
        None => unowned(figures, &dir),
    };
    if figures.complete {
        lines.push(format!("complete; to put all results into one file: canfar-run merge {dir}"));
    }
    if figures.totals.counts.failed > 0 {
        lines.push(format!(
            "why {} failed: canfar-run logs --failed {dir}",
            units::count(figures.totals.counts.failed, "file")
        ));
        let TaskCounts { failed, lost, .. } = figures.totals.counts;
        if figures.complete && failed > lost {
            lines.push(format!("to run just the failed ones again: canfar-run resume {dir}"));
        }
        if lost > 0 {
            lines.push(groups::lost_again(lost, &[root.to_string_lossy().into_owned()]));
        }
    }
    lines.extend(figures.command_files.iter().filter_map(FileVersions::change));
    if figures.totals.counts.without_result > 0 {
        lines.push(format!(
            "{}: canfar-run logs {dir} FILE",
            without_result(figures.totals.counts.without_result)
        ));
    }
    lines
}

/// Whether a command seems to be wrong for every file: launches gave up, and nothing is ok.
fn has_wrong_command(figures: &RunStatus) -> bool {
    let gave_up = |row: &ReplicaStatus| row.reason == Some(StopReason::MaxFailures);
    figures.totals.counts.ok == 0 && !figures.is_at_work() && figures.replicas.iter().any(gave_up)
}

/// What to type for shares without a running replica.
fn unowned(figures: &RunStatus, dir: &str) -> Vec<String> {
    let unowned = &figures.without_owner;
    if unowned.is_empty() {
        return Vec::new();
    }
    let files: u64 =
        figures.replicas.iter().filter(|row| row.state != ReplicaState::Running).map(|row| row.left).sum();
    let shares = ids_in_words(unowned);
    // If others are running, a launch with only these shares has nothing to wait for.
    let is_worth_it = figures.is_at_work() && shares.len() <= SHORT_LIST;
    let shares = if is_worth_it { format!(" --shares {shares}") } else { String::new() };
    let mut lines = vec![format!(
        "no replica is running for {} with {} left; to finish {}, in new containers or here:",
        units::count(unowned.len() as u64, "share"),
        units::count(files, "file"),
        if unowned.len() == 1 { "it" } else { "them" }
    )];
    lines.extend(resuming(unowned.len(), &shares, dir));
    lines
}

/// What to type to finish a run: in this many new containers, or here.
pub(super) fn resuming(containers: usize, options: &str, dir: &str) -> [String; 2] {
    let containers = containers.min(MOST_CONTAINERS);
    let replicas = if containers > 1 { format!("--replicas {containers} ") } else { String::new() };
    [
        format!("  canfar create --name rest {replicas}headless IMAGE -- canfar-run resume{options} {dir}"),
        format!("  canfar-run resume{options} {dir}"),
    ]
}
