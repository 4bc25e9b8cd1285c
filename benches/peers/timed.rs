//! Runs one command to its end: how long it took, and its largest resident memory.
//!
//! The kernel counts a process as large as the one that started it was, so this one has to stay small.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use wait4::Wait4;

use crate::bench::Bench;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) began: SystemTime,
    pub(crate) seconds: f64,
    /// Largest resident memory of the process or one that it waited for, in bytes; 0 where that is not the question.
    pub(crate) peak: u64,
}

/// Runs it with `stdin` for its standard input, and `stdout` for its output. What it says goes to a file, as in a
/// container: a terminal's speed is not the question.
///
/// # Errors
/// When it can't be started, or ends other than with one of the `codes`.
pub(crate) fn run(
    bench: &Bench,
    command: &mut Command,
    [stdin, stdout]: [&Path; 2],
    codes: &[i32],
) -> Result<Sample> {
    let said = bench.data("scratch/said");
    let open = |path: &Path| File::open(path).with_context(|| format!("reading {}", path.display()));
    let create = |path: &Path| {
        let file = File::options().create(true).write(true).truncate(true).open(path);
        file.with_context(|| format!("writing {}", path.display()))
    };
    command.stdin(Stdio::from(open(stdin)?)).stdout(Stdio::from(create(stdout)?)).stderr(create(&said)?);
    // What others wrote before is not to be paid by this one.
    rustix::fs::sync();
    let (began, begun) = (SystemTime::now(), Instant::now());
    let ended = command.spawn().and_then(Wait4::wait4);
    let seconds = begun.elapsed().as_secs_f64();
    let ended = ended.with_context(|| format!("running {command:?}"))?;
    if !ended.status.code().is_some_and(|code| codes.contains(&code)) {
        bail!("{command:?}: {}: {}", ended.status, std::fs::read_to_string(&said).unwrap_or_default());
    }
    Ok(Sample { began, seconds, peak: ended.rusage.maxrss })
}

/// One of several processes that do something together.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) command: Command,
    /// How long after the first one it is started.
    pub(crate) start: Duration,
    /// When it is killed.
    pub(crate) kill: Option<Duration>,
}

/// Runs them side by side until the last one has ended.
///
/// # Errors
/// When one can't be started, or one that is not killed fails.
pub(crate) fn together(bench: &Bench, mut members: Vec<Member>) -> Result<Sample> {
    let said = bench.fresh("said-together")?;
    let log = || File::options().create(true).append(true).open(&said);
    rustix::fs::sync();
    let (began, begun) = (SystemTime::now(), Instant::now());
    members.sort_by_key(|member| member.start);
    let mut running = Vec::new();
    for member in &mut members {
        std::thread::sleep(member.start.saturating_sub(begun.elapsed()));
        let command = member.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log()?);
        let child = command.spawn().with_context(|| format!("running {command:?}"))?;
        running.push((child, member.kill));
    }
    running.sort_by_key(|(_, kill)| kill.unwrap_or(Duration::MAX));
    for (mut child, kill) in running {
        if let Some(kill) = kill {
            std::thread::sleep(kill.saturating_sub(begun.elapsed()));
            child.kill()?;
        }
        let ended = child.wait()?;
        if kill.is_none() && !ended.success() {
            bail!("one of several: {ended}: {}", std::fs::read_to_string(&said).unwrap_or_default());
        }
    }
    Ok(Sample { began, seconds: begun.elapsed().as_secs_f64(), peak: 0 })
}

/// [`run`] without input, output thrown away, and nothing but success.
pub(crate) fn quiet(bench: &Bench, command: &mut Command) -> Result<Sample> {
    run(bench, command, [Path::new("/dev/null"), Path::new("/dev/null")], &[0])
}

/// [`run`] with a list for its input.
pub(crate) fn fed(bench: &Bench, command: &mut Command, list: &Path) -> Result<Sample> {
    run(bench, command, [list, Path::new("/dev/null")], &[0])
}
