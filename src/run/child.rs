//! One process: its output captured, its time limited, its end and its use told.
//!
//! A task ends when its own process ends. What it left behind is killed before that process is reaped, while its group's
//! number can't belong to anybody else.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};
use wait4::try_wait4_pid;

use crate::outcome::{ProcessEnd, Usage};
use crate::run::capture::Capture;
use crate::run::descendants;
use crate::run::memory::{Held, Seat};
use crate::run::proc_text;
use crate::run::spawn::{Program, SpawnError, Started, Starter};
use crate::run::stop::Stop;

/// Between TERM and KILL when stopping, at most: the platform kills at 30 s and results have to be written in between.
pub const LONGEST_GRACE_ON_STOP: Duration = Duration::from_secs(15);

/// A process that even KILL does not end (it hangs in the kernel) is given up after this when stopping. That leaves time
/// for the results also after a second signal.
const GIVE_UP_AFTER_KILL: Duration = Duration::from_secs(3);

/// How often a process is asked whether it ended, where the system can't tell by itself.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// So much is read at a time.
const READ_BYTES: usize = 16 * 1024;

/// Reads in a row, of one stream.
const READS_AT_ONCE: usize = 64;

/// A process that ends sooner has hardly filled memory, and to offer it to the kernel costs a tenth of starting it.
const YOUNG: Duration = Duration::from_millis(20);

/// What to start.
#[derive(Debug)]
pub struct Spec<'a> {
    /// Who starts it.
    pub starter: &'a Starter,
    /// It.
    pub program: Program<'a>,
    /// Limits.
    pub limits: Limits,
    /// Where it stands while it runs.
    pub seat: Seat<'a>,
    /// What its descendants are known by, wherever they went: the task's id, in their environment.
    pub task_id: &'a OsStr,
}

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until TERM.
    pub timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// How it went.
#[derive(Debug)]
pub struct Finished {
    /// How the process ended.
    pub end: ProcessEnd,
    /// What it used.
    pub usage: Usage,
    /// Who ended it, if we did, unless it was for memory.
    pub ended_by: Option<EndedBy>,
    /// The memory it had, and whether it was stopped for that.
    pub held: Held,
    /// Processes that it left behind and that were killed.
    pub left_processes: u32,
}

/// Why we ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its time was up.
    Timeout,
    /// We are told to stop.
    Stop,
}

/// Starts a process and stays with it until it ended.
///
/// # Errors
/// When it can't be started.
pub fn run(
    spec: &Spec<'_>,
    stop: &Stop,
    stdout: &mut Capture,
    stderr: &mut Capture,
) -> Result<Finished, SpawnError> {
    let started = Instant::now();
    let kills_before = spec.seat.roster().kills();
    let Started { pid, stdout: from_stdout, stderr: from_stderr } = spec.starter.start(spec.program)?;
    let mut attendance = Attendance {
        exit: ExitWatch::new(pid),
        group: pid,
        streams: [Stream::new(from_stdout, stdout), Stream::new(from_stderr, stderr)],
        phase: Phase::Running { until: spec.limits.timeout.map(|timeout| started + timeout) },
        told: Told::Nothing,
        grace: spec.limits.grace,
        offer_at: Some(started + YOUNG),
    };
    spec.seat.enter(attendance.group, kills_before);
    attendance.stay(stop);
    let ended_by = attendance.phase.why();
    let left_processes = descendants::kill_left_behind(attendance.group, spec.task_id);
    let held = spec.seat.leave();
    let (end, usage) = reap(pid, started);
    Ok(Finished { end, usage, ended_by, held, left_processes })
}

/// Has the kernel, when it is out of memory, kill this process and its descendants before it kills this program. Where that
/// can't be, nothing is lost but the preference.
fn offer_to_the_kernel(pid: Pid) {
    #[cfg(target_os = "linux")]
    {
        let mut waiting = vec![pid.as_raw_pid()];
        while let Some(pid) = waiting.pop() {
            let process = Path::new("/proc").join(pid.to_string());
            let _ = std::fs::write(process.join("oom_score_adj"), "1000");
            waiting.extend(proc_text::children(&process));
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = pid;
}

/// Tells when a process has ended, without reaping it.
enum ExitWatch {
    #[cfg(target_os = "linux")]
    Descriptor(OwnedFd),
    Asking(Pid),
}

impl ExitWatch {
    fn new(pid: Pid) -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(descriptor) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()) {
            return Self::Descriptor(descriptor);
        }
        Self::Asking(pid)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Descriptor(descriptor) => Some(descriptor.as_fd()),
            Self::Asking(_) => None,
        }
    }

    fn asks(&self) -> Option<Pid> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Descriptor(_) => None,
            Self::Asking(pid) => Some(*pid),
        }
    }
}

