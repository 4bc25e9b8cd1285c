//! How kept output is shown: a heading for each attempt, then its two streams apart.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use crate::journal::event::AttemptEnded;
use crate::journal::launch_state::PastAttempt;
use crate::model::counts::TaskState;
use crate::model::failures::FailureGroup;
use crate::model::launch_id::LaunchId;
use crate::model::outcome::Status;
use crate::record::logs::{KeptOutput, OutputStream};
use crate::text::base_name;
use crate::units;

/// An attempt, and the launch that made it.
#[derive(Debug, Clone, Copy)]
pub struct ShownAttempt<'a> {
    /// The task's index in the list.
    pub index: u64,
    /// Its entry.
    pub path: &'a OsStr,
    /// It.
    pub attempt: &'a PastAttempt,
}

/// Prints an attempt with its output, where there is some.
///
/// # Errors
/// When the log can't be read or `out` can't be written.
pub fn attempt(
    told: &ShownAttempt<'_>,
    output: Option<KeptOutput>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let PastAttempt { by: LaunchId { replica, launch }, ended } = told.attempt;
    writeln!(
        out,
        "==> {} (index {}): attempt {}, replica {replica}, launch {launch}: {} after {}",
        units::path(told.path),
        told.index,
        ended.attempt,
        how(ended),
        units::duration(Duration::try_from_secs_f64(ended.duration_s).unwrap_or_default())
    )?;
    let Some(mut output) = output else {
        writeln!(out, "    no output is kept: {}", not_kept(ended.status))?;
        return Ok(());
    };
    for stream in [OutputStream::Stdout, OutputStream::Stderr] {
        if output.bytes(stream) > 0 {
            writeln!(out, "--- {}", stream.words())?;
            copy_with_line_end(&mut output.read(stream)?, out)?;
        }
    }
    Ok(())
}

/// Why an attempt that ended has no kept output.
pub fn not_kept(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Ok) => {
            "it printed none, or the run keeps that of failed tasks only (--logs all keeps all)"
        }
        _ => "it printed none, or --logs none was given",
    }
}

/// Prints the heading of several tasks that failed for one reason.
///
/// # Errors
/// When `out` can't be written.
pub fn reason(group: &FailureGroup, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "===> {}: {}: {}; one of them:",
        units::count(group.count, "file"),
        group.cause,
        group.last_line
    )
}

/// Names the others of this many tasks, of which a few are known.
///
/// # Errors
/// When `out` can't be written.
pub fn others(count: u64, known: &[(u64, OsString)], out: &mut dyn Write) -> io::Result<()> {
    let name = |(index, path): &(u64, OsString)| format!("{} ({index})", units::path(base_name(path)));
    let names: Vec<String> = known.iter().map(name).collect();
    let more = match (count - 1).saturating_sub(known.len() as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    writeln!(out, "===> the same: {}{more}", names.join(", "))
}

/// Says that a word was read as an index, and is a name as well.
pub fn is_named_so(task: &OsStr, path: &OsStr, other: u64, named: &OsStr) -> String {
    format!(
        "{} is the index of {}, which is shown, and also the name of a file: for that give its index, {other}, or its path, {}",
        units::path(task),
        units::path(path),
        units::path(named)
    )
}

/// How an attempt ended.
pub fn how(ended: &AttemptEnded) -> String {
    let cause = ended.cause.map_or_else(|| "failed".to_owned(), |cause| cause.to_string());
    match (ended.status, ended.exit_code, ended.signal) {
        (Some(Status::Ok), ..) => "ok".to_owned(),
        (_, Some(0), _) | (_, None, None) => format!("failed ({cause})"),
        (_, Some(code), _) => format!("failed ({cause}, exit code {code})"),
        (_, None, Some(signal)) => format!("failed ({cause}, {})", units::signal(signal)),
    }
}

/// So that the next heading begins a line, and in no colour of this.
fn copy_with_line_end(from: &mut dyn Read, out: &mut dyn Write) -> io::Result<()> {
    let (mut buffer, mut last) = (vec![0; 64 * 1024], b'\n');
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                out.write_all(&buffer[..count])?;
                last = buffer[count - 1];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if last != b'\n' {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// Says why there is nothing to show for a task.
///
/// # Errors
/// When `out` can't be written.
pub fn no_attempt(
    index: u64,
    path: &OsStr,
    replica: u32,
    known: TaskState,
    out: &mut dyn Write,
) -> io::Result<()> {
    let why = match known {
        TaskState::Lost => "the container died while it ran alone, and its output with it",
        TaskState::Unfinished | TaskState::Ok | TaskState::Failed => "no attempt has ended",
    };
    writeln!(out, "==> {} (index {index}), replica {replica}: {why}", units::path(path))
}

/// The heading of canfar-run's own messages in a launch.
///
/// # Errors
/// When `out` can't be written.
pub fn own_words(replica: u32, launch: u32, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "==> replica {replica}, launch {launch}")
}

/// Says that no entry of a list has such an index, path or base name, and which come near.
pub fn nobody(task: &OsStr, root: &Path, all: &Range<u64>, similar: &[(u64, OsString)]) -> String {
    let mut text = format!(
        "no entry of the list in {} has the index, path or base name {}",
        root.display(),
        units::path(task)
    );
    if similar.is_empty() {
        let entries = units::plural(all.end - all.start, "entry", "entries");
        text.push_str(&format!(": it has {entries}"));
        if !all.is_empty() {
            text.push_str(&format!(", with the indices {} to {}", all.start, all.end - 1));
        }
    } else {
        text.push_str("; these are similar:");
        push_entries(&mut text, similar);
    }
    text
}

/// Says that the output shown is not of the last attempt.
pub fn is_older(shown: &PastAttempt, last: &PastAttempt) -> String {
    let which = |attempt: &PastAttempt| {
        let PastAttempt { by: LaunchId { replica, launch }, ended } = attempt;
        let of_replica = if shown.by.replica == last.by.replica {
            String::new()
        } else {
            format!(" of replica {replica}")
        };
        format!("attempt {}, launch {launch}{of_replica}", ended.attempt)
    };
    format!(
        "this output is from {} ({}); {} came later ({}), but its output was not kept: {}",
        which(shown),
        how(&shown.ended),
        which(last),
        how(&last.ended),
        not_kept(last.ended.status)
    )
}

/// Adds entries to a text, one a line.
pub fn push_entries(text: &mut String, entries: &[(u64, OsString)]) {
    for (index, path) in entries {
        text.push_str(&format!("\n  {index}  {}", units::path(path)));
    }
}

/// Says that a name is that of several entries.
pub fn several(name: &OsStr, namesakes: &[(u64, OsString)], others: u64) -> String {
    let mut text = format!(
        "{} entries are called {}; give the index or the path of one:",
        namesakes.len() as u64 + others,
        units::path(name)
    );
    push_entries(&mut text, namesakes);
    if others > 0 {
        text.push_str(&format!("\n  and {others} more"));
    }
    text
}
