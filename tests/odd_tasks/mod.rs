//! Commands that do what nobody expects of them: each costs itself at most, and what the others did is right.

use serde_json::Value;

use crate::support::Dir;

mod ends;
mod harm;
mod output;
mod results;

/// How a task ended: its record's cause, exit code and signal.
fn how(record: &Value) -> (Option<String>, Option<i64>, Option<i64>) {
    let meta = &record["canfar_run"];
    (meta["cause"].as_str().map(str::to_owned), meta["exit_code"].as_i64(), meta["signal"].as_i64())
}

/// Indices of the records in the results file.
fn ok(dir: &Dir) -> Vec<u64> {
    dir.results(1).iter().map(|record| record["canfar_run"]["index"].as_u64().unwrap()).collect()
}
