//! Supervises one process: waits for it, limits its time, sends it SIGTERM, then SIGKILL if it does not end. What it
//! prints meanwhile, and whether that is a reason to stop waiting, is the caller's concern.
//!
//! Time in which this process could not run does not count. It is detected by checking every `TICK` as long as time is limited:
//! if two checks are further apart, this process or its whole container was stopped in between.

use std::os::fd::BorrowedFd;
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::host::procfs;
use crate::model::outcome::ProcessEnd;
use crate::process::shutdown::Shutdown;

/// Between TERM and KILL when stopping, at most: the platform kills at 30 s and results have to be written in between.
pub const LONGEST_GRACE_ON_STOP: Duration = Duration::from_secs(15);

/// A process that even KILL does not end (it hangs in the kernel) is given up after this when stopping. That leaves time
/// for the results also after a second signal.
const GIVE_UP_AFTER_KILL: Duration = Duration::from_secs(3);

/// How often to check whether a process has ended, if the system can't notify.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A process that ends sooner has hardly filled memory, and to offer it to the kernel costs a tenth of starting it.
const YOUNG: Duration = Duration::from_millis(20);

/// How often to check whether time counts, if it is limited.
const TICK: Duration = Duration::from_millis(100);

/// Looks of a busy machine may lie as far apart.
const LONGEST_GAP: Duration = Duration::from_millis(300);

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub struct AttemptLimits {
    /// Until TERM.
    pub timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
}

/// Why we ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its time was up.
    Timeout,
    /// This process is shutting down.
    Stop,
    /// Its user no longer needs it.
    Owner,
}

/// Has the kernel, when it is out of memory, kill this process and its descendants before it kills this program. Where that
/// can't be, nothing is lost but the preference.
fn offer_to_the_kernel(pid: Pid) {
    #[cfg(target_os = "linux")]
    {
        for process in procfs::tree(pid.as_raw_pid()) {
            let _ = std::fs::write(process.join("oom_score_adj"), "1000");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = pid;
}

/// Notifies when a process has ended, without reaping it.
#[derive(Debug)]
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
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    // An error means that there is nothing left to wait for.
    waitid(WaitId::Pid(pid), options).map_or(true, |status| status.is_some())
}

/// Whether a signal has stopped it, and none has continued it; or what it waits for, as a shell does for its command. A
/// shell that is stopped in the midst of starting one is not stopped itself.
fn is_stopped(pid: Pid) -> bool {
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    if matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_))) {
        return true;
    }
    let mut states = procfs::tree(pid.as_raw_pid()).map(|process| procfs::state(&process));
    states.next().flatten() != Some('R') && states.any(|state| state == Some('T'))
}

/// Whether it handles SIGTERM itself; if unknown, it may.
fn handles_term(pid: Pid) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let is_set = |name| procfs::has_signal(&status, name, Signal::TERM.as_raw()).unwrap_or(true);
    is_set("SigCgt:") || is_set("SigIgn:")
}

/// Time that does not count.
#[derive(Debug, Clone, Copy)]
enum Pause {
    /// We were stopped, perhaps with all there is.
    Ours(Duration),
    /// The process was.
    Its(Duration),
}

/// Notices pauses.
#[derive(Debug)]
struct PauseWatch {
    looked: Instant,
    was_stopped: bool,
}

impl PauseWatch {
    /// Of what happens from a moment on, which is the one that limits count from: between it and a later one there may be a
    /// pause already.
    fn since(moment: Instant) -> Self {
        Self { looked: moment, was_stopped: false }
    }

    /// The time since the last look, if a pause began in it, ended in it, or went on. To be asked every [`TICK`]; sooner, it
    /// does not look.
    fn look(&mut self, now: Instant, pid: Pid) -> Option<Pause> {
        let since = now.saturating_duration_since(self.looked);
        if since < TICK {
            return None;
        }
        self.looked = now;
        let was_stopped = std::mem::replace(&mut self.was_stopped, is_stopped(pid));
        if since > LONGEST_GAP {
            Some(Pause::Ours(since))
        } else {
            (was_stopped || self.was_stopped).then_some(Pause::Its(since))
        }
    }
}

/// Later by this much, as far as the clock can represent it.
fn later(instant: Instant, by: Duration) -> Instant {
    instant.checked_add(by).unwrap_or(instant)
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Until its time is up, and why that is so.
    Running {
        until: Option<(Instant, EndedBy)>,
    },
    Terminating {
        why: EndedBy,
        kill_at: Instant,
    },
    Killed {
        why: EndedBy,
        at: Instant,
    },
}

impl Phase {
    fn running_until(until: Option<Instant>) -> Self {
        Self::Running { until: until.map(|until| (until, EndedBy::Timeout)) }
    }

