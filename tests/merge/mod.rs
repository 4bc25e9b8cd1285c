//! `merge`: what it makes of results files and journals, and what it says of them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Dir, Ended, InTime, python};

mod broken;
mod complete;
mod derived;
mod formats;
mod joined;
mod memory;
mod model;
mod others;
mod outputs;
mod recipe;
pub(crate) mod shared;
pub(crate) mod written;

/// A user who owns nothing here.
const NOBODY: u32 = 54_321;

/// Who may do what with a file or folder.
#[track_caller]
fn mode(dir: &Dir, name: &str, mode: u32) {
    std::fs::set_permissions(dir.path(name), PermissionsExt::from_mode(mode)).unwrap();
}

/// A task whose result is the number in its file.
const NUMBER: &str = "echo \"{\\\"n\\\": $(cat \"$1\")}\"";

/// The same, but it fails for each file of which there is one below `bad` by the same name.
const NUMBER_UNLESS_BAD: &str =
    "if [ -e bad/\"${1##*/}\" ]; then echo some words; echo \"no stars\" >&2; exit 3; fi
echo \"{\\\"n\\\": $(cat \"$1\")}\"";

/// Runs these replicas of `count`, each to its end.
#[track_caller]
fn run(dir: &Dir, ids: impl IntoIterator<Item = usize>, count: usize) {
    ids.into_iter().for_each(|id| _ = dir.launch().replica(id, count).sh(NUMBER).run().exits(0));
}

fn merge(dir: &Dir) -> Ended {
    dir.canfar_run().args(["merge", "out"]).run()
}

/// The records of merged results.
#[track_caller]
fn records(dir: &Dir, name: impl AsRef<Path>) -> Vec<Value> {
    match dir.json(name) {
        Value::Array(records) => records,
        other => panic!("no array: {other}"),
    }
}

/// The numbers in `final_results.json`, as tasks printed them.
#[track_caller]
fn numbers(dir: &Dir) -> Vec<u64> {
    numbers_in(dir, "out/final_results.json")
}

#[track_caller]
fn numbers_in(dir: &Dir, name: impl AsRef<Path>) -> Vec<u64> {
    records(dir, name).iter().map(|record| record["n"].as_u64().unwrap()).collect()
}

/// What the last merge found.
#[track_caller]
fn summary(dir: &Dir) -> Value {
    dir.json("out/final_summary.json")
}

/// Numbers of the summary by name, to be compared at once.
#[track_caller]
fn counts<const N: usize>(dir: &Dir, names: [&str; N]) -> [u64; N] {
    let summary = summary(dir);
    names.map(|name| summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}")))
}

/// Lets Python do its side of a test in a folder.
#[track_caller]
fn reference(what: &str, folder: PathBuf) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/merge_reference.py");
    let output = Command::new(python()).arg(script).arg(what).current_dir(folder).output_in_time().unwrap();
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}
