//! The variables by which engines other than CANFAR tell a container which replica of how many it is. Their names, and
//! what they count from, are documented by each engine: Slurm (job arrays, srun), Grid Engine (array jobs), MPI (ranks), Kubernetes
//! (Indexed Jobs), AWS Batch (array jobs), Google Batch and Cloud Run jobs.

use std::ffi::OsStr;

use anyhow::{Context, anyhow, bail};

use crate::environment::Environment;
use crate::model::replica::Replica;
use crate::process::descendants::TASK_ID;

/// What an engine says about this container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rank {
    /// The variables it was read from, with their values, for people.
    pub(super) said: String,
    /// Rank from 0.
    number: u32,
    /// How many there are; some engines don't say.
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
                "{} is set, but that engine does not say how many replicas there are: give --replica-count",
                self.said
            );
        };
        Replica::new(self.number.saturating_add(1), count)
            .with_context(|| format!("{} with a count of {count}", self.said))
    }
}

/// Engines that say rank and count in two plain variables: rank from 0.
const PLAIN: [[&str; 2]; 3] = [
    ["AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"],
    ["BATCH_TASK_INDEX", "BATCH_TASK_COUNT"],
    ["CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"],
];

/// MPI launchers set their variables, too: Open MPI, and those that use PMI (MPICH, Intel MPI).
const MPI: [[&str; 2]; 2] = [["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"], ["PMI_RANK", "PMI_SIZE"]];

/// PBS, Torque and LSF give an array element its index, with any first index, but not the number of elements.
const UNCOUNTED: [&str; 3] = ["PBS_ARRAY_INDEX", "PBS_ARRAYID", "LSB_JOBINDEX"];

/// What LSF has there outside of arrays.
const NO_LSF_ARRAY: &str = "0";

/// Kubernetes Indexed Jobs give only the rank.
const COMPLETION_INDEX: &str = "JOB_COMPLETION_INDEX";

/// Variables by which one knows what starts many processes of a kind, and what each of them is.
const STARTERS: [(&str, &str); 8] = [
    ("skaha_sessionid", "a CANFAR session"),
    ("KUBERNETES_SERVICE_HOST", "a Kubernetes pod"),
    ("SLURM_JOB_ID", "a Slurm job"),
    ("PBS_JOBID", "a PBS job"),
    ("LSB_JOBID", "an LSF job"),
    ("SGE_TASK_ID", "a Grid Engine job"),
    ("_CONDOR_SLOT", "an HTCondor job"),
    ("AWS_BATCH_JOB_ID", "an AWS Batch job"),
];

/// What this runs in, if that is known to start many of a kind. A container's first process was started by one, too.
pub(super) fn surroundings(environment: &Environment) -> Option<&'static str> {
    if environment.get(TASK_ID).is_some() {
        return None;
    }
    let starter = STARTERS.iter().find(|(variable, _)| environment.get(variable).is_some());
    starter.map(|(_, name)| *name).or_else(|| (std::process::id() == 1).then_some("a container"))
}

/// All that engines say.
///
/// # Errors
/// Half of what an engine sets, non-numbers, a sparse Slurm array.
pub(super) fn places(environment: &Environment) -> anyhow::Result<Vec<Rank>> {
    let mut places: Vec<Rank> = cluster_job(environment)?.into_iter().collect();
    for names in PLAIN {
        places.extend(pair(environment, names)?);
    }
    if environment.get(COMPLETION_INDEX).is_some() {
        let rank = number(environment, COMPLETION_INDEX)?;
        places.push(Rank { said: shown(environment, &[COMPLETION_INDEX]), number: rank, count: None });
    }
    Ok(places)
}

/// Refuses to take an element of an array for all there is, where nothing says of how many it is one. `process` is which of
/// the element's processes this is, if it has many.
///
/// # Errors
/// Then.
pub(super) fn refuse_uncounted(environment: &Environment, process: Option<&Rank>) -> anyhow::Result<()> {
    let is_element = |name: &&str| {
        environment.get(name).is_some_and(|index| *name != "LSB_JOBINDEX" || index != NO_LSF_ARRAY)
    };
    let Some(name) = UNCOUNTED.into_iter().find(is_element) else { return Ok(()) };
    let advice = match process {
        None => format!(
            "\"${name}\" --replica-count N, where N is how many elements there are (ids go from 1 to N)"
        ),
        Some(process) => format!(
            "and --replica-count that count the processes of all elements ({} counts only those of this one)",
            process.said
        ),
    };
    bail!(
        "{} is set, so this is one element of a job array, but nothing says how many there are: give --replica-id {advice}",
        shown(environment, &[name])
    )
}

