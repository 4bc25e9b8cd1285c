//! Which replica of how many this is: from options, CANFAR's variables, another engine's, or 1 of 1. Never a guess.

use std::ffi::OsStr;
use std::num::NonZeroU32;

use anyhow::{Context, anyhow, bail};

use crate::config::engines::{self, Rank};
use crate::environment::Environment;
use crate::model::replica::{MOST, Replica};
use crate::process::descendants::TASK_ID;

const ALLOWED: &str = "ids go from 1 to the count, counts from 1 to 100000";

/// A pair as one source gives it, with the names by which to ask for what is missing.
#[derive(Debug, Default)]
struct IdAndCount<'a> {
    names: [&'static str; 2],
    id: Option<Given<'a>>,
    count: Option<Given<'a>>,
}

/// A value, and how to speak of it: `REPLICA_ID=3`, or the line of a job file.
#[derive(Debug, Clone)]
struct Given<'a> {
    value: &'a OsStr,
    said: String,
}

impl<'a> Given<'a> {
    fn named(name: &str, value: &'a OsStr) -> Self {
        let shown = value.display().to_string();
        let said = if is_digits(&shown) { format!("{name}={shown}") } else { format!("{name}={shown:?}") };
        Self { value, said }
    }

    fn shared(shared: &'a SharedValue) -> Self {
        Self { value: OsStr::new(&shared.value), said: shared.origin.clone() }
    }

    /// As a number.
    fn number(&self) -> anyhow::Result<u32> {
        let digits = self.value.to_str().filter(|text| is_digits(text));
        let digits = digits.with_context(|| format!("{} is not a number", self.said))?;
        digits.parse().with_context(|| format!("{} is more than any count can be", self.said))
    }
}

/// A replica and where that is known from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaIdentity {
    /// The replica.
    pub replica: Replica,
    /// What this runs in, where that starts many of a kind and nothing says which one this is: it is 1 of 1 for want of
    /// better knowledge.
    pub unknown_in: Option<&'static str>,
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A value that did not come from the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedValue {
    /// The value as written there.
    pub value: String,
    /// The line of the job file that says it, or `CANFAR_RUN_REPLICA_ID=3`.
    pub origin: String,
}

/// What variables of ours and a job file say about replicas. All containers of a launch have these in common, so they
/// can't tell one from the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedIdentity {
    /// `replica-id`.
    pub id: Option<SharedValue>,
    /// `replica-count`.
    pub count: Option<SharedValue>,
}

/// Which replica this process is: `id` and `count` are those of the command line.
///
/// # Errors
/// Half a pair, a non-number, 0, an id above the count; a shared setting contradicts this container's own variables.
pub fn identify(
    id: Option<&str>,
    count: Option<&str>,
    shared: &SharedIdentity,
    environment: &Environment,
) -> anyhow::Result<ReplicaIdentity> {
    let names = ["--replica-id", "--replica-count"];
    let given_as = |name, value: Option<_>| value.map(|value| Given::named(name, OsStr::new(value)));
    let typed = IdAndCount { names, id: given_as(names[0], id), count: given_as(names[1], count) };
    let options = IdAndCount {
        names,
        id: typed.id.clone().or(shared.id.as_ref().map(Given::shared)),
        count: typed.count.clone().or(shared.count.as_ref().map(Given::shared)),
    };
    if typed.id.is_some() {
        return given(options.replica()?);
    }
    let canfar = canfar(environment);
    if canfar.is_set() {
        // A pair comes from one source.
        let replica = if typed.count.is_some() { typed.replica()? } else { canfar.replica()? };
        shared.agree(Some(replica.id()), replica.count(), &canfar.shown())?;
        return given(replica);
    }
    let Some(place) = engine(environment)? else {
        if options.id.is_none() && environment.get(TASK_ID).is_none() {
            engines::refuse_uncounted(environment, None)?;
        }
        let unknown_in = if options.is_set() { None } else { engines::surroundings(environment) };
        return Ok(ReplicaIdentity { replica: options.replica()?, unknown_in });
    };
    // Only an engine that has no count takes it from the option.
    if place.count().is_some() && typed.count.is_some() {
        return given(typed.replica()?);
    }
    let count = options.count.filter(|_| place.count().is_none());
    let count = count.map(|count| count.number()).transpose();
    let replica = place.replica(count.map_err(|why| anyhow!("{why} ({ALLOWED})"))?)?;
    shared.agree(Some(replica.id()), replica.count(), &place.said)?;
    given(replica)
}

