//! Several results directories as one, and the way there: `--missing` and `--files-from`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;

use super::{NUMBER, NUMBER_UNLESS_BAD, counts, merge, numbers, numbers_in, records, run, summary};
use crate::support::{Dir, Ended};

fn merge_both(dir: &Dir) -> Ended {
    dir.canfar_run().args(["merge", "out", "more"]).run()
}

/// Runs what a list names, as one replica, into `more`.
fn run_more(dir: &Dir, script: &str) -> Ended {
    dir.canfar_run().args(["--files-from", "missing", "-o", "more"]).sh(script).run()
}

#[test]
fn what_is_missing_or_failed_can_be_run_elsewhere_and_joined() {
    let dir = Dir::with_inputs(12);
    dir.write("bad/001.fits", "");
    for (id, code) in [(1, 1), (2, 0), (4, 0)] {
        dir.launch().replica(id, 4).sh(NUMBER_UNLESS_BAD).run().exits(code);
    }
    let args = ["merge", "out", "--missing", "missing"];
    dir.canfar_run().args(args).run().exits(3).says("12 files: 8 ok, 1 failed, 3 missing");
    let path = |number: usize| dir.path(format!("data/{number:03}.fits")).display().to_string();
    assert_eq!(dir.lines("missing"), [path(1), path(6), path(7), path(8)]);

    fs::remove_dir_all(dir.path("bad")).unwrap();
    run_more(&dir, NUMBER_UNLESS_BAD).exits(0);
    merge_both(&dir).exits(0).says("12 files: 12 ok, none missing").says("1 record left out: another record");
    assert_eq!(numbers(&dir), [0, 2, 3, 4, 5, 9, 10, 11, 1, 6, 7, 8]);
    assert!(!dir.exists("out/final_failed.json") && !dir.exists("more/final_results.json"));
    assert_eq!(counts(&dir, ["files", "ok", "failed", "missing", "repeated"]), [12, 12, 0, 0, 1]);

    // Then there is nothing left to run.
    dir.canfar_run().args(["merge", "out", "more", "--missing", "missing"]).run().exits(0);
    assert_eq!(dir.text("missing"), "");
}

#[test]
fn names_that_no_line_can_hold_need_null_and_come_through_with_it() {
    let dir = Dir::new();
    let odd = [b"a\nb.fits".to_vec(), b"\xff\xfe.fits".to_vec(), b"cr\r".to_vec(), b" spaces ".to_vec()];
    for (number, name) in odd.iter().enumerate() {
        let name = OsString::from_vec(name.clone());
        dir.write(dir.path("data").join(name), number.to_string());
    }
    let launch = |id| dir.canfar_run().args(["-i", "data/*", "-o", "out"]).replica(id, 5).sh(NUMBER).run();
    dir.write("data/plain", "4");
    launch(5).exits(0);
    let before = dir.tree();
    dir.canfar_run()
        .args(["merge", "out", "--missing", "missing"])
        .run()
        .exits(2)
        .says("without --null (give it with --files-from, too): ")
        .says("a\\nb.fits");
    assert_eq!(before.difference(&dir.tree()), None, "nothing is written then");

    dir.canfar_run().args(["merge", "out", "--missing", "missing", "--null"]).run().exits(3);
    let missing = dir.bytes("missing");
    assert_eq!(missing.split(|byte| *byte == 0).count(), 5, "{}", missing.escape_ascii());
    dir.canfar_run().args(["--files-from", "missing", "--null", "-o", "more"]).sh(NUMBER).run().exits(0);
    merge_both(&dir).exits(0).says("5 files: 5 ok, none missing");
    let mut all = numbers(&dir);
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3, 4]);
    dir.canfar_run()
        .args(["merge", "out", "--null"])
        .run()
        .exits(2)
        .says("--null is for the lists that --missing and --products write");
}

