//! Limits on the size of files: the system then writes a part, says so, and may kill who goes on.

use super::{TASK, finishes, recorded, work};
use crate::support::{Dir, Run};

fn limited(dir: &Dir, limit: u64) -> Run<'_> {
    Run::of(dir, "prlimit").arg(format!("--fsize={limit}")).arg(env!("CARGO_BIN_EXE_canfar-run"))
}

#[test]
fn wherever_a_write_breaks_off_the_launch_lives_to_tell_and_the_next_one_finishes() {
    let whole = Dir::with_inputs(4);
    work(whole.canfar_run()).sh(TASK).run().exits(0);
    let length = whole.bytes("out/journal/1.1.jsonl").len() as u64;
    for limit in (0..length + 200).step_by(usize::try_from(length / 25).unwrap()) {
        let dir = Dir::with_inputs(4);
        let ended = work(limited(&dir, limit)).sh(TASK).run();
        assert!(matches!(ended.code, Some(0 | 4)), "{limit}: {ended}");
        finishes(&dir, 4, &ended);
    }
}

#[test]
fn what_limits_files_kills_tasks_as_ever() {
    let dir = Dir::with_inputs(1);
    let status = "grep SigIgn /proc/self/status > ignored";
    work(limited(&dir, 200_000)).sh(status).run().exits(0);
    let ignored = u64::from_str_radix(dir.text("ignored").trim_start_matches("SigIgn:").trim(), 16).unwrap();
    assert_eq!(ignored & (1 << 24), 0, "SIGXFSZ is ignored in tasks");
}

/// A record that lacks nothing but its line's end is read as one: had the launch counted it as unwritten and gone on to
/// write its results without it, it would be missing there for good.
#[test]
fn a_record_that_almost_fit_is_in_the_results_in_the_end() {
    let first = "size() { wc -c < out/journal/1.1.jsonl; }
case $CANFAR_TASK_INDEX in
0) until [ -e waiting ]; do sleep 0.01; done
   [ -e mended ] || prlimit --pid $PPID --fsize=$(($(size) + LENGTH)):
   : > limited;;
1) : > waiting; until [ -e limited ]; do sleep 0.01; done
   before=$(size); i=0
   while [ $i -lt 30 ] && [ ! -e mended ]; do sleep 0.01; i=$((i + 1)); done
   [ -e mended ] || prlimit --pid $PPID --fsize=unlimited:;;
esac";
    let task = |length: usize| format!("{}; {TASK}", first.replace("LENGTH", &length.to_string()));
    let whole = Dir::with_inputs(2);
    work(whole.canfar_run()).sh(&task(100_000)).run().exits(0);
    let journal = whole.text("out/journal/1.1.jsonl");
    let of_first = |line: &&str| {
        ["attempt", "end"].iter().any(|event| line.contains(&format!("\"event\":\"{event}\",\"index\":0,")))
    };
    let length: usize = journal.lines().filter(of_first).map(|line| line.len() + 1).sum();
    let mut cut = 0;
    for length in length - 5..length + 2 {
        let dir = Dir::with_inputs(2);
        let task = task(length);
        let ended = work(dir.canfar_run()).sh(&task).run();
        assert!(matches!(ended.code, Some(0 | 4)), "{ended}");
        cut += usize::from(!recorded(&dir).contains(&"000.fits".to_owned()));
        dir.write("mended", "");
        let again = work(dir.canfar_run()).sh(&task).run().exits(0);
        assert_eq!(dir.results(1).len(), 2, "{length}: {ended}\n{again}");
    }
    assert!(cut > 0, "no write was cut");
}