impl SharedIdentity {
    /// Where the value of an option of this name belongs, if it is about identity.
    pub(super) fn member(&mut self, name: &str) -> Option<&mut Option<SharedValue>> {
        match name {
            "replica-id" => Some(&mut self.id),
            "replica-count" => Some(&mut self.count),
            _ => None,
        }
    }

    /// Refuses what contradicts the variables that this container alone has, which say that it is replica `id` of `count`.
    fn agree(&self, id: Option<u32>, count: u32, variables: &str) -> anyhow::Result<()> {
        let differs = |shared: &Option<SharedValue>, own: Option<u32>| {
            shared.clone().zip(own).filter(|(shared, own)| shared.value.parse() != Ok(*own))
        };
        if let Some((SharedValue { value, origin }, own)) = differs(&self.id, id) {
            bail!(
                "{origin}, but this container is replica {own} of {count} ({variables}). All containers share that setting, so all of them would be replica {value}: remove it there. To choose a replica by hand, give --replica-id and --replica-count"
            );
        }
        if let Some((SharedValue { value, origin }, own)) = differs(&self.count, Some(count)) {
            bail!(
                "{origin}, but there are {own} replicas ({variables}): remove it there, or launch {value} of them. To choose a replica by hand, give --replica-id and --replica-count"
            );
        }
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the answer of every branch")]
fn given(replica: Replica) -> anyhow::Result<ReplicaIdentity> {
    Ok(ReplicaIdentity { replica, unknown_in: None })
}

/// What another engine says. Inside a task its variables are the parent's.
fn engine(environment: &Environment) -> anyhow::Result<Option<Rank>> {
    if environment.get(TASK_ID).is_some() {
        return Ok(None);
    }
    engines::agreed(engines::places(environment)?)
}

/// How many replicas there are, for `plan`; `None` where nothing says so.
///
/// # Errors
/// A non-number or 0, engines that disagree or can't be understood, a shared count that contradicts this container's.
pub fn replica_count(
    count: Option<&str>,
    shared: &SharedIdentity,
    environment: &Environment,
) -> anyhow::Result<Option<NonZeroU32>> {
    if let Some(count) = count {
        return a_count(&Given::named("--replica-count", OsStr::new(count))).map(Some);
    }
    let canfar = canfar(environment);
    if let Some(count) = &canfar.count {
        let count = a_count(count)?;
        shared.agree(None, count.get(), &canfar.shown())?;
        return Ok(Some(count));
    }
    if let Some(place) = engine(environment)?.filter(|place| place.count().is_some()) {
        let replica = place.replica(None)?;
        shared.agree(None, replica.count(), &place.said)?;
        return Ok(NonZeroU32::new(replica.count()));
    }
    shared.count.as_ref().map(|count| a_count(&Given::shared(count))).transpose()
}

fn a_count(given: &Given<'_>) -> anyhow::Result<NonZeroU32> {
    let count = given.number().map_err(|why| anyhow!("{why} ({ALLOWED})"))?;
    NonZeroU32::new(count)
        .filter(|count| count.get() <= MOST)
        .with_context(|| format!("{} is not a replica count ({ALLOWED})", given.said))
}

/// CANFAR's variables. A canfar-run inside a task takes no identity from the environment: that is its parent's.
fn canfar(environment: &Environment) -> IdAndCount<'_> {
    if environment.get(TASK_ID).is_some() {
        return IdAndCount::default();
    }
    // Set and empty is half a pair, not an unset one: something went wrong at the launch.
    let names = ["REPLICA_ID", "REPLICA_COUNT"];
    let [id, count] =
        names.map(|name| environment.variables.get(OsStr::new(name)).map(|value| Given::named(name, value)));
    IdAndCount { names, id, count }
}

impl IdAndCount<'_> {
    fn is_set(&self) -> bool {
        self.id.is_some() || self.count.is_some()
    }

