//! The observations script, unchanged, and canfar-run with its function leave the same records, and each combines those of
//! the other.

use serde_json::Value;

use super::can_run;
use super::page::{command, commands, indented, original, section};
use super::place::Place;
use crate::pages::Block;

const OBSERVATIONS: &str = "The observations script, unchanged";
const CALLED: &str = "The observations script with --call";
const SCRIPT: &str = "/arc/home/user/observations.py";

/// As the page says that the script has to end.
const MAIN: &str = "\nif __name__ == \"__main__\":\n    process_observations()\n";

/// An analysis in place of the placeholder.
const STARS: &str = "int(open(fits_path).read()) * 2 + 1";

/// Runs the script for each replica of so many, as its containers would.
const EACH: &str = r#"
import os, runpy, sys
os.environ["REPLICA_COUNT"] = sys.argv[1]
for replica in range(1, int(sys.argv[1]) + 1):
    os.environ["REPLICA_ID"] = str(replica)
    runpy.run_path("observations.py", run_name="__main__")
"#;

fn script() -> String {
    let script = original(OBSERVATIONS).replace("return 42 ", &format!("return {STARS} "));
    assert!(script.contains(STARS));
    script + MAIN
}

/// What the page makes of it for `--call`.
fn function() -> String {
    let Block { language, content: text, .. } = section(CALLED).ours.remove(0);
    assert_eq!(language, "python");
    let function = text.replace("42", STARS);
    assert!(function.contains(STARS));
    function
}

/// The original's `combine_results`, and our merge, in the results of whoever wrote them.
fn combined(place: &Place) -> [Vec<Value>; 2] {
    place.write("/arc/home/user/combine.py", original("Combine the results") + "\ncombine_results()\n");
    place.sh("python combine.py").exits(0);
    let theirs = place.records("/results/final_results.json");
    place.sh(&command("Combine the results")).exits(0);
    [theirs, place.records("/results/final_results.json")]
}

/// `file` and `stars_detected` of each record.
fn pairs(records: &[Value]) -> Vec<(String, i64)> {
    let pair = |record: &Value| {
        (record["file"].as_str().unwrap().to_owned(), record["stars_detected"].as_i64().unwrap())
    };
    records.iter().map(pair).collect()
}

fn sorted(mut pairs: Vec<(String, i64)>) -> Vec<(String, i64)> {
    pairs.sort();
    pairs
}

fn of_replica(place: &Place, id: usize) -> Vec<(String, i64)> {
    pairs(&place.records(&format!("/results/container_{id}_results.json")))
}

/// A place with so many observations.
fn observed(files: usize) -> Place {
    let place = Place::new();
    place.add_files("/data/observations", files);
    place
}

#[test]
fn the_script_and_call_leave_the_same_records_and_combine_each_other_s() {
    if !can_run() {
        return;
    }
    for (files, replicas) in [(7_usize, 3_usize), (3, 10)] {
        let place = observed(files);
        let all: Vec<(String, i64)> = (0..files)
            .map(|number| (format!("obs_{number:04}.fits"), 2 * i64::try_from(number).unwrap() + 1))
            .collect();
        place.write("/arc/home/user/each.py", EACH);
        let each = format!("python each.py {replicas}");
        let nothing_to_do = replicas.saturating_sub(files);
        place.write(SCRIPT, script());
        let said = place.sh(&each).exits(0).printed();
        assert_eq!(said.matches("No files assigned to this container").count(), nothing_to_do);
        for records in combined(&place) {
            assert_eq!(sorted(pairs(&records)), all, "of the script");
        }
        place.sh("canfar-run merge /results").exits(0).says("it is unknown whether that is all");

        // Listed in order, the shares are the same, file for file.
        place.clear_results();
        place.write(SCRIPT, script().replace(" = list(Path(", " = sorted(Path("));
        place.sh(&each).exits(0);
        let theirs: Vec<_> = (1..=replicas.min(files)).map(|id| of_replica(&place, id)).collect();

        place.clear_results();
        place.write(SCRIPT, function());
        let ended = place.sh_as(1..=replicas, replicas, &command(CALLED)).exits(0);
        assert_eq!(ended.stderr.matches("none is for this one").count(), nothing_to_do);
        let ours: Vec<_> = (1..=replicas.min(files)).map(|id| of_replica(&place, id)).collect();
        assert_eq!(ours, theirs);
        assert!((files + 1..=replicas).all(|id| of_replica(&place, id).is_empty()));
        let [combined, merged] = combined(&place);
        assert_eq!(sorted(pairs(&combined)), all, "of canfar-run");
        assert_eq!(pairs(&merged), all, "in the order of the list");
        for record in merged {
            let keys: Vec<&String> = record.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["canfar_run", "file", "stars_detected"]);
        }
    }
}

