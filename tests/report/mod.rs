//! `report`: the page about a run, read by a real browser, and what is said where there is none to make.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::merge::shared;
use crate::support::{Component, DEADLINE, Dir, InTime, python, require, wait_until};

mod large;

/// What a reader sees of a page.
#[track_caller]
pub(crate) fn seen(report: &Path, search: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/browser.py");
    let output = Command::new(python()).arg(script).arg(report).arg(search).output_in_time().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Whatever page it is: no script complains, and it asks for nothing but itself.
    let own = format!("file://{}", report.display());
    assert_eq!(seen["said"], Value::Array(Vec::new()));
    let requests = seen["requests"].as_array().unwrap();
    assert!(requests.iter().all(|url| *url == own) && !requests.is_empty(), "{requests:?}");
    assert!(seen["overflow"].as_i64() <= Some(0), "it is wider than a narrow screen: {}", seen["overflow"]);
    assert!(
        seen["contrast"].as_array().unwrap().iter().all(|ratio| ratio.as_f64() >= Some(4.5)),
        "{}",
        seen["contrast"]
    );
    assert_ne!(seen["grounds"][0], seen["grounds"][1]);
    let texts = seen["texts"].as_array().unwrap();
    assert!(texts.iter().all(|text| text[0].as_f64() >= Some(12.0)), "{texts:?}");
    // Two names and at least three marks on each axis.
    assert!(texts.iter().all(|text| text[1].as_u64() >= Some(8)), "{texts:?}");
    seen
}

/// What a merge counts, by the names of the page.
#[track_caller]
fn merged(dir: &Dir) -> [u64; 4] {
    dir.canfar_run().args(["merge", "-q", "out"]).run();
    let summary = dir.json("out/final_summary.json");
    let records = dir.json("out/final_results.json").as_array().map_or(0, Vec::len);
    let counts = ["files", "ok", "failed", "missing"].map(|name| summary[name].as_u64().unwrap());
    assert_eq!(records as u64, counts[1]);
    counts
}

fn counts(seen: &Value) -> [u64; 4] {
    ["files", "ok", "failed", "missing"].map(|name| seen["counts"][name].as_u64().unwrap())
}

#[track_caller]
fn report(dir: &Dir) -> String {
    dir.canfar_run().args(["report", "out"]).run().exits(0).says("report: ");
    dir.text("out/report.html")
}

/// Of 200 files 3 fail, one of them by its time, and one succeeds at its second attempt.
const TASK: &str = r#"echo "reading $1"
case "$1" in
*/007.fits) sleep 60;;
*/005.fits|*/105.fits) echo "KeyError: 'CRVAL1'" >&2; exit 1;;
*/060.fits) test "$CANFAR_TASK_ATTEMPT" = 2 || exit 3;;
esac
echo '{"n": 1}'"#;

#[test]
fn the_page_counts_as_merge_does_and_its_table_can_be_searched_sorted_and_used_by_keyboard() {
    if !require(Component::Browser) {
        return;
    }
    let dir = Dir::with_inputs(200);
    for id in 1..=4 {
        let launch = dir.launch().replica(id, 4).args([
            "-j2",
            "--retries",
            "1",
            "--retry-delay",
            "0",
            "--timeout",
            "2s",
        ]);
        launch.sh(TASK).run();
    }
    report(&dir);
    let seen = seen(&dir.path("out/report.html"), "005");
    assert_eq!(counts(&seen), merged(&dir));
    assert_eq!(counts(&seen), [200, 197, 3, 0]);
    assert_eq!(seen["standing"], "complete, 3 failed");
    assert_eq!(seen["status"], "200 tasks");
    assert_eq!((&seen["searched"], &seen["cleared"]), (&"1 of 200 tasks".into(), &"200 tasks".into()));
    assert_eq!((&seen["failed"], &seen["kind"]), (&"3 of 200 tasks".into(), &"2 of 200 tasks".into()));
    let [up, down] = [0, 1].map(|time| &seen["duration"][time]);
    assert_eq!(
        (&up["sorts"]["duration"], &down["sorts"]["duration"]),
        (&"ascending".into(), &"descending".into())
    );
    assert_eq!(up["sorts"]["index"], "none");
    // The one that ran into its limit took longest.
    assert_eq!((&down["rows"][0][0], &down["rows"][0][2]), (&"7".into(), &"failed".into()));
    assert!(down["rows"][0][3].as_str().unwrap().starts_with("timeout: "), "{}", down["rows"][0]);
    assert_eq!(
        seen["keyboard"],
        serde_json::json!({"first": "skip", "sorts": ["descending", "ascending"], "last": "199"})
    );
    assert!(seen["colors"].as_u64() > Some(3), "{}", seen["colors"]);
    let unpainted = &seen["unpainted"];
    assert!(unpainted["colors"].as_u64() > Some(3) && unpainted["rows"].as_u64() > Some(5), "{unpainted}");
    assert!(seen["pointed"].as_str().unwrap().starts_with("Replica 1, slot 1"), "{}", seen["pointed"]);
    assert_eq!((&seen["printed"]["rows"], &seen["printed"]["note"]), (&200.into(), &"".into()));
}

