//! Random inputs, most of them nearly right, for everything that reads what others wrote: never a panic, never an endless
//! loop, never a wrong answer. Short by default; `CANFAR_RUN_TEST_FUZZ_SECONDS=600` gives each target ten minutes:
//! `CANFAR_RUN_TEST_FUZZ_SECONDS=600 cargo test --test main fuzz:: -- --nocapture`.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::DEADLINE;

mod damage;
mod documents;
mod journals;
mod lists;
mod merges;
mod patterns;
mod replicas;
mod settings;
mod templates;

/// Checks so many cases, or as many as there is time for when that is asked for; a failing one is shrunk and shown.
#[track_caller]
fn hunt<S>(target: &str, cases: u32, strategy: &S, check: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S: Strategy,
    S::Value: Clone + Debug + Send + 'static,
{
    let seconds = std::env::var("CANFAR_RUN_TEST_FUZZ_SECONDS").map(|text| text.parse().unwrap());
    let limit = seconds.clone().map_or(Duration::ZERO, Duration::from_secs);
    let (begun, watched, mut done) = (Instant::now(), watched(target), 0);
    loop {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let checked = TestRunner::new(config).run(strategy, |case| {
            *watched.lock().unwrap() = Some((Instant::now(), case.clone()));
            check(case)
        });
        checked.unwrap_or_else(|failure| panic!("{target}: {failure}"));
        done += u64::from(cases);
        if begun.elapsed() >= limit {
            break;
        }
    }
    if seconds.is_ok() {
        eprintln!("fuzz: {target}: {} s, {done} cases, no finding", begun.elapsed().as_secs());
    }
}

type Watched<T> = Arc<Mutex<Option<(Instant, T)>>>;

/// Where the case at hand is put. One that does not end is shown, and ends the tests: nothing else can end it.
fn watched<T: Debug + Send + 'static>(target: &str) -> Watched<T> {
    let watched: Watched<T> = Arc::default();
    let (weak, target) = (Arc::downgrade(&watched), target.to_owned());
    std::thread::spawn(move || {
        while let Some(watched) = Weak::upgrade(&weak) {
            let endless = |(begun, _): &&(Instant, T)| begun.elapsed() > DEADLINE;
            if let Some((_, case)) = watched.lock().unwrap().as_ref().filter(endless) {
                eprintln!("{target}: no end of {case:?}");
                std::process::abort();
            }
            drop(watched);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    watched
}
