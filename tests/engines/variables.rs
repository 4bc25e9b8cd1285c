//! The variables of every engine, from what it sets to who takes which files: in dry runs, runs and plans.

use serde_json::json;

use crate::support::{Dir, Ended, Run};

const FILES: usize = 24;

type Variables = Vec<(&'static str, String)>;

/// Sets all of an engine's variables.
fn with<'d>(run: Run<'d>, variables: &[(&'static str, String)]) -> Run<'d> {
    variables.iter().fold(run, |run, (name, value)| run.env(name, value))
}

/// Variables as a test writes them down.
fn given(text: &'static str) -> Variables {
    let variables = text.split_whitespace().map(|pair| pair.split_once('=').unwrap());
    variables.map(|(name, value)| (name, value.to_owned())).collect()
}

fn dry_run(dir: &Dir, variables: &[(&'static str, String)], args: &[&str]) -> Ended {
    let run = with(dir.canfar_run(), variables).args(["-n", "-i", "data/*.fits"]);
    run.args(args).args(["--", "echo", "{replica}", "{index}"]).run()
}

/// What the dry run of replica `id` of `count` prints.
fn share(id: usize, count: usize) -> String {
    let lines = ((id - 1) * FILES / count)..(id * FILES / count);
    lines.map(|index| format!("echo {id} {index}\n")).collect::<Vec<_>>().concat()
}

/// The elements `first`, `first + step`, ... as Slurm tells each.
fn slurm_array(first: usize, step: usize, count: usize) -> Vec<Variables> {
    let last = first + step * (count - 1);
    let element = |rank: usize| {
        vec![
            ("SLURM_ARRAY_TASK_ID", (first + step * rank).to_string()),
            ("SLURM_ARRAY_TASK_COUNT", count.to_string()),
            ("SLURM_ARRAY_TASK_MIN", first.to_string()),
            ("SLURM_ARRAY_TASK_MAX", last.to_string()),
            ("SLURM_ARRAY_TASK_STEP", step.to_string()),
            // What a batch script has whatever its --ntasks.
            ("SLURM_PROCID", "0".to_owned()),
            ("SLURM_NTASKS", "4".to_owned()),
        ]
    };
    (0..count).map(element).collect()
}

fn slurm_step(tasks: usize) -> Vec<Variables> {
    let task = |rank: usize| {
        vec![
            ("SLURM_STEP_ID", "0".to_owned()),
            ("SLURM_PROCID", rank.to_string()),
            ("SLURM_STEP_NUM_TASKS", tasks.to_string()),
            ("SLURM_NTASKS", (tasks + 3).to_string()),
        ]
    };
    (0..tasks).map(task).collect()
}

fn plain(rank: &'static str, count: &'static str) -> Vec<Variables> {
    (0..4).map(|index| vec![(rank, index.to_string()), (count, "4".to_owned())]).collect()
}

/// Every way to be started as several, each with all its members in order, and the options that go with it.
fn engines() -> Vec<(Vec<Variables>, &'static [&'static str])> {
    let canfar = (1..=4).map(|id| vec![("REPLICA_ID", id.to_string()), ("REPLICA_COUNT", "4".to_owned())]);
    let indexed =
        |count| (0..count).map(|index| vec![("JOB_COMPLETION_INDEX", format!("{index}"))]).collect();
    let mut engines: Vec<(Vec<Variables>, &[&str])> = vec![
        (canfar.collect(), &[]),
        (plain("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE"), &[]),
        (plain("BATCH_TASK_INDEX", "BATCH_TASK_COUNT"), &[]),
        (plain("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT"), &[]),
        (indexed(6), &["--replica-count", "6"]),
        (indexed(1), &["--replica-count", "1"]),
        (slurm_step(1), &[]),
        (slurm_step(4), &[]),
    ];
    for (first, step, count) in [(0, 1, 8), (1, 1, 8), (10, 4, 8), (42, 1, 1), (42, 7, 1), (0, 1000, 3)] {
        engines.push((slurm_array(first, step, count), &[]));
    }
    // The tasks of an element follow those of the one before.
    let both = slurm_array(5, 5, 2).into_iter().flat_map(|element| {
        let without_batch: Variables =
            element.into_iter().filter(|(name, _)| name.starts_with("SLURM_ARRAY")).collect();
        slurm_step(4).into_iter().map(move |task| [without_batch.clone(), task].concat())
    });
    engines.push((both.collect(), &[]));
    engines
}

#[test]
fn the_members_of_every_engine_are_the_replicas_in_order() {
    let dir = Dir::with_inputs(FILES);
    for (members, args) in engines() {
        for (rank, variables) in members.iter().enumerate() {
            dry_run(&dir, variables, args).exits(0).prints(&share(rank + 1, members.len()));
        }
    }
}

#[test]
fn what_one_engine_left_undone_another_of_as_many_goes_on_with() {
    let dir = Dir::with_inputs(FILES);
    let launch = |variables: &[_], args: &[&str]| {
        with(dir.launch().arg("--balance=false"), variables)
            .args(args)
            .sh("echo \"${1##*/} $REPLICA_ID of $REPLICA_COUNT\" >> ran")
            .run()
    };
    let array = slurm_array(10, 4, 8);
    for member in &array[..5] {
        launch(member, &[]).exits(0);
    }
    dir.canfar_run().args(["merge", "out"]).run().exits(3);
    for (index, member) in array.iter().enumerate() {
        let ended = launch(&[("JOB_COMPLETION_INDEX", index.to_string())], &["--replica-count", "8"]);
        assert_eq!(ended.exits(0).stderr.contains("nothing to do"), index < 5);
        launch(member, &[]).exits(0).says("nothing to do");
    }
    let ran = |index: usize| format!("{index:03}.fits {} of 8", index / (FILES / 8) + 1);
    assert_eq!(dir.sorted_lines("ran"), (0..FILES).map(ran).collect::<Vec<_>>());
    dir.canfar_run().args(["merge", "out"]).run().exits(0);
    // As many as before it must be.
    launch(&slurm_array(3, 1, 1)[0], &[]).exits(2).says("the replica count of this launch differs");
}

#[test]
fn a_plan_is_for_as_many_as_the_engine_says() {
    let dir = Dir::with_inputs(FILES);
    let plan = |variables: &[_], args: &[&str]| {
        with(dir.canfar_run(), variables).args(["plan", "-i", "data/*.fits", "--json"]).args(args).run()
    };
    for (members, args) in engines() {
        let said = plan(members.last().unwrap(), args).exits(0).says_not("is set").json();
        assert_eq!(said["replica_count"], members.len(), "{:?}", members[0]);
        // What is asked for is not overruled by where it is asked.
        let five = plan(members.last().unwrap(), &["--replica-count", "5"]).exits(0).json();
        assert_eq!(five["replica_count"], 5);
    }
    let alone = plan(&given("JOB_COMPLETION_INDEX=2"), &[]).exits(0).says("neither --replica-count");
    assert_eq!(alone.json()["replica_count"], json!(1));
    plan(&given("AWS_BATCH_JOB_ARRAY_SIZE=4"), &[]).exits(2).says("AWS_BATCH_JOB_ARRAY_INDEX is not set");
}

#[test]
fn only_what_is_sure_gives_a_place() {
    let dir = Dir::with_inputs(FILES);
    for (variables, args, replica, count) in [
        // CANFAR is believed first, and options before it.
        ("REPLICA_ID=3 REPLICA_COUNT=4 BATCH_TASK_INDEX=0 BATCH_TASK_COUNT=2", &[][..], 3, 4),
        ("REPLICA_ID=3 REPLICA_COUNT=4", &["--replica-id", "2", "--replica-count", "3"], 2, 3),
        ("SLURM_ARRAY_TASK_ID=7", &["--replica-id", "2", "--replica-count", "3"], 2, 3),
        // Two that say the same, and one that knows less than the other.
        (
            "AWS_BATCH_JOB_ARRAY_INDEX=1 AWS_BATCH_JOB_ARRAY_SIZE=4 BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4",
            &[],
            2,
            4,
        ),
        ("JOB_COMPLETION_INDEX=1 AWS_BATCH_JOB_ARRAY_INDEX=1 AWS_BATCH_JOB_ARRAY_SIZE=4", &[], 2, 4),
        // The count of an engine that has none, from wherever options come.
        ("JOB_COMPLETION_INDEX=1 CANFAR_RUN_REPLICA_COUNT=4", &[], 2, 4),
        // A batch script is no step, nor is what inherits an allocation.
        ("SLURM_PROCID=0 SLURM_NTASKS=4 SLURM_NPROCS=4 SLURM_JOB_ID=7", &[], 1, 1),
        // Taken back by hand.
        ("SLURM_STEP_ID= SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=4", &[], 1, 1),
        ("JOB_COMPLETION_INDEX=", &[], 1, 1),
        // Inside a task they are the parent's.
        ("CANFAR_TASK_ID=x REPLICA_ID=3 REPLICA_COUNT=4", &[], 1, 1),
        ("CANFAR_TASK_ID=x JOB_COMPLETION_INDEX=3", &[], 1, 1),
        ("CANFAR_TASK_ID=x SLURM_STEP_ID=0 SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4", &[], 1, 1),
        (
            "CANFAR_TASK_ID=x REPLICA_ID=3 REPLICA_COUNT=4",
            &["--replica-id", "2", "--replica-count", "3"],
            2,
            3,
        ),
    ] {
        dry_run(&dir, &given(variables), args).exits(0).prints(&share(replica, count));
    }
}

#[test]
fn what_is_not_sure_is_an_error_that_shows_the_variables_and_nothing_is_written() {
    let dir = Dir::with_inputs(FILES);
    let before = dir.tree();
    let sparse = "SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3 SLURM_ARRAY_TASK_MIN=3 SLURM_ARRAY_TASK_MAX=9 SLURM_ARRAY_TASK_STEP=1";
    for (variables, args, said) in [
        ("JOB_COMPLETION_INDEX=4", &[][..], &["JOB_COMPLETION_INDEX=4", "give --replica-count"][..]),
        ("JOB_COMPLETION_INDEX=4", &["--replica-count", "4"], &["JOB_COMPLETION_INDEX=4", "above the replica count 4"]),
        ("JOB_COMPLETION_INDEX=4", &["--replica-count", "x"], &["--replica-count=\"x\" is not a number"]),
        ("JOB_COMPLETION_INDEX=-1", &["--replica-count", "4"], &["JOB_COMPLETION_INDEX=\"-1\" is not a whole number from 0"]),
        ("JOB_COMPLETION_INDEX=4294967295", &["--replica-count", "4"], &["JOB_COMPLETION_INDEX=4294967295"]),
        ("BATCH_TASK_INDEX=1", &[], &["BATCH_TASK_COUNT is not set"]),
        ("BATCH_TASK_COUNT=4", &[], &["BATCH_TASK_INDEX is not set"]),
        ("BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4", &["--replica-count", "4"], &["--replica-count=4 is set but --replica-id is not"]),
        ("CLOUD_RUN_TASK_INDEX=4 CLOUD_RUN_TASK_COUNT=4", &[], &["CLOUD_RUN_TASK_INDEX=4 CLOUD_RUN_TASK_COUNT=4", "above"]),
        ("AWS_BATCH_JOB_ARRAY_INDEX=0 AWS_BATCH_JOB_ARRAY_SIZE=0", &[], &["AWS_BATCH_JOB_ARRAY_SIZE=0", "neither may be 0"]),
        ("AWS_BATCH_JOB_ARRAY_INDEX=0 AWS_BATCH_JOB_ARRAY_SIZE=9999999", &[], &["more than 100000"]),
        (sparse, &[], &["SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=3", "--array=1-3"]),
        (sparse, &["--replica-count", "3"], &["--array=1-3"]),
        ("SLURM_ARRAY_TASK_ID=7", &[], &["SLURM_ARRAY_TASK_COUNT is not set"]),
        ("SLURM_ARRAY_TASK_COUNT=3", &[], &["SLURM_ARRAY_TASK_ID is not set"]),
        ("SLURM_STEP_ID=0 SLURM_PROCID=1", &[], &["SLURM_STEP_NUM_TASKS is not set"]),
        ("SLURM_STEP_ID=0 SLURM_PROCID=4 SLURM_STEP_NUM_TASKS=4", &[], &["SLURM_PROCID=4 SLURM_STEP_NUM_TASKS=4", "above"]),
        // A place of the next element's.
        ("SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_MAX=2 SLURM_ARRAY_TASK_STEP=1
          SLURM_STEP_ID=0 SLURM_PROCID=4 SLURM_STEP_NUM_TASKS=4", &[], &["SLURM_PROCID=4", "above"]),
        ("REPLICA_ID=1 BATCH_TASK_INDEX=0 BATCH_TASK_COUNT=4", &[], &["REPLICA_ID=1 is set but REPLICA_COUNT is not"]),
        ("BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4 CLOUD_RUN_TASK_INDEX=2 CLOUD_RUN_TASK_COUNT=4", &[],
         &["two engines disagree", "BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4 and CLOUD_RUN_TASK_INDEX=2"]),
        ("BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4 CLOUD_RUN_TASK_INDEX=1 CLOUD_RUN_TASK_COUNT=5", &[], &["two engines disagree"]),
        ("BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4 JOB_COMPLETION_INDEX=2", &[], &["two engines disagree"]),
    ] {
        let variables = given(variables);
        let ended = [
            dry_run(&dir, &variables, args),
            with(dir.launch(), &variables).args(args).sh("true").run(),
        ];
        for ended in ended {
            said.iter().fold(ended.exits(2), |ended, said| ended.says(said));
        }
    }
    assert_eq!(before.difference(&dir.tree()), None);
}

#[test]
fn a_canfar_run_inside_a_task_is_alone_whatever_started_the_outer_one() {
    let dir = Dir::with_inputs(8);
    dir.write("inner/a", "");
    dir.write("inner/b", "");
    let nested = format!(
        "{} -i 'inner/*' -o inner_out/$CANFAR_TASK_INDEX -- echo {{{{replica}}}}",
        env!("CARGO_BIN_EXE_canfar-run")
    );
    for (members, args) in engines() {
        if members.len() != 4 {
            continue;
        }
        let run = with(dir.canfar_run(), &members[1]).args(["-i", "data/*.fits", "-o"]);
        let out = format!("out_{}", members[1][0].0);
        run.arg(out).args(args).args(["--shell", &nested]).run().exits(0);
        for index in [2, 3] {
            assert_eq!(
                dir.json(format!("inner_out/{index}/container_1_results.json")).as_array().unwrap().len(),
                2
            );
        }
        std::fs::remove_dir_all(dir.path("inner_out")).unwrap();
    }
}

#[test]
fn a_missing_identity_is_odd_only_in_what_starts_many_of_a_kind() {
    let dir = Dir::with_inputs(2);
    let run = |results: &str, variables: &[(&str, &str)]| {
        let run = dir.canfar_run().args(["-i", "data/*.fits", "-o", results, "--", "true"]);
        variables.iter().fold(run, |run, (name, value)| run.env(name, value)).run().exits(0)
    };
    run("in_slurm", &[("SLURM_JOB_ID", "7")])
        .says("warning: running in a Slurm job, but neither --replica-id nor REPLICA_ID is set");
    let alone = run("alone", &[]);
    assert!(!alone.stderr.contains("REPLICA_ID"), "{alone}");
    let given = run("given", &[("SLURM_JOB_ID", "7"), ("REPLICA_ID", "1"), ("REPLICA_COUNT", "1")]);
    assert!(!given.stderr.contains("warning"), "{given}");
}
