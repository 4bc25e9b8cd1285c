//! Files of a run, damaged in every way, through the program: a clear error or a right answer, never a wrong number.

mod journals;
mod lists;
mod results;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Dir, Ended};

/// A task whose result is the number in its file.
const NUMBER: &str = "echo \"{\\\"n\\\": $(cat \"$1\")}\"";

/// A run of one replica that is done.
fn done(inputs: usize) -> Dir {
    let dir = Dir::with_inputs(inputs);
    dir.launch().sh(NUMBER).run().exits(0);
    dir
}

fn merge(dir: &Dir) -> Ended {
    dir.canfar_run().args(["merge", "out"]).run()
}

/// What a merge came to: each file's number, as far as it is there. No other numbers than the files' own are.
#[track_caller]
fn numbers(dir: &Dir, ended: &Ended) -> Vec<u64> {
    let name =
        if ended.code == Some(3) { "out/final_results.partial.json" } else { "out/final_results.json" };
    let Value::Array(records) = dir.json(name) else { panic!("no array: {ended}") };
    let mut numbers = BTreeSet::new();
    for record in records {
        let number = record["n"].as_u64().unwrap();
        assert_eq!(record["file"], format!("{number:03}.fits"), "{ended}");
        assert!(numbers.insert(number), "{number} is there twice: {ended}");
    }
    numbers.into_iter().collect()
}

/// Every so many-th number below `end`, beginning and end among them; all of them, where there is time to search by hand.
fn some(end: usize, step: usize) -> impl Iterator<Item = usize> {
    let step = if std::env::var_os("CANFAR_RUN_TEST_FUZZ_SECONDS").is_some() { 1 } else { step };
    (0..end).step_by(step).chain(end.checked_sub(1))
}
