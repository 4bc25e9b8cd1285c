//! The variables by which engines other than CANFAR tell a container which of how many it is. Which ones there are, and
//! what they count from, is documented by each: Slurm (job arrays, srun), Kubernetes (Indexed Jobs), AWS Batch (array
//! jobs), Google Batch and Cloud Run jobs.

use std::ffi::OsStr;

use anyhow::{Context, bail, ensure};

use crate::environment::Environment;
use crate::model::replica::Replica;

/// What an engine says of this container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rank {
    /// The variables it was read from, with their values, for people.
    pub(super) said: String,
    /// Rank from 0.
    number: u32,
    /// How many there are; some engines don't tell.
    count: Option<u32>,
}

impl Rank {
    /// How many there are, where the engine says so.
    pub(super) fn count(&self) -> Option<u32> {
        self.count
    }

    /// The replica; `count` is used where the engine has none.
    pub(super) fn replica(&self, count: Option<u32>) -> anyhow::Result<Replica> {
        let Some(count) = self.count.or(count) else {
            bail!(
                "{} is set, but that engine does not say how many there are: give --replica-count",
                self.said
            );
        };
        Replica::new(self.number.saturating_add(1), count)
            .with_context(|| format!("{} with a count of {count}", self.said))
    }
}

/// Engines that say rank and count in two plain variables: rank from 0.
const PLAIN: [(&str, &str); 3] = [
    ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"),
    ("BATCH_TASK_INDEX", "BATCH_TASK_COUNT"),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"),
];

/// Kubernetes Indexed Jobs tell the rank alone.
const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

/// All that engines say.
///
/// # Errors
/// Half of what an engine sets, non-numbers, a sparse Slurm array.
pub(super) fn places(environment: &Environment) -> anyhow::Result<Vec<Rank>> {
    let mut places: Vec<Rank> = slurm(environment)?.into_iter().collect();
    for (rank, count) in PLAIN {
        if environment.get(rank).is_some() || environment.get(count).is_some() {
            places.push(Rank {
                said: shown(environment, &[rank, count]),
                number: number(environment, rank)?,
                count: Some(number(environment, count)?),
            });
        }
    }
    if environment.get(COMPLETION_INDEX).is_some() {
        let rank = number(environment, COMPLETION_INDEX)?;
        places.push(Rank { said: shown(environment, &[COMPLETION_INDEX]), number: rank, count: None });
    }
    Ok(places)
}

/// A Slurm array element, a step of several tasks, or both: then each element's tasks follow those of the one before.
fn slurm(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    let array = slurm_array(environment)?;
    // Outside a step the same variables describe the allocation, in which a batch script is alone.
    let step = if environment.get("SLURM_STEP_ID").is_some() { slurm_step(environment)? } else { None };
    Ok(match (array, step) {
        (Some(array), Some(step)) => {
            let tasks = step.count.unwrap_or(1);
            // Else it would be a place of the next element's.
            step.replica(None)?;
            Some(Rank {
                said: format!("{}, {}", array.said, step.said),
                number: array.number.saturating_mul(tasks).saturating_add(step.number),
                count: Some(array.count.unwrap_or(1).saturating_mul(tasks)),
            })
        }
        (array, step) => array.or(step),
    })
}

fn slurm_array(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    const NAMES: [&str; 5] = [
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_COUNT",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
    ];
    if NAMES.iter().all(|name| environment.get(name).is_none()) {
        return Ok(None);
    }
    let said = shown(environment, &NAMES);
    let [id, count, min, max, step] = NAMES.map(|name| number(environment, name));
    let (id, count, min, max, step) = (id?, count?, min?, max?, step?);
    let from_min = id.checked_sub(min).filter(|from_min| step > 0 && id <= max && from_min % step == 0);
    let is_regular =
        step > 0 && max.checked_sub(min).and_then(|span| (span / step).checked_add(1)) == Some(count);
    match from_min {
        Some(from_min) if is_regular => Ok(Some(Rank { said, number: from_min / step, count: Some(count) })),
        // `--array=3,7,9` says no more than its ends, so which of the three this is can't be known.
        _ => bail!(
            "the elements of this Slurm array don't follow each other at one distance ({said}), so which one of them this is can't be told. Use --array=1-{count}, or give --replica-id and --replica-count"
        ),
    }
}

fn slurm_step(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    const NAMES: [&str; 2] = ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"];
    if NAMES.iter().all(|name| environment.get(name).is_none()) {
        return Ok(None);
    }
    Ok(Some(Rank {
        said: shown(environment, &NAMES),
        number: number(environment, NAMES[0])?,
        count: Some(number(environment, NAMES[1])?),
    }))
}

fn number(environment: &Environment, name: &str) -> anyhow::Result<u32> {
    let value = environment.get(name).with_context(|| {
        format!("{name} is not set, though the variables beside it are: the engine's environment did not arrive whole. Give --replica-id and --replica-count")
    })?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.with_context(|| format!("{name}={:?} is not a number from 0", value.display().to_string()))
}

fn shown(environment: &Environment, names: &[&str]) -> String {
    let value =
        |name: &&str| environment.get(name).map(|value: &OsStr| format!("{name}={}", value.display()));
    names.iter().filter_map(value).collect::<Vec<_>>().join(" ")
}

/// The one place that engines agree on. One that has no count agrees with any.
///
/// # Errors
/// When two of them say different things.
pub(super) fn agreed(places: Vec<Rank>) -> anyhow::Result<Option<Rank>> {
    let mut places = places.into_iter();
    let Some(mut agreed) = places.next() else { return Ok(None) };
    for other in places {
        let count = agreed.count.or(other.count);
        ensure!(
            agreed.number == other.number && count == other.count.or(agreed.count),
            "two engines disagree on which replica this is: {} and {}. Unset one's variables, or give --replica-id and --replica-count",
            agreed.said,
            other.said
        );
        agreed = Rank { said: format!("{} {}", agreed.said, other.said), count, ..agreed };
    }
    Ok(Some(agreed))
}
