//! A job slot that runs its tasks in workers, one worker at a time: started when needed, replaced when it dies.

use std::ffi::{CString, OsStr, OsString};
use std::num::NonZeroU64;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::exit_code::ExitCode;
use crate::model::outcome::{Cause, Failure, ProcessEnd, Usage};
use crate::process::child::Finished;
use crate::process::descendants::TASK_ID;
use crate::process::registry::{MemoryUsage, Registration};
use crate::process::spawn::{Program, SpawnError, Variables, variable};
use crate::process::supervisor::EndedBy;
use crate::run::execute::{Attempt, Execute, Executed, Execution, OWN_VARIABLES, SlotContext};
use crate::run::memory::out_of_memory;
use crate::run::result::{Extracted, ResultDoubt};
use crate::run::scratch::SlotScratch;
use crate::run::verdict;
use crate::run::worker::answers::WorkerAnswer;
use crate::run::worker::kind::WorkerKind;
use crate::run::worker::live::{ExtraAnswer, Live, Question, Reply, Said};
use crate::run::worker::protocol::{TaskAnswer, TaskRequest};
use crate::run::worker::shared::SharedWorkerState;
use crate::template::TaskPlace;

/// Pauses before a worker is started again that died before it took a task, although another one has taken some.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// Python keeps what is printed to a pipe until there is much of it, unless this is set: then no answer would come.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// How many bytes of a dead worker's standard error are read.
const LAST_WORDS: usize = 2048;

/// How many bytes of Python's output during imports are shown.
const SHOWN_OF_IMPORT: usize = 8192;

/// Asks its worker for each attempt.
#[derive(Debug)]
pub struct WorkerSlot<'a> {
    context: SlotContext<'a>,
    kind: &'a WorkerKind,
    tasks: Option<NonZeroU64>,
    shared: &'a SharedWorkerState<'a>,
    slot: usize,
    registration: Registration<'a>,
    scratch: SlotScratch,
    /// The worker's own temporary folder.
    home: SlotScratch,
    common: Vec<CString>,
    worker: Option<Live>,
    /// What a worker that was replaced for it had said beside its answer.
    extra: Option<ExtraAnswer>,
    /// Workers started so far.
    started: u64,
    request: Vec<u8>,
    /// Whether the temporary folder is empty again. What is wrong with it is no fault of the attempt before.
    ready: anyhow::Result<()>,
}

impl<'a> WorkerSlot<'a> {
    /// For slot 1..=jobs, with a worker of this kind that is restarted after this many tasks.
    ///
    /// # Errors
    /// When its temporary folders can't be made.
    pub fn new(
        context: SlotContext<'a>,
        kind: &'a WorkerKind,
        tasks: Option<NonZeroU64>,
        shared: &'a SharedWorkerState<'a>,
        slot: usize,
    ) -> anyhow::Result<Self> {
        let settings = context.settings;
        let scratch = context.scratch.slot()?;
        let home = scratch.beside()?;
        let mut common = settings.environment.lines(&OWN_VARIABLES);
        if settings.environment.get(UNBUFFERED).is_none() {
            common.extend(variable(UNBUFFERED, OsStr::new("1")).ok());
        }
        Ok(Self {
            context,
            kind,
            tasks,
            shared,
            slot,
            registration: context.registry.register(slot),
            scratch,
            home,
            common,
            worker: None,
            extra: None,
            started: 0,
            request: Vec::new(),
            ready: Ok(()),
        })
    }

