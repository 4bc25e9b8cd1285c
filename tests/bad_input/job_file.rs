//! Job files that are none, or say what can't be.

use super::{all_are_refused, case};
use crate::support::Dir;

const LINE: &[&str] = &["--job-file", "job.toml", "-i", "data/*.fits", "-o", "out", "--", "true"];

fn job(dir: &Dir, text: &str) {
    dir.write("job.toml", text);
}

#[test]
fn files_that_cannot_be_read() {
    all_are_refused(&[
        case(
            LINE,
            "
canfar-run: error: can't read the job file [DIR]/job.toml, which --job-file or CANFAR_RUN_JOB_FILE names. Give its whole path, on storage that the container sees, such as /arc/projects: No such file or directory (os error 2)
",
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--", "true"],
            "
canfar-run: error: can't read the job file [DIR]/jobs/job.toml, which --job-file or CANFAR_RUN_JOB_FILE names. Give its whole path, on storage that the container sees, such as /arc/projects: No such file or directory (os error 2)
",
        )
        .env("CANFAR_RUN_JOB_FILE", "jobs/job.toml"),
        case(
            LINE,
            "
canfar-run: error: can't read the job file [DIR]/job.toml: Is a directory (os error 21)
",
        )
        .given(|dir| std::fs::create_dir(dir.path("job.toml")).unwrap()),
        case(
            LINE,
            "
canfar-run: error: the job file [DIR]/job.toml is not UTF-8 text: invalid utf-8 sequence of 1 bytes from index 8
",
        )
        .given(|dir| _ = dir.write("job.toml", b"jobs = '\xff'")),
    ]);
}

#[test]
fn text_that_is_no_job() {
    all_are_refused(&[
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: TOML parse error at line 1, column 7
  |
1 | jobs: 4
  |       ^
key with no value, expected `=`
",
        )
        .given(|dir| job(dir, "jobs: 4\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: TOML parse error at line 2, column 1
  |
2 | jobs = 5
  | ^^^^
duplicate key
",
        )
        .given(|dir| job(dir, "jobs = 4\njobs = 5\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `jbos`; the nearest one is `jobs`
",
        )
        .given(|dir| job(dir, "jbos = 4\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `replicas`; the nearest one is `replica-count`
",
        )
        .given(|dir| job(dir, "replicas = 10\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `cmd`; the nearest one is `command`
",
        )
        .given(|dir| job(dir, "cmd = ['true']\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `retry_delay`; the nearest one is `retry-delay`
",
        )
        .given(|dir| job(dir, "retry_delay = '1s'\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: [limits] is not a table of a job file: options go at the top, and `[env]`, the only table, comes last. Remove the line [limits]
",
        )
        .given(|dir| job(dir, "[limits]\njobs = 4\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `help`; `canfar-run run --help` lists all options
",
        )
        .given(|dir| job(dir, "help = true\n")),
        case(
            LINE,
            "
canfar-run: error: in the job file [DIR]/job.toml: unknown key `job-file`; `canfar-run run --help` lists all options
",
        )
        .given(|dir| job(dir, "job-file = 'other.toml'\n")),
    ]);
}

#[test]
fn values_of_a_wrong_kind() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: `jobs = 0` in job.toml: invalid value '0' for '--jobs <N|auto>': 0 would never run anything; write a number from 1, or auto
").given(|dir| job(dir, "jobs = 0\n")),
        case(LINE, "
canfar-run: error: in the job file [DIR]/job.toml: `jobs` takes one value, not a list
").given(|dir| job(dir, "jobs = [1, 2]\n")),
        case(LINE, "
canfar-run: error: in the job file [DIR]/job.toml: `jobs` can't be of type datetime; write a string in quotes
").given(|dir| job(dir, "jobs = 2026-11-23\n")),
        case(LINE, "
canfar-run: error: `quiet = \"yes\"` in job.toml: invalid value 'yes' for '--quiet[=<BOOL>]': write true, false, 1 or 0
").given(|dir| job(dir, "quiet = 'yes'\n")),
        case(LINE, "
canfar-run: error: `timeout = -5` in job.toml: invalid value '-5' for '--timeout <DURATION>': write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms
").given(|dir| job(dir, "timeout = -5\n")),
        case(LINE, r#"
canfar-run: error: in the job file [DIR]/job.toml: `command` has to be a list of words, such as ["python", "analyze.py", "{}"]; for a shell command line use `shell`
"#).given(|dir| job(dir, "command = 'python analyze.py {}'\n")),
        case(LINE, r#"
canfar-run: error: in the job file [DIR]/job.toml: `env` has to be a table: [env], then NAME = "value" lines
"#).given(|dir| job(dir, "env = 'A=1'\n")),
        case(LINE, "
canfar-run: error: in the job file [DIR]/job.toml: `env.A` can't be of type array; write a string in quotes
").given(|dir| job(dir, "[env]\nA = ['x']\n")),
        case(LINE, "
canfar-run: error: in the job file [DIR]/job.toml: `env.A=B` can't be a variable: a name can't be empty or contain `=`, and neither name nor value can contain a NUL byte
").given(|dir| job(dir, "[env]\n'A=B' = 'x'\n")),
        case(LINE, "
canfar-run: error: in the job file [DIR]/job.toml: `env.A` can't be a variable: a name can't be empty or contain `=`, and neither name nor value can contain a NUL byte
").given(|dir| job(dir, "[env]\nA = \"x\\u0000\"\n")),
        case(&["--job-file", "job.toml", "-o", "out", "--", "true"], "
canfar-run: error: `input = \"data/*.fits\"` in job.toml and `files-from = \"list.txt\"` in job.toml: --input and --files-from each say what the tasks are: give one of them
")
            .given(|dir| job(dir, "input = 'data/*.fits'\nfiles-from = 'list.txt'\n")),
        case(&["--job-file", "job.toml", "-i", "data/*.fits", "-o", "out"], "
canfar-run: error: in the job file [DIR]/job.toml: `shell` and `command` are two ways to say the same thing: give one of them
")
            .given(|dir| job(dir, "shell = 'wc {}'\ncommand = ['wc']\n")),
    ]);
}
