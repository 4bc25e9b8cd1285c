//! Times that only tests set, so that 40 s of waiting become one: the heartbeat interval, the heartbeat
//! waited for, when people are told of a worker that does nothing, and how long a launch lasts that advice is given on.

use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::option_item::PREFIX;
use crate::environment::Environment;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::report::advice::ENOUGH_TIME;
use crate::units::{self, parse_duration};

const INTERVAL: &str = "CANFAR_RUN_TEST_HEARTBEAT";
const TIMEOUT: &str = "CANFAR_RUN_TEST_HEARTBEAT_TIMEOUT";
const WORKER_IDLE: &str = "CANFAR_RUN_TEST_WORKER_IDLE";
const ADVICE_AFTER: &str = "CANFAR_RUN_TEST_ADVICE_AFTER";

/// A warning is printed about a worker that has neither used CPU nor printed anything for this long.
const WORKER_IDLE_AFTER: Duration = Duration::from_secs(30);

/// Whether what follows `CANFAR_RUN_` is one of these, and so no misspelt option.
pub(super) fn is_test_variable(suffix: &str) -> bool {
    [INTERVAL, TIMEOUT, WORKER_IDLE, ADVICE_AFTER]
        .iter()
        .any(|name| name.strip_prefix(PREFIX) == Some(suffix))
}

/// When a warning about an idle worker is printed.
///
/// # Errors
/// When the variable that sets it is no duration.
pub(super) fn worker_idle(environment: &Environment) -> anyhow::Result<Duration> {
    Ok(duration_of(environment, WORKER_IDLE)?.unwrap_or(WORKER_IDLE_AFTER))
}

/// How long a launch must have lasted for advice on how to start the next.
///
/// # Errors
/// When the variable that sets it is no duration.
pub(super) fn advice_after(environment: &Environment) -> anyhow::Result<Duration> {
    Ok(duration_of(environment, ADVICE_AFTER)?.unwrap_or(ENOUGH_TIME))
}

/// The times of a launch that counts as dead after `takeover_after`: it sends four heartbeats within that.
///
/// # Errors
/// As [`heartbeat_times`].
pub(super) fn launch_heartbeat_times(
    environment: &Environment,
    takeover_after: Duration,
) -> anyhow::Result<HeartbeatTimes> {
    let default = HeartbeatTimes::default();
    times_of(environment, HeartbeatTimes { interval: default.interval.min(takeover_after / 4), ..default })
}

/// The times that the environment sets, or else those of the contract.
///
/// # Errors
/// When a variable is not a duration, or the two would make live launches look dead.
pub fn heartbeat_times(environment: &Environment) -> anyhow::Result<HeartbeatTimes> {
    times_of(environment, HeartbeatTimes::default())
}

fn times_of(environment: &Environment, default: HeartbeatTimes) -> anyhow::Result<HeartbeatTimes> {
    let times = HeartbeatTimes {
        interval: duration_of(environment, INTERVAL)?.unwrap_or(default.interval),
        timeout: duration_of(environment, TIMEOUT)?.unwrap_or(default.timeout),
    };
    let HeartbeatTimes { interval, timeout } = times;
    if interval.is_zero() || timeout < interval * 2 {
        bail!(
            "{INTERVAL} is {} and {TIMEOUT} is {}: the timeout must be at least twice the interval, and that above 0. Both are for tests only: unset them",
            units::duration(interval),
            units::duration(timeout)
        );
    }
    Ok(times)
}

fn duration_of(environment: &Environment, name: &str) -> anyhow::Result<Option<Duration>> {
    let Some(value) = environment.get(name) else { return Ok(None) };
    let value = value.to_string_lossy();
    let duration = parse_duration(&value).map_err(anyhow::Error::msg);
    duration.with_context(|| format!("the variable {name} is {value:?}, which is not a duration")).map(Some)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{INTERVAL, TIMEOUT, heartbeat_times, launch_heartbeat_times};
    use crate::environment::Environment;
    use crate::liveness::heartbeat::HeartbeatTimes;

    fn of(variables: &[(&str, &str)]) -> anyhow::Result<HeartbeatTimes> {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        heartbeat_times(&Environment { variables, ..Environment::default() })
    }

    #[test]
    fn tests_can_set_them_and_nobody_else_need_know() {
        assert_eq!(of(&[]).unwrap(), HeartbeatTimes::default());
        let short = of(&[(INTERVAL, "200ms"), (TIMEOUT, "1s")]).unwrap();
        assert_eq!((short.interval, short.timeout), (Duration::from_millis(200), Duration::from_secs(1)));
    }

    #[test]
    fn signs_of_life_come_four_times_within_what_takes_a_launch_for_dead() {
        let interval = |seconds| {
            let after = Duration::from_secs(seconds);
            launch_heartbeat_times(&Environment::default(), after).unwrap().interval
        };
        assert_eq!(interval(1), Duration::from_millis(250));
        assert_eq!((interval(20), interval(120)), (Duration::from_secs(5), Duration::from_secs(10)));
    }

    #[test]
    fn times_that_are_none_or_would_take_the_living_for_dead_are_errors() {
        for (variables, said) in [
            (&[(INTERVAL, "soon")][..], "CANFAR_RUN_TEST_HEARTBEAT is \"soon\", which is not a duration"),
            (&[(TIMEOUT, "10s")], "at least twice the interval"),
            (&[(INTERVAL, "0s")], "above 0"),
        ] {
            let error = of(variables).unwrap_err();
            assert!(format!("{error:#}").contains(said), "{error:#}");
        }
    }
}
