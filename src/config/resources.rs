//! How many tasks at a time and how many threads each: what was asked for, within the limits of this process.

use anyhow::bail;

use crate::cli::{Auto, TaskArgs, Threads};
use crate::host::cgroup::{Cgroup, MemoryGroup};
use crate::host::limits::{self, JobsRule};
use crate::units;

/// What a launch has and takes.
#[derive(Debug)]
pub(super) struct Resources {
    /// CPUs that may be used; a fraction where the quota is one.
    pub(super) cpus: f64,
    /// Stands for them, where that is known.
    pub(super) cpu_set: Option<u32>,
    /// The memory group that binds, if one does.
    pub(super) memory: Option<MemoryGroup>,
    /// Tasks at a time.
    pub(super) jobs: usize,
    /// How that comes about.
    pub(super) rule: JobsRule,
    /// Threads for each; `None` where their variables stay as they are.
    pub(super) threads: Option<usize>,
    /// What was lowered, and for what.
    pub(super) notes: Vec<String>,
}

impl Resources {
    /// Works it out, and raises the limit on open files as far as is needed.
    ///
    /// # Errors
    /// When no task would fit.
    pub(super) fn resolve(tasks: &TaskArgs, cgroup: &Cgroup) -> anyhow::Result<Self> {
        let cpus = limits::cpus(cgroup);
        let memory = cgroup.memory();
        let whole = limits::whole_cpus(cpus);
        let mut notes = Vec::new();
        let mut jobs = match tasks.jobs {
            Auto::Auto => jobs_for_cpus(whole, tasks.threads),
            Auto::Number(number) => number,
        };
        let room = memory.as_ref().map(MemoryGroup::limit).or_else(|| cgroup.machine_memory());
        match (tasks.memory_per_task, room) {
            (Some(size), Some(room)) => {
                let fitting = tasks_that_fit(size, room)?.min(jobs);
                if tasks.jobs != Auto::Auto {
                    let what = format!("--memory-per-task {} in {}", units::bytes(size), units::bytes(room));
                    notes.extend(lowered(jobs, fitting, &what));
                }
                jobs = fitting;
            }
            (Some(_), None) => notes.push(
                "--memory-per-task has no effect: the memory limit can't be determined here".to_owned(),
            ),
            (None, _) => {}
        }
        let allowed = limits::jobs_within_descriptors(jobs);
        notes.extend(lowered(jobs, allowed, "the limit on open files (ulimit -n)"));
        jobs = allowed;
        let threads = match tasks.threads {
            Threads::Inherit => None,
            Threads::Set(Auto::Number(number)) => Some(number),
            Threads::Set(Auto::Auto) => Some((whole / jobs).max(1)),
        };
        let allowed = limits::jobs_within_processes(jobs, threads.unwrap_or(1), cgroup);
        notes.extend(lowered(jobs, allowed, "the limit on processes (ulimit -u, pids.max)"));
        jobs = allowed;
        let is_measured = tasks.jobs == Auto::Auto && tasks.memory_per_task.is_none() && memory.is_some();
        let rule = if is_measured { JobsRule::Measured } else { JobsRule::Fixed };
        Ok(Self { cpus, cpu_set: limits::cpu_set(cgroup), memory, jobs, rule, threads, notes })
    }
}

/// What to say where fewer than `jobs` are allowed.
fn lowered(jobs: usize, allowed: usize, what: &str) -> Option<String> {
    let tasks = units::count(allowed as u64, "task");
    (allowed < jobs).then(|| format!("{what} allows {tasks} at a time, not {jobs}"))
}

/// The number of jobs such that jobs times threads fits the quota.
fn jobs_for_cpus(cpus: usize, threads: Threads) -> usize {
    match threads {
        Threads::Set(Auto::Number(threads)) => (cpus / threads).max(1),
        Threads::Set(Auto::Auto) | Threads::Inherit => cpus,
    }
}

