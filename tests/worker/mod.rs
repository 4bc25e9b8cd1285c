//! Warm workers: real ones in Python and in shell, and all that they can do wrong.

use serde_json::Value;

use crate::support::{Dir, Run};

mod answers;
mod ends;
mod launches;

/// A worker in Python. `answer` is what it does with `task` and `index`.
fn python(answer: &str) -> String {
    let answer = answer.replace('\n', "\n    ");
    format!(
        "import json, os, signal, sys, time\nsays = lambda **answer: print(json.dumps(answer))\nfor line in sys.stdin:\n    task = json.loads(line)\n    index = task['index']\n    {answer}\n"
    )
}

/// `canfar-run -i data/*.fits -o out --worker OPTIONS -- python3 worker.py`.
fn launch<'d>(dir: &'d Dir, options: &[&str], answer: &str) -> Run<'d> {
    dir.write("worker.py", python(answer));
    dir.launch().arg("--worker").args(options).args(["--", "python3", "worker.py"])
}

/// Index, cause and message of the tasks that failed, in order.
fn failed(dir: &Dir, launch: usize) -> Vec<(u64, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = |meta: &Value| (meta["index"].as_u64().unwrap(), text(&meta["cause"]), text(&meta["message"]));
    let mut failed: Vec<_> =
        dir.failures(1, launch).iter().map(|record| told(&record["canfar_run"])).collect();
    failed.sort();
    failed
}

/// One value of each record in the results file.
fn values(dir: &Dir, key: &str) -> Vec<Value> {
    dir.results(1).iter().map(|record| record[key].clone()).collect()
}

/// So many different values.
fn distinct(dir: &Dir, key: &str) -> usize {
    values(dir, key).iter().map(Value::to_string).collect::<std::collections::BTreeSet<_>>().len()
}
