//! One entry of the list and its outcome, according to its record.

use std::borrow::Cow;

use serde::Deserialize;

use crate::model::outcome::{Cause, LogSpan, Usage};
use crate::model::product::ProductTotals;
use crate::record::task_record;

/// The state of a task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskStanding {
    /// It has an ok record.
    Ok,
    /// Its newest record is a failure, or will be one.
    Failed,
    /// It has no record and runs now.
    Running,
    /// It has no record.
    #[default]
    Missing,
}

/// One task. What it used is that of its last attempt.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TaskHistory {
    /// Its state.
    pub state: TaskStanding,
    /// Whether it is ok and has no result, although one was expected.
    pub no_result: bool,
    /// For a failure, its place among the kinds.
    pub kind: Option<u32>,
    /// The replica with the journals that mention it, from 1.
    pub replica: u32,
    /// The launch that made its record, from 1; 0 without one.
    pub launch: u32,
    /// Attempts begun, over all launches.
    pub attempts: u32,
    /// When the last attempt of its record began, milliseconds since 1970.
    pub begun_ms: Option<i64>,
    /// What that used; `None` if unknown.
    pub usage: Option<Usage>,
    /// What it made.
    pub products: ProductTotals,
    /// Bytes of its input; `None` if it is not a file, or storage did not answer in time.
    pub size: Option<u64>,
}

/// What is read of a record beside its result.
#[derive(Debug, Deserialize)]
pub(super) struct RecordFacts<'a> {
    #[serde(borrow)]
    pub(super) started_at: Option<Cow<'a, str>>,
    #[serde(flatten)]
    pub(super) usage: Usage,
    pub(super) cause: Option<Cause>,
    #[serde(borrow, default)]
    pub(super) message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) stderr_tail: Option<Cow<'a, str>>,
    pub(super) launch: u32,
    pub(super) attempts: u32,
    pub(super) log: Option<LogSpan>,
    #[serde(default)]
    products: Vec<ProductFacts>,
}

/// What is read of a product.
#[derive(Debug, Deserialize)]
struct ProductFacts {
    bytes: u64,
}

impl<'a> RecordFacts<'a> {
    /// Of a record; `None` where it is not one of ours.
    pub(super) fn of(record: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(task_record::raw_meta(record)?).ok()
    }

    /// What was made.
    pub(super) fn products(&self) -> ProductTotals {
        let one = |product: &ProductFacts| ProductTotals { count: 1, bytes: product.bytes };
        self.products.iter().map(one).sum()
    }
}

/// Milliseconds since 1970 of a time as records and journals write it.
pub(super) fn millis(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}
