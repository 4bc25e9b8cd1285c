//! One live worker: sends it requests, supervises it while it works, ends it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, ioctl_fionbio, ioctl_fionread};
use rustix::process::Pid;

use crate::process::capture::Capture;
use crate::process::child::{Finished, supervise};
use crate::process::descendants;
use crate::process::reap::reap;
use crate::process::registry::Registration;
use crate::process::shutdown::Shutdown;
use crate::process::spawn::{Program, SpawnError, Spawner, Started};
use crate::process::stream::{PipeReader, READ_BYTES};
use crate::process::supervisor::ChildSupervisor;
use crate::run::almost_json::shown;
use crate::run::worker::answers::{AnswerLimits, Answers, WorkerAnswer};
use crate::run::worker::idle::IdleWatch;
use crate::run::worker::meter::Meter;
use crate::run::worker::shared::SharedWorkerState;

/// A worker that closes a stream that it needs is about to end by itself, or never will.
const SETTLING: Duration = Duration::from_secs(1);

/// Many programs write the end of a line by itself.
const LINE_END: Duration = Duration::from_millis(200);

/// A worker that gives more answers than this while a request is unread will not read it.
const MOST_LATE: u32 = 16;

/// How many bytes of a worker's last line are checked.
const LAST_LINE: usize = 4096;

/// How many bytes of the end of standard error may be changed: a stack dump of all threads of a process fits in.
const CHANGED_END: usize = 64 * 1024;

/// The output during one task.
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

    /// Changes the end of standard error.
    pub(super) fn change_end(&mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        // What can't be read back stays as it is.
        if let Ok(end) = self.stderr.take_tail(CHANGED_END) {
            self.stderr.push(&change(&end));
        }
    }

    /// Ends with a separate line.
    pub(super) fn end_with(&mut self, line: &str) {
        if !matches!(self.stderr.tail(1).unwrap_or_default().last(), None | Some(b'\n')) {
            self.stderr.push(b"\n");
        }
        self.stderr.push(line.as_bytes());
        self.stderr.push(b"\n");
    }
}

/// The outcome of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// The one answer, in time. The worker may be asked again.
    Answer(WorkerAnswer),
    /// It answers without reading what it is asked.
    OutOfStep,
    /// It was not asked: it is in the middle of a line that begins as an answer does, and belongs to no request.
    Busy,
    /// It ended, or was stopped, without having read the request.
    NotTaken,
    /// It ended, or was stopped, during the request.
    Nothing,
}

/// A worker that was started and not reaped.
#[derive(Debug)]
pub(super) struct Live {
    supervisor: ChildSupervisor,
    /// `None` once it gets no more requests.
    input: Option<OwnedFd>,
    /// Whether the other end of its input is closed.
    is_deaf: bool,
    output: PipeReader,
    answers: Answers,
    errors: PipeReader,
    buffer: Vec<u8>,
    id: OsString,
    started: Instant,
    pub(super) meter: Meter,
    /// Tasks that it answered.
    pub(super) served: u64,
    /// The entry of the last of these.
    previous: OsString,
    /// An answer that came beside the one that counts.
    extra: Option<ExtraAnswer>,
}

/// An answer that came beside the one that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ExtraAnswer {
    /// The entry that was answered.
    pub(super) path: OsString,
    /// Its printable form.
    pub(super) line: String,
}

/// What a worker is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// A line of JSON.
    pub(super) request: &'a [u8],
    /// The entry that it is about.
    pub(super) path: &'a OsStr,
    /// When its time is up.
    pub(super) until: Option<Instant>,
    /// What the workers of the launch have in common.
    pub(super) shared: &'a SharedWorkerState<'a>,
}

