//! Tasks that are no files: rows of a table and numbers.

use serde_json::Value;

use crate::support::{Dir, Ended};

mod numbers;
mod rows;

/// Merges these runs, which are complete; the records.
#[track_caller]
fn merged(dir: &Dir, runs: &[&str]) -> Vec<Value> {
    dir.canfar_run().arg("merge").args(runs).args(["--alone", "-o", "all.json"]).run().exits(0);
    let Value::Array(records) = dir.json("all.json") else { panic!("no array") };
    records
}

/// What a launch prints with `-n`, a line each.
#[track_caller]
fn dry(dir: &Dir, args: &[&str]) -> Vec<String> {
    let ended: Ended = dir.canfar_run().arg("-n").args(args).run().exits(0);
    ended.printed().lines().map(str::to_owned).collect()
}