fn has_ended(pid: Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // An error means that there is nothing left to wait for.
    waitid(WaitId::Pid(pid), options).map_or(true, |status| status.is_some())
}

/// One output stream being read.
struct Stream<'a> {
    pipe: Option<OwnedFd>,
    capture: &'a mut Capture,
}

impl<'a> Stream<'a> {
    fn new(pipe: OwnedFd, capture: &'a mut Capture) -> Self {
        let pipe = rustix::io::ioctl_fionbio(&pipe, true).is_ok().then_some(pipe);
        Self { pipe, capture }
    }

    /// Reads what is there, up to a MiB, so that who writes without end holds nothing up. A pipe holds no more when its
    /// process ends. A stream that is at its end, or broken, is closed.
    fn drain(&mut self, buffer: &mut Vec<u8>) {
        for _ in 0..READS_AT_ONCE {
            let Some(pipe) = &mut self.pipe else { return };
            buffer.clear();
            match rustix::io::read(pipe, spare_capacity(buffer)) {
                Ok(0) => self.pipe = None,
                Ok(_) => self.capture.push(buffer),
                Err(Errno::WOULDBLOCK) => return,
                Err(Errno::INTR) => {}
                Err(_) => self.pipe = None,
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Running { until: Option<Instant> },
    Terminating { why: EndedBy, kill_at: Instant },
    Killed { why: EndedBy, at: Instant },
}

impl Phase {
    fn why(self) -> Option<EndedBy> {
        match self {
            Self::Running { .. } => None,
            Self::Terminating { why, .. } | Self::Killed { why, .. } => Some(why),
        }
    }
}

/// What the gates of [`Stop`] have said to this process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    End,
    Kill,
}

/// Whether a process can be waited for without waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    Ended,
    /// It hangs in the kernel and is left to it.
    GivenUp,
}

/// Staying with one process.
struct Attendance<'a> {
    exit: ExitWatch,
    group: Pid,
    streams: [Stream<'a>; 2],
    phase: Phase,
    told: Told,
    grace: Duration,
    /// When the kernel is told whom to kill for memory, unless it is told.
    offer_at: Option<Instant>,
}

/// What a wait brought.
struct Woken {
    exited: bool,
    gate: bool,
}

impl Attendance<'_> {
    /// Returns when the process ended, or when it hangs in the kernel and we are told to stop.
    fn stay(&mut self, stop: &Stop) -> Presence {
        let mut buffer = Vec::with_capacity(READ_BYTES);
        loop {
            let woken = self.wait(stop);
            for stream in &mut self.streams {
                stream.drain(&mut buffer);
            }
            if woken.exited {
                return Presence::Ended;
            }
            if self.is_given_up() {
                return Presence::GivenUp;
            }
            if woken.gate {
                self.told = if self.told == Told::Nothing { Told::End } else { Told::Kill };
            }
            if self.offer_at.take_if(|at| *at <= Instant::now()).is_some() {
                offer_to_the_kernel(self.group);
            }
            self.phase = self.next_phase();
        }
    }

    fn is_given_up(&self) -> bool {
        matches!(self.phase, Phase::Killed { at, .. } if self.told != Told::Nothing && at.elapsed() >= GIVE_UP_AFTER_KILL)
    }

    fn next_phase(&self) -> Phase {
        let now = Instant::now();
        let soonest = now + self.grace.min(LONGEST_GRACE_ON_STOP);
        match (self.phase, self.told) {
            (Phase::Running { .. }, Told::End) => self.terminate(EndedBy::Stop, soonest),
            (Phase::Running { .. }, Told::Kill) => self.kill(EndedBy::Stop, now),
            (Phase::Running { until: Some(until) }, Told::Nothing) if until <= now => {
                self.terminate(EndedBy::Timeout, now + self.grace)
            }
            (Phase::Terminating { why, .. }, Told::Kill) => self.kill(why, now),
            (Phase::Terminating { why, kill_at }, _) if kill_at <= now => self.kill(why, now),
            (Phase::Terminating { why, kill_at }, Told::End) => {
                Phase::Terminating { why, kill_at: kill_at.min(now + LONGEST_GRACE_ON_STOP) }
            }
            (phase, _) => phase,
        }
    }

    fn terminate(&self, why: EndedBy, kill_at: Instant) -> Phase {
        self.signal(Signal::TERM);
        // A stopped process learns of TERM only when it goes on.
        self.signal(Signal::CONT);
        Phase::Terminating { why, kill_at }
    }