    /// Whether pauses put off what is due.
    fn has_limit(self) -> bool {
        matches!(self, Self::Running { until: Some(_) } | Self::Terminating { .. })
    }

    /// With deadlines postponed. A process that stops itself on SIGTERM gets no more time for that.
    fn put_off(self, pause: Pause) -> Self {
        match (self, pause) {
            (Self::Running { until: Some((until, why)) }, Pause::Ours(time)) => {
                Self::Running { until: Some((later(until, time), why)) }
            }
            (Self::Running { until: Some((until, EndedBy::Timeout)) }, Pause::Its(time)) => {
                Self::Running { until: Some((later(until, time), EndedBy::Timeout)) }
            }
            (Self::Terminating { why, kill_at }, Pause::Ours(time)) => {
                Self::Terminating { why, kill_at: later(kill_at, time) }
            }
            (phase, _) => phase,
        }
    }
}

/// The stages of [`Shutdown`] that were applied to this process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShutdownStage {
    None,
    Graceful,
    Forced,
}

/// Supervises one process.
#[derive(Debug)]
pub struct ChildSupervisor {
    exit: ExitWatch,
    group: Pid,
    phase: Phase,
    stage: ShutdownStage,
    grace: Duration,
    pauses: PauseWatch,
    /// Whether it was asked to end in a way that it may have answered by exiting with success.
    may_have_obeyed: bool,
    /// When to set which process the kernel should kill first for memory, unless already set.
    offer_at: Option<Instant>,
}

/// What a wait brought.
#[derive(Debug, Clone, Copy)]
pub struct WokenBy {
    exited: bool,
    latch: bool,
}

impl WokenBy {
    /// Whether the process has ended.
    pub fn has_exited(self) -> bool {
        self.exited
    }
}

impl ChildSupervisor {
    /// With a process that was just started, at this moment, and leads a session of its own.
    pub fn new(pid: Pid, started: Instant, grace: Duration, until: Option<Instant>) -> Self {
        Self {
            exit: ExitWatch::new(pid),
            group: pid,
            phase: Phase::running_until(until),
            stage: ShutdownStage::None,
            grace,
            pauses: PauseWatch::since(started),
            may_have_obeyed: false,
            offer_at: Some(Instant::now() + YOUNG),
        }
    }

    /// The process, which is its group's leader.
    pub fn pid(&self) -> Pid {
        self.group
    }

    /// Why we ended or killed it, if we did.
    pub fn ended_by(&self) -> Option<EndedBy> {
        match self.phase {
            Phase::Running { .. } => None,
            Phase::Terminating { why, .. } | Phase::Killed { why, .. } => Some(why),
        }
    }

    /// The same for a process that has ended like this: if it exited with 0 and can't have reacted to us, it ended by itself.
    pub fn has_ended_by(&self, end: ProcessEnd) -> Option<EndedBy> {
        self.ended_by().filter(|_| end.exit_code != Some(0) || self.may_have_obeyed)
    }

    /// Sets when its time is up; of one that runs.
    pub fn limit(&mut self, until: Option<Instant>) {
        if self.ended_by().is_none() {
            self.phase = Phase::running_until(until);
            self.pauses = PauseWatch::since(Instant::now());
        }
    }

    /// Has it end within this time by itself, unless it has less.
    pub fn release(&mut self, time: Duration) {
        let now = Instant::now();
        let at = now + time;
        if let Phase::Running { until } = self.phase
            && until.is_none_or(|(until, _)| until > at)
        {
            self.phase = Phase::Running { until: Some((at, EndedBy::Owner)) };
            self.pauses = PauseWatch::since(now);
        }
    }

    /// Kills it, unless it was killed.
    pub fn end_now(&mut self) {
        if !matches!(self.phase, Phase::Killed { .. }) {
            self.phase = self.kill(self.ended_by().unwrap_or(EndedBy::Owner), Instant::now());
        }
    }

