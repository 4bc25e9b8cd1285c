//! Names as nasty as a file system allows reach the command and the record as they are, and none becomes code.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

use crate::support::{Dir, InTime};

const NAMES: [&[u8]; 22] = [
    b"plain.fits",
    b"with space  and two.fits",
    b" leading and trailing ",
    b"new\nline.fits",
    b"tab\tand\rreturn.fits",
    b"it's \"quoted\".fits",
    b"$(touch pwned).fits",
    b"`touch pwned`.fits",
    b"; touch pwned; #.fits",
    b"\n touch pwned\n",
    b"-rf",
    b"--results-dir=pwned",
    b"{} {.} {{}} {index}.fits",
    b"[abc]*?.fits",
    b"[",
    b"back\\slash\\n.fits",
    b"%s%n $HOME ~ !",
    b"\xff\xfe not UTF-8 \x80.fits",
    b"caf\xc3\xa9 \xf0\x9f\x94\xad.fits",
    b"\x01\x1b[31m\x7f",
    b"a.tar.gz",
    b"NGC,1234&b=c#x%20",
];

/// Hidden ones are found by patterns that begin with a dot, too.
const HIDDEN: [&[u8]; 2] = [b".hidden.fits", b".$(touch pwned)"];

/// A folder that is nasty itself, with all the names in it.
fn nasty() -> Dir {
    let dir = Dir::new();
    for name in NAMES.iter().chain(&HIDDEN) {
        dir.write(Path::new("d a't\n$(touch pwned)").join(OsStr::from_bytes(name)), "");
    }
    dir
}

const PATTERNS: [&str; 2] = ["d*/*", "d*/.*"];

/// The paths of all of them, as bytes.
fn paths(dir: &Dir) -> BTreeSet<Vec<u8>> {
    let path = |name: &&[u8]| {
        let folder = dir.path("d a't\n$(touch pwned)");
        folder.join(OsStr::from_bytes(name)).into_os_string().as_bytes().to_vec()
    };
    NAMES.iter().chain(&HIDDEN).map(path).collect()
}

/// What tasks appended to `seen`, each followed by a NUL byte.
fn seen(dir: &Dir) -> Vec<Vec<u8>> {
    let bytes = dir.bytes("seen");
    let mut seen: Vec<Vec<u8>> = bytes.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(seen.pop().as_deref(), Some(&b""[..]));
    seen
}

/// The exact path in a record.
fn path_of(record: &Value) -> Vec<u8> {
    let meta = &record["canfar_run"];
    match meta["path_base64"].as_str() {
        Some(base64) => BASE64_STANDARD.decode(base64).unwrap(),
        None => meta["path"].as_str().unwrap().as_bytes().to_vec(),
    }
}

fn nothing_was_executed(dir: &Dir) {
    let tree = dir.tree().to_string();
    assert!(
        !tree.lines().any(|line| line.trim() == "pwned (0 bytes)" || line.ends_with("/pwned (0 bytes)")),
        "{tree}"
    );
}

#[test]
fn names_reach_the_command_and_the_record_unaltered() {
    for command in [
        &["--", "sh", "-c", "printf '%s\\0' \"$1\" >> seen", "sh", "{}"][..],
        &["--", "sh", "-c", "printf '%s\\0' \"$1\" >> seen", "sh"],
        &["--", "sh", "-c", "printf '%s\\0' \"$CANFAR_TASK_FILE\" >> seen", "sh"],
        &["--shell", "printf '%s\\0' {} >> seen"],
        &["--shell", "printf '%s\\0' \"$1\" >> seen"],
    ] {
        let dir = nasty();
        dir.canfar_run().arg("-i").args(PATTERNS).args(["-o", "out"]).args(command).run().exits(0);
        let arrived = seen(&dir);
        assert_eq!(arrived.len(), NAMES.len() + HIDDEN.len());
        assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), paths(&dir), "{command:?}");
        let recorded: Vec<Vec<u8>> = dir.results(1).iter().map(path_of).collect();
        assert!(recorded.is_sorted(), "the list is in the order of bytes");
        assert_eq!(recorded.into_iter().collect::<BTreeSet<_>>(), paths(&dir));
        nothing_was_executed(&dir);
    }
}

#[test]
fn a_records_file_is_the_base_name_as_far_as_text_can_say_it() {
    let dir = nasty();
    dir.canfar_run().arg("-i").args(PATTERNS).args(["-o", "out", "--", "true"]).run().exits(0);
    for record in dir.results(1) {
        let path = path_of(&record);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
        assert_eq!(record["file"], String::from_utf8_lossy(name).as_ref());
        assert_eq!(record["canfar_run"]["path"], String::from_utf8_lossy(&path).as_ref());
        let is_text = std::str::from_utf8(&path).is_ok();
        assert_eq!(record["canfar_run"].get("path_base64").is_none(), is_text);
    }
}