#[test]
fn a_name_that_ends_like_a_line_of_windows_needs_null_too() {
    let dir = Dir::new();
    dir.write("data/a.fits\r", "1");
    dir.write("data/b.fits", "1");
    dir.canfar_run().args(["-i", "data/*", "-o", "out"]).replica(2, 2).sh(NUMBER).run().exits(0);
    let args = ["merge", "out", "--missing", "missing"];
    dir.canfar_run().args(args).run().exits(2).says("without --null").says("a.fits\\r");
    dir.canfar_run().args(args).arg("--null").run().exits(3);
    assert_eq!(
        dir.bytes("missing"),
        [dir.path("data/a.fits\r").as_os_str().as_encoded_bytes(), b"\0"].concat()
    );
}

/// Two directories about the same three files, with these tasks failing.
fn twice(first: &[&str], second: &[&str]) -> Dir {
    let dir = Dir::with_inputs(3);
    let path = |number| dir.path(format!("data/{number:03}.fits")).display().to_string();
    dir.write("missing", (0..3).map(path).collect::<Vec<_>>().join("\n"));
    let bad = |names: &[&str]| {
        let _ = fs::remove_dir_all(dir.path("bad"));
        names.iter().for_each(|name| _ = dir.write(format!("bad/{name}.fits"), ""));
        i32::from(!names.is_empty())
    };
    let code = bad(first);
    dir.launch().sh(NUMBER_UNLESS_BAD).run().exits(code);
    let code = bad(second);
    run_more(&dir, NUMBER_UNLESS_BAD).exits(code);
    dir
}

#[test]
fn of_one_file_in_two_directories_ok_comes_before_failed_and_then_the_later_one() {
    for (first, second, code, from) in [
        (&[][..], &[][..], 0, [Some("more"); 3]),
        (&["000"], &["001"], 0, [Some("more"), Some("out"), Some("more")]),
        (&["002"], &["002"], 1, [Some("more"), Some("more"), None]),
    ] {
        let dir = twice(first, second);
        merge_both(&dir)
            .exits(code)
            .says("3 records left out: another record of the same file is ok or newer");
        let run_of = |folder: &str| {
            records(&dir, format!("{folder}/container_1_results.json"))[0]["canfar_run"]["run"].clone()
        };
        let (out, more) = (run_of("out"), run_of("more"));
        let mut found = [None; 3];
        for record in records(&dir, "out/final_results.json") {
            let folder = if record["canfar_run"]["run"] == out { "out" } else { "more" };
            found[usize::try_from(record["n"].as_u64().unwrap()).unwrap()] = Some(folder);
        }
        assert_eq!(found, from, "{first:?} {second:?}");
        assert_eq!(counts(&dir, ["files", "repeated", "missing"]), [3, 3, 0]);
        if code == 1 {
            let failed = records(&dir, "out/final_failed.json");
            assert_eq!((failed.len(), &failed[0]["canfar_run"]["run"]), (1, &more));
            let again = ["merge", "out", "more", "--missing", "left"];
            dir.canfar_run().args(again).run().exits(1);
            assert_eq!(dir.lines("left"), [dir.path("data/002.fits").display().to_string()]);
        }
    }
}

#[test]
fn three_directories_that_overlap_have_each_file_once() {
    let dir = Dir::with_inputs(6);
    for (name, pattern) in
        [("out", "data/00[0-3].fits"), ("more", "data/00[2-5].fits"), ("last", "data/00[135].fits")]
    {
        dir.canfar_run().args(["-i", pattern, "-o", name]).sh(NUMBER).run().exits(0);
    }
    dir.canfar_run()
        .args(["merge", "out", "more", "last"])
        .run()
        .exits(0)
        .says("6 files: 6 ok, none missing");
    assert_eq!(numbers(&dir), [0, 2, 4, 1, 3, 5]);
    assert_eq!(summary(&dir)["repeated"], 5);
}

