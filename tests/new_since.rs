//! `--new-since`: runs of the files that came since another run, and what joins them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Dir, Ended, Run, Running, at_once};

/// Fails for some files as long as nobody has fixed that.
const SCRIPT: &str = r#"case $1 in */00[357].fits) test -e fixed || exit 3 ;; esac; echo "{\"task\": $2, \"env\": $CANFAR_TASK_INDEX}""#;

/// A run of this many files in `out`.
fn with_run(files: usize) -> Dir {
    let dir = Dir::with_inputs(files);
    dir.write("analyze.sh", SCRIPT);
    let run = dir.launch().args(["--logs", "all", "--", "sh", "analyze.sh", "{}", "{index}"]).run();
    run.exits(i32::from(files > 3));
    dir
}

fn add(dir: &Dir, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| _ = dir.write(format!("data/{number:03}.fits"), number.to_string()));
}

fn new_since<'d>(dir: &'d Dir, parent: &str, child: &str) -> Run<'d> {
    dir.canfar_run().args(["--new-since", parent, "-o", child])
}

fn four_at_once<'d>(dir: &'d Dir) -> Vec<Running<'d>> {
    let args = ["--new-since", "out", "-o", "out2"];
    at_once(dir, (1..=4).map(|id| move |run: Run<'d>| run.sharing_replica(id, 4).args(args)))
}

fn of(dir: &Dir, args: &[&str]) -> Ended {
    dir.canfar_run().args(args).run()
}

/// The run's index, base name and result of every record in a file.
fn records(dir: &Dir, file: &str) -> Vec<(u64, String, Value)> {
    let records: Vec<Value> = serde_json::from_slice(&dir.bytes(file)).unwrap();
    let of_one = |record: &Value| {
        let index = record["canfar_run"]["index"].as_u64().unwrap();
        (index, record["file"].as_str().unwrap().to_owned(), json!([record["task"], record["env"]]))
    };
    records.iter().map(of_one).collect()
}

fn name(number: u64) -> String {
    format!("{number:03}.fits")
}

#[test]
fn twenty_files_that_came_and_three_that_failed_take_two_lines_and_are_merged_into_one() {
    let dir = with_run(10);
    dir.write("fixed", "");
    add(&dir, 100..120);
    let before = dir.lines("out/inputs.jsonl");
    of(&dir, &["resume", "out"]).exits(0);
    new_since(&dir, "out", "out2").run().exits(0).says("20 files that came since ").says("20 of 20 files ok");
    assert_eq!(dir.lines("out/inputs.jsonl"), before);

    let child = dir.path("out2").display().to_string();
    let shown = of(&dir, &["status", "out"]).exits(0).printed();
    assert!(shown.contains(&format!("20 files came since: run in {child}\n")), "{shown}");
    let status = of(&dir, &["status", "--json", "out"]).exits(0).json();
    assert_eq!((&status["continued_by"][0]["files"], &status["files"]), (&json!(20), &json!(10)));
    let parent = dir.path("out").display().to_string();
    let more = format!("{child} holds 20 more files that came since: canfar-run merge {parent} {child}");
    of(&dir, &["merge", "out"]).exits(0).says("10 files: 10 ok").says(&more);
    let alone = of(&dir, &["merge", "--json", "out2"]).exits(0).json();
    assert_eq!([&alone["files"], &alone["ok"], &alone["complete"]], [&json!(20), &json!(20), &json!(true)]);

    let both = of(&dir, &["merge", "out", "out2"]).exits(0).says("30 files: 30 ok");
    both.says_not("more files");
    let all = records(&dir, "out/final_results.json");
    let expected = (0..10).chain(100..120).zip(0..);
    let expected = expected.map(|(number, index): (u64, u64)| (index, name(number), json!([index, index])));
    assert_eq!(all, expected.collect::<Vec<_>>());
    // Whichever is named first, records are in the order of their indices.
    of(&dir, &["merge", "out2", "out"]).exits(0);
    assert_eq!(dir.text("out2/final_results.json"), dir.text("out/final_results.json"));
}

#[test]
fn tasks_of_a_run_that_continues_another_are_found_by_their_index_and_shown_with_it() {
    let dir = with_run(3);
    add(&dir, 100..108);
    for id in [1, 2] {
        new_since(&dir, "out", "out2").sharing_replica(id, 2).run().exits(0);
    }
    let log = of(&dir, &["logs", "out2", "5"]).exits(0).printed();
    assert!(log.contains("(index 5)") && log.contains("\"task\": 5"), "{log}");
    of(&dir, &["logs", "out2", "2"]).exits(2).says("with the indices 3 to 10");
    of(&dir, &["report", "out2"]).exits(0);
    let page = dir.text("out2/report.html");
    assert!(page.contains("\"first_index\":3"), "{page}");
    let status = of(&dir, &["status", "--json", "out2"]).exits(0).json();
    assert_eq!((&status["complete"], &status["totals"]["ok"]), (&json!(true), &json!(8)), "{status}");
    let merged = of(&dir, &["merge", "--json", "out2"]).exits(0).json();
    assert_eq!((&merged["complete"], &merged["of_other_runs"]), (&json!(true), &json!(0)), "{merged}");
    let indices: Vec<u64> = records(&dir, "out2/final_results.json").iter().map(|record| record.0).collect();
    let mut sorted = indices.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (3..11).collect::<Vec<_>>());
    new_since(&dir, "out", "out2").sharing_replica(1, 2).run().exits(0).says("nothing to do");
    of(&dir, &["resume", "out2"]).exits(0).says("nothing to do");
}

