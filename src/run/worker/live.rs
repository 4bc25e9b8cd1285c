//! One living worker: asked, attended to while it works, ended.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread};
use rustix::process::Pid;

use crate::run::capture::Capture;
use crate::run::child::{Finished, supervise};
use crate::run::descendants;
use crate::run::memory::Seat;
use crate::run::reaped::reap;
use crate::run::shutdown::Shutdown;
use crate::run::spawn::{Program, SpawnError, Started, Starter};
use crate::run::stream::{READ_BYTES, Stream};
use crate::run::supervisor::ChildSupervisor;
use crate::run::worker::answers::{Answer, Answers};
use crate::run::worker::meter::Meter;

/// Who closes a stream that it needs is about to end by itself, or never will.
const SETTLING: Duration = Duration::from_secs(1);

/// What was said during one task.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

impl Said {
    /// Nothing yet; what is long goes to an unlinked file in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { stdout: Capture::new(folder), stderr: Capture::new(folder) }
    }
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Reply {
    /// The one answer, in time. The worker may be asked again.
    Answer(Answer),
    /// There was an answer that belongs to no question, or that came before the question was read.
    OutOfStep(&'static str),
    /// It ended, or was told to end, without having read the request.
    NotTaken,
    /// It ended, or was told to end, at the request.
    Nothing,
}

/// A worker that was started and not reaped.
#[derive(Debug)]
pub(super) struct Live {
    supervisor: ChildSupervisor,
    /// Gone when it is to be asked no more.
    input: Option<OwnedFd>,
    /// Whether nobody has the other end of its input any more.
    is_deaf: bool,
    output: Stream,
    answers: Answers,
    errors: Stream,
    buffer: Vec<u8>,
    id: OsString,
    started: Instant,
    pub(super) meter: Meter,
    /// Tasks that it answered.
    pub(super) served: u64,
}

impl Live {
    /// Starts one; `id` is what its descendants are known by.
    pub(super) fn start(
        starter: &Starter,
        program: Program<'_>,
        id: OsString,
        grace: Duration,
        max_result: u64,
    ) -> Result<Self, SpawnError> {
        let started = Instant::now();
        let (theirs, input) = io::pipe()?;
        ioctl_fionbio(&input, true).map_err(io::Error::from)?;
        let Started { pid, stdout, stderr } =
            starter.start(Program { input: Some(theirs.as_fd()), ..program })?;
        Ok(Self {
            supervisor: ChildSupervisor::new(pid, grace, None),
            input: Some(input.into()),
            is_deaf: false,
            output: Stream::new(stdout),
            answers: Answers::new(max_result),
            errors: Stream::new(stderr),
            buffer: Vec::with_capacity(READ_BYTES),
            id,
            started,
            meter: Meter::new(pid),
            served: 0,
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.supervisor.pid()
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Whether it can be asked.
    pub(super) fn can_be_asked(&self) -> bool {
        self.input.is_some() && !self.is_deaf && self.output.descriptor().is_some()
    }

    /// It is to be asked no more: once it has read all, it finds the end of its input.
    pub(super) fn close_input(&mut self) {
        self.input = None;
    }

    /// Asks, and stays with it until it has answered, or its time is up, or it ended.
    ///
    /// No answer is to be taken for that to another question. What tells: there is one before the question, two come at
    /// once, or one comes while the question lies unread. What can't be told, since an answer names no question: a second
    /// answer that comes after the next question was read. The one after that is then one too many, and is noticed.
    pub(super) fn ask(
        &mut self,
        request: &[u8],
        until: Option<Instant>,
        stop: &Shutdown,
        said: &mut Said,
    ) -> Reply {
        self.read_output(said);
        if self.answers.is_ahead() {
            return Reply::OutOfStep("when this task was to begin there was an answer to nothing");
        }
        self.supervisor.limit(until);
        // What an earlier task's lines looked like explains nothing of this one.
        self.answers.take_mistaken();
        let mut left = request;
        self.send(&mut left);
        loop {
            let woken = self.wait(stop, !left.is_empty(), said);
            let is_running = self.supervisor.ended_by().is_none();
            if let Some(answer) = self.answers.take().filter(|_| is_running) {
                // What it said before it answered is there by now.
                self.read_errors(said);
                return self.judge(answer, left);
            }
            if self.supervisor.is_over(woken.process) {
                return if self.unread(left) == request.len() { Reply::NotTaken } else { Reply::Nothing };
            }
            if woken.input {
                self.send(&mut left);
            }
            if (self.is_deaf && self.unread(left) > 0) || self.output.descriptor().is_none() {
                self.supervisor.release(SETTLING);
            }
        }
    }

    fn judge(&self, answer: Answer, left: &[u8]) -> Reply {
        if self.unread(left) > 0 {
            return Reply::OutOfStep("there was an answer before the request was read");
        }
        if self.answers.is_ahead() && answer != Answer::Endless {
            return Reply::OutOfStep("there was another answer behind the first");
        }
        Reply::Answer(answer)
    }

    /// Bytes of the request that the worker did not read, `left` those that did not even go into the pipe. The pipe keeps
    /// them as long as we hold our end of it, also after the worker's death.
    fn unread(&self, left: &[u8]) -> usize {
        let in_pipe = self.input.as_ref().and_then(|input| ioctl_fionread(input).ok()).unwrap_or(0);
        left.len() + usize::try_from(in_pipe).unwrap_or(usize::MAX)
    }

    /// Sends what the pipe has room for. Whoever reads no more is noticed elsewhere.
    fn send(&self, left: &mut &[u8]) {
        let Some(input) = &self.input else { return };
        while !left.is_empty() {
            match rustix::io::write(input, left) {
                Ok(sent) => *left = &left[sent..],
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    fn wait(&mut self, stop: &Shutdown, sends: bool, said: &mut Said) -> Woken {
        let mut polled = self.supervisor.watched(stop);
        let own = polled.len();
        let reads = [self.output.descriptor(), self.errors.descriptor()];
        polled.extend(reads.iter().flatten().map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN)));
        // Once it has closed its input, which would wake us for ever, it may still answer.
        let flags = if sends { PollFlags::OUT } else { PollFlags::empty() };
        let input = self.input.as_ref().filter(|_| !self.is_deaf);
        polled.extend(input.map(|input| PollFd::new(input, flags)));
        let process = self.supervisor.wait(stop, &mut polled);
        let mut ready = polled[own..].iter().map(PollFd::revents);
        let [output, errors] =
            reads.map(|pipe| pipe.and_then(|_| ready.next()).is_some_and(|now| !now.is_empty()));
        let input = ready.next().unwrap_or(PollFlags::empty());
        if output || process.has_exited() {
            self.read_output(said);
        }
        if errors || process.has_exited() {
            self.read_errors(said);
        }
        self.is_deaf |= input.contains(PollFlags::ERR);
        Woken { process, input: input.contains(PollFlags::OUT) }
    }

    fn read_output(&mut self, said: &mut Said) {
        let Self { output, answers, buffer, .. } = self;
        output.drain(buffer, |piece| answers.push(piece, &mut said.stdout));
    }

    fn read_errors(&mut self, said: &mut Said) {
        self.errors.drain(&mut self.buffer, |piece| said.stderr.push(piece));
    }

    /// Why the last line that looked like an answer was none, if there was one.
    pub(super) fn take_mistaken(&mut self) -> Option<crate::json::JsonError> {
        self.answers.take_mistaken()
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        self.supervisor.end_now();
    }

    /// Closes its input and gives it `grace` to end by itself; TERM and KILL follow.
    pub(super) fn release(&mut self, grace: Duration) {
        self.close_input();
        // The time limit was that of a task which it has answered.
        self.supervisor.limit(None);
        self.supervisor.release(grace);
    }

    /// Stays until it ended, clears up what it leaves behind and reaps it. Its use is that since its last task.
    pub(super) fn end(mut self, stop: &Shutdown, seat: Seat<'_>, said: &mut Said) -> Finished {
        self.answers.flush(&mut said.stdout);
        let mut streams = [(self.output, &mut said.stdout), (self.errors, &mut said.stderr)];
        supervise(&mut self.supervisor, stop, &mut streams);
        let pid = self.supervisor.pid();
        let left_processes = descendants::kill_left_behind(pid, &self.id);
        let held = seat.leave();
        let (end, mut usage) = reap(pid, self.started);
        usage.cpu_s = self.meter.rest_of(usage.cpu_s);
        Finished { end, usage, ended_by: self.supervisor.has_ended_by(end), held, left_processes }
    }
}

/// What a wait brought.
struct Woken {
    process: crate::run::supervisor::Woken,
    /// There is room for more of the request.
    input: bool,
}