#[test]
fn what_is_missing_is_named_once_with_its_directory_where_there_are_several() {
    let dir = Dir::with_inputs(8);
    run(&dir, [1], 2);
    dir.canfar_run().args(["-i", "data/00[67].fits", "-o", "more"]).replica(2, 2).sh(NUMBER).run().exits(0);
    let place = |name: &str| dir.path(name).display().to_string();
    let [four, five, six] = [4, 5, 6].map(|number| place(&format!("data/{number:03}.fits")));
    merge_both(&dir)
        .exits(3)
        .says("8 files: 5 ok, 3 missing")
        .says(&format!("replica 2 never started: 2 files missing: {four}, {five} (in {})", place("out")))
        .says(&format!("replica 1 never started: 1 file missing: {six} (in {})", place("more")));
    assert_eq!(numbers_in(&dir, "out/final_results.partial.json"), [0, 1, 2, 3, 7]);
}

#[test]
fn a_directory_given_twice_counts_once() {
    let dir = Dir::with_inputs(3);
    run(&dir, [1], 1);
    dir.canfar_run().args(["merge", "out", "out"]).run().exits(0).says("3 files: 3 ok, none missing");
    assert_eq!(numbers(&dir), [0, 1, 2]);
    assert_eq!(json!(3), summary(&dir)["repeated"]);
    merge(&dir).exits(0).says_not("left out");
}

#[test]
fn a_file_is_one_file_whether_its_entry_is_relative_or_absolute() {
    let dir = Dir::with_inputs(4);
    let absolute = |number: usize| dir.path(format!("data/{number:03}.fits")).display().to_string();
    let lists = [
        ("relative", "data/000.fits\n./data/001.fits\ndata//002.fits\n".to_owned(), ""),
        ("absolute", format!("{}\n{}\n", absolute(1), absolute(2)), ""),
        ("upwards", "../data/002.fits\n../data/003.fits\n".to_owned(), "below"),
    ];
    for (name, list, folder) in &lists {
        let folder = dir.path(folder);
        fs::create_dir_all(&folder).unwrap();
        dir.write(name, list);
        let args = [dir.path(name), "-o".into(), dir.path(format!("of_{name}"))];
        dir.canfar_run().arg("--files-from").args(args).cwd(folder).sh(NUMBER).run().exits(0);
    }
    // Patterns are made absolute.
    dir.canfar_run()
        .args(["-i", "../data/*", "-o"])
        .arg(dir.path("of_all"))
        .cwd(dir.path("below"))
        .sh(NUMBER)
        .run()
        .exits(0);
    for (args, count, repeated) in [
        (&["of_relative", "of_absolute"][..], 3, 2),
        (&["of_absolute", "of_relative"], 3, 2),
        (&["of_relative", "of_upwards"], 4, 1),
        (&["of_upwards", "of_absolute", "of_relative"], 4, 3),
        (&["of_relative", "of_absolute", "of_upwards", "of_all"], 4, 7),
    ] {
        let said = format!("{count} files: {count} ok, none missing");
        dir.canfar_run().args(["merge", "--alone"]).args(args).run().exits(0).says(&said);
        let mut found = numbers_in(&dir, format!("{}/final_results.json", args[0]));
        found.sort_unstable();
        assert_eq!(found, (0..count).collect::<Vec<u64>>(), "{args:?}");
        assert_eq!(dir.json(format!("{}/final_summary.json", args[0]))["repeated"], repeated, "{args:?}");
    }
}

#[test]
fn names_of_targets_are_the_same_wherever_the_runs_were_begun_and_names_of_files_are_not() {
    let dir = Dir::new();
    for folder in ["a", "b"] {
        dir.write(format!("{folder}/obs.fits"), "1");
        dir.write(format!("{folder}/list"), "M31\nobs.fits\n");
        let launch = dir.canfar_run().args(["--files-from", "list", "-o", "out"]).cwd(dir.path(folder));
        launch.sh("echo 1").run().exits(0);
    }
    dir.canfar_run().args(["merge", "a/out", "b/out"]).run().exits(0).says("3 files: 3 ok, none missing");
    // As soon as it is a file in one of both, it is that file.
    dir.write("b/M31", "");
    dir.canfar_run().args(["merge", "a/out", "b/out"]).run().exits(0).says("4 files: 4 ok, none missing");
}

