//! The environment of a task: that of this process, without canfar-run's own variables, plus those set for the task.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::Context;

use crate::model::replica::Replica;
use crate::process::descendants::TASK_ID;
use crate::process::spawn::variable;
use crate::products::declared::TASK_OUT;
use crate::template::{TaskPlace, ValueTemplate, Vocabulary};

/// The variables by which numeric libraries and runtimes learn how many threads to use, or how many CPUs there are for
/// their pools of processes. Without them most count the host's cores, or take the whole quota for each task.
pub const THREAD_VARIABLES: [&str; 23] = [
    // OpenMP, and what follows it: PyTorch, Arrow, FFTW's wrappers, ImageMagick.
    "OMP_NUM_THREADS",
    // Linear algebra: OpenBLAS by both its names, MKL, BLIS, Apple's.
    "OPENBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    // Python: numexpr (which refuses more than its maximum), numba, polars, dask, compression in PyTables and Zarr.
    "NUMEXPR_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "DASK_NUM_WORKERS",
    "BLOSC_NTHREADS",
    // Pools of processes: `os.cpu_count()` since Python 3.13, joblib's `n_jobs=-1`, R's `mc.cores`.
    "PYTHON_CPU_COUNT",
    "LOKY_MAX_CPU_COUNT",
    "MC_CORES",
    // Images and learning: OpenCV, ITK, TensorFlow's two pools.
    "OPENCV_FOR_THREADS_NUM",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    // Other languages: R's parallel C++, Julia, Rust, Go.
    "RCPP_PARALLEL_NUM_THREADS",
    "JULIA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "GOMAXPROCS",
];

/// Whether a variable is about this process alone: options of ours, and products where this runs as a task itself.
fn is_not_passed_on(name: &[u8]) -> bool {
    let of_products = name.strip_prefix(TASK_OUT.as_bytes());
    name.starts_with(b"CANFAR_RUN_") || of_products.is_some_and(|rest| rest.is_empty() || rest[0] == b'_')
}

/// What all tasks of a launch have in common.
#[derive(Debug, Clone)]
pub struct TaskEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// Those that are another for each task, or each slot.
    templates: Vec<(String, ValueTemplate)>,
}

impl TaskEnvironment {
    /// From this process's environment. `threads` is `None` if the thread variables must stay as they are; `extra`
    /// (the job file's `[env]`) beats everything.
    pub fn new(
        inherited: &BTreeMap<OsString, OsString>,
        replica: Replica,
        threads: Option<usize>,
        extra: &BTreeMap<String, String>,
    ) -> Self {
        let mut variables: BTreeMap<OsString, OsString> = inherited
            .iter()
            .filter(|(name, _)| !is_not_passed_on(name.as_bytes()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let mut set = |name: &str, value: String| variables.insert(name.into(), value.into());
        set("REPLICA_ID", replica.id().to_string());
        set("REPLICA_COUNT", replica.count().to_string());
        if let Some(threads) = threads {
            for name in THREAD_VARIABLES {
                set(name, threads.to_string());
            }
        }
        for (name, value) in extra {
            set(name, value.clone());
        }
        Self { variables, templates: Vec::new() }
    }

    /// The same where placeholders in the job file's `[env]` mean this. With `stays`, processes are started before they are
    /// given tasks.
    ///
    /// # Errors
    /// When a value has a placeholder that can't be one there.
    pub fn with_values(
        mut self,
        extra: &BTreeMap<String, String>,
        names: &Vocabulary,
        stays: bool,
    ) -> anyhow::Result<Self> {
        self.templates.clear();
        for (name, value) in extra {
            let template = ValueTemplate::parse(OsStr::new(value), names, stays)
                .with_context(|| format!("in `{name}` of [env]"))?;
            match template.constant() {
                Some(value) => _ = self.variables.insert(name.into(), value.to_owned()),
                None => self.templates.push((name.clone(), template)),
            }
        }
        Ok(self)
    }

    /// The names of the variables that are another for each task, or each slot.
    pub fn own_names(&self) -> impl Iterator<Item = &str> {
        self.templates.iter().map(|(name, _)| name.as_str())
    }

    /// Their values, but for those that the task has `own` ones of.
    pub fn own_lines(&self, own: &[&str], place: &TaskPlace<'_>) -> std::io::Result<Vec<CString>> {
        let templates = self.templates.iter().filter(|(name, _)| !own.contains(&name.as_str()));
        templates.map(|(name, template)| variable(name, &template.render(place))).collect()
    }

    /// The same for tasks of another replica; `extra` as it was given first.
    #[must_use]
    pub fn of_replica(mut self, replica: Replica, extra: &BTreeMap<String, String>) -> Self {
        for (name, number) in [("REPLICA_ID", replica.id()), ("REPLICA_COUNT", replica.count())] {
            if !extra.contains_key(name) {
                self.variables.insert(name.into(), number.to_string().into());
            }
        }
        self
    }

    /// A variable that all tasks have.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// The id of a task. Within a task of another canfar-run it begins with that one's, so that there the whole tree of
    /// processes is known by it.
    pub fn task_id(&self, id: &str) -> OsString {
        let mut whole = OsString::new();
        if let Some(outer) = self.get(TASK_ID).filter(|outer| !outer.is_empty()) {
            whole.push(outer);
            whole.push(".");
        }
        whole.push(id);
        whole
    }

    /// All of them but those that each task has of its own, for [`Variables::common`](crate::process::spawn::Variables).
    pub fn lines(&self, own: &[&str]) -> Vec<CString> {
        let is_common = |name: &OsStr| !own.iter().copied().chain(self.own_names()).any(|own| name == own);
        // None has a NUL byte: neither what was inherited, nor numbers, nor a job file's `[env]`, which is checked.
        let line = |(name, value): (&OsString, &OsString)| {
            CString::new([name.as_bytes(), value.as_bytes()].join(&b'=')).ok()
        };
        self.variables.iter().filter(|(name, _)| is_common(name)).filter_map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::{OsStr, OsString};

    use super::TaskEnvironment;
    use crate::model::replica::Replica;

    #[test]
    fn tasks_get_identity_and_threads_but_not_our_options() {
        let inherited: BTreeMap<OsString, OsString> = [
            ("CANFAR_RUN_JOBS", "9"),
            ("CANFAR_TASK_OUT_cat", "x"),
            ("OMP_NUM_THREADS", "1"),
            ("HOME", "/h"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
        let replica = Replica::new(3, 7).unwrap();
        let extra = [("JULIA_NUM_THREADS".to_owned(), "8".to_owned())].into();
        let environment = TaskEnvironment::new(&inherited, replica, Some(4), &extra);
        let get = |name| environment.get(name).and_then(OsStr::to_str);
        assert_eq!((get("CANFAR_RUN_JOBS"), get("CANFAR_TASK_OUT_cat")), (None, None));
        assert_eq!(
            (get("REPLICA_ID"), get("REPLICA_COUNT"), get("HOME")),
            (Some("3"), Some("7"), Some("/h"))
        );
        assert_eq!((get("OMP_NUM_THREADS"), get("JULIA_NUM_THREADS")), (Some("4"), Some("8")));
        let kept = TaskEnvironment::new(&inherited, replica, None, &BTreeMap::new());
        assert_eq!(kept.get("OMP_NUM_THREADS"), Some(OsStr::new("1")));
    }
}