#[test]
fn the_unchanged_function_s_number_is_called_result() {
    if !can_run() {
        return;
    }
    let place = observed(1);
    place.write(SCRIPT, script());
    place.sh(&command(CALLED)).exits(0);
    let records = place.records("/results/container_1_results.json");
    assert_eq!((&records[0]["file"], &records[0]["result"]), (&"obs_0000.fits".into(), &1.into()));
}

#[test]
fn a_path_is_given_where_the_function_asks_for_one() {
    if !can_run() {
        return;
    }
    let place = observed(1);
    let asked =
        function().replace("open(fits_path)", "fits_path.open()").replace("(fits_path)", "(fits_path: Path)");
    place.write(SCRIPT, "from pathlib import Path\n".to_owned() + &asked);
    place.sh(&command(CALLED)).exits(0);
    assert_eq!(of_replica(&place, 1), [("obs_0000.fits".to_owned(), 1)]);
}

#[test]
fn the_unchanged_script_needs_the_call_that_the_page_names() {
    if !can_run() {
        return;
    }
    let place = observed(1);
    place.write(SCRIPT, original(OBSERVATIONS));
    place.sh_as([1], 1, "python observations.py").exits(0).prints("");
    assert!(!place.exists("/results/container_1_results.json"));
}

#[test]
fn without_an_id_the_original_writes_none_and_ours_is_the_first_of_one() {
    if !can_run() {
        return;
    }
    let place = observed(1);
    place.write("/arc/home/user/id.py", original("Results with the container's id") + "print(output_file)\n");
    place.sh("python id.py").exits(0).prints("/results/container_None_results.json\n");
    place.sh_as([7], 9, "python id.py").exits(0).prints("/results/container_7_results.json\n");
    place.write(SCRIPT, function());
    place.sh(&command("Results with the container's id")).exits(0);
    assert!(place.exists("/results/container_1_results.json"));
    place.clear_results();
    place.sh_as([7], 9, &command("Results with the container's id")).exits(0);
    assert!(place.exists("/results/container_7_results.json"));
}

#[test]
fn a_missing_container_is_named_by_merge_and_not_by_the_original() {
    if !can_run() {
        return;
    }
    let place = observed(3);
    place.write(SCRIPT, function());
    place.sh_as([1, 3], 3, &command(CALLED)).exits(0);
    place.write("/arc/home/user/combine.py", original("Combine the results") + "\ncombine_results()\n");
    place.sh("python combine.py").exits(0);
    assert_eq!(place.records("/results/final_results.json").len(), 2);
    place.sh(&command("Combine the results")).exits(3).says("1 missing").says("replica 2 never started");
}

#[test]
fn a_container_without_data_ends_in_order_in_both_ways() {
    if !can_run() {
        return;
    }
    let place = observed(3);
    place.write(SCRIPT, function());
    for (title, said) in [
        ("Empty containers", "No data for this container\n"),
        ("Some containers get no data", "No data assigned to this container\n"),
    ] {
        let inside = indented(&original(title));
        let program = format!(
            "from canfar.helpers.distributed import chunk\ndef main(data):\n{inside}    print(my_data)\nmain([1, 2, 3])\n"
        );
        place.write("/arc/home/user/empty.py", program);
        place.sh_as([3, 4], 10, "python empty.py").exits(0).prints(&format!("[3]\n{said}"));
    }
    place.sh_as([4], 10, &command("Empty containers")).exits(0).says("none is for this one");
    place
        .sh(&command("Some containers get no data"))
        .exits(0)
        .printed()
        .find("97 replicas have nothing to do")
        .unwrap();
    let nothing =
        command("Empty containers").replace("/*.fits", "/*.fit").replace("/results", "/results/none");
    place.sh_as([4], 10, &nothing).exits(2).says("matched nothing");
}

#[test]
fn a_distribution_is_shown_without_a_container_and_from_the_run() {
    if !can_run() {
        return;
    }
    let place = observed(300);
    place.write(SCRIPT, function());
    let debug = original("Debug the distribution");
    let program =
        format!("from canfar.helpers.distributed import chunk\nmy_data = list(chunk(range(300)))\n{debug}");
    place.write("/arc/home/user/debug.py", program);
    place.sh_as([3], 100, "python debug.py").exits(0).prints("Container 3 of 100 processing 3 items\n");
    let lines = commands("Debug the distribution");
    let [plan, dry, status] = lines.as_slice() else { panic!("{lines:?}") };
    place.sh(plan).exits(0).printed().find("      3          3").unwrap();
    let calls = place.sh(dry).exits(0).printed();
    let files: Vec<&str> = calls.lines().collect();
    assert!(files.len() == 3 && files[0].contains("/data/observations/obs_0006.fits"), "{calls}");
    assert!(!place.exists("/results/inputs.jsonl"), "nothing is written");
    place.sh_as([3], 100, &command(CALLED)).exits(0).says("replica 3 of 100").says("3 of 300 files");
    place.sh(status).exits(0).printed().find("1 done").unwrap();
}