#[test]
fn median_and_percentiles_are_the_same_numbers_wherever_they_are_told() {
    let dir = Dir::with_inputs(9);
    let told = dir.launch().arg("--json").sh("sleep 0.$((5 * $(cat \"$1\")))").run().exits(0).json();
    let page = report(&dir);
    merged(&dir);
    let [of_launch, of_merge] =
        [told, dir.json("out/final_summary.json")].map(|json| json["figures"]["duration_s"].clone());
    assert_eq!(of_launch, of_merge);
    let milliseconds = ["median", "p95", "max"].map(|name| of_merge[name].as_f64().unwrap() * 1000.0);
    let words = page.split("9 files: median ").nth(1).unwrap().split(['<', '"']).next().unwrap();
    let (median, rest) = words.split_once(", 95 % up to ").unwrap();
    let (p95, max) = rest.split_once(", at most ").unwrap();
    for (text, exact) in [median, p95, max].into_iter().zip(milliseconds) {
        let shown: f64 = text.trim_end_matches(" ms").trim_end_matches('s').parse().unwrap();
        let shown = if text.ends_with(" ms") { shown } else { shown * 1000.0 };
        assert!((shown - exact).abs() <= 5.0, "{text} is not {exact} ms");
    }
}

#[test]
fn a_run_of_512_replicas_and_100_000_tasks_is_shown_at_once() {
    if !require(Component::Browser) {
        return;
    }
    let dir = Dir::new();
    large::write(&dir.path("out"));
    report(&dir);
    let seen = seen(&dir.path("out/report.html"), "night_013");
    let failed = large::TASKS / 40;
    assert_eq!(counts(&seen), [large::TASKS, large::TASKS - failed, failed, 0]);
    assert_eq!(counts(&seen), merged(&dir));
    assert_eq!(seen["searched"], "500 of 100,000 tasks");
    assert_eq!(seen["failed"], "2,500 of 100,000 tasks");
    assert!(seen["rows"].as_array().unwrap().len() < 100, "only rows in sight are made");
    assert_eq!(seen["keyboard"]["last"], "99999");
    assert_eq!(seen["printed"]["rows"], 300);
    assert!(
        seen["printed"]["note"].as_str().unwrap().contains("first 300 of 100,000"),
        "{}",
        seen["printed"]
    );
    let bytes = dir.bytes("out/report.html").len();
    assert!(bytes < 12_000_000, "{bytes}");
    eprintln!("{bytes} bytes; first paint after {} ms; milliseconds: {}", seen["paint"], seen["times"]);
}

#[test]
fn names_of_any_kind_stay_text() {
    if !require(Component::Browser) {
        return;
    }
    let names: [(&[u8], &str); 7] = [
        (b"</script><script>alert(1)</script>", "</script><script>alert(1)</script>"),
        (b"<img src=x onerror=alert(1)>.fits", "<img src=x onerror=alert(1)>.fits"),
        (b"<!--\"'&lt;", "<!--\"'&lt;"),
        (b"two\nlines\x1b[31m", "two\\nlines\\u{1b}[31m"),
        (b"not \xff UTF-8", "not \u{fffd} UTF-8"),
        ("\u{202e}turned \u{1f52d}".as_bytes(), "\u{202e}turned \u{1f52d}"),
        (b"${1} {{x}} \\", "${1} {{x}} \\"),
    ];
    let dir = Dir::new();
    dir.write("list", names.map(|(name, _)| name).join(&0));
    let run =
        dir.canfar_run().args(["--files-from", "list", "--null", "-o", "out", "--max-failures", "none"]);
    run.sh("echo \"can't read $1 <b>\" >&2; case \"$1\" in *UTF-8) ;; *) exit 1;; esac").run().exits(1);
    report(&dir);
    let seen = seen(&dir.path("out/report.html"), "turned");
    let rows = seen["rows"].as_array().unwrap();
    assert_eq!(rows.len(), names.len());
    for (row, (_, shown)) in rows.iter().zip(names) {
        // A name is what comes after the last slash.
        assert_eq!(row[1], shown.rsplit_once('/').map_or(shown, |(_, base)| base), "{row}");
    }
    assert_eq!([&seen["searched"], &seen["failed"]], ["1 of 7 tasks", "6 of 7 tasks"]);
}

