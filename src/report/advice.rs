//! Which resources to request next time, from what tasks used: only given when it is well founded.

use std::time::Duration;

use crate::model::histogram::Quantiles;
use crate::model::usage::{TaskActivity, UsageFigures};
use crate::units;

/// Fewer tasks tell nothing.
const ENOUGH_TASKS: u64 = 20;

/// Nor does less time of a launch.
pub const ENOUGH_TIME: Duration = Duration::from_mins(1);

/// Slots must have been busy for this part of the time, or what limits is that there was too little to do.
const BUSY: f64 = 0.7;

/// Memory beyond what was seen, so that a slightly larger task still fits.
const HEAD_ROOM: f64 = 1.2;

/// Of a container's memory, what is advised to be used.
const USABLE: f64 = 0.8;

/// What the platform counts memory in.
const GIB: f64 = (1_u64 << 30) as f64;

/// Never recommend more than this many times the number of jobs that was tried.
const LONGEST_STEP: f64 = 4.0;

/// Tasks that could have used so much more of a CPU than they did waited for CPUs.
const SHORT: f64 = 0.2;

/// What was measured, per launch.
struct SeenUse {
    /// CPUs that there were.
    cpus: f64,
    /// Launches that had them.
    launches: f64,
    /// Tasks at a time.
    jobs: f64,
    /// CPUs that a running task used.
    each: f64,
    /// CPUs that it could have used, and for which part of the time it waited for storage; `None` where nobody looked.
    activity: Option<(f64, f64)>,
    memory: Option<Quantiles>,
    /// Bytes.
    limit: Option<f64>,
}

/// Lines of advice, at most two, on launches that lasted at least so long.
pub(super) fn lines(figures: &UsageFigures, enough_time: Duration) -> Vec<String> {
    let Some(seen) = seen(figures, enough_time) else { return Vec::new() };
    seen.about_cpus().into_iter().chain(seen.about_memory()).collect()
}

/// Whether tasks waited for CPUs, so that it is worth knowing which other launches had them.
pub fn is_short_of_cpus(figures: &UsageFigures, enough_time: Duration) -> bool {
    seen(figures, enough_time).is_some_and(|seen| seen.waits_for_cpus())
}

fn seen(figures: &UsageFigures, enough_time: Duration) -> Option<SeenUse> {
    let time = enough_time.as_secs_f64() * figures.launches.max(1) as f64;
    let is_enough = figures.attempts >= ENOUGH_TASKS && figures.wall_s >= time;
    let running = figures.busy_s / figures.wall_s;
    let is_busy = running >= BUSY * figures.jobs as f64;
    let cpus = figures.cpus()?;
    let each = figures.cpu_s / figures.busy_s;
    let TaskActivity { looks, runnable, stalled } = figures.activity;
    let per_look = |count: u64| count as f64 / looks as f64;
    (is_enough && is_busy && figures.jobs > 0).then(|| SeenUse {
        cpus,
        launches: figures.launches_at_once.max(1) as f64,
        jobs: figures.jobs as f64,
        each,
        activity: (looks >= ENOUGH_TASKS).then(|| (per_look(runnable).max(each), per_look(stalled))),
        memory: figures.memory_bytes.quantiles(),
        limit: figures.memory_limit_bytes.map(|bytes| bytes as f64),
    })
}

impl SeenUse {
    fn waits_for_cpus(&self) -> bool {
        self.activity.is_some_and(|(wanted, _)| wanted - self.each > SHORT)
    }

    /// Whether fewer at a time would be in each other's way less, or more would use CPUs that are idle.
    fn about_cpus(&self) -> Option<String> {
        let Self { cpus, launches, jobs, each, .. } = *self;
        let (wanted, stalled) = self.activity?;
        if wanted * jobs * launches > 1.5 * cpus {
            return if launches > 1.0 { self.fewer_launches() } else { self.fewer_at_a_time(wanted) };
        }
        // Other programs have the CPUs.
        if self.waits_for_cpus() {
            return None;
        }
        // What waits half the time leaves room for twice as many; nobody knows about less than a tenth.
        let room = (cpus / (each.max(0.1) * launches)).floor();
        let useful = room.min(jobs * LONGEST_STEP).min(self.fitting());
        if useful < (jobs * 1.5).ceil().max(jobs + 1.0) {
            return None;
        }
        let used = each * jobs;
        Some(if stalled > 0.0 && stalled >= (1.0 - each) / 2.0 {
            // Storage that is slow for some is no faster for more.
            format!(
                "Tasks waited for storage {:.0} % of the time: more at a time may not be faster",
                stalled * 100.0
            )
        } else if each < 0.5 {
            format!(
                "Tasks use {each:.1} of a CPU each, so they mostly wait; more at a time may be faster: -j {useful}"
            )
        } else {
            format!(
                "About {used:.0} of {cpus:.0} CPUs were used: more tasks at a time may be faster: -j {useful}"
            )
        })
    }

