//! The documented recipe in Python and ours take each other's place.

use super::{merge, reference, summary};
use crate::support::{Component, Dir, require};

/// Prints results that are hard to carry over.
const ODD: &str = r#"case $1 in
*000*) printf '%s\n' '{"big": 12345678901234567890123, "tenth": 0.10000000000000001, "e": 1e400}';;
*001*) printf '%s\n' '{"n": NaN, "list": [Infinity, -Infinity], "text": "NaN"}';;
*002*) printf '%s\n' '{"text": "\ud800 \u0000", "n": 1, "n": 2, "file": "another name"}';;
*003*) printf '%s\n' '[1, {"a": 2}]';;
*004*) printf '{"a":\n\n 1.50 }\n';;
*005*) : nothing;;
*) printf '%s\n' '{"é": "☆"}';;
esac"#;

#[test]
fn the_documented_loop_over_our_files_gives_the_records_that_merge_gives() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::with_inputs(12);
    for id in 1..=11 {
        dir.launch().replica(id, 11).sh(ODD).run().exits(0);
    }
    merge(&dir).exits(0).says("12 files: 12 ok, none missing");
    reference("combine", dir.path("out"));
    reference("same", dir.path("out"));
    // From the journals they are the same.
    (1..=11)
        .for_each(|id| std::fs::remove_file(dir.path(format!("out/container_{id}_results.json"))).unwrap());
    let before = dir.bytes("out/final_results.json");
    merge(&dir).exits(0);
    assert_eq!(
        dir.bytes("out/final_results.json").escape_ascii().to_string(),
        before.escape_ascii().to_string()
    );
}

#[test]
fn files_of_the_documented_script_are_merged_digit_by_digit_in_the_order_of_their_numbers() {
    if !require(Component::Python("json")) {
        return;
    }
    let dir = Dir::new();
    std::fs::create_dir(dir.path("out")).unwrap();
    reference("write", dir.path("out"));
    merge(&dir)
        .exits(0)
        .says("without a list of inputs (inputs.jsonl) it is unknown whether that is all")
        .says("no results file of replica 3, 4, 5, 6, 7, 8")
        .says("(NaN or Infinity) became null");
    reference("compare", dir.path("out"));
    assert_eq!(summary(&dir)["complete"], false, "nothing proves it");
    assert_eq!(summary(&dir)["proven"], false);
}
