//! What tasks used, in sums that can be added up over launches: plain data of bounded size, for journals and reports.

use serde::{Deserialize, Serialize};

use crate::model::cpu_sharing::{CpuSharing, CpuUse, HostCpus};
use crate::model::histogram::{Histogram, Quantiles};
use crate::model::outcome::Usage;
use crate::units::thousandths;

/// How many of the slowest tasks are kept by name.
const SLOWEST: usize = 3;

/// What the attempts of one launch, or of several, used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageFigures {
    /// Launches that are counted in.
    pub launches: u64,
    /// When the first of them began.
    pub begun_at: Option<String>,
    /// When the last of them ended.
    pub ended_at: Option<String>,
    /// Wall time, seconds, of all launches together.
    pub wall_s: f64,
    /// CPU time that there was meanwhile, seconds: wall time times CPUs that might be used. Those that launches share count
    /// once.
    pub cpu_available_s: f64,
    /// Of the wall time, that in which the CPUs of a launch were counted for another one already, seconds.
    #[serde(skip_serializing_if = "is_default")]
    pub shared_s: f64,
    /// How many launches had the same CPUs at a time; 0 where nobody looked.
    #[serde(skip_serializing_if = "is_default")]
    pub launches_at_once: usize,
    /// Tasks at a time, the most of any launch.
    pub jobs: usize,
    /// Bytes of memory of the largest container; `None` where no limit is known.
    pub memory_limit_bytes: Option<u64>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Wall time of all of them, seconds.
    pub busy_s: f64,
    /// CPU time of all of them, seconds.
    pub cpu_s: f64,
    /// Their wall times, seconds.
    pub duration_s: Histogram,
    /// Their memory, bytes: of all processes of an attempt where that was watched, else of its largest one.
    pub memory_bytes: Histogram,
    /// The slowest, slowest first.
    pub slowest: Vec<Slow>,
    /// What they were at.
    pub activity: TaskActivity,
}

/// What tasks were at when they were looked at, each about once a second. Nothing is known where there were no looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskActivity {
    /// How often a task was looked at.
    pub looks: u64,
    /// Threads that ran, or waited for a CPU.
    pub runnable: u64,
    /// Tasks of which no thread was runnable, and at least one waited for storage.
    pub stalled: u64,
}

impl TaskActivity {
    /// Counts in all that another one does.
    pub fn add(&mut self, other: Self) {
        for (sum, count) in [
            (&mut self.looks, other.looks),
            (&mut self.runnable, other.runnable),
            (&mut self.stalled, other.stalled),
        ] {
            *sum = sum.saturating_add(count);
        }
    }
}

/// A task that took long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// Its index in the list.
    pub index: u64,
    /// Its path, readable; of a very long one the end.
    pub path: String,
    /// How long, seconds.
    pub duration_s: f64,
}

/// What is printed of them with `--json`, and written into `final_summary.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct UsageJson {
    /// Launches that are counted: those with a stop record.
    pub launches: u64,
    /// When the first of them began.
    pub begun_at: Option<String>,
    /// When the last of them ended.
    pub ended_at: Option<String>,
    /// Wall time, seconds, of all launches together.
    pub wall_s: f64,
    /// CPU time of all attempts, seconds.
    pub cpu_s: f64,
    /// CPU time used of what there was, 0 to 1, with shared CPUs counted once; `None` where nothing ran.
    pub efficiency: Option<f64>,
    /// Attempts that ended.
    pub attempts: u64,
    /// Wall times of attempts, seconds.
    pub duration_s: Option<Quantiles>,
    /// Memory of attempts, bytes.
    pub memory_bytes: Option<Quantiles>,
    /// The slowest tasks, slowest first.
    pub slowest: Vec<Slow>,
}

/// Longer than any path of a file.
const LONGEST_PATH: usize = 4096;

fn readable(path: &std::ffi::OsStr) -> String {
    let path = crate::units::path(path);
    let begin = path.len().saturating_sub(LONGEST_PATH);
    match (begin..=path.len()).find(|at| path.is_char_boundary(*at)) {
        Some(begin) if begin > 0 => format!("…{}", &path[begin..]),
        _ => path,
    }
}

impl UsageFigures {
    /// Counts an attempt; `memory` is what all its processes together were seen to have, if measured.
    pub fn count(&mut self, index: u64, path: &std::ffi::OsStr, usage: Usage, memory: Option<u64>) {
        self.attempts += 1;
        self.busy_s += usage.duration_s;
        self.cpu_s += usage.cpu_s;
        self.duration_s.count(usage.duration_s);
        if let Some(bytes) = memory.or(usage.max_rss_bytes) {
            self.memory_bytes.count(bytes as f64);
        }
        let is_slow = |slow: &Slow| slow.duration_s < usage.duration_s;
        if self.slowest.len() < SLOWEST || self.slowest.last().is_some_and(is_slow) {
            self.add_slow(Slow { index, path: readable(path), duration_s: usage.duration_s });
        }
    }

    fn add_slow(&mut self, slow: Slow) {
        let place = self.slowest.iter().position(|other| other.duration_s < slow.duration_s);
        self.slowest.insert(place.unwrap_or(self.slowest.len()), slow);
        self.slowest.truncate(SLOWEST);
    }