    fn fewer_launches(&self) -> Option<String> {
        let (launches, cpus) = (self.launches, decimal(self.cpus));
        let these = if cpus == "1" { "this CPU".to_owned() } else { format!("these {cpus} CPUs") };
        self.waits_for_cpus().then(|| format!("{launches} launches share {these}: start fewer"))
    }

    fn fewer_at_a_time(&self, wanted: f64) -> Option<String> {
        let Self { cpus, jobs, .. } = *self;
        let (fitting, threads) = ((cpus / wanted).floor().max(1.0), (cpus / jobs).floor().max(1.0));
        let fewer = (jobs > 1.0).then(|| format!("fewer at a time (-j {fitting})"));
        let thinner = (wanted >= 1.5).then(|| format!("fewer threads (--threads {threads})"));
        let ways: Vec<String> = fewer.into_iter().chain(thinner).collect();
        let (ways, could) = (ways.join(" or "), format!("Tasks could use {wanted:.1} CPUs each"));
        (!ways.is_empty()).then(|| format!("{could}, more than their share of {}: {ways}.", decimal(cpus)))
    }

    /// How many tasks fit into the container's memory; any number where it has no limit but that of a shared machine.
    fn fitting(&self) -> f64 {
        match (self.limit, self.memory) {
            (Some(limit), Some(memory)) => {
                ((limit / self.launches * USABLE - memory.max) / memory.p95.max(1.0)).floor().max(0.0) + 1.0
            }
            (Some(_), None) => self.jobs,
            (None, _) => f64::INFINITY,
        }
    }

    /// What the next containers need: one task as large as the largest, the others as nearly all are. Only where memory was
    /// watched: elsewhere what is known is the largest process of a task, which may have several.
    fn about_memory(&self) -> Option<String> {
        self.limit?;
        let memory = self.memory?;
        let bytes = ((self.jobs - 1.0) * memory.p95 + memory.max) * HEAD_ROOM;
        let (gib, cpus) =
            ((bytes / GIB).ceil().max(1.0), (self.each * self.jobs).round().clamp(1.0, self.cpus.max(1.0)));
        Some(format!(
            "Next time: canfar create --cpu {cpus:.0} --memory {gib:.0} fits {} at a time (-j {:.0}), with room for the largest.",
            units::plural(whole(self.jobs), "task", "tasks"),
            self.jobs
        ))
    }
}

