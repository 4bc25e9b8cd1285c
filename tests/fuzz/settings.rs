//! Job files, command lines, sizes and durations as nobody should write them.

use std::ffi::OsString;
use std::time::Duration;

use canfar_run::Environment;
use canfar_run::testing::{Request, RunConfig, duration, layered, parse_duration, parse_size, read};
use proptest::collection::vec;
use proptest::prelude::*;

use super::damage::damage;
use super::hunt;

const JOB: &str = r#"
input = ["data/*.fits", "more"]
results-dir = "out"
jobs = 4
timeout = "1h30m"
memory-per-task = "4G"
max-failures = "10%"
strategy = 'size'
retries = 2
shell = """
python analyze.py "$1" > {/.}.txt
"""
[env]
OMP_NUM_THREADS = 4
NAME = "a value"
"#;

const WORDS: [&str; 34] = [
    "run",
    "plan",
    "merge",
    "--input",
    "-i",
    "data/*.fits",
    "--results-dir",
    "-o",
    "out",
    "-j",
    "4",
    "auto",
    "--",
    "python",
    "analyze.py {}",
    "{}",
    "--shell",
    "echo {}",
    "--timeout",
    "10m",
    "--timeout=",
    "--retries=-1",
    "--replica-id",
    "0",
    "--strategy",
    "chunk",
    "--files-from",
    "-",
    "--max-failures=101%",
    "-v",
    "--bogus",
    "\u{2014}input",
    "\u{201c}a b\u{201d}",
    "--memory-per-task=4Q",
];

fn words() -> impl Strategy<Value = Vec<OsString>> {
    use std::os::unix::ffi::OsStringExt;
    let any_bytes = vec(1..=255_u8, 0..12).prop_map(OsString::from_vec);
    vec(prop_oneof![8 => prop::sample::select(&WORDS[..]).prop_map(OsString::from), 1 => any_bytes], 0..9)
}

/// All that is done with a command line before the file system or a process is touched.
fn settle(words: &[OsString], environment: &Environment) -> Result<(), String> {
    let argv: Vec<OsString> = std::iter::once("canfar-run".into()).chain(words.iter().cloned()).collect();
    let said = |error: anyhow::Error| format!("{error:#}");
    match read(&argv).map_err(said)? {
        Request::Run(typed) => {
            let (args, layers) = layered(typed, &argv, environment, None).map_err(said)?;
            RunConfig::resolve(&args, layers, environment).map(|_| ()).map_err(said)
        }
        Request::Plan(typed) => layered(typed, &argv, environment, None).map(|_| ()).map_err(said),
        _ => Ok(()),
    }
}

#[test]
fn command_lines_are_settled_or_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let environment = Environment { variables: [].into(), cwd: dir.path().into() };
    hunt("command lines", 300, &words(), |words| {
        let said = settle(&words, &environment).err();
        prop_assert!(said.is_none_or(|said| said.trim().len() > 10));
        Ok(())
    });
}

#[test]
fn job_files_are_settled_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.toml");
    let environment = Environment { variables: [].into(), cwd: dir.path().into() };
    let argv = ["run".into(), "--job-file".into(), path.clone().into_os_string()];
    hunt("job files", 300, &vec(damage(), 0..4), |damages| {
        let mut text = JOB.as_bytes().to_vec();
        damages.iter().for_each(|damage| damage.apply(&mut text));
        std::fs::write(&path, &text).unwrap();
        let settled = settle(&argv, &environment);
        prop_assert!(!damages.is_empty() || settled.is_ok(), "{:?}", settled);
        Ok(())
    });
}

#[test]
fn sizes_and_durations_are_read_as_written_or_refused() {
    let units = [
        "", "K", "MiB", " GB", "s", "m", "h", "ms", "d", "w", "y", "e9", ".5", "%", "-", "+", "\u{b5}s", "\0",
    ];
    let number = prop_oneof![(0..100_u64).boxed(), any::<u64>().boxed()];
    let part =
        (number, prop::sample::select(units.to_vec())).prop_map(|(number, unit)| format!("{number}{unit}"));
    let text = prop_oneof![4 => vec(part, 1..4).prop_map(|parts| parts.concat()), 1 => any::<String>()];
    hunt("sizes and durations", 1_000, &text, |text| {
        let size = parse_size(&text);
        if let Ok(plain) = text.parse::<u64>() {
            prop_assert_eq!(size, Ok(plain));
        }
        if let Ok(read) = parse_duration(&text) {
            prop_assert!(read <= Duration::from_hours(24 * 365 * 10));
            prop_assert!(!duration(read).is_empty());
            if let Ok(seconds) = text.parse::<u32>() {
                prop_assert_eq!(read, Duration::from_secs(u64::from(seconds)));
            }
        }
        Ok(())
    });
}