/// An element of an array job, one of the processes that `srun` or MPI starts, or both: then each element's processes follow
/// those of the one before.
fn cluster_job(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    let arrays = [slurm_array(environment)?, grid_engine_array(environment)?];
    let array = agreed(arrays.into_iter().flatten().collect())?;
    Ok(match (array, process(environment)?) {
        (Some(array), Some(process)) => {
            let processes = process.count.unwrap_or(1);
            // Else it would be a place of the next element's.
            process.replica(None)?;
            Some(Rank {
                said: format!("{}, {}", array.said, process.said),
                number: array.number.saturating_mul(processes).saturating_add(process.number),
                count: Some(array.count.unwrap_or(1).saturating_mul(processes)),
            })
        }
        (None, Some(process)) => {
            refuse_uncounted(environment, Some(&process))?;
            Some(process)
        }
        (array, None) => array,
    })
}

/// One of the processes of a job.
fn process(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    let mut ranks = Vec::new();
    for names in MPI {
        ranks.extend(pair(environment, names)?);
    }
    // Outside a step the same variables describe the allocation, in which a batch script is alone.
    let step = match environment.get("SLURM_STEP_ID") {
        Some(_) => pair(environment, ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS"]),
        None => Ok(None),
    };
    let Some(rank) = agreed(ranks)? else { return step };
    // `mpirun` starts one process on each host with `srun`, and all ranks there inherit its variables. But a step of more
    // processes than there are ranks may also be one that inherits the ranks' variables, from a shell in another step.
    match step {
        Ok(Some(step)) if step.count > rank.count => Err(disagreement(&rank, &step)),
        _ => Ok(Some(rank)),
    }
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
    match element_of(id, min, max, step) {
        Some((number, regular)) if regular == count => Ok(Some(Rank { said, number, count: Some(count) })),
        // `--array=3,7,9` says no more than its ends, so which of the three this is can't be known.
        _ => bail!(
            "the elements of this Slurm array are not evenly spaced ({said}), so it is unclear which one this is. Use --array=1-{count}, or give --replica-id and --replica-count"
        ),
    }
}

fn grid_engine_array(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    const NAMES: [&str; 4] = ["SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"];
    // A job that is no array has `undefined` there.
    if environment.get(NAMES[0]).is_none_or(|id| id == "undefined") {
        return Ok(None);
    }
    let said = shown(environment, &NAMES);
    let [id, first, last, step] = NAMES.map(|name| number(environment, name));
    let Some((number, count)) = element_of(id?, first?, last?, step?) else {
        bail!(
            "{said} contradict each other: the task id is not in that range with that step. Give --replica-id and --replica-count"
        )
    };
    Ok(Some(Rank { said, number, count: Some(count) }))
}

/// Which one `id` is of the elements from `first` to `last`, from 0, and how many these are; `None` where it is none of them.
fn element_of(id: u32, first: u32, last: u32, step: u32) -> Option<(u32, u32)> {
    let from_first = id.checked_sub(first).filter(|_| id <= last)?;
    let is_element = from_first.checked_rem(step)? == 0;
    is_element.then_some((from_first / step, ((last - first) / step).checked_add(1)?))
}

/// What two plain variables say: the rank from 0, and how many there are.
fn pair(environment: &Environment, names: [&str; 2]) -> anyhow::Result<Option<Rank>> {
    if names.iter().all(|name| environment.get(name).is_none()) {
        return Ok(None);
    }
    let [rank, count] = names.map(|name| number(environment, name));
    Ok(Some(Rank { said: shown(environment, &names), number: rank?, count: Some(count?) }))
}

fn number(environment: &Environment, name: &str) -> anyhow::Result<u32> {
    let value = environment.get(name).with_context(|| {
        format!("{name} is not set, though the variables that belong to it are: the engine's environment is incomplete. Give --replica-id and --replica-count")
    })?;
    let number = value.to_str().and_then(|text| text.parse().ok());
    number.with_context(|| format!("{name}={:?} is not a whole number from 0", value.display().to_string()))
}

fn shown(environment: &Environment, names: &[&str]) -> String {
    let value =
        |name: &&str| environment.get(name).map(|value: &OsStr| format!("{name}={}", value.display()));
    names.iter().filter_map(value).collect::<Vec<_>>().join(" ")
}

/// The one rank that all engines agree on. An engine without a count agrees with any.
///
/// # Errors
/// When two of them say different things.
pub(super) fn agreed(places: Vec<Rank>) -> anyhow::Result<Option<Rank>> {
    let mut places = places.into_iter();
    let Some(mut agreed) = places.next() else { return Ok(None) };
    for other in places {
        let count = agreed.count.or(other.count);
        if agreed.number != other.number || count != other.count.or(agreed.count) {
            return Err(disagreement(&agreed, &other));
        }
        agreed = Rank { said: format!("{} {}", agreed.said, other.said), count, ..agreed };
    }
    Ok(Some(agreed))
}

fn disagreement(one: &Rank, other: &Rank) -> anyhow::Error {
    anyhow!(
        "two engines disagree on which replica this is: {} and {}. Unset one's variables, or give --replica-id and --replica-count",
        one.said,
        other.said
    )
}
