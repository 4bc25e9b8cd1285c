//! What to ask for next time, from what tasks used: said only where it is well founded.

use crate::model::histogram::Quantiles;
use crate::model::usage::UsageFigures;
use crate::units;

/// Fewer tasks, or less time of a launch, tell nothing.
const ENOUGH: (u64, f64) = (20, 60.0);

/// Slots must have been busy for this part of the time, or what limits is that there was too little to do.
const BUSY: f64 = 0.7;

/// Memory beyond what was seen, so that a slightly larger task still fits.
const HEAD_ROOM: f64 = 1.2;

/// Of a container's memory, what is advised to be used.
const USABLE: f64 = 0.8;

/// What the platform counts memory in.
const GIB: f64 = (1_u64 << 30) as f64;

/// More at a time than this many times as many as were tried is a leap in the dark.
const LONGEST_STEP: f64 = 4.0;

/// What was measured, per launch.
struct SeenIdle {
    /// CPUs that there were.
    cpus: f64,
    /// Tasks at a time.
    jobs: f64,
    /// CPUs that a running task used.
    each: f64,
    memory: Option<Quantiles>,
    /// Bytes.
    limit: Option<f64>,
}

/// Lines of advice, at most two.
pub(super) fn lines(figures: &UsageFigures) -> Vec<String> {
    let Some(seen) = seen(figures) else { return Vec::new() };
    seen.about_cpus().into_iter().chain(seen.about_memory()).collect()
}

fn seen(figures: &UsageFigures) -> Option<SeenIdle> {
    let (tasks, seconds) = ENOUGH;
    let is_enough = figures.attempts >= tasks && figures.wall_s >= seconds * figures.launches.max(1) as f64;
    let running = figures.busy_s / figures.wall_s;
    let is_busy = running >= BUSY * figures.jobs as f64;
    let is_sound = figures.cpu_available_s > 0.0 && figures.jobs > 0;
    (is_enough && is_busy && is_sound).then(|| SeenIdle {
        cpus: figures.cpu_available_s / figures.wall_s,
        jobs: figures.jobs as f64,
        each: figures.cpu_s / figures.busy_s,
        memory: figures.memory_bytes.quantiles(),
        limit: figures.memory_limit_bytes.map(|bytes| bytes as f64),
    })
}

impl SeenIdle {
    /// Whether more at a time would use CPUs that are idle, or fewer would be in each other's way less.
    fn about_cpus(&self) -> Option<String> {
        let Self { cpus, jobs, each, .. } = *self;
        if each * jobs > 1.5 * cpus && jobs > 1.0 {
            let fitting = (cpus / each).floor().max(1.0);
            let threads = (cpus / jobs).floor().max(1.0);
            return Some(format!(
                "Tasks use {each:.1} CPUs each, more than their share of {cpus:.0}: fewer at a time (-j {fitting}) or fewer threads (--threads {threads})."
            ));
        }
        // What waits for storage half the time leaves room for twice as many; nobody knows about less than a tenth.
        let useful = (cpus / each.max(0.1)).floor().min(jobs * LONGEST_STEP).min(self.fitting());
        if useful < (jobs * 1.5).ceil().max(jobs + 1.0) {
            return None;
        }
        let used = each * jobs;
        Some(if each < 0.5 {
            format!(
                "Tasks use {each:.1} of a CPU each, so they mostly wait: more at a time may be faster: -j {useful}"
            )
        } else {
            format!(
                "About {used:.0} of {cpus:.0} CPUs were used: more tasks at a time may be faster: -j {useful}"
            )
        })
    }

    /// How many tasks fit into the container's memory; any number where it has no limit but that of a shared machine.
    fn fitting(&self) -> f64 {
        match (self.limit, self.memory) {
            (Some(limit), Some(memory)) => {
                ((limit * USABLE - memory.max) / memory.p95.max(1.0)).floor().max(0.0) + 1.0
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a small positive number")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::lines;
    use crate::model::usage::UsageFigures;

    const GIB: f64 = (1_u64 << 30) as f64;

    /// A launch of ten minutes with 8 CPUs, whose tasks used so much of a CPU and so much memory each.
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
            ..UsageFigures::default()
        };
        sizes.iter().cycle().take(200).for_each(|size| figures.memory_bytes.count(size * GIB));
        figures
    }

    const LIMIT: Option<u64> = Some(32 << 30);

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
            (8, 0.2, 0.1, None, Some("mostly wait: more at a time may be faster: -j 32")),
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
        let advice = lines(&launch(4, 3.5, &[1.0], None));
        assert_eq!(
            advice,
            [
                "Tasks use 3.5 CPUs each, more than their share of 8: fewer at a time (-j 2) or fewer threads (--threads 2)."
            ]
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