/// Results files alone, as somebody copies them to a laptop.
fn copy_results(dir: &Dir, from: &str, to: &str) {
    fs::create_dir_all(dir.path(to)).unwrap();
    for name in dir.names(from).into_iter().filter(|name| name.starts_with("container_")) {
        fs::copy(dir.path(from).join(&name), dir.path(to).join(&name)).unwrap();
    }
}

#[test]
fn a_copy_without_its_list_doubles_nothing() {
    let dir = Dir::with_inputs(6);
    run(&dir, [1, 2], 2);
    copy_results(&dir, "out", "copy");
    copy_results(&dir, "out", "again");
    for (args, proven) in [
        (&["out", "copy"][..], true),
        (&["copy", "out"], true),
        (&["copy", "again", "out"], true),
        (&["copy", "again"], false),
    ] {
        let said = if proven { "6 files: 6 ok, none missing" } else { "6 records merged" };
        dir.canfar_run().args(["merge", "--alone", "-o", "all.json"]).args(args).run().exits(0).says(said);
        assert_eq!(numbers_in(&dir, "all.json"), [0, 1, 2, 3, 4, 5], "{args:?}");
        let summary = dir.json(format!("{}/final_summary.json", args[0]));
        assert_eq!(summary["repeated"], 6 * (args.len() - 1), "{args:?}");
        assert_eq!(summary["foreign"], if proven { 0 } else { 6 });
    }
}

#[test]
fn a_copy_completes_the_run_that_it_is_of() {
    let dir = Dir::with_inputs(6);
    run(&dir, [1, 2], 2);
    copy_results(&dir, "out", "copy");
    fs::remove_dir_all(dir.path("out/journal")).unwrap();
    fs::remove_file(dir.path("out/container_2_results.json")).unwrap();
    merge(&dir).exits(3).says("6 files: 3 ok, 3 missing");
    for args in [["out", "copy"], ["copy", "out"]] {
        let ended =
            dir.canfar_run().args(["merge", "-o", "all.json", "--missing", "missing"]).args(args).run();
        ended.exits(0).says("6 files: 6 ok, none missing");
        let mut found = numbers_in(&dir, "all.json");
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3, 4, 5]);
        assert_eq!(dir.text("missing"), "");
    }
    // A record that is of no entry of the list is of another run, whatever it says.
    let record = dir.json("copy/container_2_results.json")[0].clone();
    let mut stray = record;
    stray["canfar_run"]["index"] = json!(6);
    dir.write("copy/container_9_results.json", json!([stray]).to_string());
    dir.canfar_run()
        .args(["merge", "-o", "all.json", "out", "copy"])
        .run()
        .exits(0)
        .says("1 record left out");
}

#[test]
fn a_file_that_another_run_has_too_is_there_once_also_with_a_copy_of_the_first() {
    let dir = Dir::with_inputs(4);
    run(&dir, [1], 1);
    copy_results(&dir, "out", "copy");
    dir.canfar_run().args(["-i", "data/00[23].fits", "-o", "more"]).sh(NUMBER).run().exits(0);
    for args in [["out", "copy", "more"], ["copy", "more", "out"], ["more", "out", "copy"]] {
        dir.canfar_run()
            .args(["merge", "-o", "all.json"])
            .args(args)
            .run()
            .exits(0)
            .says("4 files: 4 ok, none missing");
        let mut found = numbers_in(&dir, "all.json");
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2, 3], "{args:?}");
    }
}

#[test]
fn a_failure_that_only_a_copy_has_is_still_to_be_run() {
    let dir = Dir::with_inputs(2);
    let failed = |index: u64| json!({"file": "x", "canfar_run": {"run": "r", "index": index, "path": "x", "status": "failed", "cause": "exit", "launch": 1}});
    dir.launch().replica(2, 2).sh(NUMBER).run().exits(0);
    let run = dir.json("out/container_2_results.json")[0]["canfar_run"]["run"].clone();
    let mut record = failed(0);
    record["canfar_run"]["run"] = run;
    dir.write("copy/container_1_results.json", json!([record]).to_string());
    let ended = dir.canfar_run().args(["merge", "out", "copy", "--missing", "missing"]).run();
    ended.exits(1).says("2 files: 1 ok, 1 failed, none missing");
    assert_eq!(dir.lines("missing"), [dir.path("data/000.fits").display().to_string()]);
}

