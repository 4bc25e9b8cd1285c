//! A plan as a table for people and as data: which replica gets what, and how the strategies compare.

use std::ffi::OsStr;
use std::fmt::Write;
use std::num::NonZeroU32;
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;

use crate::model::entries::Entries;
use crate::model::shares::{Share, Strategy, imbalance, loads, shares};
use crate::report;
use crate::units;

/// Which replica gets what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// How the list is shared out.
    pub strategy: Strategy,
    /// Among how many.
    pub replica_count: u32,
    /// Whether replicas continue with files that others have not begun.
    pub balance: bool,
    /// Entries of the list.
    pub files: u64,
    /// Bytes of all, where sizes are known.
    pub bytes: Option<u64>,
    /// Replicas that get nothing.
    pub empty: u64,
    /// One row a replica.
    pub replicas: Vec<PlanRow>,
    /// How the strategies compare.
    pub strategies: Vec<Comparison>,
    /// Directories that could not be read.
    pub unreadable: Vec<String>,
}

/// One replica's share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanRow {
    /// Which, from 1.
    pub replica_id: u32,
    /// Entries.
    pub files: u64,
    /// Their bytes, where known.
    pub bytes: Option<u64>,
    /// The first entry.
    pub first: Option<String>,
    /// The last one.
    pub last: Option<String>,
}

/// How even a strategy is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Which.
    pub strategy: Strategy,
    /// Entries of the largest share.
    pub most_files: u64,
    /// Bytes of the largest share, where known.
    pub most_bytes: Option<u64>,
    /// Largest share over the mean: bytes where there are any, else entries.
    pub ratio: f64,
    /// Replicas that get nothing.
    pub empty: u64,
}

impl Plan {
    /// Works out which replica gets what, without balance. `sizes` is empty if unknown; then `size` can't be compared.
    pub fn new(
        entries: &Entries,
        sizes: &[u64],
        strategy: Strategy,
        replicas: NonZeroU32,
        unreadable: Vec<String>,
    ) -> Self {
        let count = entries.len() as u64;
        let of_all = shares(strategy, count, sizes, replicas);
        let rows =
            (1..).zip(&of_all).map(|(replica_id, share)| row(replica_id, share, entries, sizes)).collect();
        let comparable =
            Strategy::ALL.into_iter().filter(|strategy| !strategy.needs_sizes() || !sizes.is_empty());
        let compared = comparable.map(|one| {
            let others = (one != strategy).then(|| shares(one, count, sizes, replicas));
            compare(one, others.as_ref().unwrap_or(&of_all), sizes)
        });
        Self {
            strategy,
            replica_count: replicas.get(),
            balance: false,
            files: count,
            bytes: (!sizes.is_empty()).then(|| sizes.iter().sum()),
            empty: of_all.iter().filter(|share| share.is_empty()).count() as u64,
            replicas: rows,
            strategies: compared.collect(),
            unreadable,
        }
    }
}

fn row(replica_id: u32, share: &Share, entries: &Entries, sizes: &[u64]) -> PlanRow {
    let name = |index: Option<u64>| {
        let index = usize::try_from(index?).ok()?;
        Some(units::path(entries.get(index)?.path))
    };
    PlanRow {
        replica_id,
        files: share.len(),
        bytes: (!sizes.is_empty()).then(|| loads(std::slice::from_ref(share), sizes).iter().sum()),
        first: name(share.index_at(0)),
        last: name(share.len().checked_sub(1).and_then(|last| share.index_at(last))),
    }
}

fn compare(strategy: Strategy, of_all: &[Share], sizes: &[u64]) -> Comparison {
    let most = |loads: &[u64]| loads.iter().copied().max().unwrap_or(0);
    let by_files: Vec<u64> = of_all.iter().map(Share::len).collect();
    let by_load = loads(of_all, sizes);
    Comparison {
        strategy,
        most_files: most(&by_files),
        most_bytes: (!sizes.is_empty()).then(|| most(&by_load)),
        ratio: imbalance(&by_load).or_else(|| imbalance(&by_files)).unwrap_or(1.0),
        empty: by_files.iter().filter(|files| **files == 0).count() as u64,
    }
}

