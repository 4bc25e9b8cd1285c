//! The forms of merged results: JSON, JSON lines, CSV as Python's csv module reads it.

use std::process::Command;

use serde_json::{Value, json};

use super::{merge, records, run, summary};
use crate::support::{Component, Dir, InTime, python, require};

/// Results for a table: new keys, nested ones, what CSV has to quote.
const TABLE: &str = r#"case $1 in
*000*) printf '%s\n' '{"stars": 42, "pos": {"ra": 10.50, "dec": -5e-3}, "note": "plain"}';;
*001*) printf '%s\n' '{"stars": null, "seeing": 1.0, "pos": {"dec": 0, "frame": {"name": "ICRS", "epoch": 2000}}}';;
*002*) printf '%s\n' '{"note": "a, \"b\"\nsecond line\r", "flags": [1, "x, y", {"k": null}], "empty": {{}}, "none": []}';;
*003*) printf '%s\n' '[1, 2]';;
*004*) printf '%s\n' '{"file": "its own", "run_path": "mine", "ok": true, "é": "☆", "a.b": "dotted", "a": {"b": "nested"}}';;
*005*) exit 7;;
*) printf '%s\n' '12345678901234567890';;
esac"#;

fn with_table() -> Dir {
    let dir = Dir::with_inputs(7);
    dir.launch().replica(1, 2).sh(TABLE).run().exits(0);
    dir.launch().replica(2, 2).sh(TABLE).run().exits(1);
    dir
}

fn merge_to(dir: &Dir, output: &str) {
    dir.canfar_run()
        .args(["merge", "out", "--output", output])
        .run()
        .exits(1)
        .says(&format!("results: {}", dir.path(output).display()));
}