#[test]
fn placeholders_mean_the_same_in_arguments_and_in_shell_scripts() {
    let tokens = "{} {/} {//} {.} {/.} {:} {/:} {rel} {index} {slot} {replica}";
    let of = |command: &[&str]| {
        let dir = nasty();
        dir.canfar_run().arg("-i").args(PATTERNS).args(["-o", "out", "-j", "1"]).args(command).run().exits(0);
        nothing_was_executed(&dir);
        let root = dir.root().as_os_str().as_bytes();
        let relative = |text: Vec<u8>| text.strip_prefix(root).map_or(text.clone(), <[u8]>::to_vec);
        seen(&dir).into_iter().map(relative).collect::<Vec<_>>()
    };
    let words: Vec<&str> = tokens.split(' ').collect();
    let arguments = of(&[&["--", "sh", "-c", "printf '%s\\0' \"$@\" >> seen", "sh"], &words[..]].concat());
    let shell = of(&["--shell", &format!("printf '%s\\0' {tokens} >> seen")]);
    let readable =
        |words: &[Vec<u8>]| words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(readable(&arguments), readable(&shell));
    let plain = arguments.chunks(words.len()).find(|task| task[1] == b"a.tar.gz").unwrap();
    let folder = "/d a't\n$(touch pwned)";
    let expected = [
        &format!("{folder}/a.tar.gz"),
        "a.tar.gz",
        folder,
        &format!("{folder}/a.tar"),
        "a.tar",
        &format!("{folder}/a"),
        "a",
        &format!("{}/a.tar.gz", &folder[1..]),
    ];
    assert_eq!(
        plain[..8].iter().map(|text| std::str::from_utf8(text).unwrap()).collect::<Vec<_>>(),
        expected
    );
    assert_eq!(plain[9..], [b"1", b"1"]);
}

#[test]
fn a_shell_runs_the_printed_commands_as_they_would_be_run() {
    let dir = nasty();
    let run = dir.canfar_run().arg("-i").args(PATTERNS).args(["-o", "out", "--dry-run"]);
    let printed =
        run.args(["--", "printf", "%s\\0"]).run().exits(0).says("24 commands would be run; nothing was");
    assert!(!dir.exists("out"));
    // One may hold a line end, and bytes that are no text: what is run is what was printed, through a file.
    let script = dir.write("commands.sh", &printed.stdout);
    let output =
        std::process::Command::new("sh").arg(script).current_dir(dir.root()).output_in_time().unwrap();
    dir.write("seen", output.stdout);
    assert_eq!(seen(&dir).into_iter().collect::<BTreeSet<_>>(), paths(&dir));
    nothing_was_executed(&dir);
}

#[test]
fn names_cannot_command_the_terminal() {
    let dir = nasty();
    let run = dir.canfar_run().arg("-i").args(PATTERNS).args(["-o", "out", "-v", "--", "sh", "-c", "exit 1"]);
    let ended = run.run().exits(3);
    assert!(ended.stderr.chars().all(|letter| letter == '\n' || !letter.is_control()), "{ended}");
}

/// Tasks that append their entry to `seen`, in the order of the list.
fn listed(dir: &Dir, args: &[&str], stdin: Option<&str>) -> Vec<Vec<u8>> {
    let run = dir.canfar_run().args(args).args(["-o", "out", "-j", "1"]);
    let run = match stdin {
        Some(name) => run.stdin(File::open(dir.path(name)).unwrap()),
        None => run,
    };
    run.args(["--", "sh", "-c", "printf '%s\\0' \"$1\" >> seen", "sh", "{}"]).run().exits(0);
    seen(dir)
}

#[test]
fn entries_of_a_list_are_taken_exactly_and_in_its_order() {
    let text = b"zeta\nHD 209458\n\n  M 31; touch pwned \nzeta\n \t\n-rf\n/abs/a.fits\nrel/b.fits\n$(touch pwned)\n\xff\xfe\nlast";
    let expected: [&[u8]; 9] = [
        b"zeta",
        b"HD 209458",
        b"  M 31; touch pwned ",
        b"-rf",
        b"/abs/a.fits",
        b"rel/b.fits",
        b"$(touch pwned)",
        b"\xff\xfe",
        b"last",
    ];
    for args in [["--files-from", "list.txt"], ["--files-from", "-"]] {
        let dir = Dir::new();
        dir.write("list.txt", text);
        assert_eq!(listed(&dir, &args, Some("list.txt")), expected, "{args:?}");
        assert_eq!(dir.results(1).iter().map(path_of).collect::<Vec<_>>(), expected);
        nothing_was_executed(&dir);
    }
}

#[test]
fn entries_that_end_with_nul_may_hold_line_ends() {
    let dir = Dir::new();
    dir.write("list", b"a\nb\0\0c\r\0 \0a\nb\0last");
    let expected: [&[u8]; 4] = [b"a\nb", b"c\r", b" ", b"last"];
    assert_eq!(listed(&dir, &["--files-from", "list", "--null"], None), expected);
}

#[test]
fn repeats_in_a_list_count_once_and_are_told() {
    let dir = Dir::new();
    dir.write("list.txt", "a\nb\na\na\n");
    let run = dir.canfar_run().args(["--files-from", "list.txt", "-o", "out", "--", "true"]);
    run.run().exits(0).says("2 entries repeated in the list").says("2 of 2 files ok");
}

#[test]
fn a_list_is_shared_out_like_any() {
    let dir = Dir::new();
    dir.write("list.txt", "d\nc\nb\na\n");
    for id in 1..=2 {
        let run =
            dir.canfar_run().replica(id, 2).args(["--files-from", "list.txt", "-o", "out", "--", "true"]);
        run.run().exits(0);
    }
    let names = |id| {
        dir.results(id).iter().map(|record| record["file"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((names(1), names(2)), (vec!["d".into(), "c".into()], vec!["b".into(), "a".into()]));
}

#[test]
fn an_empty_list_is_nothing_to_do_where_that_is_allowed() {
    let dir = Dir::new();
    dir.write("list.txt", "");
    let run = dir.canfar_run().args([
        "--files-from",
        "list.txt",
        "--allow-empty",
        "-o",
        "out",
        "--json",
        "--",
        "true",
    ]);
    let ended = run.run().exits(0).says("nothing to do, so no run was begun");
    assert_eq!(ended.json()["files"], 0);
    assert!(!dir.exists("out"));
}
