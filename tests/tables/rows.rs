//! `--table FILE`: a task for each row, whose columns are placeholders, parameters and members of its record.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Component, Dir, InTime, python, require, wait_until};
use crate::tables::{dry, merged};

const PARAMS: &str = "name,seed,alpha\nM 31,1,1.50\n\"it's; $(x)\",2,1e40\n,3,\n";

/// Prints what it is given as its result.
const SCRIPT: &str = "import json, os, sys\nprint(json.dumps({'given': sys.argv[1:], 'row': json.loads(os.environ['CANFAR_TASK_ROW']), 'file_variable': os.environ['CANFAR_TASK_FILE']}))\n";

#[test]
fn columns_are_placeholders_wherever_there_are_some() {
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    let commands =
        dry(&dir, &["--table", "t.csv", "--", "echo", "--seed={seed}", "{name}{alpha}", "{{seed}}"]);
    assert_eq!(
        commands,
        [
            "echo '--seed=1' 'M 311.50' '{seed}'",
            r#"echo '--seed=2' "it's; "'$(x)1e40' '{seed}'"#,
            "echo '--seed=3' '' '{seed}'",
        ]
    );
    assert_eq!(dry(&dir, &["--table", "t.csv", "--", "echo", "-v"])[0], "echo -v", "nothing is appended");
    let labels = dry(&dir, &["--table", "t.csv", "--", "echo", "{}", "{index}"]);
    assert_eq!((&*labels[0], &*labels[2]), ("echo 'M 31' 0", "echo 2 2"));
    let script = dry(&dir, &["--table", "t.csv", "--shell", "echo {seed} {name} > {index}.txt"]);
    assert!(script[1].starts_with("/bin/sh -c 'echo \"${2}\" \"${3}\" > \"${4}\".txt' sh "), "{script:?}");
    let product = ["--table", "t.csv", "--product", "sky/{seed}.fits", "--", "echo", "{out}"];
    assert!(dry(&dir, &product)[1].ends_with("/sky/2.fits"));
    let requests = dry(&dir, &["--table", "t.csv", "--worker", "--", "echo"]);
    assert!(requests[1].starts_with(r#"{"path":"M 31","index":0,"attempt":1,"#), "{requests:?}");
    assert!(requests[1].ends_with(r#","row":{"name":"M 31","seed":1,"alpha":1.50}}"#), "{requests:?}");
}

#[test]
fn names_in_cells_are_never_code_of_a_shell() {
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    let shell = ["--table", "t.csv", "-o", "out", "-q", "--result", "text", "--shell", "printf %s {name}"];
    dir.canfar_run().args(shell).run().exits(0);
    let results: Vec<Value> = merged(&dir, &["out"]).iter().map(|record| record["result"].clone()).collect();
    assert_eq!(results, ["M 31", "it's; $(x)", ""]);
}

#[test]
fn a_record_has_the_columns_before_the_result_and_the_result_wins() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    dir.write("show.py", SCRIPT);
    let launch = dir.canfar_run().args(["--table", "t.csv", "-o", "out", "-q", "--"]).arg(python());
    launch.args(["show.py", "{seed}", "{alpha}"]).run().exits(0);
    let records = merged(&dir, &["out"]);
    assert_eq!(records[0]["given"], json!(["1", "1.50"]));
    assert_eq!(records[0]["row"], json!({"name": "M 31", "seed": 1, "alpha": 1.50}));
    assert_eq!((&records[0]["file"], &records[0]["file_variable"]), (&json!("M 31"), &json!("M 31")));
    assert_eq!((&records[2]["file"], &records[2]["alpha"]), (&json!("2"), &Value::Null));
    let text = dir.text("out/container_1_results.json");
    assert!(text.contains(r#""name":"it's; $(x)","seed":2,"alpha":1e40,"given": "#), "{text}");

    let own = dir.canfar_run().args(["--table", "t.csv", "-o", "own", "-q", "--", "echo"]);
    own.arg("{\"alpha\": \"mine\", \"file\": 7}").run().exits(0);
    let text = dir.text("own/container_1_results.json");
    assert!(text.contains(r#"{"name":"M 31","seed":1,"alpha": "mine", "file": 7,"canfar_run":"#), "{text}");
    dir.canfar_run().args(["merge", "out", "-o", "out.csv"]).run().exits(0);
    assert!(dir.lines("out.csv")[0].starts_with("file,name,seed,alpha,given,"));
}

#[test]
fn a_failed_row_is_told_with_its_columns_and_a_later_launch_runs_it_again() {
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    let launch = || {
        let launch = dir.canfar_run().args(["--table", "t.csv", "-o", "out", "--", "sh", "-c"]);
        launch.args(["test -e fine || test $1 != 2", "sh", "{seed}"]).run()
    };
    launch().exits(1).says("1 failed");
    dir.canfar_run().args(["merge", "out"]).run().exits(1);
    assert_eq!(dir.json("out/final_failed.json")[0]["seed"], 2);
    dir.canfar_run().args(["logs", "out", "M 31"]).run().exits(0);
    dir.write("fine", "");
    launch().exits(0);
    assert_eq!(merged(&dir, &["out"]).len(), 3);
    // The list is frozen; what has come since is told, and another table is another run.
    dir.write("t.csv", format!("{PARAMS}new,4,0\n"));
    launch().exits(0).says("1 row is in").says("now that was not there");
    dir.write("u.csv", PARAMS);
    let other = dir.canfar_run().args(["--table", "u.csv", "-o", "out", "--", "true"]).run().exits(2);
    other.says("u.csv\n  the run:     --table");
}

#[test]
fn functions_get_columns_by_the_names_of_their_parameters() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    dir.write(
        "sim.py",
        "def run(seed, alpha=7, row=None, *, index):\n    return {'a': [seed, alpha, index]}\n\ndef whole(row):\n    return {'a': row}\n\ndef named(label, seed):\n    return {'a': label}\n\ndef near(sede):\n    pass\n",
    );
    let call = |function: &str| {
        let call = dir.canfar_run().args(["--table", "t.csv", "-q", "-o", function, "--call"]);
        call.arg(format!("sim.py:{function}")).arg("--python").arg(python()).run()
    };
    let expected = [
        ("run", json!([3, null, 2])),
        ("whole", json!({"name": "", "seed": 3, "alpha": null})),
        ("named", json!("2")),
    ];
    for (function, result) in expected {
        call(function).exits(0);
        assert_eq!(merged(&dir, &[function])[2]["a"], result, "{function}");
    }
    let near = call("near")
        .exits(2)
        .says("near(sede) has a parameter `sede`, and the table has no such column: is it `seed`?");
    assert!(!dir.exists("near"), "no run was begun: {near}");
    dir.write("u.csv", "row,n\n1,2\n");
    let clash =
        dir.canfar_run().args(["--table", "u.csv", "-o", "clash", "--call", "sim.py:whole"]).run().exits(2);
    clash.says("the column `row`");
    let written = dry(&dir, &["--table", "t.csv", "--call", "sim.py:run"]);
    assert_eq!(written[2], "sim.py:run(name='', seed=3, alpha=None)");
}

#[test]
fn a_second_stage_has_the_rows_of_the_first_one() {
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    let first = [
        "--table",
        "t.csv",
        "-o",
        "one",
        "-q",
        "--product",
        "made/{seed}.txt",
        "--shell",
        "echo {seed}0 > {out}",
    ];
    dir.canfar_run().args(first).run().exits(0);
    let commands = dry(&dir, &["--input-from", "one", "--", "echo", "{/}", "{alpha}"]);
    assert_eq!(commands[1], "echo 2.txt 1e40");
    let second = dir.canfar_run().args(["--input-from", "one", "-o", "two", "-q", "--", "sh", "-c"]);
    second.args(["echo \"{\\\"got\\\": $(cat \"$1\")}\"", "sh", "{}", "{alpha}"]).run().exits(0);
    let records = merged(&dir, &["two"]);
    assert_eq!(
        (&records[0]["got"], &records[0]["alpha"], &records[0]["file"]),
        (&json!(10), &json!(1.5), &json!("1.txt"))
    );
    dir.canfar_run().args(["resume", "two"]).run().exits(0).says("nothing to do");
}

#[test]
fn a_table_is_read_from_standard_input() {
    let dir = Dir::new();
    let table = dir.write("t.csv", PARAMS);
    let launch = dir.canfar_run().args(["--table", "-", "-o", "out", "-q", "--", "echo", "{\"s\": {seed}}"]);
    launch.stdin(std::fs::File::open(table).unwrap()).run().exits(0);
    assert_eq!(merged(&dir, &["out"])[2]["s"], 3);
    // Another launch has the run's list.
    let again = dir.canfar_run().args(["-o", "out", "--", "echo", "{\"s\": {seed}}"]).run();
    again.exits(0).says("nothing to do").says_not("is not a placeholder");
}

#[test]
fn a_run_of_rows_keeps_all_beside_another_one() {
    let dir = Dir::new();
    dir.write("t.csv", PARAMS);
    for results in ["one", "two"] {
        let launch = dir.canfar_run().args(["--table", "t.csv", "-q", "-o", results]);
        launch.args(["--", "echo", "{\"s\": {seed}}"]).run().exits(0);
    }
    let seeds: Vec<u64> =
        merged(&dir, &["one", "two"]).iter().map(|record| record["s"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [1, 2, 3, 1, 2, 3]);
}

/// Four replicas run 500 simulations, and the second one is killed while it waits in its 16th.
const SIMULATION: &str = "
import os, random, time

def run(seed, alpha):
    if os.environ['REPLICA_ID'] == '2' and seed >= 1140:
        open('waits', 'w').close()
        while not os.path.exists('killed'):
            time.sleep(0.01)
    numbers = random.Random(seed)
    values = [numbers.gauss(0, alpha) for _ in range(50)]
    return {'mean': sum(values) / 50, 'largest': max(values)}
";

const PLAIN_LOOP: &str = "
import csv, json, os
os.environ['REPLICA_ID'] = '0'
from sim import run
with open('params.csv', newline='') as table:
    for row in csv.DictReader(table):
        result = run(int(row['seed']), float(row['alpha']))
        print(','.join([row['name'], row['name'], row['seed'], row['alpha']] + [json.dumps(value) for value in result.values()]))
";

#[test]
fn simulations_are_complete_and_those_of_a_plain_loop_although_a_replica_is_killed() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    let rows = (0..500).map(|number| format!("sky{number},{},{}.50\n", 1000 + number, number % 7));
    dir.write("params.csv", format!("name,seed,alpha\n{}", rows.collect::<String>()));
    dir.write("sim.py", SIMULATION);
    let launch = |id: usize| {
        let launch = dir.canfar_run().sharing_replica(id, 4).quick_heartbeat();
        let options = ["--table", "params.csv", "-o", "out", "-j", "1", "--takeover-after", "2s"];
        launch.args(options).args(["--call", "sim.py:run", "--python"]).arg(python()).start()
    };
    let killed = launch(2);
    wait_until(Duration::from_mins(2), "replica 2 waits in a task", || dir.exists("waits"));
    let others = [1, 3, 4].map(launch);
    killed.kill();
    dir.write("killed", "");
    for other in others {
        let ended = other.wait();
        assert!(matches!(ended.code, Some(0)), "{ended}");
    }
    dir.canfar_run().args(["merge", "out", "-o", "all.csv"]).run().exits(0).says("500 ok");
    let lines = dir.lines("all.csv");
    assert!(lines[0].starts_with("file,name,seed,alpha,mean,largest,run_path,"), "{}", lines[0]);
    let mut merged: Vec<String> =
        lines[1..].iter().map(|line| line.splitn(7, ',').take(6).collect::<Vec<_>>().join(",")).collect();
    dir.write("loop.py", PLAIN_LOOP);
    let printed = Command::new(python()).arg("loop.py").current_dir(dir.root()).output_in_time().unwrap();
    let mut expected: Vec<String> =
        String::from_utf8(printed.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(expected.len(), 500, "{}", String::from_utf8_lossy(&printed.stderr));
    // Records are in the order of the replicas, and some have taken over.
    merged.sort();
    expected.sort();
    let differs = merged.iter().zip(&expected).find(|(merged, expected)| merged != expected);
    assert_eq!((merged.len(), differs), (500, None));
}

#[test]
fn the_example_runs_and_is_repeatable() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    let example = |name: &str| format!("{}/examples/simulations/{name}", env!("CARGO_MANIFEST_DIR"));
    let (table, script) = (example("params.csv"), example("simulate.py"));
    let call =
        dir.canfar_run().args(["--table", &table, "-o", "one", "-q", "--call", &format!("{script}:run")]);
    call.arg("--python").arg(python()).run().exits(0);
    let run = dir.canfar_run().args([
        "--table",
        &table,
        "-o",
        "two",
        "-q",
        "--product",
        "points/{name}.json",
        "--",
    ]);
    run.arg(python()).arg(&script).args(["{seed}", "{points}", "{scale}", "{out}"]).run().exits(0);
    let of = |results: &str| -> Vec<Value> {
        merged(&dir, &[results]).iter().map(|record| record["pi"].clone()).collect()
    };
    let estimates = of("one");
    assert_eq!((estimates.len(), &estimates), (12, &of("two")));
    assert!(
        estimates.iter().all(|pi| (pi.as_f64().unwrap() - std::f64::consts::PI).abs() < 0.3),
        "{estimates:?}"
    );
    assert_eq!(dir.names("points").len(), 12);
}