/// The plan as text.
pub fn table(plan: &Plan, entries: &Entries) -> String {
    let common = common_folder(entries);
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = write_table(&mut text, plan, &common);
    text
}

/// The folder all entries lie in, with a slash at its end; empty where there is none. Entries found by patterns are
/// sorted, but given ones need not be.
fn common_folder(entries: &Entries) -> String {
    let Some(first) = entries.get(0) else { return String::new() };
    let mut length = folder_length(first.path);
    for entry in entries.iter() {
        let bytes = entry.path.as_bytes();
        while length > 0 && !bytes.starts_with(&first.path.as_bytes()[..length]) {
            length = first.path.as_bytes()[..length - 1]
                .iter()
                .rposition(|byte| *byte == b'/')
                .map_or(0, |slash| slash + 1);
        }
    }
    units::path(OsStr::from_bytes(&first.path.as_bytes()[..length]))
}

fn folder_length(path: &OsStr) -> usize {
    path.as_bytes().iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1)
}

fn write_table(text: &mut String, plan: &Plan, common: &str) -> std::fmt::Result {
    write!(text, "{}", units::count(plan.files, "file"))?;
    if let Some(bytes) = plan.bytes {
        write!(text, ", {}", units::bytes(bytes))?;
    }
    write!(text, ", {}, strategy {}", units::count(u64::from(plan.replica_count), "replica"), plan.strategy)?;
    if !common.is_empty() {
        write!(text, "; names are below {common}")?;
    }
    writeln!(text, "\n\n{:>7}  {:>9}  {:>11}  first .. last", "replica", "files", "size")?;
    let short = |name: &Option<String>| -> String {
        let name = name.as_deref().unwrap_or_default();
        name.strip_prefix(common).unwrap_or(name).to_owned()
    };
    for row in &plan.replicas {
        let size = row.bytes.map_or_else(|| "-".to_owned(), units::bytes);
        let names = match row.files {
            0 => "nothing to do".to_owned(),
            1 => short(&row.first),
            _ => format!("{} .. {}", short(&row.first), short(&row.last)),
        };
        writeln!(text, "{:>7}  {:>9}  {size:>11}  {names}", row.replica_id, row.files)?;
    }
    if plan.empty > 0 {
        writeln!(
            text,
            "\n{} nothing to do",
            if plan.empty == 1 {
                "1 replica has".to_owned()
            } else {
                format!("{} replicas have", plan.empty)
            }
        )?;
    }
    if let Some(note) = after_shares(plan) {
        writeln!(text, "\n{note}")?;
    }
    writeln!(
        text,
        "\n{:<8}  {:>13}  {:>12}  {:>12}  {:>6}",
        "strategy", "largest share", "", "largest/mean", "empty"
    )?;
    for one in &plan.strategies {
        let size = one.most_bytes.map_or_else(|| "-".to_owned(), units::bytes);
        let mark = if one.strategy == plan.strategy { " <" } else { "" };
        writeln!(
            text,
            "{:<8}  {:>13}  {size:>12}  {:>12.2}  {:>6}{mark}",
            one.strategy.to_string(),
            units::count(one.most_files, "file"),
            one.ratio,
            one.empty
        )?;
    }
    Ok(())
}

/// What the shares mean for replicas that end early or never start.
fn after_shares(plan: &Plan) -> Option<&'static str> {
    match plan.strategy {
        _ if plan.balance => {
            Some("Replicas start with these shares, then continue with files that no replica has begun.")
        }
        Strategy::Chunk | Strategy::Stripe if plan.replica_count > 1 => Some(
            "Replicas keep to these shares: files of a replica that never starts are left to `canfar-run resume`.",
        ),
        _ => None,
    }
}

/// The line that names a better strategy, when the largest share is far over the mean.
pub fn advice(plan: &Plan) -> Option<String> {
    report::imbalance::advice(plan.strategy, plan.strategies.iter().map(|one| (one.strategy, one.ratio)))
}
