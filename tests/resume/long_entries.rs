//! Entries of a list that are far longer than any path of a file.

use crate::support::Dir;

#[test]
fn a_share_of_entries_of_thirty_kilobytes_is_done_when_it_is_done() {
    let dir = Dir::new();
    let entries: Vec<String> = (0..6).map(|number| format!("{number}{}", "é".repeat(15_000))).collect();
    dir.write("list", entries.join("\n"));
    let launch = || dir.canfar_run().args(["--files-from", "list", "-o", "out", "--logs", "all"]);
    let task = "echo \"$CANFAR_TASK_INDEX\" >> ran; echo '{\"n\": 1}'";
    launch().sh(task).run().exits(0);
    for _ in 0..2 {
        launch().sh(task).run().exits(0).says("nothing to do");
    }
    assert_eq!(dir.sorted_lines("ran"), ["0", "1", "2", "3", "4", "5"]);
    assert_eq!(dir.names("out/journal"), ["1.1.jsonl"]);
    let status = dir.canfar_run().args(["status", "out", "--json"]).run().exits(0).json();
    assert_eq!((&status["replicas"][0]["state"], &status["totals"]["ok"]), (&"done".into(), &6.into()));
    dir.canfar_run().args(["merge", "out"]).run().exits(0).says("6 files: 6 ok");
    assert_eq!(dir.json("out/final_results.json")[5]["canfar_run"]["path"], *entries[5]);
    dir.canfar_run().args(["report", "out"]).run().exits(0);
    dir.canfar_run().args(["resume", "out"]).run().exits(0);
    assert_eq!(dir.lines("ran").len(), 6);
}