    /// Starts a worker, in its own empty folder.
    fn start(&mut self) -> Result<Live, Execution> {
        self.home.renew().map_err(|error| Execution::cannot_start(&error))?;
        self.started += 1;
        let settings = self.context.settings;
        let words = settings.template.render_for_worker(self.slot, settings.replica.id());
        let (program, max_result) = (settings.program.as_deref(), settings.result.max_bytes);
        let (argv, most) = (self.kind.argv(words, program, max_result), self.kind.limits(max_result));
        let file = program.map(Path::as_os_str).or(argv.first().map(OsString::as_os_str)).unwrap_or_default();
        let name = format!(
            "{}.w{}.{}.{}.{}",
            settings.run,
            self.slot,
            settings.replica.id(),
            settings.launch,
            self.started
        );
        let id = settings.environment.task_id(&name);
        let slot = OsString::from(self.slot.to_string());
        let own = [(TASK_ID, &*id), ("CANFAR_TASK_SLOT", &*slot), ("TMPDIR", self.home.tmp().as_os_str())];
        let own: std::io::Result<Vec<CString>> =
            own.into_iter().map(|(name, value)| variable(name, value)).collect();
        let place = TaskPlace::of_slot(self.slot, settings.replica.id());
        let values = settings.environment.own_lines(&OWN_VARIABLES, &place);
        let own = own.and_then(|own| Ok([own, values?].concat()));
        let start = |own: Vec<CString>| {
            let program = Program {
                file,
                argv: &argv,
                environment: Variables { common: &self.common, own: &own },
                folder: settings.work_folder.fixed(),
                input: None,
            };
            Live::start(self.context.spawner, program, id, settings.limits.grace, most)
        };
        own.map_err(SpawnError::from).and_then(start).map_err(|error| match error {
            SpawnError::Short(error) => Execution::Short(error),
            SpawnError::Impossible(error) => {
                let why = format!("can't start {} {}: {error}", self.kind.name(), file.display());
                Execution::CannotStart(why, ExitCode::of_io_error(&error))
            }
        })
    }

    /// Whether a worker has done what it was to do, or can do no more.
    fn is_spent(&self, worker: &Live) -> bool {
        !worker.can_be_asked() || self.tasks.is_some_and(|tasks| worker.served >= tasks.get())
    }

    /// Sends the request until a worker takes it: neither a worker that did not take it nor the task is to blame.
    fn attempt(&mut self, attempt: &Attempt<'_>, begun: Instant) -> Execution {
        let until = self.context.settings.limits.timeout.and_then(|timeout| begun.checked_add(timeout));
        let mut said = Said::new(self.scratch.root());
        let mut pauses = PAUSES.iter();
        loop {
            let kills_before = self.registration.registry().kills();
            let mut worker = match self.worker.take() {
                Some(worker) => worker,
                None if self.context.stop.signal().is_some() => return Execution::Stopped,
                None => match self.start() {
                    Ok(worker) => worker,
                    Err(execution) => return execution,
                },
            };
            self.registration.enter(worker.pid(), worker.started(), kills_before);
            let question =
                Question { request: &self.request, path: attempt.path, until, shared: self.shared };
            let reply = worker.ask(question, self.context.stop, &mut said);
            let failure = match reply {
                Reply::Answer(WorkerAnswer::Endless) => format!(
                    "the answer is larger than --max-result ({} bytes); {} was restarted",
                    self.context.settings.result.max_bytes,
                    self.kind.name()
                ),
                Reply::Answer(WorkerAnswer::Mistaken(almost)) => {
                    self.shared.note_taken();
                    let name = self.kind.name();
                    format!(
                        "{name} printed a line that {almost}. An answer is one line with a JSON object, such as {{\"stars\": 42}}; {name} was restarted"
                    )
                }
                Reply::Answer(WorkerAnswer::Refused(why)) => {
                    return self.answered(worker, TaskAnswer::Unfit(why), begun, said);
                }
                Reply::Answer(WorkerAnswer::Object(answer)) => match self.kind.read(answer) {
                    TaskAnswer::Refused { why, is_broken } => {
                        worker.kill();
                        worker.end(self.context.stop, self.registration, &mut said);
                        match self.try_again(&mut pauses) {
                            None => return self.refused(why, is_broken, &mut said),
                            Some(Err(stopped)) => return stopped,
                            Some(Ok(())) => continue,
                        }
                    }
                    answer => return self.answered(worker, answer, begun, said),
                },
                Reply::OutOfStep => format!(
                    "{} answers without reading its requests; it has to read a line from standard input, then answer it with one line. It was restarted",
                    self.kind.name()
                ),
                Reply::Busy => {
                    self.extra = worker.take_extra();
                    worker.kill();
                    worker.end(self.context.stop, self.registration, &mut said);
                    continue;
                }
                Reply::Nothing => return self.ended(worker, attempt, begun, said),
                Reply::NotTaken => match self.not_taken(worker, attempt, begun, said, &mut pauses) {
                    Ok(kept) => {
                        said = kept;
                        continue;
                    }
                    Err(execution) => return execution,
                },
            };
            worker.kill();
            let finished = worker.end(self.context.stop, self.registration, &mut said);
            let failure = Failure { cause: Cause::Result, message: failure };
            return self.made(
                Finished { end: ProcessEnd::default(), ..finished },
                Some(failure),
                begun,
                said,
            );
        }
    }

