//! The final summary of `merge`.

use crate::merge::{
    FaultyProduct, MissingPart, MissingReplica, ProductCheck, ProductFault, Proof, ResourceUsage, Targets,
};
use crate::model::outcome::Cause;
use crate::model::usage::UsageFigures;
use crate::record::command_files::{CommandRecords, FileVersions};
use crate::record::destination::Destination;
use crate::record::family::ContinuingRun;
use crate::report::advice::ENOUGH_TIME;
use crate::report::doubts::without_result;
use crate::report::{figures, groups};
use crate::terminal::console::{Console, Tone, Verbosity};
use crate::units;

/// How many replicas, files and problems are named.
const NAMED: usize = 20;

/// Says what was found in `dirs` and where it was written.
pub fn say(
    console: &Console,
    proof: &Proof,
    effort: &ResourceUsage,
    targets: &Targets,
    results: &Destination,
    dirs: &[String],
) {
    let is_final = targets.is_final(proof);
    let is_bad = proof.missing > 0 || proof.counts.failed > 0 || !proof.broken.is_empty();
    let (level, tone) = match (is_bad, proof.complete) {
        (true, _) => (Verbosity::Quiet, Tone::Bad),
        (false, true) => (Verbosity::Normal, Tone::Good),
        (false, false) => (Verbosity::Normal, Tone::Plain),
    };
    console.say(level, tone, &headline(proof));
    say_first(console, &proof.failures, "kinds of failure", |group| {
        // An index belongs to a list: with several lists it would be ambiguous.
        let index = group.example_index.filter(|_| dirs.len() == 1);
        groups::line(group, index)
    });
    say_missing(console, proof, is_final);
    say_oddities(console, proof);
    say_without_result(console, proof, dirs);
    if !proof.counts.products.is_empty() {
        console.say(Verbosity::Normal, Tone::Plain, &figures::products(proof.counts.products));
    }
    if let Some(check) = &proof.product_check {
        say_products(console, check, dirs);
    }
    say_effort(console, effort);
    if !proof.failures.is_empty() {
        say_failures(console, proof, &targets.failed);
    }
    let kind = if is_final { "results" } else { "incomplete results" };
    console.say(Verbosity::Normal, Tone::Plain, &format!("{kind}: {results}"));
    if !proof.continued_by.is_empty() {
        console.say(Verbosity::Normal, Tone::Plain, &continued(&proof.continued_by, dirs));
    }
}

/// Where more files are, and how to have all of them in one.
fn continued(runs: &[ContinuingRun], dirs: &[String]) -> String {
    let files: u64 = runs.iter().map(|run| run.files).sum();
    let more = if files == 1 { "1 more file".to_owned() } else { format!("{files} more files") };
    let hold = if runs.len() == 1 { "holds" } else { "hold" };
    let others: Vec<&str> = runs.iter().map(|run| &*run.results_dir).collect();
    let all = dirs.iter().map(String::as_str).chain(others.iter().copied());
    let all: Vec<String> = all.map(groups::quoted).collect();
    format!("{} {hold} {more} that came since: canfar-run merge {}", others.join(" and "), all.join(" "))
}

