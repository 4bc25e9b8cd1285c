//! Says where figures come from: the machine, the versions of all that takes part, the file system.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::bench::{Bench, Size};

/// Who takes part, and how it tells its version.
const PEERS: [(&str, &[&str]); 8] = [
    ("xargs", &["xargs", "--version"]),
    ("parallel", &["parallel", "--version"]),
    ("rust-parallel", &["rust-parallel", "--version"]),
    ("find", &["find", "--version"]),
    ("fd", &["fdfind", "--version"]),
    ("jq", &["jq", "--version"]),
    ("strace", &["strace", "--version"]),
    ("kernel", &["uname", "-sr"]),
];

pub(crate) fn describe(bench: &Bench, before: Option<&Path>, out: &mut dyn Write) -> Result<()> {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let model = field("/proc/cpuinfo", "model name");
    let memory = field("/proc/meminfo", "MemTotal");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(out, "machine: {cpus} x {model}, memory {memory}, load before {}", load.trim_end())?;
    let folder = bench.data("");
    let place = first_line(Command::new("df").args(["--output=fstype,source"]).arg(&folder), 1);
    writeln!(out, "file system: {place}, {}", folder.display())?;
    for (name, binary) in [("binary", Some(bench.binary())), ("before", before)] {
        let Some(binary) = binary else { continue };
        let version = first_line(Command::new(binary).arg("--version"), 0);
        writeln!(out, "{name}: {version}, {}", binary.display())?;
    }
    for (name, words) in PEERS {
        let version = first_line(Command::new(words[0]).args(&words[1..]), 0);
        writeln!(out, "{name}: {version}")?;
    }
    writeln!(out, "python: {}", first_line(&mut bench.python("versions"), 0))?;
    if bench.rounds() == 1 {
        writeln!(out, "{:?} of the work, one round: these are no figures", Size::Tenth)?;
    }
    Ok(())
}

fn field(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn first_line(command: &mut Command, skip: usize) -> String {
    let Ok(output) = command.output() else { return "not installed".to_owned() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().nth(skip).map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