impl Live {
    /// Starts one; `id` is what its descendants are known by.
    pub(super) fn start(
        spawner: &Spawner,
        program: Program<'_>,
        id: OsString,
        grace: Duration,
        most: AnswerLimits,
    ) -> Result<Self, SpawnError> {
        let started = Instant::now();
        let (theirs, input) = io::pipe()?;
        ioctl_fionbio(&input, true).map_err(io::Error::from)?;
        let Started { pid, stdout, stderr } =
            spawner.start(Program { input: Some(theirs.as_fd()), ..program })?;
        Ok(Self {
            supervisor: ChildSupervisor::new(pid, started, grace, None),
            input: Some(input.into()),
            is_deaf: false,
            output: PipeReader::new(stdout),
            answers: Answers::new(most),
            errors: PipeReader::new(stderr),
            buffer: Vec::with_capacity(READ_BYTES),
            id,
            started,
            meter: Meter::new(pid),
            served: 0,
            previous: OsString::new(),
            extra: None,
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

    /// It gets no more requests: once it has read everything, it finds the end of its input.
    pub(super) fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a request, and waits until it has answered, its time is up, or it has ended.
    ///
    /// No answer may be mistaken for that to another request: anything before the request, after the first answer, or
    /// while the request is unread, is log. One case can't be detected, since an answer does not name its request: a second answer that
    /// comes after the next request was read. The answer after that is then one too many, and is noticed.
    pub(super) fn ask(&mut self, question: Question<'_>, stop: &Shutdown, said: &mut Said) -> Reply {
        let Question { request, path, until, shared } = question;
        self.supervisor.limit(until);
        self.read_output(said);
        if self.served > 0 && !self.has_ended_its_line(stop, said) {
            let path = self.previous.clone();
            let line = self.unfinished_line().unwrap_or_else(|| "a line without end".to_owned());
            self.extra.get_or_insert(ExtraAnswer { path, line });
            return Reply::Busy;
        }
        self.set_aside(said);
        let mut left = request;
        self.send(&mut left);
        let mut idle = shared.idle_after().map(|after| IdleWatch::new(self.pid(), Instant::now(), after));
        let mut late = 0;
        loop {
            let patience = idle.as_ref().map(|idle| idle.patience(Instant::now()));
            let woken = self.wait(patience, stop, !left.is_empty(), said);
            let is_running = self.supervisor.ended_by().is_none();
            if self.answers.has_one() && is_running {
                match self.judge(left, &mut late) {
                    Some(reply) => {
                        self.read_errors(said);
                        self.answered(path);
                        return reply;
                    }
                    None => self.set_aside(said),
                }
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
            let printed = || said.stdout.total() + said.stderr.total() + self.answers.held().len() as u64;
            if idle.as_mut().is_some_and(|idle| idle.is_idle(Instant::now(), printed)) {
                idle = None;
                shared.tell_idle(path, self.last_line(said).as_deref());
            }
        }
    }

    /// Waits shortly for the end of a line that has begun as an answer does; `false` if it does not come.
    fn has_ended_its_line(&mut self, stop: &Shutdown, said: &mut Said) -> bool {
        let until = Instant::now() + LINE_END;
        while self.answers.is_within_answer() {
            let left = until.saturating_duration_since(Instant::now());
            let woken = self.wait(Some(left), stop, false, said);
            if self.supervisor.is_over(woken.process) || left.is_zero() {
                return !self.answers.is_within_answer();
            }
        }
        true
    }

    /// The meaning of the current answer; `None` if it belongs to no request: an unread request can't have an answer.
    fn judge(&mut self, left: &[u8], late: &mut u32) -> Option<Reply> {
        if self.unread(left) == 0 {
            return self.answers.take().map(Reply::Answer);
        }
        let (is_endless, is_mistaken) = (self.answers.is_endless(), self.answers.is_mistaken());
        *late += u32::from(!is_mistaken);
        match self.served {
            // What it says as it starts is log, whatever it looks like.
            0 if is_mistaken => None,
            0 => Some(Reply::OutOfStep),
            _ if *late > MOST_LATE => Some(Reply::OutOfStep),
            _ => is_endless.then_some(Reply::Busy),
        }
    }

    /// Makes log of an answer that belongs to no request.
    fn set_aside(&mut self, said: &mut Said) {
        self.answers.set_aside(&mut said.stdout);
        self.note_extra(&self.previous.clone());
    }

    /// It has answered the question about this entry.
    fn answered(&mut self, path: &OsStr) {
        self.note_extra(path);
        path.clone_into(&mut self.previous);
    }

    fn note_extra(&mut self, path: &OsStr) {
        if let Some(line) = self.answers.take_extra() {
            self.extra.get_or_insert_with(|| ExtraAnswer { path: path.to_owned(), line });
        }
    }

    /// An answer that came beside those that count, since this was last asked.
    pub(super) fn take_extra(&mut self) -> Option<ExtraAnswer> {
        self.extra.take()
    }

    /// The unfinished line that it printed, in printable form.
    pub(super) fn unfinished_line(&self) -> Option<String> {
        Some(shown(self.answers.held())).filter(|line| !line.is_empty())
    }

    /// The last line that it printed, in printable form.
    fn last_line(&self, said: &mut Said) -> Option<String> {
        self.unfinished_line().or_else(|| {
            let tail = said.stdout.tail(LAST_LINE).unwrap_or_default();
            let line = tail.trim_ascii_end().rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            Some(shown(line)).filter(|line| !line.is_empty())
        })
    }

    /// Bytes of the request that the worker did not read, `left` those that did not even go into the pipe. The pipe keeps
    /// them as long as we hold our end of it, also after the worker's death.
    fn unread(&self, left: &[u8]) -> usize {
        let in_pipe = self.input.as_ref().and_then(|input| ioctl_fionread(input).ok()).unwrap_or(0);
        left.len() + usize::try_from(in_pipe).unwrap_or(usize::MAX)
    }

    /// Sends what the pipe has room for. A worker that stops reading is noticed elsewhere.
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

    fn wait(&mut self, most: Option<Duration>, stop: &Shutdown, sends: bool, said: &mut Said) -> WorkerWoken {
        let mut polled = self.supervisor.watched(stop);
        let own = polled.len();
        let reads = [self.output.descriptor(), self.errors.descriptor()];
        polled.extend(reads.iter().flatten().map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN)));
        // Once it has closed its input, which would wake us for ever, it may still answer.
        let flags = if sends { PollFlags::OUT } else { PollFlags::empty() };
        let input = self.input.as_ref().filter(|_| !self.is_deaf);
        polled.extend(input.map(|input| PollFd::new(input, flags)));
        let process = self.supervisor.wait_at_most(most, stop, &mut polled);
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
        WorkerWoken { process, input: input.contains(PollFlags::OUT) }
    }

    fn read_output(&mut self, said: &mut Said) {
        let Self { output, answers, buffer, .. } = self;
        output.drain(buffer, |piece| answers.push(piece, &mut said.stdout));
    }

    fn read_errors(&mut self, said: &mut Said) {
        self.errors.drain(&mut self.buffer, |piece| said.stderr.push(piece));
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
    pub(super) fn end(
        mut self,
        stop: &Shutdown,
        registration: Registration<'_>,
        said: &mut Said,
    ) -> Finished {
        self.answers.flush(&mut said.stdout);
        let mut streams = [(self.output, &mut said.stdout), (self.errors, &mut said.stderr)];
        supervise(&mut self.supervisor, stop, &mut streams);
        let pid = self.supervisor.pid();
        let left_processes = descendants::kill_left_behind(pid, &self.id);
        let held = registration.leave();
        let (end, mut usage) = reap(pid, self.started);
        usage.cpu_s = self.meter.rest_of(usage.cpu_s);
        Finished { end, usage, ended_by: self.supervisor.has_ended_by(end), held, left_processes }
    }
}

/// What a wait brought.
struct WorkerWoken {
    process: crate::process::supervisor::WokenBy,
    /// There is room for more of the request.
    input: bool,
}