#[test]
fn a_run_in_progress_an_unfinished_one_and_one_of_several_launches_say_what_they_are() {
    let dir = Dir::with_inputs(4);
    let task =
        "case \"$1\" in */003.fits) until [ -e go ]; do sleep 0.01; done;; */000.fits) [ -e go ];; esac";
    let running = dir.launch().replica(1, 1).args(["-j1", "--result", "none"]).sh(task).start();
    wait_until(DEADLINE, "the last task", || dir.events_of(1, 1, "start").len() == 4);
    let page = report(&dir);
    assert!(
        page.contains("in progress, 3 of 4 done") && page.contains("data-count=\"running\" data-value=\"1\"")
    );
    running.kill();
    let page = report(&dir);
    assert!(page.contains("incomplete, 1 missing, 1 failed") && page.contains("died (no stop record)"));
    dir.write("go", "");
    dir.launch().replica(1, 1).args(["-j1", "--result", "none"]).sh(task).run().exits(0);
    let page = report(&dir);
    assert!(page.contains(": complete</title>") && page.contains("All launches: 2"));
}

#[test]
fn what_failed_is_told_with_the_end_of_its_output() {
    let dir = Dir::with_inputs(1);
    let task = "seq 1000; echo 'last words' >&2; exit 5";
    dir.launch().sh(task).run().exits(1);
    let page = report(&dir);
    for text in ["last words", "exit code 5", "\n1000</bdi>"] {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("\n500\n"), "only the last KiB of the output");
    // Where the log was removed, the record has to do.
    std::fs::remove_file(dir.path("out/logs/1.1.log")).unwrap();
    let page = report(&dir);
    assert!(page.contains("last words") && !page.contains("\n1000</bdi>"));
}

#[test]
fn the_page_goes_where_it_is_asked_to_whole_or_not_at_all() {
    let dir = Dir::with_inputs(1);
    dir.launch().args(["--result", "none"]).sh("true").run().exits(0);
    let printed =
        dir.canfar_run().args(["report", "out", "-o", "-"]).run().exits(0).says_not("report:").printed();
    assert!(printed.starts_with("<!DOCTYPE html>") && printed.ends_with("</html>\n"));
    assert!(!dir.exists("out/report.html"));
    dir.canfar_run().args(["report", "out", "-o", "page.html"]).run().exits(0);
    assert!(dir.text("page.html").ends_with("</html>\n"));
    dir.canfar_run()
        .args(["report", "out", "-o", "nowhere/page.html"])
        .run()
        .exits(4)
        .says("can't write the report");
    dir.canfar_run()
        .args(["report", "out", "-o", "out/inputs.jsonl"])
        .run()
        .exits(2)
        .says("give another name");
    report(&dir);
    dir.canfar_run().args(["reset", "out"]).run().exits(0);
    assert!(!dir.exists("out/report.html"), "it was about the run that is moved away");
}

#[test]
fn without_a_run_there_is_no_page_and_the_error_says_what_is_needed() {
    let dir = Dir::new();
    dir.write("out/container_1_results.json", "[{\"file\": \"a\"}]");
    dir.canfar_run()
        .args(["report", "out"])
        .run()
        .exits(2)
        .says("holds no run (inputs.jsonl)")
        .says("--results-dir");
    dir.canfar_run().args(["report", "nowhere"]).run().exits(2).says("is no directory");
    assert!(!dir.exists("out/report.html"));
}

#[test]
fn who_ran_what_of_whose_share_and_who_took_over_is_told_where_replicas_share_their_work() {
    let dir = shared::taken_over();
    let page = report(&dir);
    assert!(page.contains(": complete</title>"), "{page}");
    assert!(page.contains("7 files were run by a replica other than the one that had them in its share."));
    assert!(page.contains("taken over and run: by replica 1 from replica 2 ("));
    assert!(page.contains("<th scope=\"col\">Taken over</th>"));
    let (_, data) = page.split_once("id=\"data\">").unwrap();
    let data: Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    let sources: Vec<i64> =
        data["spans"]["source"].as_array().unwrap().iter().filter_map(Value::as_i64).collect();
    let ran = |source: i64| sources.iter().filter(|other| **other == source).count();
    // Replica 1 its own share, and replica 2 two of its own, of which it died with one.
    assert_eq!((ran(0), ran(-2) + ran(2)), (10, 7), "{sources:?}");
    assert!(ran(-2) > 0, "{sources:?}");
    if require(Component::Browser) {
        let seen = seen(&dir.path("out/report.html"), "012");
        assert_eq!((counts(&seen), &seen["searched"]), ([16, 16, 0, 0], &"1 of 16 tasks".into()));
    }
}

#[test]
fn what_is_left_of_a_share_is_told_with_who_has_it() {
    let dir = shared::begun();
    let page = report(&dir);
    assert!(page.contains("incomplete, 15 missing"), "{page}");
    assert!(page.contains("1 replica never started; others ran 0 of the 8 files in their shares."));
}