#[test]
fn what_is_missing_and_failed_of_it_is_told_and_resumed_by_its_own_indices() {
    let dir = with_run(3);
    add(&dir, 4..9);
    new_since(&dir, "out", "out2").replica(1, 2).run().exits(1);
    let merged = of(&dir, &["merge", "--json", "out", "out2"]).exits(3).json();
    assert_eq!(
        [&merged["files"], &merged["ok"], &merged["failed"], &merged["missing"]]
            .map(|count| count.as_u64().unwrap()),
        [8, 5, 1, 2]
    );
    let example = &merged["missing_replicas"][0]["examples"][0];
    assert!(example.as_str().unwrap().ends_with("data/007.fits"), "{merged}");
    of(&dir, &["merge", "--missing", "left", "out", "out2"]).exits(3);
    let left: Vec<String> =
        dir.lines("left").iter().map(|line| line.rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(left, ["005.fits", "007.fits", "008.fits"]);
    dir.write("fixed", "");
    of(&dir, &["resume", "out2"]).exits(0);
    of(&dir, &["merge", "out", "out2"]).exits(0).says("8 files: 8 ok");
}

#[test]
fn a_run_that_continues_one_that_continues_another_leaves_out_what_both_have() {
    let dir = with_run(3);
    dir.write("fixed", "");
    let mut lines = Vec::new();
    for (parent, child, numbers) in [("out", "out-2", 100..104), ("out-2", "out-3", 110..115)] {
        add(&dir, numbers);
        new_since(&dir, parent, child).run().exits(0);
        lines.push(dir.lines(format!("{child}/inputs.jsonl")).len() - 1);
    }
    assert_eq!(lines, [4, 5]);
    let [first, second, third] = ["out", "out-2", "out-3"].map(|run| dir.path(run).display().to_string());
    let shown = of(&dir, &["status", "out"]).exits(0).printed();
    assert!(shown.contains("4 files came since") && shown.contains("5 files came since"), "{shown}");
    let more = format!(
        "{second} and {third} hold 9 more files that came since: canfar-run merge {first} {second} {third}"
    );
    of(&dir, &["merge", "out"]).exits(0).says(&more);
    // Each of them knows what the others have.
    add(&dir, 120..122);
    for run in ["out", "out-2", "out-3"] {
        let ended = of(&dir, &["resume", run]).exits(0).says("2 files match now");
        ended.says(&format!("`canfar-run --new-since {third} -o {first}-4`, then `canfar-run merge {first} {second} {third} {first}-4`"));
    }
    let sibling = new_since(&dir, "out", "sibling").args(["-i", "data/12?.fits"]).run().exits(0);
    sibling.says(&format!("{third} already continues {first}, with 5 files"));
    of(&dir, &["reset", "sibling"]).exits(0);
    new_since(&dir, "out-3", "out-4").run().exits(0).says_not("already continues");
    of(&dir, &["merge", "out", "out-2", "out-3", "out-4"]).exits(0).says("14 files: 14 ok");
    let indices: Vec<u64> = records(&dir, "out/final_results.json").iter().map(|record| record.0).collect();
    assert_eq!(indices, (0..14).collect::<Vec<_>>());

    std::fs::rename(dir.path("out"), dir.path("elsewhere")).unwrap();
    add(&dir, 130..131);
    let gone = new_since(&dir, "out-4", "out-5").run().exits(3);
    gone.says(&format!("{first} holds no run (no inputs.jsonl)")).says("move the run back there");
    assert!(!dir.exists("out-5"));
    of(&dir, &["merge", "out-2"]).exits(0).says("4 files: 4 ok");
}

#[test]
fn replicas_that_begin_at_once_have_one_list_and_run_every_new_file_once() {
    let dir = with_run(3);
    add(&dir, 100..140);
    for running in four_at_once(&dir) {
        running.wait().exits(0);
    }
    assert_eq!(dir.lines("out2/inputs.jsonl").len(), 41);
    of(&dir, &["merge", "out", "out2"]).exits(0).says("43 files: 43 ok").says_not("left out");
    let mut all = records(&dir, "out/final_results.json");
    all.sort_by_key(|record| record.0);
    let expected = (0..3).chain(100..140).zip(0..);
    let expected = expected.map(|(number, index): (u64, u64)| (index, name(number), json!([index, index])));
    assert_eq!(all, expected.collect::<Vec<_>>());
}

#[test]
fn where_nothing_has_come_no_run_is_begun_and_a_merge_of_both_is_that_of_the_one() {
    let dir = with_run(3);
    let nothing = |run: Run<'_>| {
        let ended = run.run().exits(0);
        ended
            .says("all 3 files that match now are in the lists of ")
            .says("nothing new, and no run was begun");
        assert!(!dir.exists("out2"));
    };
    nothing(new_since(&dir, "out", "out2"));
    nothing(new_since(&dir, "out", "out2").args(["-i", "data/00?.fits"]));
    for child in ["out2", "./data/../out2/"] {
        let said = of(&dir, &["merge", "out", child]).exits(0).says("3 files: 3 ok");
        said.says("out2").says("has no run: no file had come since");
    }
    of(&dir, &["merge", "out", "out3"]).exits(2).says("out3");
    of(&dir, &["status", "out"]).exits(0);
    for running in four_at_once(&dir) {
        running.wait().exits(0).says("nothing new");
    }
    add(&dir, 100..101);
    new_since(&dir, "out", "out2").run().exits(0);
    of(&dir, &["merge", "out", "out2"]).exits(0).says("4 files: 4 ok");
}