    /// What comes of an answer, the worker being ready for the next request.
    fn answered(
        &mut self,
        mut worker: Live,
        answer: TaskAnswer,
        begun: Instant,
        mut said: Said,
    ) -> Execution {
        self.shared.note_taken();
        worker.served += 1;
        let again = worker.take_extra().or(self.extra.take()).map(|ExtraAnswer { path, line }| {
            ResultDoubt::AnsweredAgain { path: crate::units::path(path), line }
        });
        let now = Instant::now();
        let usage = Usage {
            duration_s: now.duration_since(begun).as_secs_f64(),
            cpu_s: worker.meter.cpu(now).as_secs_f64(),
            max_rss_bytes: worker.meter.peak(),
        };
        let held = self.registration.leave();
        if self.is_spent(&worker) {
            // It may end while the task is recorded.
            worker.close_input();
        }
        self.worker = Some(worker);
        let judged = self.judge(answer, &mut said);
        self.registration.registry().ended(held.tree_bytes.or(usage.max_rss_bytes));
        let (Extracted { result, doubt }, failure) = match judged {
            Ok(extracted) => (extracted, None),
            Err(failure) => (Extracted::default(), Some(failure)),
        };
        Execution::Completed(Box::new(Executed {
            failure,
            end: ProcessEnd::default(),
            usage: usage.rounded(),
            tree_bytes: held.tree_bytes,
            result,
            products: Vec::new(),
            doubt: again.or(doubt),
            stdout: said.stdout,
            stderr: said.stderr,
            left_processes: 0,
        }))
    }

    /// The result in an answer. An error is said as a command would say it: as the last of its standard error.
    fn judge(&self, answer: TaskAnswer, said: &mut Said) -> Result<Extracted, Failure> {
        match answer {
            TaskAnswer::Returned(returned) => {
                let rule = self.context.settings.result;
                rule.of_answer(returned, &self.kind.gave()).map_err(|bad| bad_result(bad.0))
            }
            TaskAnswer::Raised(error) => {
                said.end_with(&error);
                Err(Failure { cause: Cause::Exit, message: self.kind.raised() })
            }
            TaskAnswer::Unfit(why) | TaskAnswer::Refused { why, .. } => Err(bad_result(why)),
        }
    }

    /// Ends the launch: what can't be called is so for every file. What a broken module printed is shown once.
    fn refused(&self, why: String, is_broken: bool, said: &mut Said) -> Execution {
        if is_broken {
            let printed = said.stderr.tail(SHOWN_OF_IMPORT).unwrap_or_default();
            self.shared.tell_refusal(&String::from_utf8_lossy(&printed));
        }
        Execution::CannotStart(why, ExitCode::Usage)
    }

    /// Whether another worker may be started in place of one that could not do what others did, after a pause; or whether
    /// this process stops meanwhile.
    fn try_again(&self, pauses: &mut std::slice::Iter<'_, Duration>) -> Option<Result<(), Execution>> {
        let pause = pauses.next().filter(|_| self.shared.has_taken())?;
        Some(if self.context.stop.begins_within(*pause) { Err(Execution::Stopped) } else { Ok(()) })
    }

    /// What comes of a worker that ended at its task.
    fn ended(&mut self, worker: Live, attempt: &Attempt<'_>, begun: Instant, mut said: Said) -> Execution {
        self.shared.note_taken();
        let unfinished = worker.unfinished_line();
        let finished = worker.end(self.context.stop, self.registration, &mut said);
        let mut failure = match finished.ended_by {
            Some(EndedBy::Owner) => bad_result(format!(
                "{} closed its standard input or output and gave no answer",
                self.kind.name()
            )),
            _ => verdict::failure(&finished, self.context.settings)
                .unwrap_or_else(|| bad_result(self.kind.exited(None))),
        };
        if failure.cause == Cause::Exit {
            failure.message = self.kind.exited(Some(failure.message));
        }
        if let Some(line) = unfinished {
            failure.message += &format!("; what it printed last has no line end: `{line}`");
        }
        self.failed(finished, failure, attempt, begun, said)
    }

    fn failed(
        &self,
        finished: Finished,
        failure: Failure,
        attempt: &Attempt<'_>,
        begun: Instant,
        said: Said,
    ) -> Execution {
        if finished.ended_by == Some(EndedBy::Stop) || verdict::was_told_with_us(&finished, self.context.stop)
        {
            return Execution::Stopped;
        }
        let failure =
            out_of_memory(&finished, self.registration.registry(), attempt.alone).unwrap_or(failure);
        self.made(finished, Some(failure), begun, said)
    }