    /// Counts in all that another one does.
    pub fn add(&mut self, other: &Self) {
        self.launches = self.launches.saturating_add(other.launches);
        // Times are written alike, so that the earlier one is the smaller text.
        let begun = [&self.begun_at, &other.begun_at].into_iter().flatten().min();
        let ended = [&self.ended_at, &other.ended_at].into_iter().flatten().max();
        (self.begun_at, self.ended_at) = (begun.cloned(), ended.cloned());
        self.wall_s += other.wall_s;
        self.cpu_available_s += other.cpu_available_s;
        self.jobs = self.jobs.max(other.jobs);
        self.memory_limit_bytes = self.memory_limit_bytes.max(other.memory_limit_bytes);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.busy_s += other.busy_s;
        self.cpu_s += other.cpu_s;
        self.duration_s.add(&other.duration_s);
        self.memory_bytes.add(&other.memory_bytes);
        other.slowest.iter().for_each(|slow| self.add_slow(slow.clone()));
        self.activity.add(other.activity);
    }

    /// The time in which a launch had CPUs.
    pub fn cpu_use(&self, cpus: Option<HostCpus>) -> CpuUse {
        let ended = self.ended_at.as_deref().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let ended_s = ended.map_or(self.wall_s, |ended| ended.as_duration().as_secs_f64());
        let count = if self.wall_s > 0.0 { self.cpu_available_s / self.wall_s } else { 0.0 };
        CpuUse { cpus: cpus.filter(|_| ended.is_some()), count, begun_s: ended_s - self.wall_s, ended_s }
    }

    /// Takes into account that launches shared CPUs.
    pub fn share_cpus(&mut self, sharing: CpuSharing) {
        let CpuSharing { available_s, shared_s, launches } = sharing;
        (self.cpu_available_s, self.shared_s, self.launches_at_once) = (available_s, shared_s, launches);
    }

    /// CPUs that a launch had, alone or with others; `None` where no time passed.
    pub fn cpus(&self) -> Option<f64> {
        let time = self.wall_s - self.shared_s;
        (time > 0.0 && self.cpu_available_s > 0.0).then(|| self.cpu_available_s / time)
    }

    /// CPU time used of what there was; `None` where nothing ran.
    pub fn efficiency(&self) -> Option<f64> {
        (self.attempts > 0 && self.cpu_available_s > 0.0).then(|| self.cpu_s / self.cpu_available_s)
    }

    /// The form that is printed.
    pub fn told(&self) -> UsageJson {
        UsageJson {
            launches: self.launches,
            begun_at: self.begun_at.clone(),
            ended_at: self.ended_at.clone(),
            wall_s: thousandths(self.wall_s),
            cpu_s: thousandths(self.cpu_s),
            efficiency: self.efficiency().map(thousandths),
            attempts: self.attempts,
            duration_s: self.duration_s.quantiles().map(|all| rounded(all, thousandths)),
            memory_bytes: self.memory_bytes.quantiles().map(|all| rounded(all, f64::round)),
            slowest: self.slowest.clone(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn rounded(all: Quantiles, round: fn(f64) -> f64) -> Quantiles {
    Quantiles { median: round(all.median), p95: round(all.p95), max: round(all.max) }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::UsageFigures;
    use crate::model::cpu_sharing::{CpuSharing, HostCpus};
    use crate::model::outcome::Usage;

    fn one(index: u64, seconds: f64) -> UsageFigures {
        let mut figures =
            UsageFigures { launches: 1, wall_s: 10.0, cpu_available_s: 20.0, ..UsageFigures::default() };
        let usage = Usage { duration_s: seconds, cpu_s: seconds / 2.0, max_rss_bytes: Some(1 << 20) };
        figures.count(index, OsStr::new("/data/a.fits"), usage, None);
        figures
    }

    #[test]
    fn sums_of_launches_know_the_slowest_of_all_and_how_much_of_the_cpus_was_used() {
        let mut sum = UsageFigures::default();
        for (index, seconds) in (0..9).zip([4.0, 8.0, 2.0].into_iter().cycle()) {
            sum.add(&one(index, seconds));
        }
        let slowest: Vec<u64> = sum.slowest.iter().map(|slow| slow.index).collect();
        assert_eq!((sum.attempts, sum.launches, slowest), (9, 9, vec![1, 4, 7]));
        let told = sum.told();
        assert!((told.efficiency.unwrap() - 21.0 / 180.0).abs() < 0.001, "{told:?}");
    }

    #[test]
    fn launches_that_share_cpus_have_them_once() {
        let cpus = HostCpus { host: "a".into(), boot_id: "b".into(), set: 1 };
        let at = |ended_at: &str| UsageFigures { ended_at: Some(ended_at.to_owned()), ..one(0, 5.0) };
        let launches = [at("2026-11-26T12:00:10.000Z"), at("2026-11-26T12:00:11.000Z")];
        for (cpus, efficiency, count, at_once) in
            [(Some(cpus), 5.0 / 22.0, 2.0, 2), (None, 5.0 / 40.0, 2.0, 1)]
        {
            let mut sum = UsageFigures::default();
            launches.iter().for_each(|launch| sum.add(launch));
            sum.share_cpus(CpuSharing::of(launches.iter().map(|launch| launch.cpu_use(cpus.clone()))));
            assert!((sum.efficiency().unwrap() - efficiency).abs() < 1e-9, "{sum:?}");
            assert!((sum.cpus().unwrap() - count).abs() < 1e-9, "{sum:?}");
            assert_eq!(sum.launches_at_once, at_once);
        }
    }

    #[test]
    fn a_launch_of_another_version_tells_what_it_tells() {
        let figures: UsageFigures = serde_json::from_str(r#"{"attempts":3,"later":1}"#).unwrap();
        assert_eq!((figures.attempts, figures.efficiency()), (3, None));
    }
}