/// With one digit behind the point where it is no whole number.
pub(super) fn decimal(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a small positive number")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::{ENOUGH_TIME, is_short_of_cpus};
    use crate::model::usage::{TaskActivity, UsageFigures};

    const GIB: f64 = (1_u64 << 30) as f64;

    fn lines(figures: &UsageFigures) -> Vec<String> {
        super::lines(figures, ENOUGH_TIME)
    }

    /// A launch of ten minutes with 8 CPUs, whose tasks used so much of a CPU and so much memory each, and waited for nothing
    /// that more or fewer of them would change.
    fn launch(jobs: usize, each: f64, sizes: &[f64], limit: Option<u64>) -> UsageFigures {
        let busy_s = 600.0 * jobs as f64 * 0.95;
        let mut figures = UsageFigures {
            launches: 1,
            wall_s: 600.0,
            cpu_available_s: 4800.0,
            jobs,
            memory_limit_bytes: limit,
            attempts: 200,
            busy_s,
            cpu_s: busy_s * each,
            activity: TaskActivity { looks: 1000, ..TaskActivity::default() },
            ..UsageFigures::default()
        };
        sizes.iter().cycle().take(200).for_each(|size| figures.memory_bytes.count(size * GIB));
        figures
    }

    /// The same with 2 CPUs, shared by so many; of 1000 looks, so many found a thread that was runnable, or a task that waited
    /// for storage.
    fn small(launches_at_once: usize, each: f64, runnable: u64, stalled: u64) -> UsageFigures {
        UsageFigures {
            cpu_available_s: 1200.0,
            launches_at_once,
            activity: TaskActivity { looks: 1000, runnable, stalled },
            ..launch(2, each, &[1.0], None)
        }
    }

    const LIMIT: Option<u64> = Some(32 << 30);

    #[test]
    fn what_tasks_wait_for_decides_what_is_advised() {
        const MORE: &str =
            "Tasks use 0.2 of a CPU each, so they mostly wait; more at a time may be faster: -j 8";
        const FEWER: &str =
            "Tasks could use 1.0 CPUs each, more than their share of 2: fewer at a time (-j 2).";
        for (figures, advice) in [
            // Six launches of two tasks that compute, on two CPUs.
            (small(6, 0.17, 980, 10), Some("6 launches share these 2 CPUs: start fewer")),
            // The same where others have the CPUs, or nobody looked for other launches.
            (small(1, 0.17, 980, 10), None),
            (small(0, 0.17, 980, 10), None),
            (small(0, 0.6, 900, 0), None),
            // Tasks that sleep.
            (small(1, 0.2, 210, 0), Some(MORE)),
            (small(0, 0.2, 190, 60), Some(MORE)),
            // The same beside other launches leaves room for fewer.
            (small(4, 0.2, 210, 0), None),
            // Storage that stalls.
            (
                small(1, 0.2, 210, 780),
                Some("Tasks waited for storage 78 % of the time: more at a time may not be faster"),
            ),
            // Eight at a time on two CPUs.
            (UsageFigures { jobs: 8, busy_s: 4700.0, cpu_s: 1175.0, ..small(1, 0.25, 990, 0) }, Some(FEWER)),
            // Nobody looked at what they wait for.
            (UsageFigures { activity: TaskActivity::default(), ..small(1, 0.2, 0, 0) }, None),
        ] {
            assert_eq!(lines(&figures).first().map(String::as_str), advice, "{figures:?}");
        }
    }

    #[test]
    fn other_launches_are_looked_for_where_tasks_waited_for_cpus() {
        for (figures, is_short) in [
            (small(0, 0.17, 980, 0), true),
            (small(0, 0.2, 210, 0), false),
            (small(0, 0.2, 210, 780), false),
            (UsageFigures { attempts: 3, ..small(0, 0.17, 980, 0) }, false),
            (UsageFigures::default(), false),
        ] {
            assert_eq!(is_short_of_cpus(&figures, ENOUGH_TIME), is_short, "{figures:?}");
        }
    }

    #[test]
    fn memory_is_for_one_of_the_largest_and_the_others_as_nearly_all_are() {
        let mut figures = launch(4, 1.0, &[1.0], LIMIT);
        figures.memory_bytes.count(3.0 * GIB);
        figures.cpu_available_s = 4.0 * 600.0;
        assert_eq!(
            lines(&figures),
            [
                "Next time: canfar create --cpu 4 --memory 8 fits 4 tasks at a time (-j 4), with room for the largest."
            ]
        );
    }

    #[test]
    fn tasks_that_wait_or_cpus_that_idle_want_more_at_a_time_as_far_as_memory_goes() {
        for (jobs, each, size, limit, wanted) in [
            (8, 0.2, 0.1, None, Some("mostly wait; more at a time may be faster: -j 32")),
            (8, 0.2, 1.0, LIMIT, Some("-j 25")),
            (8, 0.2, 3.0, LIMIT, None),
            (
                2,
                1.0,
                1.0,
                LIMIT,
                Some("About 2 of 8 CPUs were used: more tasks at a time may be faster: -j 8"),
            ),
            (8, 0.9, 1.0, LIMIT, None),
        ] {
            let advice = lines(&launch(jobs, each, &[size], limit));
            let about_cpus = advice.first().filter(|line| !line.starts_with("Next"));
            assert_eq!(about_cpus.is_some(), wanted.is_some(), "{advice:?}");
            assert!(about_cpus.is_none_or(|line| line.ends_with(wanted.unwrap())), "{advice:?}");
        }
    }

    #[test]
    fn tasks_with_more_threads_than_their_share_want_fewer() {
        let threads = |jobs, each, looks, runnable| UsageFigures {
            activity: TaskActivity { looks, runnable, stalled: 0 },
            ..launch(jobs, each, &[1.0], None)
        };
        assert_eq!(
            lines(&threads(4, 1.9, 1000, 3500)),
            [
                "Tasks could use 3.5 CPUs each, more than their share of 8: fewer at a time (-j 2) or fewer threads (--threads 2)."
            ]
        );
        assert_eq!(
            lines(&threads(1, 7.5, 1000, 31_000)),
            ["Tasks could use 31.0 CPUs each, more than their share of 8: fewer threads (--threads 8)."]
        );
    }

    #[test]
    fn nothing_is_said_of_few_tasks_little_time_idle_slots_or_a_machine_without_limits() {
        let sound = launch(8, 0.9, &[1.0], LIMIT);
        assert_eq!(lines(&sound).len(), 1);
        for unsound in [
            UsageFigures { attempts: 19, ..sound.clone() },
            UsageFigures { wall_s: 59.0, ..sound.clone() },
            UsageFigures { launches: 11, ..sound.clone() },
            UsageFigures { busy_s: 600.0, ..sound.clone() },
            UsageFigures { memory_limit_bytes: None, ..sound },
            UsageFigures::default(),
        ] {
            assert_eq!(lines(&unsound), Vec::<String>::new(), "{unsound:?}");
        }
    }
}
