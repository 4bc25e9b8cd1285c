//! One process: captures its output, limits its time, reports its end and its resource usage.
//!
//! A task ends when its own process ends. Processes it left behind are killed before that process is reaped, while its group's
//! number can't be reused.

use std::ffi::OsStr;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use crate::model::outcome::{ProcessEnd, Usage};
use crate::process::capture::Capture;
use crate::process::descendants;
use crate::process::reap::reap;
use crate::process::registry::{MemoryUsage, Registration};
use crate::process::shutdown::Shutdown;
use crate::process::spawn::{Program, SpawnError, Spawner, Started};
use crate::process::stream::{PipeReader, READ_BYTES};
use crate::process::supervisor::{AttemptLimits, ChildSupervisor, EndedBy};

/// What to start.
#[derive(Debug)]
pub struct Spec<'a> {
    /// What starts it.
    pub spawner: &'a Spawner,
    /// It.
    pub program: Program<'a>,
    /// Limits.
    pub limits: AttemptLimits,
    /// The registry that it is in while it runs.
    pub registration: Registration<'a>,
    /// What its descendants are known by, wherever they went: the task's id, in their environment.
    pub task_id: &'a OsStr,
}

/// How it went.
#[derive(Debug, Clone, Copy)]
pub struct Finished {
    /// How the process ended.
    pub end: ProcessEnd,
    /// What it used.
    pub usage: Usage,
    /// Why it was ended, if we did so, unless it was because of memory.
    pub ended_by: Option<EndedBy>,
    /// The memory it had, and whether it was stopped for that.
    pub held: MemoryUsage,
    /// Processes that it left behind and that were killed.
    pub left_processes: u32,
}

/// Starts a process and stays with it until it ended.
///
/// # Errors
/// When it can't be started.
pub fn run(
    spec: &Spec<'_>,
    stop: &Shutdown,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<Finished, SpawnError> {
    let started = Instant::now();
    let kills_before = spec.registration.registry().kills();
    let Started { pid, stdout: from_stdout, stderr: from_stderr } = spec.spawner.start(spec.program)?;
    let until = spec.limits.timeout.and_then(|timeout| started.checked_add(timeout));
    let mut supervisor = ChildSupervisor::new(pid, started, spec.limits.grace, until);
    let mut streams = [(PipeReader::new(from_stdout), stdout), (PipeReader::new(from_stderr), stderr)];
    spec.registration.enter(pid, Instant::now(), kills_before);
    supervise(&mut supervisor, stop, &mut streams);
    let left_processes = descendants::kill_left_behind(pid, spec.task_id);
    let held = spec.registration.leave();
    let (end, usage) = reap(pid, started);
    Ok(Finished { end, usage, ended_by: supervisor.has_ended_by(end), held, left_processes })
}

/// Keeps what the process says, until it is over.
pub(crate) fn supervise<const N: usize>(
    supervisor: &mut ChildSupervisor,
    stop: &Shutdown,
    streams: &mut [(PipeReader, &mut Capture); N],
) {
    let mut buffer = Vec::with_capacity(READ_BYTES);
    loop {
        let mut polled = supervisor.watched(stop);
        let pipes = streams.iter().filter_map(|(stream, _)| stream.descriptor());
        polled.extend(pipes.map(|pipe| PollFd::from_borrowed_fd(pipe, PollFlags::IN)));
        let woken = supervisor.wait(stop, &mut polled);
        for (stream, capture) in streams.iter_mut() {
            stream.drain(&mut buffer, |bytes| capture.push(bytes));
        }
        if supervisor.is_over(woken) {
            return;
        }
    }
}