#[test]
fn what_would_be_run_is_shown_and_nothing_is_written() {
    let dir = with_run(3);
    add(&dir, 100..102);
    let before = dir.tree();
    let shown = new_since(&dir, "out", "out2").arg("-n").run().exits(0);
    shown.says("2 files new since ").says("3 files in the lists so far left out");
    let shown = new_since(&dir, "out", "out2").arg("-n").run().exits(0).printed();
    let ends: Vec<&str> = shown.lines().map(|line| line.rsplit('/').next().unwrap()).collect();
    assert_eq!(ends, ["100.fits 3", "101.fits 4"], "{shown}");
    let plan = of(&dir, &["plan", "--new-since", "out", "--replica-count", "2", "--json"]).exits(0).json();
    assert_eq!(plan["files"], 2, "{plan}");
    assert_eq!(dir.tree(), before);
}

#[test]
fn command_options_products_and_folder_are_those_of_the_run_that_is_continued() {
    let dir = Dir::with_inputs(2);
    dir.write("analyze.sh", "cp \"$1\" \"$2\"; sleep 0.01");
    std::fs::create_dir(dir.path("elsewhere")).unwrap();
    let run = dir.launch().args(["--product", "made/{/:}.txt", "--timeout", "1h", "--retries", "2"]);
    run.args(["--", "sh", "analyze.sh", "{}", "{out}"]).run().exits(0);
    add(&dir, 100..102);
    let child = dir.path("out2").into_os_string();
    let run = dir.canfar_run().cwd(dir.path("elsewhere")).args(["--new-since", "../out", "-o"]).arg(child);
    run.run().exits(0);
    assert_eq!(dir.names("made"), ["000.txt", "001.txt", "100.txt", "101.txt"]);
    let header: Value = serde_json::from_str(&dir.lines("out2/inputs.jsonl")[0]).unwrap();
    let parent: Value = serde_json::from_str(&dir.lines("out/inputs.jsonl")[0]).unwrap();
    assert_eq!(header["settings"], parent["settings"]);
    assert_eq!((&header["parent"], &header["first_index"]), (&parent["run"], &json!(2)));
    // Another command can be given, and what was made is not made again by another file.
    add(&dir, 200..201);
    dir.write("data/more/001.fits", "1");
    let same = new_since(&dir, "out2", "out3").args(["-i", "data/more/*.fits"]).run().exits(2);
    same.says("would both make ").says("made/001.txt");
    new_since(&dir, "out2", "out3")
        .args(["--product", "two/{/:}.txt", "--", "cp", "{}", "{out}"])
        .run()
        .exits(0);
    assert_eq!(dir.names("two"), ["200.txt"]);
}

