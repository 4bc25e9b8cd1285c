//! Under a real Slurm, with the scripts of `examples/slurm`: each file once, whatever the job is made of, and also when it
//! is cancelled or begun again half way.

use crate::support::{DEADLINE, Dir, Job, wait_until};

mod interrupted;
mod shares;

/// Notes the file's name in `ran`, stays as long as `hold/NAME` is there, and notes it in `finished`.
const ANALYZE: &str = "import json, os, sys, time
name = os.path.basename(sys.argv[1])
def note(where):
    with open(where, 'a') as file:
        file.write(name + '\\n')
note('ran')
while os.path.exists('hold/' + name):
    time.sleep(0.01)
note('finished')
print(json.dumps({'replica': int(os.environ['REPLICA_ID'])}))
";

/// What the example scripts expect where they are submitted.
fn survey(files: usize) -> Dir {
    let dir = Dir::with_inputs(files);
    dir.write("analyze.py", ANALYZE);
    dir
}

fn example(name: &str) -> String {
    format!("{}/examples/slurm/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn names(files: usize) -> Vec<String> {
    (0..files).map(|number| format!("{number:03}.fits")).collect()
}

/// Holds tasks that get as far as noting their names.
fn hold(dir: &Dir, numbers: impl IntoIterator<Item = usize>) {
    numbers.into_iter().for_each(|number| _ = dir.write(format!("hold/{number:03}.fits"), ""));
}

fn let_go(dir: &Dir) {
    std::fs::remove_dir_all(dir.path("hold")).unwrap();
}

#[track_caller]
fn wait_for_lines(dir: &Dir, name: &str, count: usize) {
    wait_until(DEADLINE, &format!("{count} lines in {name}"), || dir.lines(name).len() >= count);
}

/// Checks that all elements ended with `exit_code`.
#[track_caller]
fn assert_ended(dir: &Dir, jobs: &[Job], elements: usize, exit_code: i32) {
    let logs = || {
        let names = std::fs::read_dir(dir.root()).unwrap().map(|entry| entry.unwrap().file_name());
        let logs = names.filter(|name| name.to_string_lossy().ends_with(".log"));
        logs.map(|name| format!("--- {}\n{}", name.display(), dir.text(&name))).collect::<Vec<_>>().concat()
    };
    assert_eq!(jobs.len(), elements, "{jobs:?}");
    assert!(jobs.iter().all(|job| job.exit_code == Some(exit_code)), "{jobs:?}\n{}{}", logs(), dir.tree());
}

/// Checks that every file has run to its end once, and merges to all of them, done by so many replicas.
#[track_caller]
fn assert_complete(dir: &Dir, files: usize, replicas: usize) {
    assert_eq!(dir.sorted_lines("finished"), names(files));
    dir.canfar_run().args(["merge", "results"]).run().exits(0);
    assert_eq!(dir.json("results/final_summary.json")["complete"], true);
    let mut merged = dir.json("results/final_results.json");
    let merged = merged.as_array_mut().unwrap();
    merged.sort_by_key(|record| record["canfar_run"]["index"].as_u64());
    assert_eq!(merged.len(), files);
    for (index, record) in merged.iter().enumerate() {
        assert_eq!(record["file"], names(files)[index]);
        assert_eq!(record["replica"], record["canfar_run"]["replica_id"], "{record}");
        assert_eq!(record["canfar_run"]["replica_count"], replicas, "{record}");
    }
}
