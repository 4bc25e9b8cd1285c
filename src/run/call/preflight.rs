//! Checks a function before its run is begun, so that a mistake in its name, its module or its parameters leaves nothing
//! behind that the next try would have to match. No user code runs: errors that only importing can show come later.

use std::ffi::{CString, OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use crate::json::{self, MAX_DEPTH};
use crate::model::quarantine::SeenUsage;
use crate::process::capture::Capture;
use crate::process::child::{self, Spec};
use crate::process::descendants::TASK_ID;
use crate::process::registry::ProcessRegistry;
use crate::process::shutdown::Shutdown;
use crate::process::spawn::{Program, SpawnError, Spawner, Variables, variable};
use crate::process::supervisor::AttemptLimits;
use crate::record::task_record::TaskResult;
use crate::run::call::{PythonCall, read_answer};
use crate::run::environment::TaskEnvironment;
use crate::run::worker::TaskAnswer;

/// The check takes a fraction of a second. Storage that hangs must not hold up a run because of it.
const LIMITS: AttemptLimits =
    AttemptLimits { timeout: Some(Duration::from_secs(30)), grace: Duration::from_secs(1) };

/// How many bytes of the end of the output are read.
const READ: usize = 64 * 1024;

/// What checks a function: the Python that its workers will use.
#[derive(Debug)]
pub struct Preflight<'a> {
    /// The Python.
    pub program: &'a Path,
    /// What tasks share of their environment.
    pub environment: &'a TaskEnvironment,
    /// The tasks' working directory, where that is not ours.
    pub folder: Option<&'a Path>,
    /// Where output goes that is too long for memory.
    pub tmp: &'a Path,
}

impl Preflight<'_> {
    /// Why the function can't be called, in one line; `None` where nothing speaks against it.
    pub fn refusal(&self, call: &PythonCall, stop: &Shutdown) -> Option<String> {
        let mut stdout = Capture::new(self.tmp);
        let why = match self.look(call, stop, &mut stdout) {
            Err(SpawnError::Impossible(error)) => format!("can't start {}: {error}", self.program.display()),
            // The tasks wait for a shortage to pass.
            Err(SpawnError::Short(_)) => return None,
            Ok(()) => refusal_in(&stdout.tail(READ).ok()?)?,
        };
        Some(format!("--call {}: {why}", call.target))
    }

    fn look(&self, call: &PythonCall, stop: &Shutdown, stdout: &mut Capture) -> Result<(), SpawnError> {
        let spawner = Spawner::new()?;
        let registry = ProcessRegistry::new(None, SeenUsage::default());
        let mut argv = call.argv(self.program.as_os_str(), 0);
        argv.push(OsString::from("look"));
        let id = self.environment.task_id(&format!("look.{:016x}", fastrand::u64(..)));
        let common = self.environment.lines(&[TASK_ID]);
        let own: [CString; 1] = [variable(TASK_ID, &id)?];
        let program = Program {
            file: self.program.as_os_str(),
            argv: &argv,
            environment: Variables { common: &common, own: &own },
            folder: self.folder,
            input: None,
        };
        let registration = registry.register(1);
        let spec =
            Spec { spawner: &spawner, program, limits: LIMITS, registration, task_id: OsStr::new(&id) };
        child::run(&spec, stop, stdout, &mut Capture::new(self.tmp)).map(drop)
    }
}

/// The refusal in what a Python printed, whatever else is there.
fn refusal_in(printed: &[u8]) -> Option<String> {
    let refusal = |line: &[u8]| {
        let json = json::normalise(line.trim_ascii(), MAX_DEPTH).ok()?.text.into_owned();
        match read_answer(&TaskResult { is_object: true, non_finite: 0, json })? {
            TaskAnswer::Refused { why, .. } => Some(why),
            TaskAnswer::Returned(_) | TaskAnswer::Raised(_) | TaskAnswer::Unfit(_) => None,
        }
    };
    printed.rsplit(|byte| *byte == b'\n').find_map(refusal)
}
