//! Results directories that are another run's, somebody else's, broken, or can't be written.

use std::os::unix::fs::PermissionsExt;

use super::{all_are_refused, case};
use crate::support::Dir;

const LINE: &[&str] = &["-i", "data/*.fits", "-o", "out", "--", "true", "{}"];

fn mode(dir: &Dir, name: &str, mode: u32) {
    std::fs::set_permissions(dir.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A run of [`LINE`] with two replicas that keep to their shares, of which the first is done.
fn a_run(dir: &Dir) {
    dir.canfar_run()
        .arg("--balance=false")
        .args(LINE)
        .env("PATH", "/usr/bin:/bin")
        .replica(1, 2)
        .run()
        .exits(0);
}

/// Changes the text of a file.
fn edit(dir: &Dir, name: &str, edit: impl Fn(&str) -> String) {
    let text = dir.text(name);
    let edited = edit(&text);
    assert_ne!(text, edited);
    dir.write(name, edited);
}

#[test]
fn no_directory() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: the results directory [DIR]/out is a file: give another one with --results-dir
").given(|dir| _ = dir.write("out", "")),
        case(&["-i", "data/*.fits", "-o", "data/000.fits/out", "--", "true"], "
canfar-run: error: results can't be written: can't create the results directory [DIR]/data/000.fits/out: Not a directory (os error 20)
")
        .code(4),
    ]);
}

#[test]
fn no_right_to_write() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: results can't be written: can't create the results directory [DIR]/out: Permission denied (os error 13)
").code(4).without_rights(),
        case(LINE, "
canfar-run: error: results can't be written: can't write into the results directory [DIR]/out: Permission denied (os error 13)
").code(4).without_rights().given(|dir| {
            std::fs::create_dir(dir.path("out")).unwrap();
            mode(dir, "out", 0o555);
        }),
        case(LINE, r#"
canfar-run: error: results can't be written: can't write the results file [DIR]/out/container_2_results.json (permission denied; the folder's owner can give the group access: chmod -R g+rwX [DIR]/out): Permission denied (os error 13) at path "[DIR]/out/.container_2_results.json.[RANDOM].tmp"
"#)
            .code(4)
            .without_rights()
            .given(a_run)
            .replica("2", "2"),
        case(LINE, r#"
canfar-run: error: results can't be written: can't write the results file [DIR]/out/container_2_results.json (permission denied; the folder's owner can give the group access: chmod -R g+rwX [DIR]/out): Permission denied (os error 13) at path "[DIR]/out/.container_2_results.json.[RANDOM].tmp"
"#).code(4).without_rights().replica("2", "2").given(
            |dir| {
                a_run(dir);
                mode(dir, "out/journal", 0o777);
            },
        ),
        case(LINE, "
canfar-run: error: can't open the input list [DIR]/out/inputs.jsonl: Permission denied (os error 13)
").code(3).without_rights().replica("2", "2").given(|dir| {
            a_run(dir);
            mode(dir, "out", 0o000);
        }),
    ]);
}

