//! Who am I, from variables in any state: what a few plain rules say, or an error; never a guess.

use canfar_run::Environment;
use canfar_run::testing::{SharedIdentity, identify, replica_count};
use proptest::prelude::*;

use super::hunt;

const NAMES: [&str; 16] = [
    "REPLICA_ID",
    "REPLICA_COUNT",
    "BATCH_TASK_INDEX",
    "BATCH_TASK_COUNT",
    "CLOUD_RUN_TASK_INDEX",
    "CLOUD_RUN_TASK_COUNT",
    "JOB_COMPLETION_INDEX",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_COUNT",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_MAX",
    "SLURM_ARRAY_TASK_STEP",
    "SLURM_STEP_ID",
    "SLURM_PROCID",
    "SLURM_STEP_NUM_TASKS",
    "CANFAR_TASK_ID",
];

fn value() -> impl Strategy<Value = String> {
    let odd = [
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "0x1",
        "1.0",
        "01",
        "100000",
        "100001",
        "4294967295",
        "4294967296",
        "18446744073709551616",
        "one",
        "\u{661}",
        "1\n",
    ];
    prop_oneof![6 => (0..5_u32).prop_map(|number| number.to_string()), 1 => prop::sample::select(odd.map(str::to_owned).to_vec()),
        1 => Just(u32::MAX.to_string())]
}

type Case = (Option<String>, Option<String>, [Option<String>; NAMES.len()]);

fn case() -> impl Strategy<Value = Case> {
    let set = |often| prop::option::weighted(often, value());
    let sets = move |canfar: bool, google: bool, cloud: bool, array: bool| {
        let sets = [canfar, canfar, google, google, cloud, cloud, false, array, array, array, array, array];
        let often = sets.into_iter().map(|is_set| if is_set { 0.9 } else { 0.03 });
        let variables: Vec<_> = often.chain([0.03, 0.03, 0.03, 0.03]).map(set).collect();
        (set(0.3), set(0.3), variables)
            .prop_map(|(id, count, variables)| (id, count, variables.try_into().unwrap()))
    };
    any::<(bool, bool, bool, bool)>().prop_flat_map(move |(a, b, c, d)| sets(a, b, c, d))
}

/// A number as every source of it has to be written. The engines' may have a plus sign or zeros in front.
fn number(text: Option<&String>) -> Option<u64> {
    text?.parse().ok().filter(|number| u32::try_from(*number).is_ok())
}

/// A place from 1 among so many; `None` where there is no such place.
fn place(id: Option<u64>, count: Option<u64>) -> Option<(u64, u64)> {
    let (id, count) = (id?, count?);
    ((1..=count).contains(&id) && count <= 100_000).then_some((id, count))
}

/// What plain rules say, `None` within for an error; `None` where they don't say, as of several engines at once.
#[expect(clippy::option_option, reason = "the rules may not say, or say that it is an error")]
fn expected((id, count, variables): &Case) -> Option<Option<(u64, u64)>> {
    let of = |name: &str| variables[NAMES.iter().position(|known| *known == name).unwrap()].as_ref();
    let engine = |name: &str| of(name).filter(|value| !value.is_empty());
    if id.is_some() {
        return Some(place(number(id.as_ref()), number(count.as_ref())));
    }
    let is_task = engine("CANFAR_TASK_ID").is_some();
    if !is_task && (of("REPLICA_ID").is_some() || of("REPLICA_COUNT").is_some()) {
        let own = place(number(of("REPLICA_ID")), number(of("REPLICA_COUNT")));
        return Some(if count.is_some() { None } else { own });
    }
    let engines = NAMES.iter().filter(|name| !name.starts_with("REPLICA") && **name != "CANFAR_TASK_ID");
    let set: Vec<_> = engines.filter(|name| **name != "SLURM_STEP_ID" && engine(name).is_some()).collect();
    if is_task || set.is_empty() {
        return Some(if count.is_some() { None } else { Some((1, 1)) });
    }
    let rank = |name: &str| number(engine(name)).map(|rank| rank + 1);
    if set.iter().all(|name| name.starts_with("BATCH")) {
        let own = place(rank("BATCH_TASK_INDEX"), number(engine("BATCH_TASK_COUNT")));
        return Some(if count.is_some() { None } else { own });
    }
    if set.iter().all(|name| **name == "JOB_COMPLETION_INDEX") {
        return Some(place(rank("JOB_COMPLETION_INDEX"), number(count.as_ref())));
    }
    if set.iter().all(|name| name.starts_with("SLURM_ARRAY")) {
        let all = ["ID", "COUNT", "MIN", "MAX", "STEP"]
            .map(|name| number(engine(&format!("SLURM_ARRAY_TASK_{name}"))));
        let [Some(id), Some(of), Some(min), Some(max), Some(step)] = all else { return Some(None) };
        if count.is_some() || step == 0 || of > 100_000 || of == 0 {
            return Some(None);
        }
        let elements: Vec<u64> = (0..of).map(|rank| min + rank * step).collect();
        let is_regular = elements.last().is_some_and(|last| *last <= max && max - last < step);
        let rank = elements.iter().position(|element| *element == id).map(|rank| rank as u64 + 1);
        return Some(if is_regular { place(rank, Some(of)) } else { None });
    }
    None
}

#[test]
fn an_identity_is_what_plain_rules_say_or_an_error() {
    hunt("identity", 3_000, &case(), |case| {
        let (id, count, variables) = &case;
        let set = NAMES
            .iter()
            .zip(variables)
            .filter_map(|(name, value)| Some((name.into(), value.as_ref()?.into())));
        let environment = Environment { variables: set.collect(), cwd: "/".into() };
        let found = identify(id.as_deref(), count.as_deref(), &SharedIdentity::default(), &environment);
        let _ = replica_count(count.as_deref(), &SharedIdentity::default(), &environment);
        let found = found.map(|identity| {
            let replica = identity.replica;
            (u64::from(replica.id()), u64::from(replica.count()))
        });
        if let Ok((id, count)) = found {
            prop_assert!((1..=count).contains(&id) && count <= 100_000);
        }
        match expected(&case) {
            // A plus sign is no digit for CANFAR's, and none of the rules tells of it.
            Some(Some(_)) if found.is_err() && format!("{case:?}").contains("\"+1\"") => {}
            Some(expected) => prop_assert_eq!(found.ok(), expected),
            None => {}
        }
        Ok(())
    });
}
