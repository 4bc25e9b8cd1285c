//! Loads a function before its run is begun, so that a mistake in its name, its module or its parameters leaves nothing
//! behind that the next try would have to agree with.

use std::ffi::{CString, OsStr};
use std::path::Path;

use crate::json::{self, MAX_DEPTH};
use crate::model::quarantine::SeenUsage;
use crate::process::capture::Capture;
use crate::process::child::{self, Finished, Spec};
use crate::process::descendants::TASK_ID;
use crate::process::registry::ProcessRegistry;
use crate::process::shutdown::Shutdown;
use crate::process::spawn::{Program, SpawnError, Spawner, Variables, variable};
use crate::process::supervisor::AttemptLimits;
use crate::record::item::TaskResult;
use crate::run::call::{PythonCall, read_answer};
use crate::run::environment::TaskEnvironment;
use crate::run::verdict;
use crate::run::worker::TaskAnswer;

/// How a function is loaded: as its workers will load it.
#[derive(Debug)]
pub struct Preflight<'a> {
    /// The Python.
    pub program: &'a Path,
    /// What tasks share of their environment.
    pub environment: &'a TaskEnvironment,
    /// The tasks' working directory, where that is not ours.
    pub folder: Option<&'a Path>,
    /// Limits of an attempt, of which the time limit is not for this.
    pub limits: AttemptLimits,
    /// Where output goes that is too long for memory.
    pub tmp: &'a Path,
}

/// Why a function can't be called.
#[derive(Debug)]
pub struct CallRefusal {
    /// In one line.
    pub why: String,
    /// What Python printed, where that says more.
    pub printed: String,
}

/// So much of what is printed is shown, bytes: the end.
const SHOWN: usize = 8192;

impl Preflight<'_> {
    /// Loads the function, and ends that Python again.
    ///
    /// # Errors
    /// The refusal, or `None` when this process was told to stop meanwhile.
    pub fn load(&self, call: &PythonCall, stop: &Shutdown) -> Result<(), Option<CallRefusal>> {
        let (mut stdout, mut stderr) = (Capture::new(self.tmp), Capture::new(self.tmp));
        let refusal = |why: String, printed| {
            Err(Some(CallRefusal { why: format!("--call {}: {why}", call.target), printed }))
        };
        let finished = match self.python(call, stop, &mut stdout, &mut stderr) {
            Ok(finished) => finished,
            // The tasks wait for that to pass.
            Err(SpawnError::Short(_)) => return Ok(()),
            Err(SpawnError::Impossible(error)) => {
                return refusal(format!("can't start {}: {error}", self.program.display()), String::new());
            }
        };
        if stop.signal().is_some() {
            return Err(None);
        }
        let mut printed = || String::from_utf8_lossy(&stderr.tail(SHOWN).unwrap_or_default()).into_owned();
        if let Some(TaskAnswer::Refused { why, is_broken }) = answer_in(&mut stdout) {
            return refusal(why, if is_broken { printed() } else { String::new() });
        }
        match verdict::failure(&finished, self.limits) {
            None => Ok(()),
            Some(failure) => {
                let how = failure.message;
                refusal(
                    format!("its Python ended ({how}) before it had imported {}", call.target.place),
                    printed(),
                )
            }
        }
    }

    fn python(
        &self,
        call: &PythonCall,
        stop: &Shutdown,
        stdout: &mut Capture,
        stderr: &mut Capture,
    ) -> Result<Finished, SpawnError> {
        let spawner = Spawner::new()?;
        let registry = ProcessRegistry::new(None, SeenUsage::default());
        let argv = call.argv(self.program.as_os_str(), 0);
        let id = self.environment.task_id(&format!("load.{:016x}", fastrand::u64(..)));
        let common = self.environment.lines(&[TASK_ID]);
        let own: [CString; 1] = [variable(TASK_ID, &id)?];
        let program = Program {
            file: self.program.as_os_str(),
            argv: &argv,
            environment: Variables { common: &common, own: &own },
            folder: self.folder,
            input: None,
        };
        let limits = AttemptLimits { timeout: None, ..self.limits };
        let registration = registry.register(1);
        let spec = Spec { spawner: &spawner, program, limits, registration, task_id: OsStr::new(&id) };
        child::run(&spec, stop, stdout, stderr)
    }
}

/// The answer of a Python that was asked nothing; none where it would answer.
fn answer_in(stdout: &mut Capture) -> Option<TaskAnswer> {
    let line = stdout.tail(SHOWN).ok()?;
    let normal = json::normalise(line.trim_ascii(), MAX_DEPTH).ok()?;
    let non_finite = normal.non_finite as u64;
    read_answer(&TaskResult { is_object: true, non_finite, json: normal.text.into_owned() })
}