    fn kill(&self, why: EndedBy, at: Instant) -> Phase {
        self.signal(Signal::KILL);
        Phase::Killed { why, at }
    }

    fn signal(&self, signal: Signal) {
        // Both numbers are this process's as long as it is not reaped, also where it has left its group. There is nobody
        // to tell of a failure.
        let _ = kill_process_group(self.group, signal);
        // Twice to one that has not left it would be a second request, which many programs take as an order to give up.
        if getpgid(Some(self.group)).is_ok_and(|group| group != self.group) {
            let _ = kill_process(self.group, signal);
        }
    }

    /// When something is due.
    fn due(&self) -> Option<Instant> {
        let by_phase = match self.phase {
            Phase::Running { until } => until,
            Phase::Terminating { kill_at, .. } => Some(kill_at),
            Phase::Killed { at, .. } => (self.told != Told::Nothing).then(|| at + GIVE_UP_AFTER_KILL),
        };
        [by_phase, self.offer_at].into_iter().flatten().min()
    }

    /// The gate that has not spoken yet; a gate that has would wake us for ever.
    fn gate<'s>(&self, stop: &'s Stop) -> Option<BorrowedFd<'s>> {
        match (self.told, self.phase) {
            (Told::Nothing, _) => Some(stop.ending()),
            (Told::End, Phase::Running { .. } | Phase::Terminating { .. }) => Some(stop.killing()),
            _ => None,
        }
    }

    fn wait(&self, stop: &Stop) -> Woken {
        let gate = self.gate(stop);
        let pipes = self.streams.iter().map(|stream| stream.pipe.as_ref().map(AsFd::as_fd));
        let watched = [self.exit.descriptor(), gate].into_iter().chain(pipes);
        let mut polled: Vec<PollFd<'_>> =
            watched.flatten().map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)).collect();
        let timeout = self.patience().and_then(|patience| Timespec::try_from(patience).ok());
        // Interrupted or not, the state is looked at afresh.
        let _ = poll(&mut polled, timeout.as_ref());
        let mut ready = polled.iter().map(|polled| !polled.revents().is_empty());
        let mut next_if = |present: bool| present && ready.next().unwrap_or(false);
        let exited = next_if(self.exit.descriptor().is_some()) || self.exit.asks().is_some_and(has_ended);
        Woken { exited, gate: next_if(gate.is_some()) }
    }

    fn patience(&self) -> Option<Duration> {
        let due = self.due().map(|due| due.saturating_duration_since(Instant::now()));
        match self.exit.asks() {
            Some(_) => Some(due.map_or(ASK_EVERY, |due| due.min(ASK_EVERY))),
            None => due,
        }
    }
}

/// Of one that has ended, or is given up.
fn reap(pid: Pid, started: Instant) -> (ProcessEnd, Usage) {
    let turn = descendants::turn();
    let reaped = try_wait4_pid(pid.as_raw_pid().cast_unsigned()).ok().flatten();
    drop(turn);
    let duration_s = started.elapsed().as_secs_f64();
    let Some(reaped) = reaped else {
        return (ProcessEnd::default(), Usage { duration_s, ..Usage::default() });
    };
    let cpu = reaped.rusage.utime + reaped.rusage.stime;
    let usage = Usage {
        duration_s,
        cpu_s: cpu.as_secs_f64(),
        max_rss_bytes: Some(reaped.rusage.maxrss).filter(|peak| is_above_own_peak(*peak)),
    };
    let end = ProcessEnd { exit_code: reaped.status.code(), signal: reaped.status.signal() };
    (end, usage.rounded())
}

/// Whether a child's peak is its own. Ours only grows, so what was not above it once is not above it now, and the system
/// is asked for the others alone.
fn is_above_own_peak(peak: u64) -> bool {
    static KNOWN: AtomicU64 = AtomicU64::new(0);
    if peak <= KNOWN.load(Ordering::Relaxed) {
        return false;
    }
    let own = own_peak();
    KNOWN.fetch_max(own, Ordering::Relaxed);
    peak > own
}

/// The largest resident memory this process ever had, bytes. A child starts as its copy, and the kernel counts that as the
/// child's own peak: what is not above it can't be told apart.
fn own_peak() -> u64 {
    own_peak_since_exec().unwrap_or_else(own_peak_of_all)
}

/// Without what the process was that executed this program, which may have been far larger: a notebook, say. Of Linux.
fn own_peak_since_exec() -> Option<u64> {
    proc_text::bytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

fn own_peak_of_all() -> u64 {
    use nix::sys::resource::{UsageWho, getrusage};
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_SELF)
        .ok()
        .and_then(|usage| u64::try_from(usage.max_rss()).ok())
        .map_or(0, |peak| peak * unit)
}