    /// The names that are set, with their values.
    fn shown(&self) -> String {
        let set: Vec<&str> =
            [&self.id, &self.count].into_iter().flatten().map(|given| &*given.said).collect();
        set.join(", ")
    }

    fn replica(&self) -> anyhow::Result<Replica> {
        let [id_name, count_name] = self.names;
        let (half, missing) = match (&self.id, &self.count) {
            (Some(id), Some(count)) => {
                let numbers = || Ok((id.number()?, count.number()?));
                let (number, of) = numbers().map_err(|why: anyhow::Error| anyhow!("{why} ({ALLOWED})"))?;
                return Replica::new(number, of)
                    .map_err(|why| anyhow!("{} with {}: {why} ({ALLOWED})", id.said, count.said));
            }
            (None, None) => return Ok(Replica::ALONE),
            (Some(half), None) => (half, count_name),
            (None, Some(half)) => (half, id_name),
        };
        bail!(
            "{} is set but {missing} is not: both are needed to know this replica's share. Give both ({ALLOWED})",
            half.said
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{SharedIdentity, SharedValue, identify, replica_count};
    use crate::environment::Environment;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        Environment {
            variables: variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            cwd: "/".into(),
        }
    }

    fn who(id: Option<&str>, count: Option<&str>, variables: &[(&str, &str)]) -> Result<(u32, u32), String> {
        identify(id, count, &SharedIdentity::default(), &environment(variables))
            .map(|identity| (identity.replica.id(), identity.replica.count()))
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn options_beat_the_environment_and_nothing_means_one_of_one() {
        let canfar = [("REPLICA_ID", "3"), ("REPLICA_COUNT", "100")];
        assert_eq!(who(None, None, &[]), Ok((1, 1)));
        assert_eq!(who(None, None, &canfar), Ok((3, 100)));
        assert_eq!(who(Some("2"), Some("4"), &canfar), Ok((2, 4)));
        assert_eq!(who(None, None, &[canfar[0], canfar[1], ("CANFAR_TASK_ID", "x")]), Ok((1, 1)));
    }

    #[test]
    fn only_what_starts_many_of_a_kind_makes_a_missing_identity_odd() {
        let unknown_in = |variables: &[_]| {
            let identity = identify(None, None, &SharedIdentity::default(), &environment(variables));
            identity.unwrap().unknown_in
        };
        assert_eq!(unknown_in(&[]), None);
        assert_eq!(unknown_in(&[("SLURM_JOB_ID", "7")]), Some("a Slurm job"));
        assert_eq!(
            unknown_in(&[("skaha_sessionid", "abc"), ("KUBERNETES_SERVICE_HOST", "x")]),
            Some("a CANFAR session")
        );
        assert_eq!(unknown_in(&[("SLURM_JOB_ID", "7"), ("CANFAR_TASK_ID", "x")]), None);
        assert_eq!(unknown_in(&[("SLURM_JOB_ID", "7"), ("REPLICA_ID", "1"), ("REPLICA_COUNT", "1")]), None);
    }

    #[test]
    fn what_is_not_a_pair_is_an_error_that_shows_it() {
        for (id, count, variables, said) in [
            (None, None, vec![("REPLICA_ID", "3")], "REPLICA_ID=3 is set but REPLICA_COUNT is not"),
            (None, None, vec![("REPLICA_COUNT", "3")], "REPLICA_COUNT=3 is set but REPLICA_ID is not"),
            (
                Some("1"),
                None,
                vec![("REPLICA_COUNT", "3")],
                "--replica-id=1 is set but --replica-count is not",
            ),
            (
                None,
                None,
                vec![("REPLICA_ID", "x"), ("REPLICA_COUNT", "3")],
                "REPLICA_ID=\"x\" is not a number",
            ),
            (None, None, vec![("REPLICA_ID", ""), ("REPLICA_COUNT", "3")], "REPLICA_ID=\"\" is not a number"),
            (
                None,
                None,
                vec![("REPLICA_ID", "-1"), ("REPLICA_COUNT", "3")],
                "REPLICA_ID=\"-1\" is not a number",
            ),
            (Some("0"), Some("3"), vec![], "--replica-id=0 with --replica-count=3"),
            (Some("7"), Some("5"), vec![], "replica id 7 is above the replica count 5"),
        ] {
            let error = who(id, count, &variables).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn every_engine_counts_in_its_own_way() {
        let array = |id, count, min, max, step| {
            vec![
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_COUNT", count),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_MAX", max),
                ("SLURM_ARRAY_TASK_STEP", step),
            ]
        };
        let step = |proc, tasks| {
            vec![("SLURM_STEP_ID", "0"), ("SLURM_PROCID", proc), ("SLURM_STEP_NUM_TASKS", tasks)]
        };
        let sge = |id, first, last, step| {
            vec![
                ("SGE_TASK_ID", id),
                ("SGE_TASK_FIRST", first),
                ("SGE_TASK_LAST", last),
                ("SGE_TASK_STEPSIZE", step),
            ]
        };
        let mpi = |rank, size| vec![("OMPI_COMM_WORLD_RANK", rank), ("OMPI_COMM_WORLD_SIZE", size)];
        for (variables, replica) in [
            (array("0", "8", "0", "7", "1"), (1, 8)),
            (array("1", "8", "1", "8", "1"), (1, 8)),
            (array("108", "5", "100", "108", "2"), (5, 5)),
            (array("7", "3", "3", "10", "3"), (0, 0)),
            (array("6", "3", "3", "9", "3"), (2, 3)),
            (array("42", "1", "42", "42", "1"), (1, 1)),
            (step("0", "4"), (1, 4)),
            (step("3", "4"), (4, 4)),
            ([array("2", "3", "1", "3", "1"), step("1", "4")].concat(), (6, 12)),
            (vec![("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4")], (1, 1)),
            (vec![("AWS_BATCH_JOB_ARRAY_INDEX", "0"), ("AWS_BATCH_JOB_ARRAY_SIZE", "10")], (1, 10)),
            (sge("3", "1", "4", "1"), (3, 4)),
            (sge("8", "2", "10", "3"), (3, 3)),
            (sge("9", "2", "10", "3"), (0, 0)),
            (sge("undefined", "undefined", "undefined", "undefined"), (1, 1)),
            (mpi("2", "4"), (3, 4)),
            (vec![("PMI_RANK", "0"), ("PMI_SIZE", "2")], (1, 2)),
            // By `mpirun`, which started one process for each host by `srun`.
            ([step("0", "2"), mpi("3", "8")].concat(), (4, 8)),
            ([sge("2", "1", "3", "1"), mpi("1", "4")].concat(), (6, 12)),
            (vec![("PBS_ARRAY_INDEX", "3")], (0, 0)),
            (vec![("LSB_JOBINDEX", "3")], (0, 0)),
            (vec![("LSB_JOBINDEX", "0")], (1, 1)),
            (vec![("PBS_ARRAY_INDEX", "3"), ("CANFAR_TASK_ID", "x")], (1, 1)),
            (vec![("BATCH_TASK_INDEX", "9"), ("BATCH_TASK_COUNT", "10")], (10, 10)),
            (vec![("CLOUD_RUN_TASK_INDEX", "2"), ("CLOUD_RUN_TASK_COUNT", "3")], (3, 3)),
            ([step("1", "4"), vec![("REPLICA_ID", "2"), ("REPLICA_COUNT", "9")]].concat(), (2, 9)),
            ([step("1", "4"), vec![("BATCH_TASK_INDEX", "1"), ("BATCH_TASK_COUNT", "4")]].concat(), (2, 4)),
            ([step("1", "4"), vec![("CANFAR_TASK_ID", "x")]].concat(), (1, 1)),
        ] {
            let answer = who(None, None, &variables).ok().unwrap_or_default();
            // (0, 0) stands for an error: 3-10:3 has the elements 3, 6 and 9, and 7 is none of them.
            assert_eq!(answer, replica, "{variables:?}");
        }
    }

    #[test]
    fn an_engine_without_a_count_takes_it_from_the_option_and_no_other_does() {
        let indexed = [("JOB_COMPLETION_INDEX", "4")];
        assert_eq!(who(None, Some("10"), &indexed), Ok((5, 10)));
        for (count, variables, said) in [
            (None, &indexed[..], "give --replica-count"),
            (Some("4"), &indexed, "above the replica count 4"),
            (Some("10"), &[("BATCH_TASK_INDEX", "1"), ("BATCH_TASK_COUNT", "4")], "--replica-id is not"),
            (Some("10"), &[], "--replica-id is not"),
            (None, &[("BATCH_TASK_INDEX", "1")], "BATCH_TASK_COUNT is not set"),
            (
                None,
                &[("AWS_BATCH_JOB_ARRAY_INDEX", "x"), ("AWS_BATCH_JOB_ARRAY_SIZE", "2")],
                "is not a whole number",
            ),
            (
                None,
                &[
                    ("SLURM_ARRAY_TASK_ID", "7"),
                    ("SLURM_ARRAY_TASK_COUNT", "3"),
                    ("SLURM_ARRAY_TASK_MIN", "3"),
                    ("SLURM_ARRAY_TASK_MAX", "9"),
                    ("SLURM_ARRAY_TASK_STEP", "1"),
                ],
                "Use --array=1-3",
            ),
            (
                None,
                &[
                    ("SLURM_ARRAY_TASK_ID", "0"),
                    ("SLURM_ARRAY_TASK_COUNT", "3"),
                    ("SLURM_ARRAY_TASK_MIN", "0"),
                    ("SLURM_ARRAY_TASK_MAX", "4294967295"),
                    ("SLURM_ARRAY_TASK_STEP", "1"),
                ],
                "Use --array=1-3",
            ),
            (
                None,
                &[
                    ("JOB_COMPLETION_INDEX", "2"),
                    ("CLOUD_RUN_TASK_INDEX", "1"),
                    ("CLOUD_RUN_TASK_COUNT", "3"),
                ],
                "two engines disagree",
            ),
        ] {
            let error = who(None, count, variables).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn an_element_of_an_array_without_a_count_is_told_what_to_give() {
        let pbs = [("PBS_ARRAY_INDEX", "3")];
        let given = "--replica-id \"$PBS_ARRAY_INDEX\" --replica-count N";
        for count in [None, Some("4")] {
            let error = who(None, count, &pbs).unwrap_err();
            assert!(error.contains("PBS_ARRAY_INDEX=3") && error.contains(given), "{error}");
        }
        assert_eq!(who(Some("3"), Some("4"), &pbs), Ok((3, 4)));
    }

    #[test]
    fn ranks_in_an_element_of_an_array_without_a_count_are_not_all_there_are() {
        let ranks = [("PBS_ARRAY_INDEX", "3"), ("PMI_RANK", "1"), ("PMI_SIZE", "4")];
        let error = who(None, None, &ranks).unwrap_err();
        assert!(error.contains("PBS_ARRAY_INDEX=3") && error.contains("PMI_RANK=1 PMI_SIZE=4"), "{error}");
        assert_eq!(who(Some("10"), Some("32"), &ranks), Ok((10, 32)));
        let no_array = [("LSB_JOBINDEX", "0"), ranks[1], ranks[2]];
        assert_eq!(who(None, None, &no_array), Ok((2, 4)));
    }

    #[test]
    fn a_step_of_more_processes_than_ranks_may_have_inherited_these() {
        let shell = [("PMI_RANK", "0"), ("PMI_SIZE", "1"), ("SLURM_STEP_ID", "1")];
        let step = |process, tasks| {
            [&shell[..], &[("SLURM_PROCID", process), ("SLURM_STEP_NUM_TASKS", tasks)]].concat()
        };
        let error = who(None, None, &step("5", "8")).unwrap_err();
        assert!(error.contains("two engines disagree"), "{error}");
        assert!(error.contains("PMI_RANK=0 PMI_SIZE=1 and SLURM_PROCID=5"), "{error}");
        assert_eq!(who(None, None, &step("0", "1")), Ok((1, 1)));
        assert_eq!(who(None, None, &shell), Ok((1, 1)));
    }

    #[test]
    fn a_plan_needs_only_the_count() {
        let count = |given, variables: &[_]| {
            replica_count(given, &SharedIdentity::default(), &environment(variables))
                .map(|count| count.map(u32::from))
        };
        assert_eq!(count(Some("8"), &[("REPLICA_COUNT", "3")]).unwrap(), Some(8));
        assert_eq!(count(None, &[("REPLICA_COUNT", "3")]).unwrap(), Some(3));
        assert_eq!(count(None, &[]).unwrap(), None);
        assert!(count(Some("0"), &[]).is_err());
    }

    fn shared(id: Option<&str>, count: Option<&str>) -> SharedIdentity {
        let value = |name: &str, value: &str| SharedValue {
            value: value.into(),
            origin: format!("`{name} = {value}`"),
        };
        SharedIdentity {
            id: id.map(|id| value("replica-id", id)),
            count: count.map(|count| value("replica-count", count)),
        }
    }

    #[test]
    fn what_containers_have_in_common_does_not_beat_what_each_is_told() {
        let canfar = [("REPLICA_ID", "3"), ("REPLICA_COUNT", "10")];
        let slurm = [("BATCH_TASK_INDEX", "2"), ("BATCH_TASK_COUNT", "10")];
        let indexed = [("JOB_COMPLETION_INDEX", "2")];
        let says = |typed: [Option<&str>; 2], shared: &SharedIdentity, variables: &[(&str, &str)]| {
            identify(typed[0], typed[1], shared, &environment(variables))
                .map(|identity| (identity.replica.id(), identity.replica.count()))
                .map_err(|error| format!("{error:#}"))
        };
        let neither = [None, None];
        for variables in [&canfar[..], &slurm] {
            let wrong = says(neither, &shared(Some("1"), Some("10")), variables).unwrap_err();
            assert!(wrong.starts_with("`replica-id = 1`, but this container is replica 3 of 10"), "{wrong}");
            assert!(wrong.contains(variables[0].0) && wrong.contains("--replica-id"), "{wrong}");
            let wrong = says(neither, &shared(None, Some("5")), variables).unwrap_err();
            assert!(wrong.starts_with("`replica-count = 5`, but there are 10 replicas"), "{wrong}");
            assert_eq!(says(neither, &shared(None, Some("10")), variables), Ok((3, 10)));
            assert_eq!(says(neither, &shared(Some("3"), Some("10")), variables), Ok((3, 10)));
            let by_hand = [Some("1"), Some("5")];
            assert_eq!(says(by_hand, &shared(Some("2"), Some("10")), variables), Ok((1, 5)));
            assert_eq!(says([Some("1"), None], &shared(None, Some("10")), variables), Ok((1, 10)));
        }
        assert!(says(neither, &shared(Some("1"), Some("10")), &indexed).is_err());
        assert_eq!(says(neither, &shared(None, Some("10")), &indexed), Ok((3, 10)));
        // Nothing else says anything: as if typed.
        assert_eq!(says(neither, &shared(Some("2"), Some("4")), &[]), Ok((2, 4)));
        assert_eq!(says([None, Some("5")], &shared(Some("2"), Some("4")), &[]), Ok((2, 5)));
        assert!(says(neither, &shared(None, Some("4")), &[]).unwrap_err().contains("--replica-id is not"));
        let inside = [canfar[0], canfar[1], ("CANFAR_TASK_ID", "x")];
        assert_eq!(says(neither, &shared(Some("1"), Some("2")), &inside), Ok((1, 2)));
    }

    #[test]
    fn a_plan_takes_a_shared_count_that_does_not_contradict_the_container() {
        let count = |shared: &SharedIdentity, variables: &[_]| {
            replica_count(None, shared, &environment(variables)).map(|count| count.map(u32::from))
        };
        assert_eq!(count(&shared(Some("1"), Some("8")), &[]).unwrap(), Some(8));
        assert_eq!(count(&shared(None, Some("3")), &[("REPLICA_COUNT", "3")]).unwrap(), Some(3));
        assert!(count(&shared(None, Some("8")), &[("REPLICA_COUNT", "3")]).is_err());
    }
}
