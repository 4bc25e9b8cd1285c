//! `--tasks N`: tasks that have an index and nothing else.

use crate::support::{Component, Dir, python, require};
use crate::tables::{dry, merged};

/// Prints the index that it was given as its result.
const INDEX: [&str; 4] = ["sh", "-c", "echo \"{\\\"n\\\": $1}\"", "sh"];

#[test]
fn each_task_has_its_index_wherever_a_command_can_have_it() {
    let dir = Dir::new();
    let commands = dry(&dir, &["--tasks", "3", "--", "echo", "--seed={index}", "{}"]);
    assert_eq!(commands, ["echo '--seed=0' 0", "echo '--seed=1' 1", "echo '--seed=2' 2"]);
    assert_eq!(
        dry(&dir, &["--tasks", "2", "--", "echo", "-v"]),
        ["echo -v", "echo -v"],
        "nothing is appended"
    );
    let script = dry(&dir, &["--tasks", "1", "--shell", "sim {index} {/} \"$1\""]);
    assert_eq!(script, ["/bin/sh -c 'sim \"${2}\" \"${3}\" \"$1\"' sh 0 0 0"]);
    let products = dry(&dir, &["--tasks", "2", "--product", "sky/{index}.fits", "--", "echo", "{out}"]);
    assert!(products[1].ends_with("sky/1.fits"), "{products:?}");
    let requests = dry(&dir, &["--tasks", "1", "--worker", "--", "echo"]);
    assert!(requests[1].starts_with(r#"{"path":"0","index":0,"attempt":1,"#), "{requests:?}");
}

#[test]
fn two_runs_of_as_many_numbers_have_nothing_in_common() {
    let dir = Dir::new();
    for results in ["one", "two"] {
        let launch = dir.canfar_run().args(["--tasks", "500", "-o", results, "-q", "--"]);
        launch.args(INDEX).arg("{index}").run().exits(0);
    }
    let records = merged(&dir, &["one", "two"]);
    let numbers: Vec<u64> = records.iter().map(|record| record["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..500).chain(0..500).collect::<Vec<_>>());
    // A copy of a run is that run.
    std::fs::create_dir(dir.path("copy")).unwrap();
    for name in ["inputs.jsonl", "container_1_results.json"] {
        std::fs::copy(dir.path("one").join(name), dir.path("copy").join(name)).unwrap();
    }
    assert_eq!(merged(&dir, &["one", "copy"]).len(), 500);
}

#[test]
fn a_run_of_numbers_goes_on_and_is_told_from_others() {
    let dir = Dir::new();
    let launch = |count: &str| {
        dir.canfar_run().args(["--tasks", count, "-o", "out", "--"]).args(INDEX).arg("{index}").run()
    };
    launch("4").exits(0).says("4 of 4 files ok");
    launch("4").exits(0).says("nothing to do");
    launch("5").exits(2).says("this launch: --tasks 5\n  the run:     --tasks 4\n");
    let own = dir.canfar_run().args(["-o", "out", "--"]).args(INDEX).arg("{index}");
    own.run().exits(0).says("nothing to do");
    let plan = dir.canfar_run().args(["plan", "-o", "out"]).run().exits(0).printed();
    assert!(plan.contains("      1          4            -  0 .. 3\n"), "{plan}");
}

#[test]
fn a_function_needs_no_parameter_for_a_path_that_there_is_not() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    dir.write("sim.py", "def run(index):\n    return {'square': index * index}\n\ndef named(name, index):\n    return {'name': name}\n\ndef two(name, other):\n    pass\n");
    let call = |function: &str, results: &str| {
        let call = dir
            .canfar_run()
            .args(["--tasks", "4", "-o", results, "--call"])
            .arg(format!("sim.py:{function}"));
        call.arg("--python").arg(python()).run()
    };
    call("run", "out").exits(0);
    assert_eq!(merged(&dir, &["out"])[3]["square"], 9);
    call("named", "named").exits(0);
    assert_eq!(merged(&dir, &["named"])[3]["name"], "3");
    call("two", "two")
        .exits(2)
        .says("two(name, other) needs `name` and `other`, but there is only one name of the task");
    let written = dry(&dir, &["--tasks", "1", "--call", "sim.py:run"]);
    assert_eq!(written, ["sim.py:run(index=0)"]);
}

#[test]
fn variables_of_a_job_file_have_placeholders() {
    let dir = Dir::new();
    dir.write(
        "job.toml",
        "tasks = 2\ncommand = ['sh', '-c', 'echo \"{\\\"seen\\\": \\\"$PFILES $SEED $TEXT $CANFAR_TASK_INDEX\\\"}\"']\nresults-dir = 'out'\njobs = 1\n[env]\nPFILES = '/scratch/pf.{slot}.{replica}'\nSEED = 's{index}'\nTEXT = '{{index}} { x }'\n",
    );
    dir.canfar_run().args(["--job-file", "job.toml"]).run().exits(0);
    let seen: Vec<_> = merged(&dir, &["out"]).iter().map(|record| record["seen"].clone()).collect();
    assert_eq!(seen, ["/scratch/pf.1.1 s0 {index} { x } 0", "/scratch/pf.1.1 s1 {index} { x } 1"]);
}

#[test]
fn variables_of_a_process_that_stays_have_its_slot_and_replica() {
    let dir = Dir::new();
    let worker = "command = ['sh', '-c', 'while read l; do echo \"{\\\"seen\\\": \\\"$PFILES\\\"}\"; done']\nworker = true\n";
    dir.write(
        "job.toml",
        format!("tasks = 2\n{worker}jobs = 1\n[env]\nPFILES = 'pf.{{slot}}.{{replica}}'\n"),
    );
    dir.canfar_run().args(["--job-file", "job.toml", "-o", "out"]).run().exits(0);
    assert_eq!(merged(&dir, &["out"])[1]["seen"], "pf.1.1");
    dir.write("job.toml", format!("tasks = 2\n{worker}[env]\nSEED = '{{index}}'\n"));
    let ended = dir.canfar_run().args(["--job-file", "job.toml", "-o", "two"]).run().exits(2);
    ended.says("in `SEED` of [env]: {index} is something of one task");
}