    fn made(
        &self,
        finished: Finished,
        failure: Option<Failure>,
        begun: Instant,
        mut said: Said,
    ) -> Execution {
        if let Some(failure) = &failure {
            self.kind.end_log(&mut said, &failure.message);
        }
        let MemoryUsage { tree_bytes, .. } = finished.held;
        if failure.as_ref().is_none_or(|failure| failure.cause != Cause::Oom) {
            self.registration.registry().ended(tree_bytes.or(finished.usage.max_rss_bytes));
        }
        let usage = Usage { duration_s: begun.elapsed().as_secs_f64(), ..finished.usage };
        Execution::Completed(Box::new(Executed {
            failure,
            end: finished.end,
            usage: usage.rounded(),
            tree_bytes,
            result: None,
            products: Vec::new(),
            doubt: None,
            stdout: said.stdout,
            stderr: said.stderr,
            left_processes: finished.left_processes,
        }))
    }

    /// What comes of a request that was not read: another worker may be asked, for which what was said so far is given
    /// back, or none. A worker that had answered before may end when it likes.
    fn not_taken(
        &self,
        worker: Live,
        attempt: &Attempt<'_>,
        begun: Instant,
        mut said: Said,
        pauses: &mut std::slice::Iter<'_, Duration>,
    ) -> Result<Said, Execution> {
        let is_first = worker.served == 0;
        let finished = worker.end(self.context.stop, self.registration, &mut said);
        let is_short = finished.held.stopped.is_some()
            || self.registration.registry().was_kernel_killing(&finished.held);
        let by_us = matches!(finished.ended_by, Some(EndedBy::Stop | EndedBy::Timeout));
        if is_short || by_us || verdict::was_told_with_us(&finished, self.context.stop) {
            let mut failure = verdict::failure(&finished, self.context.settings)
                .unwrap_or_else(|| bad_result(self.kind.exited(None)));
            failure.message += &format!("; {} by then", self.kind.was_not_ready());
            return Err(self.failed(finished, failure, attempt, begun, said));
        }
        if !is_first {
            return Ok(said);
        }
        match self.try_again(pauses) {
            Some(Ok(())) => Ok(said),
            Some(Err(stopped)) => Err(stopped),
            None => Err(Execution::CannotStart(self.last_words(&finished, &mut said), ExitCode::Usage)),
        }
    }

    fn last_words(&self, finished: &Finished, said: &mut Said) -> String {
        let how = match finished.ended_by {
            Some(_) => "closed its standard input or output".to_owned(),
            None => match verdict::failure(finished, self.context.settings) {
                Some(failure) => format!("ended ({})", failure.message),
                None => "ended (exit code 0)".to_owned(),
            },
        };
        let tail = said.stderr.tail(LAST_WORDS).unwrap_or_default();
        let printed = String::from_utf8_lossy(&tail);
        if *self.kind != WorkerKind::Command {
            self.shared.tell_refusal(&printed);
        }
        self.kind.never_ready(&how, &printed)
    }
}

fn bad_result(message: String) -> Failure {
    Failure { cause: Cause::Result, message }
}

impl Execute for WorkerSlot<'_> {
    fn execute(&mut self, attempt: &Attempt<'_>) -> Execution {
        if let Err(error) = std::mem::replace(&mut self.ready, Ok(())) {
            return Execution::cannot_start(&error);
        }
        if self.worker.as_ref().is_some_and(|worker| self.is_spent(worker)) {
            self.let_go();
        }
        let settings = self.context.settings;
        let request = TaskRequest {
            path: &settings.names.path(attempt.path),
            index: attempt.index,
            row: attempt.row,
            attempt: attempt.number,
            tmpdir: self.scratch.tmp().as_os_str(),
            products: &settings.products,
            outs: attempt.outs,
        };
        request.write(&mut self.request);
        self.attempt(attempt, Instant::now())
    }

    fn clear_up(&mut self) {
        self.ready = self.scratch.renew();
    }

    fn let_go(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            worker.release(self.context.settings.limits.grace);
            // It has no task that this output could belong to.
            worker.end(self.context.stop, self.registration, &mut Said::new(self.scratch.root()));
        }
    }
}
