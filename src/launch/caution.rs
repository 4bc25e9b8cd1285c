//! How many tasks may run at once after a container died around them.

use crate::record::history::{History, Launch, share_of_memory};
use crate::run::memory::fitting;
use crate::units;

/// Fewer tasks at a time than there might be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Caution {
    /// At most so many, at least 1.
    pub(super) jobs: usize,
    /// What for.
    pub(super) why: String,
}

/// Whether a container died around tasks of launches before this one.
pub(super) fn died_before(history: &History, launch: u32) -> bool {
    earlier(history, launch).any(|launch| launch.died_with.is_some_and(|running| running > 0))
}

/// What deaths before a launch advise, where that is fewer than `jobs`: as many as fit by what tasks were seen to use,
/// and half as many as were running at each of the deaths since the last launch that ended in order. A first one that
/// showed room in memory was not likely about that.
pub(super) fn after_deaths(
    history: &History,
    launch: u32,
    limit: Option<u64>,
    jobs: usize,
) -> Option<Caution> {
    let by_data = limit.filter(|_| died_before(history, launch)).and_then(|limit| {
        let largest = history.seen.largest;
        let jobs = usize::try_from(fitting(share_of_memory(limit), largest)).ok()?;
        let [largest, limit] = [largest, limit].map(units::bytes);
        Some((jobs, format!("the container died, and a task was seen to take {largest} of its {limit}")))
    });
    let in_a_row: Vec<(&Launch, usize)> = earlier(history, launch)
        .rev()
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
        .map(|(jobs, why)| Caution { jobs: jobs.max(1), why })
}

fn earlier(history: &History, launch: u32) -> impl DoubleEndedIterator<Item = &Launch> {
    history.launches.iter().filter(move |earlier| earlier.number < launch)
}

/// Whether a launch had a smaller container than there is now, so that its death tells little.
fn had_less(launch: &Launch, limit: Option<u64>) -> bool {
    let then = launch.begun.as_ref().and_then(|begun| begun.limits.memory_bytes);
    then.is_some_and(|then| limit.is_none_or(|now| now > then))
}