#[test]
fn of_a_given_list_another_one_or_the_same_is_named() {
    let dir = Dir::new();
    dir.write("list", "M31\nM33\n");
    let run = dir.canfar_run().args(["--files-from", "list", "-o", "out", "--result", "text"]);
    run.args(["--", "echo", "{index}", "{}"]).run().exits(0);
    dir.write("list", "NGC 1\nM33\nM31\n");
    let unnamed = new_since(&dir, "out", "out2").run().exits(2);
    unnamed.says("say which list has the new ones: --files-from FILE").says("--files-from /");
    let line = of(&dir, &["resume", "out"]).exits(0).says("1 entry is in ");
    line.says(&format!(
        "--new-since {} --files-from {} -o ",
        dir.path("out").display(),
        dir.path("list").display()
    ));
    new_since(&dir, "out", "out2").args(["--files-from", "list"]).run().exits(0);
    of(&dir, &["merge", "out", "out2"]).exits(0).says("3 files: 3 ok");
    let all: Value = dir.json("out/final_results.json");
    let results: Vec<&Value> = all.as_array().unwrap().iter().map(|record| &record["result"]).collect();
    assert_eq!(results, ["0 M31", "1 M33", "2 NGC 1"]);
}

#[test]
fn after_a_reset_nobody_names_what_is_gone() {
    let dir = with_run(3);
    add(&dir, 100..102);
    new_since(&dir, "out", "out2").run().exits(0);
    of(&dir, &["reset", "out2"]).exits(0);
    let status = of(&dir, &["status", "out"]).exits(0);
    assert!(!status.printed().contains("came since"));
    of(&dir, &["merge", "out"]).exits(0).says_not("more files");
    new_since(&dir, "out", "out2").run().exits(0);
    assert_eq!(dir.names("out/children").len(), 2);
    let status = of(&dir, &["status", "out"]).exits(0);
    assert_eq!(status.printed().matches("came since").count(), 1);

    of(&dir, &["reset", "out"]).exits(0);
    assert!(!dir.exists("out/children"));
    dir.launch().sh("true").run().exits(0);
    assert!(!of(&dir, &["status", "out"]).exits(0).printed().contains("came since"));
    of(&dir, &["merge", "out2"]).exits(0).says("2 files: 2 ok");
    let other = new_since(&dir, "out", "out2").run().exits(2);
    other.says("what is taken as new of this launch differs from that of the run in ");
}

#[test]
fn a_run_that_an_earlier_version_left_can_be_continued() {
    let dir = Dir::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/version_1/unfinished/inputs.jsonl");
    dir.write("out/inputs.jsonl", std::fs::read(from).unwrap());
    dir.write("data/new.fits", "");
    let run = new_since(&dir, "out", "out2").args(["-i", "data/*.fits", "--", "echo", "{index}"]);
    let count = dir.lines("out/inputs.jsonl").len() - 1;
    run.run().exits(0);
    let record = dir.json("out2/container_1_results.json")[0].take();
    assert_eq!((&record["result"], &record["canfar_run"]["index"]), (&json!(count), &json!(count)));
}

#[test]
fn wrong_uses_are_refused_before_anything_is_written() {
    let dir = with_run(3);
    add(&dir, 100..102);
    dir.canfar_run().args(["-i", "data/*.fits", "-o", "other"]).sh("true").run().exits(0);
    dir.canfar_run().args(["--tasks", "3", "-o", "numbers", "--", "true"]).run().exits(0);
    std::fs::create_dir(dir.path("empty")).unwrap();
    let before = dir.tree();
    let refused: [(&[&str], &str); 14] = [
        (
            &["--new-since", "out", "-o", "out"],
            "needs another results directory: add --results-dir, as in --new-since ",
        ),
        (&["--new-since", "out", "-o", "./data/../out"], "needs another results directory"),
        (&["--new-since", "empty", "-o", "out2"], "it holds no run (no inputs.jsonl)"),
        (&["--new-since", "nowhere", "-o", "out2"], "it holds no run (no inputs.jsonl)"),
        (&["--new-since", "", "-o", "out2"], "the argument after \"--new-since\" is empty"),
        (&["--new-since", "numbers", "-o", "out2"], "the tasks of that run are no files"),
        (&["--new-since", "out", "-o", "out2", "--tasks", "3"], "--new-since is about files"),
        (&["--new-since", "out", "-o", "other"], "what is taken as new of this launch differs"),
        (&["--new-since", "out", "-o", "out2", "-i", "data/*.fit"], "data/*.fit"),
        (&["--new-since", "out", "-o", "out2", "--exclude", "1*"], "--exclude needs --input"),
        (&["--new-since", "out", "-o", "out2", "--", "no-such-program"], "no-such-program"),
        (&["resume", "out", "--new-since", "out"], "--new-since has no place after `resume`"),
        (&["merge", "--new-since", "out"], "--new-since"),
        (&["plan", "--new-since", "empty"], "it holds no run"),
    ];
    for (args, message) in refused {
        let ended = of(&dir, args).exits(2);
        ended.says(message);
    }
    assert_eq!(dir.tree(), before);
    new_since(&dir, "out", "out2").run().exits(0);
    let without =
        dir.canfar_run().args(["-i", "data/*.fits", "-o", "out2", "--", "sh", "analyze.sh", "{}", "{index}"]);
    without.run().exits(2).says("this launch: all files, without --new-since");
}
