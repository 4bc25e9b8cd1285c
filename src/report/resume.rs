//! The final summary of `resume`: how the shares that it took went, and what happened to the others.

use serde::Serialize;

use crate::model::counts::TaskCounts;
use crate::report::groups;
use crate::report::launch::LaunchSummary;
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// How a resume went, over all shares: what is printed with `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResumeSummary {
    /// Run id.
    pub run: String,
    /// The directory of the run.
    pub results_dir: String,
    /// Which container this was, from 1.
    pub container_id: u32,
    /// Of how many.
    pub container_count: u32,
    /// What was named to run again (`--only`), and nothing else was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<serde_json::Value>,
    /// How the whole run stands, where its replicas share its work, or where some of it was named to run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_run: Option<TaskCounts>,
    /// The launches, one for each share that was unfinished, with the ids of the shares' own replicas; where replicas share the
    /// work, one for each replica that was acted as.
    pub shares: Vec<LaunchSummary>,
    /// Shares looked after that had nothing left to do.
    pub done: u64,
    /// Shares that are running elsewhere.
    pub at_work: Vec<u32>,
    /// Unfinished shares that were not begun.
    pub not_begun: Vec<u32>,
    /// Shares that could not be resumed.
    pub errors: Vec<ShareError>,
    /// Wall time, seconds.
    pub wall_s: f64,
    /// What the process exits with.
    pub exit: i32,
}

/// Why a share could not be resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShareError {
    /// Which replica's share.
    pub replica_id: u32,
    /// Why.
    pub error: String,
}

impl ResumeSummary {
    /// A count of what is resumed: shares, or replicas if these share the work.
    fn count(&self, number: u64) -> String {
        units::count(number, if self.whole_run.is_some() { "replica" } else { "share" })
    }

    /// Whether everything that was checked was done before.
    pub fn has_nothing_to_do(&self) -> bool {
        let Self { shares, at_work, not_begun, errors, .. } = self;
        shares.is_empty() && at_work.is_empty() && not_begun.is_empty() && errors.is_empty()
    }
}

/// Says it.
pub fn say(console: &Console, summary: &ResumeSummary) {
    let mut parts = vec![what_ran(summary)];
    let errors: Vec<u32> = summary.errors.iter().map(|error| error.replica_id).collect();
    for (ids, what) in [
        (&summary.at_work, "running elsewhere"),
        (&summary.not_begun, "not begun"),
        (&errors, "could not be resumed"),
    ] {
        if !ids.is_empty() {
            parts.push(format!("{} {what} ({})", summary.count(ids.len() as u64), ids_in_words(ids)));
        }
    }
    parts.extend(summary.whole_run.filter(|_| !summary.has_nothing_to_do()).map(of_run));
    let (level, tone) =
        if summary.exit == 0 { (Verbosity::Normal, Tone::Good) } else { (Verbosity::Quiet, Tone::Bad) };
    console.say(level, tone, &parts.join("; "));
    let has_rest = summary.whole_run.is_some_and(|run| run.ok < run.files);
    if summary.only.is_some() && has_rest {
        let text = format!(
            "What was not named is left as it is: canfar-run resume {} runs it",
            groups::quoted(&summary.results_dir)
        );
        console.say(Verbosity::Normal, Tone::Plain, &text);
    }
}

/// The counts of the whole run.
fn of_run(run: TaskCounts) -> String {
    let files = units::count(run.files, "file");
    if run.ok == run.files {
        return format!("all {files} of the run are ok");
    }
    let mut text = format!("of the {files} of the run {} are ok", run.ok);
    for (number, what) in [(run.failed, "failed"), (run.unfinished(), "left")] {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text
}

fn what_ran(summary: &ResumeSummary) -> String {
    let shares = &summary.shares;
    if shares.is_empty() {
        let done = summary.count(summary.done);
        return match summary.whole_run {
            Some(run) if summary.has_nothing_to_do() => format!("nothing to do: {}", of_run(run)),
            None if summary.has_nothing_to_do() => {
                format!("nothing to do: {done} checked, none unfinished")
            }
            _ => format!("nothing was resumed: {done} done"),
        };
    }
    let sum = |of: fn(&LaunchSummary) -> u64| shares.iter().map(of).sum::<u64>();
    let ids: Vec<u32> = shares.iter().map(|share| share.replica_id).collect();
    let (number, ids) = (ids.len() as u64, ids_in_words(&ids));
    let who = match summary.whole_run {
        _ if summary.only.is_some() => {
            format!("ran again in {} {ids}", if number == 1 { "replica" } else { "replicas" })
        }
        Some(_) => format!("acted as {} {ids}", if number == 1 { "replica" } else { "replicas" }),
        None => format!("resumed {} ({ids})", units::count(number, "share")),
    };
    let mut text = format!(
        "{who}: {} of {} ok",
        sum(|share| share.counts.ok),
        units::count(sum(|share| share.counts.files), "file")
    );
    for (number, what) in
        [(sum(|share| share.counts.failed), "failed"), (sum(|share| share.not_run), "not run")]
    {
        if number > 0 {
            text.push_str(&format!(", {number} {what}"));
        }
    }
    text
}

/// As `--shares` takes them: `3, 17, 40-42`.
pub fn ids_in_words(ids: &[u32]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let runs = ids.chunk_by(|one, next| next - one <= 1);
    let word = |run: &[u32]| match run {
        [first, .., last] => format!("{first}-{last}"),
        [one] => one.to_string(),
        [] => String::new(),
    };
    runs.map(word).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_told_as_shares_takes_them() {
        assert_eq!(super::ids_in_words(&[40, 3, 42, 41, 17]), "3,17,40-42");
        assert_eq!(super::ids_in_words(&[7]), "7");
    }
}