fn tasks_that_fit(size: u64, room: u64) -> anyhow::Result<usize> {
    if size > room {
        bail!(
            "--memory-per-task {}: there are only {} here, so not one task would fit. Start the container with more memory, or give what a task really needs (the summary of a launch shows the largest)",
            units::bytes(size),
            units::bytes(room)
        );
    }
    Ok(usize::try_from(room / size)?)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::Resources;
    use crate::cli::{RunArgs, Typed};
    use crate::host::cgroup::Cgroup;
    use crate::host::limits::JobsRule;

    const GIB: u64 = 1 << 30;

    /// A container with these files of version 2 on a machine of 64 GiB.
    fn container(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc/self");
        let sys = root.path().join("sys/fs/cgroup");
        std::fs::create_dir_all(&proc).unwrap();
        std::fs::create_dir_all(&sys).unwrap();
        std::fs::write(proc.join("cgroup"), "0::/\n").unwrap();
        std::fs::write(proc.join("mountinfo"), "1 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup rw\n").unwrap();
        std::fs::write(root.path().join("proc/meminfo"), "MemTotal: 67108864 kB\n").unwrap();
        for (name, text) in files {
            std::fs::write(sys.join(name), text).unwrap();
        }
        root
    }

    fn resolved(options: &[&str], files: &[(&str, &str)]) -> anyhow::Result<Resources> {
        let root = container(files);
        let line = ["canfar-run", "run"].iter().chain(options).map(Into::into);
        Resources::resolve(&Typed::<RunArgs>::parse(line)?.args()?.tasks, &Cgroup::below(root.path()))
    }

    const MEMORY: (&str, &str) = ("memory.max", "34359738368\n");

    #[test]
    fn jobs_times_threads_fit_the_quota_however_many_cores_the_host_has() {
        // One CPU is what every machine has; what more of them give is counted by itself below.
        for (quota, options, jobs, threads) in [
            ("50000 100000", &[][..], 1, Some(1)),
            ("150000 100000", &[], 1, Some(1)),
            ("100000 100000", &["--jobs", "3"], 3, Some(1)),
            ("100000 100000", &["--threads", "4"], 1, Some(4)),
            ("100000 100000", &["--threads", "inherit"], 1, None),
        ] {
            let resources = resolved(options, &[("cpu.max", quota)]).unwrap();
            assert_eq!((resources.jobs, resources.threads), (jobs, threads), "{quota} {options:?}");
            assert!(resources.notes.is_empty(), "{:?}", resources.notes);
        }
        let half = resolved(&[], &[("cpu.max", "50000 100000")]).unwrap().cpus;
        assert!((half - 0.5).abs() < 1e-9, "{half}");
    }

    #[test]
    fn asked_for_threads_take_their_part_of_the_quota() {
        use crate::cli::{Auto, Threads};
        for (cpus, threads, jobs) in [(8, 1, 8), (8, 3, 2), (8, 4, 2), (8, 16, 1)] {
            assert_eq!(super::jobs_for_cpus(cpus, Threads::Set(Auto::Number(threads))), jobs);
        }
        assert_eq!(super::jobs_for_cpus(8, Threads::Set(Auto::Auto)), 8);
        assert_eq!(super::jobs_for_cpus(8, Threads::Inherit), 8);
    }

    #[test]
    fn memory_for_each_task_keeps_jobs_within_the_limit_and_says_so_of_a_number() {
        let number = resolved(&["-j", "20", "--memory-per-task", "4G"], &[MEMORY]).unwrap();
        assert_eq!((number.jobs, number.rule), (8, JobsRule::Fixed));
        assert_eq!(number.notes, ["--memory-per-task 4 GiB in 32 GiB allows 8 tasks at a time, not 20"]);
        let fits = resolved(&["-j", "8", "--memory-per-task", "4G"], &[MEMORY]).unwrap();
        assert_eq!((fits.jobs, fits.notes.len()), (8, 0));
        let auto = resolved(&["--memory-per-task", "32G"], &[MEMORY]).unwrap();
        assert_eq!((auto.jobs, auto.rule, auto.notes.len()), (1, JobsRule::Fixed, 0));
        assert_eq!(auto.memory.unwrap().limit(), 32 * GIB);
        let unknown = resolved(&["-j", "4", "--memory-per-task", "4G"], &[("../../../proc/meminfo", "")]);
        let unknown = unknown.unwrap();
        assert_eq!((unknown.jobs, unknown.notes.len()), (4, 1), "{:?}", unknown.notes);
        // Where no group binds, the machine does.
        let machine = resolved(&["-j", "20", "--memory-per-task", "6G"], &[]).unwrap();
        assert_eq!((machine.jobs, machine.memory.is_none()), (10, true));
    }

    #[test]
    fn a_task_that_can_never_fit_is_an_error_with_both_sizes() {
        let error = resolved(&["--memory-per-task", "40G"], &[MEMORY]).unwrap_err().to_string();
        assert!(error.contains("40 GiB: there are only 32 GiB here"), "{error}");
    }

    #[test]
    fn jobs_are_measured_only_where_a_limit_binds_and_nothing_else_was_said() {
        for (options, files, rule) in [
            (&[][..], &[MEMORY][..], JobsRule::Measured),
            (&[], &[], JobsRule::Fixed),
            (&["-j", "2"], &[MEMORY], JobsRule::Fixed),
            (&["--memory-per-task", "1G"], &[MEMORY], JobsRule::Fixed),
        ] {
            assert_eq!(resolved(options, files).unwrap().rule, rule, "{options:?} {files:?}");
        }
    }

    #[test]
    fn a_group_with_few_processes_lowers_jobs_and_says_so() {
        let files = [("pids.max", "50\n"), ("pids.current", "17\n")];
        let resources = resolved(&["-j", "20"], &files).unwrap();
        // 33 are left: 8 for canfar-run, 5 for each task.
        assert_eq!(resources.jobs, 5);
        let said = "the limit on processes (ulimit -u, pids.max) allows 5 tasks at a time, not 20";
        assert_eq!(resources.notes, [said]);
        let none = [("pids.max", "20\n"), ("pids.current", "20\n")];
        assert_eq!(resolved(&["-j", "20"], &none).unwrap().jobs, 1);
    }
}