/// How many products are as recorded, which are not, and what to type next.
fn say_products(console: &Console, check: &ProductCheck, dirs: &[String]) {
    let ProductCheck { as_recorded, gone, changed, wrong_digest, unreadable, faults, more_faults, bytes } =
        check;
    let mut text = format!("products: {as_recorded} as recorded");
    for (count, what) in [
        (gone, "gone"),
        (changed, "changed"),
        (wrong_digest, "with another SHA-256"),
        (unreadable, "unreadable"),
    ] {
        if *count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    if faults.is_empty() {
        return console.say(Verbosity::Normal, Tone::Good, &format!("{text} ({})", units::bytes(*bytes)));
    }
    console.say(Verbosity::Quiet, Tone::Bad, &text);
    say_first_of(console, faults, *more_faults, "products", faulty_line);
    let resume: Vec<String> =
        dirs.iter().map(|dir| format!("`canfar-run resume {}`", groups::quoted(dir))).collect();
    let resume = resume.join(", ");
    let text = format!(
        "To make the missing ones again: {resume}; to make the changed ones again, too: the same with --rerun changed"
    );
    console.say(Verbosity::Quiet, Tone::Plain, &text);
}

fn faulty_line(FaultyProduct { path, fault }: &FaultyProduct) -> String {
    match fault {
        ProductFault::Gone => format!("  gone: {path}"),
        ProductFault::Changed => format!("  changed: {path}"),
        ProductFault::WrongDigest => format!("  another SHA-256: {path}"),
        ProductFault::Unreadable { why } => format!("  unreadable: {path}: {why}"),
    }
}

fn say_effort(console: &Console, ResourceUsage { figures, untold }: &ResourceUsage) {
    if figures.attempts == 0 {
        return;
    }
    let mut text = units::plural(figures.launches, "launch", "launches");
    if let Some(span) = span(figures) {
        text.push_str(&format!(" within {span}"));
    }
    text.push_str(&format!(", {}", figures::cpu_time(figures)));
    if figures.launches > figures.launches_at_once.max(1) as u64 {
        text.push_str(" each");
    }
    if *untold > 0 {
        text.push_str(&format!("; {untold} more with unknown figures (they died, or are still running)"));
    }
    console.say(Verbosity::Normal, Tone::Plain, &text);
    figures::say(console, figures, ENOUGH_TIME);
}

/// From the first beginning to the last end.
fn span(figures: &UsageFigures) -> Option<String> {
    let at = |text: &Option<String>| text.as_deref()?.parse::<jiff::Timestamp>().ok();
    let span = at(&figures.ended_at)?.duration_since(at(&figures.begun_at)?);
    Some(units::duration(span.try_into().ok()?))
}

/// What failed, where to read more, and what to type next.
fn say_failures(console: &Console, proof: &Proof, failed: &Destination) {
    let dirs = &proof.failed_in;
    let say = |level, text: &str| console.say(level, Tone::Plain, text);
    say(Verbosity::Normal, &format!("failures: {failed}"));
    dirs.iter().for_each(|dir| say(Verbosity::Quiet, &groups::how_to_see(dir)));
    let causes = || proof.failures.iter().map(|group| group.cause);
    if causes().any(|cause| cause == Cause::Oom) {
        say(Verbosity::Quiet, groups::MORE_MEMORY);
    }
    // Missing files are run by the same command, which was already printed.
    let is_all = proof.missing == 0 && proof.broken.is_empty();
    if is_all && causes().any(|cause| cause != Cause::Lost) {
        let lines: Vec<String> =
            dirs.iter().map(|dir| format!("canfar-run resume {}", groups::quoted(dir))).collect();
        say(
            Verbosity::Quiet,
            &format!("To run just the failed ones again: {}, then merge again", lines.join("; ")),
        );
    }
    let lost =
        proof.failures.iter().filter(|group| group.cause == Cause::Lost).map(|group| group.count).sum();
    if lost > 0 {
        say(Verbosity::Quiet, &groups::lost_again(lost, dirs));
    }
}

/// Says a line for each of the first few, and how many more there are.
fn say_first<T>(console: &Console, all: &[T], what: &str, line: impl Fn(&T) -> String) {
    say_first_of(console, all, 0, what, line);
}

/// Like [`say_first`], if the summary leaves this many out.
fn say_first_of<T>(console: &Console, all: &[T], left_out: u64, what: &str, line: impl Fn(&T) -> String) {
    for one in all.iter().take(NAMED) {
        console.say(Verbosity::Quiet, Tone::Bad, &line(one));
    }
    if left_out > 0 {
        let rest = all.len().saturating_sub(NAMED) as u64 + left_out;
        let text = format!("  and {rest} more {what} (the first {} are in final_summary.json)", all.len());
        console.say(Verbosity::Quiet, Tone::Bad, &text);
    } else if all.len() > NAMED {
        console.say(Verbosity::Quiet, Tone::Bad, &format!("  {}", more(all.len() - NAMED, what)));
    }
}

fn more(number: usize, what: &str) -> String {
    format!("and {number} more {what} (all are in final_summary.json)")
}

fn headline(proof: &Proof) -> String {
    if !proof.proven {
        return format!(
            "{} merged; without a list of inputs (inputs.jsonl) it is unknown whether that is all",
            units::count(proof.foreign, "record")
        );
    }
    let mut text = format!("{}: {} ok", units::count(proof.counts.files, "file"), proof.counts.ok);
    if proof.counts.failed > 0 {
        text.push_str(&format!(", {} failed", proof.counts.failed));
    }
    text.push_str(&if proof.missing > 0 {
        format!(", {} missing", proof.missing)
    } else {
        ", none missing".to_owned()
    });
    text
}

/// What is missing, replica by replica, which files are broken, and how to finish the run.
pub fn missing_lines(proof: &Proof) -> Vec<String> {
    let several = has_several_directories(proof);
    let replicas = proof.missing_replicas.iter().take(NAMED).map(|replica| missing_line(replica, several));
    let mut lines: Vec<String> = replicas.collect();
    let more_replicas = proof.missing_replicas.len().saturating_sub(NAMED);
    lines.extend((more_replicas > 0).then(|| format!("  and {more_replicas} more replicas")));
    lines.extend(proof.broken.iter().take(NAMED).map(|broken| format!("  {}: {}", broken.file, broken.why)));
    lines.extend(how_to_finish(proof));
    lines
}

fn has_several_directories(proof: &Proof) -> bool {
    proof.missing_replicas.iter().any(|one| one.results_dir != proof.missing_replicas[0].results_dir)
}

fn say_missing(console: &Console, proof: &Proof, is_final: bool) {
    let several = has_several_directories(proof);
    say_first(console, &proof.missing_replicas, "replicas", |replica| missing_line(replica, several));
    let mut advice = how_to_finish(proof);
    let is_idle = proof.missing_replicas.iter().all(|replica| !replica.is_waited_for);
    if !is_final && is_idle && !advice.is_empty() {
        advice.push("--allow-missing accepts these results as final.".to_owned());
    }
    if !advice.is_empty() {
        console.say(Verbosity::Quiet, Tone::Plain, &advice.join(" "));
    }
}

/// Sentences about how what is missing is run.
fn how_to_finish(proof: &Proof) -> Vec<String> {
    let running = proof.missing_replicas.iter().filter(|replica| replica.is_waited_for).count();
    let idle = proof.missing_replicas.len() - running;
    let mut advice = Vec::new();
    if running > 0 {
        let takes_over = proof.missing_replicas.iter().any(|replica| !replica.held_by.is_empty());
        let what_they_do = if takes_over { ": they run what is left" } else { "" };
        advice.push(format!("Wait for those that are running{what_they_do}."));
    }
    if idle > 0 {
        advice.push(format!(
            "To finish: `canfar-run resume {}` (here, or as the command of any number of containers), or rerun the same command. Finished files are not run again.",
            idle_in(proof).join("`, `canfar-run resume ")
        ));
    }
    advice
}

/// The directories of replicas that are not running, as a shell takes them.
fn idle_in(proof: &Proof) -> Vec<String> {
    let idle = proof.missing_replicas.iter().filter(|replica| !replica.is_waited_for);
    let mut dirs: Vec<&str> = idle.map(|replica| replica.results_dir.as_str()).collect();
    dirs.dedup();
    dirs.into_iter().map(groups::quoted).collect()
}

fn say_without_result(console: &Console, proof: &Proof, dirs: &[String]) {
    if proof.counts.without_result > 0 {
        let logs: Vec<String> =
            dirs.iter().map(|dir| format!("canfar-run logs {} FILE", groups::quoted(dir))).collect();
        let text = format!("{}: {}", without_result(proof.counts.without_result), logs.join(", or "));
        console.say(Verbosity::Quiet, Tone::Warning, &text);
    }
}

fn missing_line(replica: &MissingReplica, with_directory: bool) -> String {
    let missing = units::count(replica.missing, "file");
    let mut line = if replica.held_by.is_empty() {
        format!("  replica {} {}: {missing} missing", replica.replica_id, replica.state.words())
    } else {
        let held_by: Vec<String> = match replica.held_by.as_slice() {
            [only] => vec![holder(only)],
            several => several.iter().map(|part| format!("{} {}", part.missing, holder(part))).collect(),
        };
        format!("  share of replica {}: {missing} missing ({})", replica.replica_id, held_by.join(", "))
    };
    line.push_str(&format!(": {}", replica.examples.join(", ")));
    if replica.missing > replica.examples.len() as u64 {
        line.push_str(", ...");
    }
    if with_directory {
        line.push_str(&format!(" (in {})", replica.results_dir));
    }
    line
}

fn holder(part: &MissingPart) -> String {
    match (part.replica_id, part.state) {
        (Some(id), Some(state)) => format!("taken by replica {id}, which {}", state.words()),
        _ => "not taken by any replica".to_owned(),
    }
}

fn say_oddities(console: &Console, proof: &Proof) {
    say_first(console, &proof.broken, "broken files", |broken| {
        format!("broken: {}: {}; nothing of it was merged", broken.file, broken.why)
    });
    proof.problems.iter().take(NAMED).for_each(|problem| console.warn(problem));
    if proof.problems.len() > NAMED {
        console.warn(&more(proof.problems.len() - NAMED, "such problems"));
    }
    if !proof.unreadable.is_empty() {
        console.warn(&format!(
            "{} could not be read when the list was made, such as {}: files in there are not in the list",
            units::plural(proof.unreadable.len() as u64, "directory", "directories"),
            proof.unreadable[0]
        ));
    }
    if proof.of_other_runs > 0 {
        let records = units::count(proof.of_other_runs, "record");
        console.warn(&format!("{records} left out: not from the run of the list beside them"));
    }
    proof.command_files.iter().filter_map(FileVersions::change).for_each(|change| console.warn(&change));
    let note = |text: &str| console.say(Verbosity::Normal, Tone::Plain, text);
    CommandRecords::in_words(&proof.commands).iter().for_each(|commands| note(commands));
    let run_twice = proof.run_twice.unwrap_or(0);
    if run_twice > 0 {
        note(&format!(
            "{} run by two replicas, since the first one seemed dead; one record of each counts",
            units::plural(run_twice, "file was", "files were")
        ));
    }
    if proof.repeated > run_twice {
        let records = units::count(proof.repeated - run_twice, "record");
        note(&format!("{records} left out: another record of the same file is ok or newer"));
    }
    if proof.proven && proof.foreign > 0 {
        note(&format!(
            "{} of files that are in no list were merged, too",
            units::count(proof.foreign, "record")
        ));
    }
    if proof.non_finite > 0 {
        note(&format!("{} (NaN or Infinity) became null", units::count(proof.non_finite, "value")));
    }
}
