//! Python functions in place of commands (`--call`): real ones, and all that they can do wrong.

use serde_json::Value;

use crate::support::{Dir, Run, python};

mod raised;
mod results;
mod starts;
mod surroundings;
mod wrong;

/// `canfar-run -i data/*.fits -o out --call analysis.py:analyze OPTIONS` with this for `analysis.py`.
fn launch<'d>(dir: &'d Dir, options: &[&str], source: &str) -> Run<'d> {
    dir.write("analysis.py", source);
    call(dir, "analysis.py:analyze").args(options)
}

/// The same with a function of what is there.
fn call<'d>(dir: &'d Dir, target: &str) -> Run<'d> {
    dir.launch().args(["--call", target]).arg("--python").arg(python())
}

/// A module whose function does for each task what stands here for its index, and says in which process.
fn by_index(steps: &[&str]) -> String {
    let branch = |(index, step): (usize, &&str)| {
        format!("    if index == {index}:\n        {}\n", step.replace('\n', "\n        "))
    };
    let branches = steps.iter().enumerate().map(branch).collect::<Vec<_>>().concat();
    format!(
        "import os, signal, sys, threading, time\ndef analyze(path, index):\n    pid = os.getpid()\n{branches}    return dict(n=index, pid=pid)\n"
    )
}

/// One value of each record in the results file.
fn values(dir: &Dir, key: &str) -> Vec<Value> {
    dir.results(1).iter().map(|record| record[key].clone()).collect()
}

/// So many different processes.
fn processes(dir: &Dir) -> usize {
    values(dir, "pid").iter().map(Value::to_string).collect::<std::collections::BTreeSet<_>>().len()
}

/// Index, cause, message and last words of the tasks that failed, in order.
fn failed(dir: &Dir, launch: usize) -> Vec<(u64, String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let last = |meta: &Value| text(&meta["stderr_tail"]).lines().last().unwrap_or_default().to_owned();
    let told = |meta: &Value| {
        (meta["index"].as_u64().unwrap(), text(&meta["cause"]), text(&meta["message"]), last(meta))
    };
    let mut failed: Vec<_> =
        dir.failures(1, launch).iter().map(|record| told(&record["canfar_run"])).collect();
    failed.sort();
    failed
}

/// What is kept of a task's output.
fn log(dir: &Dir, task: &str) -> String {
    dir.canfar_run().args(["logs", "out", task]).run().exits(0).printed()
}
