//! How many tasks may run at once after a container died while running tasks.

use crate::journal::launch_state::LaunchState;
use crate::journal::state::JournalState;
use crate::model::quarantine::share_of_memory;
use crate::run::memory::fitting;
use crate::units;

/// Fewer tasks at a time than there might be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ConcurrencyCap {
    /// At most this many, at least 1.
    pub(super) jobs: usize,
    /// What for.
    pub(super) why: String,
}

/// Whether a container died around tasks of launches before this one.
pub(super) fn died_before(history: &JournalState, launch: u32) -> bool {
    earlier(history, launch).any(|launch| launch.died_with.is_some_and(|running| running > 0))
}

/// What deaths before a launch advise, where that is fewer than `jobs`: as many as fit by what tasks were seen to use,
/// and half as many as were running at each of the deaths since the last launch that ran tasks and ended in order: one that
/// only wrote results says nothing of that. A first death that showed room in memory was not likely about it.
pub(super) fn after_deaths(
    history: &JournalState,
    launch: u32,
    limit: Option<u64>,
    jobs: usize,
) -> Option<ConcurrencyCap> {
    let by_data = limit.filter(|_| died_before(history, launch)).and_then(|limit| {
        let largest = history.seen.largest;
        let jobs = usize::try_from(fitting(share_of_memory(limit), largest)).ok()?;
        let [largest, limit] = [largest, limit].map(units::bytes);
        Some((jobs, format!("the container died, and a task had used {largest} of its {limit}")))
    });
    let in_a_row: Vec<(&LaunchState, usize)> = earlier(history, launch)
        .rev()
        .filter(|launch| launch.died_with.is_some() || launch.attempts > 0)
        .take_while(|launch| launch.died_with.is_some())
        .filter_map(|launch| Some((launch, launch.died_with.filter(|running| *running > 0)?)))
        .collect();
    let is_harmless = matches!(in_a_row.as_slice(), [(only, _)] if only.had_room());
    let by_halves = in_a_row
        .into_iter()
        .filter(|(launch, _)| !is_harmless && !had_less(launch, limit))
        .map(|(_, running)| (running / 2, format!("the container died with {running} running")))
        .min();
    [by_data, by_halves]
        .into_iter()
        .flatten()
        .min()
        .filter(|(fewer, _)| *fewer < jobs)
        .map(|(jobs, why)| ConcurrencyCap { jobs: jobs.max(1), why })
}

fn earlier(history: &JournalState, launch: u32) -> impl DoubleEndedIterator<Item = &LaunchState> {
    history.launches.iter().filter(move |earlier| earlier.number < launch)
}

/// Whether a launch had a smaller container than this one, so that its death says little.
fn had_less(launch: &LaunchState, limit: Option<u64>) -> bool {
    let then = launch.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
    then.is_some_and(|then| limit.is_none_or(|now| now > then))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{after_deaths, died_before};
    use crate::journal::event::{LaunchBegun, LaunchProgress, Limits};
    use crate::journal::launch_state::LaunchState;
    use crate::journal::state::{JournalState, RunRef};
    use crate::model::provenance::Process;
    use crate::model::quarantine::SeenUsage;
    use crate::model::shares::Share;
    use crate::store::layout::Layout;

    const LIMIT: u64 = 1000;

    /// How a launch of 1000 bytes ended.
    #[derive(Debug, Clone, Copy)]
    enum SimulatedEnd {
        InOrder,
        /// The same, without having run anything.
        Idle,
        /// With so many running, and so much in use by its last sign of life.
        Died(usize, u64),
    }
    use SimulatedEnd::{Died, Idle, InOrder};

    fn launch(number: u32, end: SimulatedEnd) -> LaunchState {
        let (died_with, in_use) = match end {
            InOrder | Idle => (None, None),
            Died(running, in_use) => (Some(running), Some(in_use)),
        };
        let mut launch = LaunchState::new(1, number);
        launch.begun = Some(Box::new(LaunchBegun {
            replica_id: 1,
            replica_count: 1,
            process: Process::current(None),
            locked: true,
            options: BTreeMap::new(),
            limits: Limits { cpus: 8.0, memory_bytes: Some(LIMIT), cpu_set: None },
            jobs: 8,
            command_files: Vec::new(),
            share: 20,
            takeover_after_s: None,
            command: None,
            by_another: false,
        }));
        launch.heartbeat =
            in_use.map(|in_use| LaunchProgress { memory_bytes: Some(in_use), ..LaunchProgress::default() });
        launch.died_with = died_with;
        launch.attempts = u64::from(!matches!(end, Idle));
        launch
    }

    /// What a container with this limit is advised after these launches, whose tasks used so much.
    fn advised(ends: &[SimulatedEnd], largest: u64, limit: Option<u64>) -> Option<usize> {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let run = RunRef { id: "run", indices: 0..20 };
        let mut history = JournalState::read(&layout, &run, 1, Share::Range(0..20), false).unwrap();
        // The launch itself is there, too, and no death.
        let own = Died(0, 0);
        history.launches =
            (1..).zip(ends.iter().chain([&own])).map(|(number, end)| launch(number, *end)).collect();
        history.seen = SeenUsage { attempts: 1, largest };
        let number = u32::try_from(history.launches.len()).unwrap();
        let died = ends.iter().any(|end| matches!(end, Died(1.., _)));
        assert_eq!(died_before(&history, number), died);
        after_deaths(&history, number, limit, 8).map(|caution| caution.jobs)
    }

    #[test]
    fn after_deaths_half_as_many_run_until_a_launch_ends_in_order() {
        for (ends, jobs) in [
            (&[][..], None),
            (&[InOrder], None),
            (&[Died(8, 900)], Some(4)),
            (&[Died(8, 900), Died(4, 900)], Some(2)),
            // Then suspects ran one by one, and one of them died.
            (&[Died(8, 900), Died(4, 900), Died(0, 900)], Some(2)),
            (&[Died(1, 900)], Some(1)),
            (&[Died(8, 900), InOrder], None),
            // Who wrote the results of the dead ran nothing.
            (&[Died(8, 900), Idle], Some(4)),
            (&[Died(8, 900), InOrder, Idle], None),
            // A first death with room in memory was not about that; a second may well be.
            (&[Died(8, 799)], None),
            (&[Died(8, 799), Died(8, 799)], Some(4)),
            (&[Died(8, 799), InOrder, Died(8, 799)], None),
        ] {
            assert_eq!(advised(ends, 0, Some(LIMIT)), jobs, "{ends:?}");
        }
    }

    #[test]
    fn after_a_death_no_more_run_than_fit_by_what_tasks_were_seen_to_use() {
        assert_eq!(advised(&[Died(8, 900)], 300, Some(LIMIT)), Some(2));
        assert_eq!(advised(&[Died(8, 900)], 100, Some(LIMIT)), Some(4));
        assert_eq!(advised(&[Died(8, 900)], 900, Some(LIMIT)), Some(1));
        assert_eq!(advised(&[Died(8, 900), InOrder], 300, Some(LIMIT)), Some(2));
        assert_eq!(advised(&[InOrder], 300, Some(LIMIT)), None);
    }

    #[test]
    fn a_larger_container_is_not_judged_by_the_deaths_of_a_smaller_one() {
        assert_eq!(advised(&[Died(8, 900)], 0, Some(2 * LIMIT)), None);
        assert_eq!(advised(&[Died(8, 900)], 0, None), None);
        assert_eq!(advised(&[Died(8, 900)], 300, Some(2 * LIMIT)), Some(5));
    }
}