#[test]
fn another_run() {
    let second = |args, said| case(args, said).given(a_run);
    all_are_refused(&[
        second(&["-i", "data/*", "-o", "out", "--", "true", "{}"], "
canfar-run: error: the input of this launch differs from that of the run in [DIR]/out:
  this launch: --input 'data/*' (in [DIR])
  the run:     --input 'data/*.fits' (in [DIR])
Use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(&["-i", "data/*.fits", "--exclude", "x*", "-o", "out", "--", "true", "{}"], "
canfar-run: error: the input of this launch differs from that of the run in [DIR]/out:
  this launch: --input 'data/*.fits' --exclude 'x*' (in [DIR])
  the run:     --input 'data/*.fits' (in [DIR])
Use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(&["--files-from", "list.txt", "-o", "out", "--", "true", "{}"], "
canfar-run: error: the input of this launch differs from that of the run in [DIR]/out:
  this launch: --files-from [DIR]/list.txt
  the run:     --input 'data/*.fits' (in [DIR])
Use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(&["-i", "data/*.fits", "--strategy", "chunk", "-o", "out", "--", "true", "{}"], "
canfar-run: error: the strategy of this launch differs from that of the run in [DIR]/out:
  this launch: chunk
  the run:     even
Use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(&["-i", "data/*.fits", "--balance", "-o", "out", "--", "true", "{}"], "
canfar-run: error: --balance of this launch differs from that of the run in [DIR]/out:
  this launch: --balance=true
  the run:     --balance=false
Use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(LINE, "
canfar-run: error: the replica count of this launch differs from that of the run in [DIR]/out:
  this launch: 3
  the run:     2
To finish this run from here: canfar-run resume [DIR]/out
Or use the same as the run, another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "3"),
        second(&["-i", "data/*.fits", "-o", "out", "--", "false", "{}"], "
canfar-run: error: the command of this launch differs from that of the run in [DIR]/out:
  this launch: false '{}'
  the run:     true '{}'
Results of two commands would be mixed. If that is intended, give --accept-changed-command; else use another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
        second(&["-i", "data/*.fits", "-o", "out", "--shell", "true {}"], "
canfar-run: error: the command of this launch differs from that of the run in [DIR]/out:
  this launch: --shell 'true {}'
  the run:     true '{}'
Results of two commands would be mixed. If that is intended, give --accept-changed-command; else use another --results-dir, or start over after `canfar-run reset [DIR]/out`
").replica("2", "2"),
    ]);
}

#[test]
fn results_of_somebody_else() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: [DIR]/out/container_1_results.json is there although no run has begun here: it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset [DIR]/out`
").given(|dir| {
            dir.write("out/container_1_results.json", "[{\"file\": \"a.fits\", \"stars\": 3}]");
        }),
        case(LINE, "
canfar-run: error: [DIR]/out/container_1_results.json is there although no run has begun here: it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset [DIR]/out`
").given(|dir| _ = dir.write("out/container_1_results.json", "")),
        case(LINE, "
canfar-run: error: [DIR]/out/container_2_results.json exists and does not belong to this run ([RUN]): it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset [DIR]/out`
").replica("2", "2").given(|dir| {
            a_run(dir);
            dir.write("out/container_2_results.json", "[\n  {\n    \"file\": \"a.fits\"\n  }\n]");
        }),
        case(LINE, "
canfar-run: error: [DIR]/out/container_3_results.json is there although no run has begun here: it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset [DIR]/out`
")
            .replica("1", "3")
            .given(|dir| _ = dir.write("out/container_3_results.json", "[{\"file\": \"a.fits\"}]")),
        case(LINE, "
canfar-run: error: [DIR]/out/container_2_results.json exists and does not belong to this run ([RUN]): it would be overwritten. Move it away, use another --results-dir, or move everything aside with `canfar-run reset [DIR]/out`
").replica("2", "2").given(|dir| {
            a_run(dir);
            dir.write(
                "out/container_2_results.json",
                dir.text("out/container_1_results.json").replace("\"run\":\"", "\"run\":\"x"),
            );
        }),
    ]);
}

#[test]
fn a_list_that_is_broken() {
    let wrong = |said, given| case(LINE, said).given(given).replica("2", "2");
    let broken = |said, given| wrong(said, given).code(3);
    all_are_refused(&[
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: it is empty. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| _ = dir.write("out/inputs.jsonl", "")),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: its first line is no header of canfar-run's: it was cut or edited, or is somebody else's. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| _ = dir.write("out/inputs.jsonl", "{\"path\":\"/data/a.fits\"}\n")),
        wrong(r#"
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: it is a file of another kind ("GeoJSON"). Give another --results-dir, or move it away
"#, |dir| _ = dir.write("out/inputs.jsonl", "{\"format\":\"GeoJSON\",\"v\":1}\n")),
        wrong("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: it has format version 3 and this canfar-run ([VERSION]) reads versions 1 and 2: use the canfar-run that made it, or another --results-dir
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| text.replacen("\"v\":2", "\"v\":3", 1));
        }),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: it has 116 bytes of entries and should have 123: it was cut or edited. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| text[..text.len() - 7].to_owned());
        }),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: its first line is no header of canfar-run's: it was cut or edited, or is somebody else's. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| text[..40].to_owned());
        }),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: entries from 0 on don't match their checksum: they were edited or damaged. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| text.replace("002.fits", "003.fits"));
        }),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: it can't be read: Is a directory (os error 21)
", |dir| std::fs::create_dir_all(dir.path("out/inputs.jsonl")).unwrap()),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: its header contradicts itself: it was edited. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| text.replacen("\"count\":3", "\"count\":4000000000000", 1));
        }),
        broken("
canfar-run: error: the input list [DIR]/out/inputs.jsonl can't be used: its header contradicts itself: it was edited. Restore it from a copy, or start over after `canfar-run reset [DIR]/out`
", |dir| {
            a_run(dir);
            edit(dir, "out/inputs.jsonl", |text| {
                text.replacen("\"piece_entries\":1024", "\"piece_entries\":0", 1)
            });
        }),
    ]);
}

#[test]
fn a_journal_of_another_version() {
    all_are_refused(&[case(LINE, "
canfar-run: error: the journal [DIR]/out/journal/1.1.jsonl has a line of format version 3 (byte 0) and this canfar-run ([VERSION]) reads versions 1 to 2: use the canfar-run that wrote it
").replica("1", "2").given(|dir| {
        a_run(dir);
        edit(dir, "out/journal/1.1.jsonl", |text| text.replace("{\"v\":2", "{\"v\":3"));
    })]);
}
