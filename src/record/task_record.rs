//! A record of a finished task: its result, with `file` and the reserved key `canfar_run`.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::json;
use crate::model::entries::Entry;
use crate::model::outcome::{Cause, LogSpan, ProcessEnd, Status, Usage};
use crate::model::product::Product;
use crate::text::{PathText, base_name};

/// The key that is canfar-run's own in a record; a result must not have it.
pub const RESERVED: &str = "canfar_run";

/// The key of a result that is no object.
const WHOLE_RESULT: &str = "result";

/// What a command gave as its result: one line of JSON, byte for byte its own but for NaN and Infinity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskResult {
    /// The JSON text.
    pub json: Vec<u8>,
    /// Whether it is spread into the record (an object) or goes under `result`.
    pub is_object: bool,
    /// How many NaN and Infinity became null.
    pub non_finite: u64,
}

/// What canfar-run knows of a finished task: the value of the key `canfar_run`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordMeta {
    /// The run id.
    pub run: String,
    /// 0-based place in the input list.
    pub index: u64,
    /// The input.
    #[serde(flatten)]
    pub path: PathText,
    /// Ok or failed.
    pub status: Status,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// How the last attempt's process ended.
    #[serde(flatten)]
    pub end: ProcessEnd,
    /// Attempts begun, over all launches.
    pub attempts: u32,
    /// When the last attempt began; `None` if unknown.
    pub started_at: Option<String>,
    /// What the last attempt used.
    #[serde(flatten)]
    pub usage: Usage,
    /// Which replica ran it, 1-based.
    pub replica_id: u32,
    /// Among how many.
    pub replica_count: u32,
    /// In which of its launches, from 1.
    pub launch: u32,
    /// The command as it is typed, where it is not the one that the list keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// NaN and Infinity in the result that became null.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub non_finite: u64,
    /// What it made, of the products that were declared; of a failure none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<Product>,
    /// Of a failure: one line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of a failure: the end of its standard error, at most 2 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
    /// Where its output is kept.
    pub log: Option<LogSpan>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Builds a record: `file`, the row, the result, `canfar_run`. An object's own members win, first those of the result.
pub fn build(entry: Entry<'_>, result: Option<&TaskResult>, meta: &RecordMeta) -> Vec<u8> {
    let spread = result.filter(|result| result.is_object).map(|result| result.json.as_slice());
    let row = columns_beside(entry.row, spread, result.is_some());
    let mut record = vec![b'{'];
    if !spread.is_some_and(has_file) && !entry.row.is_some_and(has_file) {
        json::write_string(&mut record, "file");
        record.push(b':');
        // What a row is called is no path, unless it has a file and with it what that is made of.
        let is_label = entry.row.is_some() && entry.rel.is_none();
        let name = if is_label { entry.path } else { base_name(entry.path) };
        json::write_string(&mut record, &name.to_string_lossy());
        record.push(b',');
    }
    for member in row {
        record.extend_from_slice(member);
        record.push(b',');
    }
    if let Some(object) = spread {
        let members = object[1..object.len() - 1].trim_ascii();
        record.extend_from_slice(members);
        if !members.is_empty() {
            record.push(b',');
        }
    } else if let Some(result) = result {
        json::write_string(&mut record, WHOLE_RESULT);
        record.push(b':');
        record.extend_from_slice(&result.json);
        record.push(b',');
    }
    record.extend_from_slice(b"\"canfar_run\":");
    // Plain data written to memory: neither can fail.
    let written = serde_json::to_writer(&mut record, meta);
    debug_assert!(written.is_ok());
    record.push(b'}');
    record
}

/// The record of a task that ran alone when its container died; no process was left to write it then.
pub fn lost(
    run: &str,
    replica: crate::model::replica::Replica,
    launch: u32,
    index: u64,
    entry: Entry<'_>,
    attempts: u32,
) -> Vec<u8> {
    let meta = RecordMeta {
        run: run.to_owned(),
        index,
        path: PathText::readable(entry.path),
        status: Status::Failed,
        cause: Some(Cause::Lost),
        end: ProcessEnd::default(),
        attempts,
        started_at: None,
        usage: Usage::default(),
        replica_id: replica.id(),
        replica_count: replica.count(),
        launch,
        command: None,
        non_finite: 0,
        products: Vec::new(),
        message: Some(
            "the container died while this task ran in it alone (killed for its memory, or with its node)"
                .into(),
        ),
        stderr_tail: None,
        log: None,
    };
    build(entry, None, &meta)
}

/// The members of a row that a result does not have as well.
fn columns_beside<'r>(row: Option<&'r [u8]>, spread: Option<&[u8]>, has_result: bool) -> Vec<&'r [u8]> {
    let Some(row) = row else { return Vec::new() };
    let keys: HashSet<Cow<'_, str>> =
        json::members(spread.unwrap_or_default()).filter_map(|member| json::exact_text(member.key)).collect();
    let is_replaced =
        |key: Cow<'_, str>| keys.contains(&key) || (has_result && spread.is_none() && key == WHOLE_RESULT);
    let stays = |member: &json::Member<'_>| !json::exact_text(member.key).is_some_and(is_replaced);
    json::members(row).filter(stays).map(|member| &row[member.span]).collect()
}

fn has_file(object: &[u8]) -> bool {
    json::members(object).any(|member| json::string_eq(member.key, "file"))
}

/// Whether a result has a key that is canfar-run's own.
pub fn uses_reserved_key(result: &TaskResult) -> bool {
    result.is_object && json::members(&result.json).any(|member| json::string_eq(member.key, RESERVED))
}

/// The products that a record names; none where it is not one of ours.
pub fn products_in(record: &[u8]) -> Vec<Product> {
    #[derive(Deserialize)]
    struct Made {
        #[serde(default)]
        products: Vec<Product>,
    }
    let made = raw_meta(record).and_then(|meta| serde_json::from_slice::<Made>(meta).ok());
    made.map(|made| made.products).unwrap_or_default()
}

/// The raw text of the value of `canfar_run` in a record; `None` where it has none, as in files that Python wrote.
pub fn raw_meta(record: &[u8]) -> Option<&[u8]> {
    // Of a large file without it, to look for the name is much quicker than to look at every member.
    let may_have = memchr::memmem::find(record, RESERVED.as_bytes()).is_some()
        || memchr::memchr(b'\\', record).is_some();
    let named = |member: &json::Member<'_>| json::string_eq(member.key, RESERVED);
    may_have.then(|| json::members(record).filter(named).last()).flatten().map(|member| member.value)
}

/// The run id in a record as [`build`] writes it, of which only the end need be given: the members of `canfar_run`, which
/// is last. Within a text its quotes would be escaped, and within another object more brackets would follow.
pub fn run_at_end(record: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct RecordRun {
        run: String,
    }
    let opening = format!(",\"{RESERVED}\":").into_bytes();
    let at = memchr::memmem::rfind(record, &opening)? + opening.len();
    let meta = record[at..].strip_suffix(b"}")?;
    serde_json::from_slice::<RecordRun>(meta).ok().map(|meta| meta.run)
}