    /// What [`Self::wait`] polls for itself; the caller adds what else should wake it.
    pub fn watched<'a>(&'a self, stop: &'a Shutdown) -> Vec<PollFd<'a>> {
        let mut watched = Vec::with_capacity(6);
        let own = [self.exit.descriptor(), self.latch(stop)].into_iter().flatten();
        watched.extend(own.map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN)));
        watched
    }

    /// Waits until one of these is ready, [`Self::watched`] first, or something is due.
    pub fn wait(&self, stop: &Shutdown, polled: &mut [PollFd<'_>]) -> WokenBy {
        self.wait_at_most(None, stop, polled)
    }

    /// The same, but no longer than this.
    pub fn wait_at_most(
        &self,
        most: Option<Duration>,
        stop: &Shutdown,
        polled: &mut [PollFd<'_>],
    ) -> WokenBy {
        let patience = [most, self.patience()].into_iter().flatten().min();
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        // Interrupted or not, check the state again.
        let _ = poll(polled, timeout.as_ref());
        let mut ready = polled.iter().map(|polled| !polled.revents().is_empty());
        let mut next_if = |present: bool| present && ready.next().unwrap_or(false);
        let exited = next_if(self.exit.descriptor().is_some()) || self.exit.asks().is_some_and(has_ended);
        WokenBy { exited, latch: next_if(self.latch(stop).is_some()) }
    }

    /// Does what is due after a wait. `true` when it is over: the process ended, or it hangs in the kernel and this process must
    /// stop.
    pub fn is_over(&mut self, woken: WokenBy) -> bool {
        if woken.exited || self.is_given_up() {
            return true;
        }
        if woken.latch {
            self.stage = if self.stage == ShutdownStage::None {
                ShutdownStage::Graceful
            } else {
                ShutdownStage::Forced
            };
        }
        // Use one timestamp for all of it: we may be stopped between any two steps, which is noticed at the next check.
        let now = Instant::now();
        if self.offer_at.take_if(|at| *at <= now).is_some() {
            offer_to_the_kernel(self.group);
        }
        if self.phase.has_limit()
            && let Some(pause) = self.pauses.look(now, self.group)
        {
            self.phase = self.phase.put_off(pause);
        }
        self.phase = self.next_phase(now);
        false
    }

    fn is_given_up(&self) -> bool {
        matches!(self.phase, Phase::Killed { at, .. } if self.stage != ShutdownStage::None && at.elapsed() >= GIVE_UP_AFTER_KILL)
    }

    fn next_phase(&mut self, now: Instant) -> Phase {
        match (self.phase, self.stage) {
            (Phase::Running { .. }, ShutdownStage::Graceful) => {
                self.terminate(EndedBy::Stop, now, self.grace.min(LONGEST_GRACE_ON_STOP))
            }
            (Phase::Running { .. }, ShutdownStage::Forced) => self.kill(EndedBy::Stop, now),
            (Phase::Running { until: Some((until, why)) }, ShutdownStage::None) if until <= now => {
                self.terminate(why, now, self.grace)
            }
            (Phase::Terminating { why, .. }, ShutdownStage::Forced) => self.kill(why, now),
            (Phase::Terminating { why, kill_at }, _) if kill_at <= now => self.kill(why, now),
            (Phase::Terminating { why, kill_at }, ShutdownStage::Graceful) => {
                Phase::Terminating { why, kill_at: kill_at.min(now + LONGEST_GRACE_ON_STOP) }
            }
            (phase, _) => phase,
        }
    }

    fn terminate(&mut self, why: EndedBy, now: Instant, grace: Duration) -> Phase {
        self.may_have_obeyed = handles_term(self.group);
        // A process that has ended by itself is noticed at the next check, with all of its output.
        if has_ended(self.group) {
            return self.phase;
        }
        self.pauses = PauseWatch::since(now);
        self.signal(Signal::TERM);
        // A stopped process receives SIGTERM only when it continues.
        self.signal(Signal::CONT);
        Phase::Terminating { why, kill_at: now + grace }
    }

    fn kill(&self, why: EndedBy, at: Instant) -> Phase {
        self.signal(Signal::KILL);
        Phase::Killed { why, at }
    }

    fn signal(&self, signal: Signal) {
        // It leads a session, so it can't leave its group, and the group's number is its own until it is reaped. A
        // failure can't be reported anywhere.
        let _ = kill_process_group(self.group, signal);
    }

    /// When something is due.
    fn due(&self) -> Option<Instant> {
        let by_phase = match self.phase {
            Phase::Running { until } => until.map(|(until, _)| until),
            Phase::Terminating { kill_at, .. } => Some(kill_at),
            Phase::Killed { at, .. } => (self.stage != ShutdownStage::None).then(|| at + GIVE_UP_AFTER_KILL),
        };
        [by_phase, self.offer_at].into_iter().flatten().min()
    }

    /// The latch that has not spoken yet; a latch that has would wake us for ever.
    fn latch<'s>(&self, stop: &'s Shutdown) -> Option<BorrowedFd<'s>> {
        match (self.stage, self.phase) {
            (ShutdownStage::None, _) => Some(stop.graceful()),
            (ShutdownStage::Graceful, Phase::Running { .. } | Phase::Terminating { .. }) => {
                Some(stop.forced())
            }
            _ => None,
        }
    }

    fn patience(&self) -> Option<Duration> {
        let due = self.due().map(|due| due.saturating_duration_since(Instant::now()));
        let look = self.phase.has_limit().then_some(TICK);
        let ask = self.exit.asks().map(|_| ASK_EVERY);
        [due, look, ask].into_iter().flatten().min()
    }
}