/// Two files in `out`, two others in `more`.
fn two_runs() -> Dir {
    let dir = Dir::with_inputs(4);
    for (name, pattern) in [("out", "data/00[01].fits"), ("more", "data/00[23].fits")] {
        dir.canfar_run().args(["-i", pattern, "-o", name]).sh(NUMBER).run().exits(0);
    }
    dir
}

#[test]
fn what_was_joined_is_not_taken_out_again_without_a_word() {
    let dir = two_runs();
    merge_both(&dir).exits(0);
    assert_eq!(summary(&dir)["directories"].as_array().unwrap().len(), 2);
    let before = dir.tree();
    let place = |name: &str| dir.path(name).display().to_string();
    let line = format!("canfar-run merge {} {}", place("out"), place("more"));
    merge(&dir)
        .exits(2)
        .says(&format!("final_results.json also has the records of {}, ", place("more")))
        .says(&line)
        .says("--alone");
    dir.canfar_run().args(["merge", "more", "-o", "out/final_results.json"]).run();
    assert_eq!(numbers(&dir).len(), 2, "that one has no summary that tells");
    merge_both(&dir).exits(0);
    // Elsewhere nothing is taken out, and the summary does not forget.
    dir.canfar_run().args(["merge", "out", "--output", "alone.csv"]).run().exits(0);
    dir.canfar_run().args(["merge", "out", "--output", "-"]).run().exits(0);
    merge(&dir).exits(2).says(&line);
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
    // Whoever moved a directory gives its new place, and more may come.
    fs::rename(dir.path("more"), dir.path("moved")).unwrap();
    dir.canfar_run().args(["merge", "out", "moved"]).run().exits(0);
    dir.canfar_run().args(["-i", "data/000.fits", "-o", "last"]).sh(NUMBER).run().exits(0);
    let line = format!("canfar-run merge {} {} {}", place("out"), place("moved"), place("last"));
    dir.canfar_run().args(["merge", "out", "last"]).run().exits(2).says(&line);
    dir.canfar_run().args(["merge", "out", "--alone"]).run().exits(0);
    assert_eq!(numbers(&dir), [0, 1]);
    // Then that is what is there.
    merge(&dir).exits(0);
    assert!(before.difference(&dir.tree()).is_some());
}

#[test]
fn incomplete_results_that_were_joined_are_not_replaced_by_fewer_either() {
    let dir = two_runs();
    dir.canfar_run().args(["-i", "data/*", "-o", "third"]).replica(1, 2).sh(NUMBER).run().exits(0);
    dir.canfar_run().args(["merge", "third", "out"]).run().exits(3);
    dir.canfar_run().args(["merge", "third"]).run().exits(2).says("also has the records of");
    dir.canfar_run().args(["merge", "third", "out", "more"]).run().exits(0);
}

#[test]
fn who_merges_at_the_end_of_a_run_joins_again_what_was_joined_before() {
    let dir = two_runs();
    merge_both(&dir).exits(0);
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    let again = ["resume", "out", "--merge"];
    dir.canfar_run()
        .args(again)
        .run()
        .exits(0)
        .says(&format!("merged again with {}", dir.path("more").display()));
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
    assert_eq!(summary(&dir)["directories"].as_array().unwrap().len(), 2);
    // One that is gone is no reason to take its records out.
    fs::rename(dir.path("more"), dir.path("moved")).unwrap();
    fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    dir.canfar_run().args(again).run().exits(3).says("the results were not merged");
    assert_eq!(numbers(&dir), [0, 1, 2, 3]);
}