/// A table as Python's csv module reads it in a dialect, row by row.
fn rows(dir: &Dir, name: &str, dialect: &str) -> Vec<Vec<String>> {
    let script = "import csv, json, sys
with open(sys.argv[1], newline='', encoding='utf-8') as f:
    print(json.dumps(list(csv.reader(f, sys.argv[2], strict=True))))";
    let output = Command::new(python())
        .args(["-c", script])
        .arg(dir.path(name))
        .arg(dialect)
        .output_in_time()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_table_has_the_results_first_and_reads_back_in_python_as_it_was() {
    if !require(Component::Python("csv")) {
        return;
    }
    let dir = with_table();
    merge_to(&dir, "table.csv");
    let rows = rows(&dir, "table.csv", "excel");
    let results = "file stars pos.ra pos.dec note seeing pos.frame.name pos.frame.epoch flags empty none result \
                   run_path ok é a.b a.b_2";
    // Ours gives way.
    let first_own = "run_path_2 run_status run_index run_replica_id run_duration_s run_id run_cause";
    let heading = rows[0].join(" ");
    assert!(heading.starts_with(&format!("{results} {first_own}")), "{heading}");
    assert!(rows.iter().all(|row| row.len() == rows[0].len()));

    let width = results.split(' ').count();
    let cells: Vec<Vec<&str>> =
        rows[1..].iter().map(|row| row[..width].iter().map(String::as_str).collect()).collect();
    let mut expected = vec![vec![""; width]; 6];
    let mut fill = |row: usize, values: &[(&str, &'static str)]| {
        for (name, value) in values {
            expected[row][results.split(' ').position(|column| column == *name).unwrap()] = *value;
        }
    };
    fill(
        0,
        &[
            ("file", "000.fits"),
            ("stars", "42"),
            ("pos.ra", "10.50"),
            ("pos.dec", "-5e-3"),
            ("note", "plain"),
        ],
    );
    fill(
        1,
        &[
            ("file", "001.fits"),
            ("seeing", "1.0"),
            ("pos.dec", "0"),
            ("pos.frame.name", "ICRS"),
            ("pos.frame.epoch", "2000"),
        ],
    );
    fill(
        2,
        &[
            ("file", "002.fits"),
            ("note", "a, \"b\"\nsecond line\r"),
            ("flags", r#"[1, "x, y", {"k": null}]"#),
            ("empty", "{}"),
            ("none", "[]"),
        ],
    );
    fill(3, &[("file", "003.fits"), ("result", "[1, 2]")]);
    fill(
        4,
        &[
            ("file", "its own"),
            ("run_path", "mine"),
            ("ok", "true"),
            ("é", "☆"),
            ("a.b", "dotted"),
            ("a.b_2", "nested"),
        ],
    );
    fill(5, &[("file", "006.fits"), ("result", "12345678901234567890")]);
    assert_eq!(cells, expected);

    // Of ours, each by its name.
    let own = |row: usize, name: &str| {
        let column = width + rows[0][width..].iter().position(|column| column == name).unwrap();
        rows[row][column].clone()
    };
    assert_eq!(own(1, "run_path_2"), dir.path("data/000.fits").display().to_string());
    assert_eq!([own(1, "run_status"), own(6, "run_index"), own(6, "run_replica_id")], ["ok", "6", "2"]);
    assert_eq!([own(1, "run_cause"), own(1, "run_exit_code"), own(1, "run_log")], ["", "0", ""]);

    // With tabs, and whatever the case of the extension, it is the same table.
    for (name, dialect) in [("table.tsv", "excel-tab"), ("table.TSV", "excel-tab"), ("table.Csv", "excel")] {
        merge_to(&dir, name);
        assert_eq!(self::rows(&dir, name, dialect), rows, "{name}");
    }
}

#[test]
fn a_table_of_journals_and_of_python_s_files_is_the_same_table() {
    let dir = with_table();
    merge_to(&dir, "table.csv");
    std::fs::remove_dir_all(dir.path("out/journal")).unwrap();
    // Now what are left are files without journals; the failure is not known any more.
    dir.canfar_run().args(["merge", "out", "--output", "files.csv"]).run().exits(3);
    assert_eq!(dir.text("files.partial.csv"), dir.text("table.csv"));
}

#[test]
fn lines_are_the_records_of_the_array_one_by_one() {
    let dir = with_table();
    merge(&dir).exits(1);
    for name in ["lines.jsonl", "lines.ndjson"] {
        merge_to(&dir, name);
        let lines: Vec<Value> =
            dir.lines(name).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines, records(&dir, "out/final_results.json"));
        assert!(dir.text(name).ends_with("}\n"));
    }
    let array = dir.text("out/final_results.json");
    let lines: Vec<&str> = array.lines().collect();
    assert_eq!((lines[0], lines[lines.len() - 1], lines.len()), ("[", "]", 8), "a record a line");
}

#[test]
fn results_elsewhere_leave_failures_and_summary_beside_the_run() {
    let dir = with_table();
    std::fs::create_dir(dir.path("elsewhere")).unwrap();
    merge_to(&dir, "elsewhere/all.json");
    assert_eq!(records(&dir, "elsewhere/all.json").len(), 6);
    assert_eq!(summary(&dir)["results"], json!(dir.path("elsewhere/all.json")));
    assert_eq!(records(&dir, "out/final_failed.json").len(), 1);
    assert!(!dir.exists("out/final_results.json"));
}

#[test]
fn incomplete_results_say_so_in_their_name_in_every_form() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 2);
    for (name, partial) in [
        ("a.json", "a.partial.json"),
        ("a.jsonl", "a.partial.jsonl"),
        ("a.csv", "a.partial.csv"),
        ("a.tsv", "a.partial.tsv"),
        ("a", "a.partial"),
    ] {
        let ended = dir.canfar_run().args(["merge", "out", "--output", name]).run().exits(3);
        ended.says(&format!("incomplete results: {}", dir.path(partial).display()));
        assert!(dir.exists(partial) && !dir.exists(name));
    }
    run(&dir, [2], 2);
    dir.canfar_run().args(["merge", "out", "--output", "a.csv"]).run().exits(0);
    assert!(dir.exists("a.csv") && !dir.exists("a.partial.csv"));
}

#[test]
fn of_nothing_but_failures_and_empty_files_the_forms_are_empty_but_whole() {
    let dir = Dir::with_inputs(2);
    dir.launch().sh("exit 1").run().exits(1);
    let heading = "file,run_path,run_status,run_index,run_replica_id,run_duration_s\n";
    let with_tabs = heading.replace(',', "\t");
    let empty = [("a.json", "[]\n"), ("a.jsonl", ""), ("a.csv", heading), ("a.tsv", &with_tabs)];
    for (name, content) in empty {
        dir.canfar_run().args(["merge", "out", "--output", name]).run().exits(1);
        assert_eq!(dir.text(name), content);
    }
    dir.write("python/container_1_results.json", " [ ]\n");
    for (name, content) in empty {
        dir.canfar_run().args(["merge", "python", "--output", name]).run().exits(0).says("0 records merged");
        assert_eq!(dir.text(name), content);
    }
}
