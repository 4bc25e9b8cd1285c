//! Results that are huge, deep, or no files.

use super::{how, ok};
use crate::support::Dir;

const MIB: usize = 1 << 20;

#[test]
fn a_result_of_64_mib_is_refused_unless_so_much_is_allowed_and_then_is_whole() {
    let dir = Dir::with_inputs(2);
    // 64 MiB with its ends.
    let mut huge = vec![b'x'; 64 * MIB];
    huge[..6].copy_from_slice(b"{\"s\":\"");
    let end = huge.len() - 2;
    huge[end..].copy_from_slice(b"\"}");
    dir.write("huge", &huge);
    let line = |max: &str| {
        let run = dir.launch().args(["-j", "1", "--max-result", max]);
        run.sh("if [ $CANFAR_TASK_INDEX = 0 ]; then cat huge; else cp huge \"$CANFAR_TASK_RESULT\"; fi").run()
    };
    line("16M").exits(1).says("2 failed").says("--max-result");
    assert!(dir.failures(1, 1).iter().all(|failure| failure["canfar_run"]["cause"] == "result"));
    line("64M").exits(0);
    let bytes = dir.bytes("out/container_1_results.json");
    let text = memchr::memmem::find_iter(&bytes, &huge[1..end]).count();
    assert_eq!(text, 2, "byte for byte");
    dir.canfar_run().args(["merge", "out"]).run().exits(0);
    assert!(dir.bytes("out/final_results.json").len() > 2 * end);
}

#[test]
fn json_of_ten_thousand_levels_fails_its_task_or_is_no_result_and_nothing_overflows() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let dir = Dir::with_inputs(3);
        dir.write("deep", format!("{}1{}", open.repeat(10_000), close.repeat(10_000)));
        dir.write("torn", open.repeat(1_000_000));
        let script = "case $CANFAR_TASK_INDEX in
0) cat deep;;
1) cat deep > \"$CANFAR_TASK_RESULT\";;
2) cat torn > \"$CANFAR_TASK_RESULT\";;
esac";
        let ended = dir.launch().args(["--result", "json"]).sh(script).run().exits(1);
        let causes: Vec<_> = dir.failures(1, 1).iter().map(how).collect();
        assert_eq!(causes, vec![(Some("result".to_owned()), Some(0), None); 3], "{ended}");
        dir.canfar_run().args(["merge", "out"]).run().exits(1);
    }
}

#[test]
fn what_stands_in_place_of_the_result_file_is_read_if_it_is_a_file_and_else_fails_the_task() {
    for (script, is_ok) in [
        ("mkdir \"$CANFAR_TASK_RESULT\"", false),
        ("mkdir -p \"$CANFAR_TASK_RESULT/deep/down\"; chmod 0 \"$CANFAR_TASK_RESULT\"", false),
        ("ln -s /dev/zero \"$CANFAR_TASK_RESULT\"", false),
        ("ln -s \"$CANFAR_TASK_RESULT\" \"$CANFAR_TASK_RESULT\"", false),
        ("echo '{\"n\": 1}' > \"$TMPDIR/x\"; ln -s \"$TMPDIR/x\" \"$CANFAR_TASK_RESULT\"", true),
        ("echo '{\"n\": 1}' > \"$TMPDIR/x\"; ln \"$TMPDIR/x\" \"$CANFAR_TASK_RESULT\"", true),
        // There is none, and standard output counts.
        ("ln -s /nowhere \"$CANFAR_TASK_RESULT\"; echo '{\"n\": 1}'", true),
        ("rm -rf \"$(dirname \"$CANFAR_TASK_RESULT\")\"; echo '{\"n\": 1}'", true),
    ] {
        let dir = Dir::with_inputs(3);
        let others = "echo '{\"n\": 1}'";
        let script = format!("if [ $CANFAR_TASK_INDEX != 1 ]; then {others}; else {script}; fi");
        let ended = dir.launch().args(["-j", "1"]).sh(&script).run().exits(i32::from(!is_ok));
        assert_eq!(ok(&dir), if is_ok { vec![0, 1, 2] } else { vec![0, 2] }, "{ended}");
        assert!(dir.results(1).iter().all(|record| record["n"] == 1), "{ended}");
        let failed: Vec<_> = dir.failures(1, 1).iter().map(how).collect();
        assert_eq!(failed, if is_ok { vec![] } else { vec![(Some("result".to_owned()), Some(0), None)] });
    }
}

#[test]
fn a_result_file_that_may_not_be_read_fails_its_task() {
    let dir = Dir::with_inputs(2);
    std::fs::set_permissions(dir.root(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let script = "echo '{\"n\": 1}' > \"$CANFAR_TASK_RESULT\"; [ $CANFAR_TASK_INDEX = 0 ] || chmod 0 \"$CANFAR_TASK_RESULT\"";
    dir.launch().without_rights(20_001).sh(script).run().exits(1).says("Permission denied");
    assert_eq!(ok(&dir), [0]);
}
