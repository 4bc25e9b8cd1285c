//! Records made by different contents of a file that the command names: every command tells, with counts.

use serde_json::json;

use crate::support::Dir;

/// A script that fails for each file of which there is one below `bad` by the same name.
fn script(version: u32) -> String {
    format!("#!/bin/sh\n[ -e bad/\"${{1##*/}}\" ] && exit 1\necho '{{\"version\": {version}}}'\n")
}

fn launch(dir: &Dir, id: usize, code: i32) -> String {
    let run = dir.canfar_run().args(["-i", "data/*", "-o", "out"]).replica(id, 2);
    run.args(["--", "sh", "analyze.sh", "{}"]).run().exits(code).stderr
}

/// Of six files two have records by the first version of a script, four by the second, which replica 1 took up later.
fn changed_in_between() -> Dir {
    let dir = Dir::with_inputs(6);
    dir.write("analyze.sh", script(1));
    dir.write("bad/001.fits", "");
    launch(&dir, 1, 1);
    std::fs::remove_dir_all(dir.path("bad")).unwrap();
    dir.write("analyze.sh", script(2));
    dir
}

#[test]
fn run_and_resume_say_how_many_results_the_former_content_made() {
    let dir = changed_in_between();
    let said = launch(&dir, 1, 0);
    assert!(said.contains("analyze.sh has changed since this replica produced 2 results"), "{said}");
    let said = launch(&dir, 2, 0);
    assert!(said.contains("analyze.sh has changed since the run was begun"), "{said}");

    let dir = changed_in_between();
    let resumed = dir.canfar_run().args(["resume", "out"]).run().exits(0);
    resumed.says("analyze.sh has changed since this replica produced 2 results");
}

#[test]
fn merge_status_and_report_count_the_records_by_each_content_alike() {
    let dir = changed_in_between();
    launch(&dir, 1, 0);
    launch(&dir, 2, 0);
    let digest = |version| blake3::hash(script(version).as_bytes()).to_hex().to_string();
    let [first, second] = [1, 2].map(digest);
    let counts = format!("4 records from one version ({}), 2 from another ({})", &second[..8], &first[..8]);
    let said = format!("analyze.sh changed during the run: {counts}");
    let told = json!([{
        "name": "analyze.sh",
        "versions": [{"blake3": second, "records": 4}, {"blake3": first, "records": 2}],
    }]);
    let check = || {
        dir.canfar_run().args(["merge", "out"]).run().exits(0).says(&said);
        assert_eq!(dir.json("out/final_summary.json")["command_files"], told);
    };
    check();
    // The same from the journals alone.
    std::fs::remove_file(dir.path("out/container_1_results.json")).unwrap();
    check();
    let records = dir.json("out/final_results.json");
    let by_first = records.as_array().unwrap().iter().filter(|record| record["version"] == 1).count();
    assert_eq!(by_first, 2);

    let status = dir.canfar_run().args(["status", "out"]).run().exits(0).printed();
    assert!(status.contains(&said), "{status}");
    assert_eq!(
        dir.canfar_run().args(["status", "out", "--json"]).run().exits(0).json()["command_files"],
        told
    );
    let page = dir.canfar_run().args(["report", "out", "-o", "-"]).run().exits(0).printed();
    for (digest, records) in [(&first, "2 records"), (&second, "4 records")] {
        let (_, rest) = page.split_once(&**digest).unwrap_or_else(|| panic!("{digest}"));
        assert!(rest[..80].contains(records), "{}", &rest[..80]);
    }
}

#[test]
fn a_file_that_stays_as_it_is_is_no_news() {
    let dir = Dir::with_inputs(2);
    dir.write("analyze.sh", script(1));
    for id in [1, 2] {
        let said = launch(&dir, id, 0);
        assert!(!said.contains("changed"), "{said}");
    }
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says_not("changed");
    assert_eq!(dir.json("out/final_summary.json")["command_files"][0]["versions"][0]["records"], 2);
    let status = dir.canfar_run().args(["status", "out"]).run().exits(0).printed();
    assert!(!status.contains("changed"), "{status}");
}

#[test]
fn a_launch_that_was_killed_has_the_records_that_it_made() {
    let dir = Dir::with_inputs(4);
    dir.write("analyze.sh", "echo 1; case \"$1\" in *002*) kill -9 $PPID;; esac\n");
    let one_by_one = || {
        let run = dir.canfar_run().args(["-i", "data/*", "-o", "out", "-j", "1"]);
        run.args(["--", "sh", "analyze.sh", "{}"]).run()
    };
    assert_eq!(one_by_one().signal, Some(9));
    dir.write("analyze.sh", "echo 1; echo again >&2\n");
    one_by_one().exits(0).says("analyze.sh has changed since this replica produced 2 results");
    dir.canfar_run()
        .args(["merge", "out"])
        .run()
        .exits(0)
        .says("2 records from one version (")
        .says("), 2 from another (");
}
