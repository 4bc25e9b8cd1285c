//! The right name for a wrong one: the option that other tools call by that name, else the most similar one.

/// Names by which other tools, or people, call what an option is for, after the option's own.
const SYNONYMS: [(&str, &[&str]); 25] = [
    (
        "replica-count",
        &["replicas", "count", "containers", "replica-total", "num-replicas", "nreplicas", "n-replicas"],
    ),
    ("replica-id", &["replica", "id", "rank"]),
    ("command", &["cmd", "args", "argv", "run", "program", "script", "executable", "exec"]),
    (
        "input",
        &["inputs", "files", "file", "pattern", "patterns", "paths", "path", "glob", "globs", "data", "in"],
    ),
    ("files-from", &["list", "file-list", "filelist", "files-list", "manifest", "input-list"]),
    ("exclude", &["excludes", "exclude-glob", "exclude-globs", "ignore", "skip"]),
    ("type", &["kind", "entry-type", "input-type"]),
    (
        "jobs",
        &[
            "parallel",
            "workers",
            "cores",
            "cpus",
            "cpu",
            "core",
            "concurrency",
            "processes",
            "procs",
            "nproc",
            "njobs",
            "n-jobs",
            "num-workers",
            "max-workers",
            "slots",
        ],
    ),
    ("threads", &["threads-per-task", "nthreads", "num-threads", "omp-num-threads"]),
    (
        "results-dir",
        &[
            "output",
            "outputs",
            "out",
            "outdir",
            "out-dir",
            "output-dir",
            "results",
            "resultsdir",
            "result-dir",
            "dir",
            "directory",
        ],
    ),
    ("memory-per-task", &["memory", "mem", "ram", "mem-per-task", "memory-limit", "task-memory"]),
    ("timeout", &["time-limit", "timelimit", "time", "limit", "max-time", "task-timeout"]),
    ("deadline", &["walltime", "wall-time", "max-walltime"]),
    ("retries", &["retry", "attempts", "tries", "max-retries", "retry-count"]),
    ("retry-delay", &["delay", "backoff", "retry-wait", "wait"]),
    ("max-failures", &["fail-fast", "max-errors", "max-fails", "failures"]),
    ("chdir", &["cwd", "workdir", "work-dir", "working-dir", "working-directory", "wd"]),
    ("tmp-dir", &["tmp", "tmpdir", "temp", "tempdir", "temp-dir", "scratch", "scratch-dir"]),
    ("env", &["environment", "variables", "vars"]),
    ("logs", &["log", "keep-logs", "log-dir"]),
    (
        "product",
        &["products", "output-file", "output-files", "out-file", "outfile", "makes", "creates", "target"],
    ),
    ("checksum", &["checksums", "hash", "sha256", "digest"]),
    ("ok-codes", &["ok-code", "ok-exit-codes", "success-codes", "valid-exit-status", "exit-codes"]),
    ("shell", &["sh", "bash", "command-line"]),
    ("dry-run", &["dry", "dryrun", "simulate"]),
];

/// The right name that a wrong one stands for; `None` where no guess is worth making.
pub(super) fn meant<'a>(wrong: &str, right: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let written = wrong.to_lowercase().replace(['_', ' '], "-");
    let mut known = right.clone();
    if let Some(same) = known.find(|name| *name == written) {
        return Some(same);
    }
    let synonym = SYNONYMS.iter().find(|(_, synonyms)| synonyms.contains(&&*written));
    if let Some((name, _)) = synonym {
        return right.clone().find(|known| known == name);
    }
    similar(&written, right)
}

/// The most similar name; `None` if all are too different.
pub(super) fn similar<'a>(written: &str, right: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(written, name);
    let nearest = right.min_by_key(distance)?;
    (distance(&nearest) <= (written.len() / 3).max(1)).then_some(nearest)
}

/// What to add to an error about a wrong name.
pub(super) fn did_you_mean<'a>(wrong: &str, right: impl Iterator<Item = &'a str> + Clone) -> String {
    match meant(wrong, right) {
        Some(name) => format!("; the nearest one is `{name}`"),
        None => "; `canfar-run run --help` lists all options".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::{SYNONYMS, meant};
    use crate::cli::Cli;

    fn options() -> Vec<String> {
        let of_ours = ["command", "env"].map(str::to_owned);
        Cli::command()
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .map(str::to_owned)
            .chain(of_ours)
            .collect()
    }

    #[test]
    fn synonyms_are_of_options_and_none_is_one_itself_or_of_two() {
        let options = options();
        let mut seen = Vec::new();
        for (name, synonyms) in SYNONYMS {
            assert!(options.iter().any(|option| option == name), "{name}");
            for synonym in synonyms {
                assert!(!options.iter().any(|option| option == synonym), "{synonym}");
                assert!(!seen.contains(synonym), "{synonym}");
                seen.push(synonym);
            }
        }
    }

    #[test]
    fn what_people_write_leads_to_what_they_mean() {
        let options = options();
        for (wrong, right) in [
            ("replicas", Some("replica-count")),
            ("Replicas", Some("replica-count")),
            ("cmd", Some("command")),
            ("inputs", Some("input")),
            ("results_dir", Some("results-dir")),
            ("max_workers", Some("jobs")),
            ("exclude_globs", Some("exclude")),
            ("time limit", Some("timeout")),
            ("commnd", Some("command")),
            ("retires", Some("retries")),
            ("colour", Some("color")),
            ("telescope", None),
            ("x", None),
        ] {
            assert_eq!(meant(wrong, options.iter().map(String::as_str)), right, "{wrong}");
        }
    }
}
