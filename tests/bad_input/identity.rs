//! Who am I: never a guess.

use super::{all_are_refused, case};

const LINE: &[&str] = &["-i", "data/*.fits", "-o", "out", "--", "true"];

#[test]
fn a_replica_that_is_none() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: REPLICA_ID=0 with REPLICA_COUNT=5: neither may be 0 (ids go from 1 to the count, counts from 1 to 100000)
").replica("0", "5"),
        case(LINE, r#"
canfar-run: error: REPLICA_ID="-1" is not a number (ids go from 1 to the count, counts from 1 to 100000)
"#).replica("-1", "5"),
        case(LINE, r#"
canfar-run: error: REPLICA_ID="x" is not a number (ids go from 1 to the count, counts from 1 to 100000)
"#).replica("x", "5"),
        case(LINE, r#"
canfar-run: error: REPLICA_ID="1.0" is not a number (ids go from 1 to the count, counts from 1 to 100000)
"#).replica("1.0", "5"),
        case(LINE, "
canfar-run: error: REPLICA_ID=7 with REPLICA_COUNT=5: replica id 7 is above the replica count 5 (ids go from 1 to the count, counts from 1 to 100000)
").replica("7", "5"),
        case(LINE, "
canfar-run: error: REPLICA_ID=1 with REPLICA_COUNT=0: neither may be 0 (ids go from 1 to the count, counts from 1 to 100000)
").replica("1", "0"),
        case(LINE, "
canfar-run: error: REPLICA_COUNT=99999999999 is more than any count can be (ids go from 1 to the count, counts from 1 to 100000)
").replica("1", "99999999999"),
        case(LINE, "
canfar-run: error: REPLICA_ID=1 with REPLICA_COUNT=100001: more than 100000 replicas are not supported (ids go from 1 to the count, counts from 1 to 100000)
").replica("1", "100001"),
    ]);
}

#[test]
fn one_replica_for_all_containers() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: `replica-id = 1` in job.toml, but this container is replica 3 of 10 (REPLICA_ID=3, REPLICA_COUNT=10). All containers share that setting, so all of them would be replica 1: remove it there. To choose a replica by hand, give --replica-id and --replica-count
").replica("3", "10").env("CANFAR_RUN_JOB_FILE", "job.toml").given(|dir| _ = dir.write("job.toml", "replica-id = 1\nreplica-count = 10\n")),
        case(LINE, "
canfar-run: error: CANFAR_RUN_REPLICA_ID=1, but this container is replica 2 of 4 (BATCH_TASK_INDEX=1 BATCH_TASK_COUNT=4). All containers share that setting, so all of them would be replica 1: remove it there. To choose a replica by hand, give --replica-id and --replica-count
").env("CANFAR_RUN_REPLICA_ID", "1").env("BATCH_TASK_INDEX", "1").env("BATCH_TASK_COUNT", "4"),
        case(LINE, "
canfar-run: error: `replica-count = 5` in job.toml, but there are 10 replicas (REPLICA_ID=3, REPLICA_COUNT=10): remove it there, or launch 5 of them. To choose a replica by hand, give --replica-id and --replica-count
").replica("3", "10").env("CANFAR_RUN_JOB_FILE", "job.toml").given(|dir| _ = dir.write("job.toml", "replica-count = 5\n")),
    ]);
}

#[test]
fn half_a_replica() {
    all_are_refused(&[
        case(LINE, "
canfar-run: error: REPLICA_ID=3 is set but REPLICA_COUNT is not: both are needed to know this replica's share. Give both (ids go from 1 to the count, counts from 1 to 100000)
").env("REPLICA_ID", "3"),
        case(LINE, "
canfar-run: error: REPLICA_COUNT=5 is set but REPLICA_ID is not: both are needed to know this replica's share. Give both (ids go from 1 to the count, counts from 1 to 100000)
").env("REPLICA_COUNT", "5"),
        case(LINE, r#"
canfar-run: error: REPLICA_ID="" is not a number (ids go from 1 to the count, counts from 1 to 100000)
"#).replica("", "5"),
        case(&["--replica-id", "3", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: --replica-id=3 is set but --replica-count is not: both are needed to know this replica's share. Give both (ids go from 1 to the count, counts from 1 to 100000)
").env("REPLICA_COUNT", "5"),
        case(&["--replica-count", "5", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: --replica-count=5 is set but --replica-id is not: both are needed to know this replica's share. Give both (ids go from 1 to the count, counts from 1 to 100000)
").env("REPLICA_ID", "3"),
        case(LINE, "
canfar-run: error: CANFAR_RUN_REPLICA_ID=3, but this container is replica 1 of 5 (REPLICA_ID=1, REPLICA_COUNT=5). All containers share that setting, so all of them would be replica 3: remove it there. To choose a replica by hand, give --replica-id and --replica-count
")
            .env("CANFAR_RUN_REPLICA_ID", "3")
            .replica("1", "5"),
        case(LINE, "
canfar-run: error: CANFAR_RUN_REPLICA_ID=3 is set but --replica-count is not: both are needed to know this replica's share. Give both (ids go from 1 to the count, counts from 1 to 100000)
")
            .env("CANFAR_RUN_REPLICA_ID", "3"),
    ]);
}

#[test]
fn options_are_judged_as_variables_are() {
    all_are_refused(&[
        case(&["--replica-id", "0", "--replica-count", "5", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: --replica-id=0 with --replica-count=5: neither may be 0 (ids go from 1 to the count, counts from 1 to 100000)
"),
        case(&["--replica-id", "6", "--replica-count", "5", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: --replica-id=6 with --replica-count=5: replica id 6 is above the replica count 5 (ids go from 1 to the count, counts from 1 to 100000)
"),
        case(&["--replica-id", "two", "--replica-count", "5", "-i", "data/*.fits", "--", "true"], r#"
canfar-run: error: --replica-id="two" is not a number (ids go from 1 to the count, counts from 1 to 100000)
"#),
        case(LINE, "
canfar-run: error: CANFAR_RUN_REPLICA_ID=x is not a number (ids go from 1 to the count, counts from 1 to 100000)
").env("CANFAR_RUN_REPLICA_ID", "x").env("CANFAR_RUN_REPLICA_COUNT", "5"),
    ]);
}
