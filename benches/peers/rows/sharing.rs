//! Replicas that share their work, as processes whose tasks sleep: how long the whole run takes, from the first start to
//! the last end, over what it takes at least.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::calls::PerTask;
use crate::bench::{Bench, repository};
use crate::data;
use crate::race::{Goal, Race};
use crate::timed::{self, Member, Sample};

const SIZED: &str = "--balance --strategy size";
const EVEN: &str = "--balance";
const STATIC: &str = "--balance=false";
const STATIC_SIZED: &str = "--balance=false, size";
const JUG: &str = "jug";
const BOUND: &str = "lower bound";

const REPLICAS: usize = 16;
const FILES: u64 = 240;

/// A replica as it is planned; times are parts of the time that all would take if they were there from the start.
#[derive(Debug, Clone, Copy)]
struct Plan {
    start: f64,
    /// When it is killed.
    end: Option<f64>,
    /// Tasks take so many times as long.
    factor: f64,
}

impl Plan {
    const AT_ONCE: Self = Self { start: 0.0, end: None, factor: 1.0 };
}

/// What is raced over.
#[derive(Debug, Clone)]
struct Scenario {
    /// By replica; `None` never starts.
    plans: Vec<Option<Plan>>,
    folder: PathBuf,
    /// Seconds, by file.
    naps: Vec<f64>,
}

impl Scenario {
    fn new(bench: &Bench, plans: Vec<Option<Plan>>) -> Result<Self> {
        let (folder, naps) = data::naps(bench, bench.size(FILES))?;
        Ok(Self { plans, folder, naps })
    }

    /// Of replicas that all start at once.
    fn together(bench: &Bench) -> Result<Self> {
        Self::new(bench, vec![Some(Plan::AT_ONCE); REPLICAS])
    }

    fn unit(&self) -> f64 {
        self.naps.iter().sum::<f64>() / self.plans.len() as f64
    }

    fn seconds(&self, part: f64) -> Duration {
        Duration::from_secs_f64(part * self.unit())
    }

    /// No schedule is quicker: the work at the pace of those that are there, and the longest task after the first start.
    fn bound(&self) -> f64 {
        let (work, unit) = (self.naps.iter().sum::<f64>(), self.unit());
        let plans: Vec<Plan> = self.plans.iter().flatten().copied().collect();
        let done = |time: f64| -> f64 {
            let of = |plan: &Plan| {
                let end = plan.end.map_or(time, |end| time.min(end * unit));
                (end - plan.start * unit).max(0.0) / plan.factor
            };
            plans.iter().map(of).sum()
        };
        let first = plans.iter().map(|plan| plan.start * unit).fold(f64::INFINITY, f64::min);
        let (mut low, mut high) = (first, first + 100.0 * work);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if done(middle) >= work { high = middle } else { low = middle }
        }
        high.max(first + self.naps.iter().copied().fold(0.0, f64::max))
    }

    /// Whether every share has somebody from its start to its end, without whom no static share is done.
    fn is_whole(&self) -> bool {
        self.plans.iter().all(|plan| plan.is_some_and(|plan| plan.end.is_none()))
    }

    /// One process for each replica that starts.
    fn members(&self, command: impl Fn(usize) -> Result<Command>) -> Result<Vec<Member>> {
        let planned = self.plans.iter().zip(1..).filter_map(|(plan, id)| plan.map(|plan| (id, plan)));
        let member = |(id, plan): (usize, Plan)| {
            let mut command = command(id)?;
            command.env("NAP_FACTOR", plan.factor.to_string());
            let (start, kill) = (self.seconds(plan.start), plan.end.map(|end| self.seconds(end)));
            Ok(Member { command, start, kill })
        };
        planned.map(member).collect()
    }

    /// One run, which is whole at its end.
    fn ours(&self, bench: &Bench, options: &[&str]) -> Result<Sample> {
        let results = bench.fresh("results")?;
        let members = self.members(|id| {
            let mut launch = replica(bench, id, self.plans.len());
            launch.args(options).arg("-i").arg(self.folder.join("*")).arg("-o").arg(&results);
            launch.arg("--").arg(bench.program("nap"));
            Ok(launch)
        })?;
        let sample = timed::together(bench, members)?;
        is_complete(bench, &results)?;
        Ok(sample)
    }

    fn jug(&self, bench: &Bench) -> Result<Sample> {
        let state = bench.fresh("jug")?;
        let jug = |subcommand: &str| {
            // Beside the Python that it is installed for.
            let program = Path::new(bench.python("nap_jug").get_program()).with_file_name("jug");
            let mut command = Command::new(program);
            command.args([subcommand, "--will-cite", "--verbose=quiet", "--jugdir"]).arg(&state);
            command.arg(repository("benches/programs/nap_jug.py")).env("NAPS", &self.folder);
            command
        };
        let sample = timed::together(bench, self.members(|_| Ok(jug("execute")))?)?;
        timed::quiet(bench, &mut jug("check")).context("jug has left tasks")?;
        Ok(sample)
    }

    fn race(self, bench: &Bench, limit: Option<f64>) -> Race<'_> {
        let work = self.naps.len() as u64;
        let mut goals = Vec::from_iter(limit.map(|limit| Goal::AtMost(SIZED, limit, BOUND)));
        if self.is_whole() {
            goals.extend([
                Goal::AtMost(SIZED, 1.02, STATIC_SIZED),
                Goal::AtMost(EVEN, 1.02, STATIC),
                Goal::Faster(SIZED, 1.0, JUG),
            ]);
        }
        let of = || self.clone();
        let mut race = Race::new(goals).few();
        let scenario = of();
        race = race.with(SIZED, work, move || scenario.ours(bench, &["--balance", "--strategy", "size"]));
        let scenario = of();
        race = race.with(EVEN, work, move || scenario.ours(bench, &["--balance"]));
        if self.is_whole() {
            let scenario = of();
            race = race.with(STATIC_SIZED, work, move || {
                scenario.ours(bench, &["--balance=false", "--strategy", "size"])
            });
            let scenario = of();
            race = race.with(STATIC, work, move || scenario.ours(bench, &["--balance=false"]));
        }
        // It leaves the locks of the dead.
        if self.plans.iter().flatten().all(|plan| plan.end.is_none()) {
            let scenario = of();
            race = race.peer(JUG, work, move || scenario.jug(bench));
        }
        race.peer(BOUND, work, move || {
            Ok(Sample { began: SystemTime::now(), seconds: self.bound(), peak: 0 })
        })
    }
}

/// With one task at a time.
fn replica(bench: &Bench, id: usize, count: usize) -> Command {
    let mut command = Command::new(bench.binary());
    command.args(["-j", "1", "--replica-id", &id.to_string(), "--replica-count", &count.to_string()]);
    command
}

fn is_complete(bench: &Bench, results: &Path) -> Result<()> {
    timed::quiet(bench, bench.subcommand("merge").arg(results)).context("the run is not complete").map(drop)
}

pub(crate) fn together(bench: &Bench) -> Result<Race<'_>> {
    Ok(Scenario::together(bench)?.race(bench, Some(1.05)))
}

/// A quarter at once, the others one by one until the work would be done.
pub(crate) fn staggered(bench: &Bench) -> Result<Race<'_>> {
    let mut scenario = Scenario::together(bench)?;
    let late = scenario.plans.len() * 3 / 4;
    for (place, plan) in scenario.plans.iter_mut().rev().flatten().take(late).enumerate() {
        // Not in the order of their ids.
        plan.start = (place * 5 % late + 1) as f64 / late as f64;
    }
    Ok(scenario.race(bench, Some(1.15)))
}

pub(crate) fn absent(bench: &Bench) -> Result<Race<'_>> {
    let mut scenario = Scenario::together(bench)?;
    [3, 8, 13].into_iter().for_each(|place| scenario.plans[place] = None);
    Ok(scenario.race(bench, Some(1.15)))
}

pub(crate) fn killed(bench: &Bench) -> Result<Race<'_>> {
    let mut scenario = Scenario::together(bench)?;
    for place in [5, 10] {
        scenario.plans[place] = Some(Plan { end: Some(0.5), ..Plan::AT_ONCE });
    }
    Ok(scenario.race(bench, Some(1.15)))
}

/// A slow replica can only end the task that it has begun, so no share of the bound is a goal.
pub(crate) fn slow(bench: &Bench) -> Result<Race<'_>> {
    let mut scenario = Scenario::together(bench)?;
    for plan in scenario.plans.iter_mut().flatten().step_by(4) {
        plan.factor = 3.0;
    }
    Ok(scenario.race(bench, None))
}

/// Where nothing is to gain: all tasks are equal, and all start at once.
pub(crate) fn equal(bench: &Bench) -> Result<Race<'_>> {
    const MILLISECONDS: u64 = 2000;
    let replicas = usize::try_from(bench.size(100))?;
    let files = 10 * replicas as u64;
    let folder = data::equal_naps(bench, files, MILLISECONDS)?;
    let naps = vec![MILLISECONDS as f64 / 1000.0; usize::try_from(files)?];
    let scenario = Scenario { plans: vec![Some(Plan::AT_ONCE); replicas], folder, naps };
    let (shared, fixed) = (scenario.clone(), scenario);
    Ok(Race::new([Goal::AtMost(EVEN, 1.02, STATIC)])
        .with(EVEN, files, move || shared.ours(bench, &["--balance"]))
        .with(STATIC, files, move || fixed.ours(bench, &["--balance=false"])))
}

/// What sharing costs where tasks take no time.
pub(crate) fn quick(bench: &Bench) -> Result<Race<'_>> {
    const REPLICAS: usize = 4;
    let tasks = bench.size(20_000);
    let list = data::list(bench, tasks)?;
    let ours = move |option: &str| {
        let results = bench.fresh("results")?;
        let member = |id| {
            let mut command = replica(bench, id, REPLICAS);
            command.arg("--files-from").arg(&list).arg("-o").arg(&results).arg(option);
            command.arg("--").arg(bench.program("true"));
            Member { command, start: Duration::ZERO, kill: None }
        };
        let sample = timed::together(bench, (1..=REPLICAS).map(member).collect())?;
        is_complete(bench, &results)?;
        Ok(sample)
    };
    let other = ours.clone();
    Ok(Race::new([Goal::AtMost(EVEN, 1.05, STATIC)]).with(EVEN, tasks, move || ours("--balance")).with(
        STATIC,
        tasks,
        move || other("--balance=false"),
    ))
}

/// Calls that ask the file server for a name.
const METADATA: &str = "trace=%file,getdents64,fsync,fdatasync";

/// What a replica asks of the file server for names, with its claims, and how much more that is than with static shares.
pub(crate) fn calls(bench: &Bench) -> Result<PerTask> {
    let (mut shared, claims) = counts(bench, "--balance")?;
    let (fixed, _) = counts(bench, "--balance=false")?;
    let all = |counts: &BTreeMap<String, f64>| counts.values().sum::<f64>();
    let mut told = vec![
        ("claims".to_owned(), claims),
        ("metadata calls".to_owned(), all(&shared)),
        ("more than static".to_owned(), all(&shared) - all(&fixed)),
    ];
    for (name, count) in &mut shared {
        *count -= fixed.get(name).copied().unwrap_or(0.0);
    }
    let mut more: Vec<_> = shared.into_iter().filter(|(_, count)| count.abs() >= 0.1).collect();
    more.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    told.extend(more.into_iter().map(|(name, count)| (format!("more {name}"), count)));
    Ok(told)
}

/// By call, how many a replica makes, its tasks' among them; and its claims.
fn counts(bench: &Bench, option: &str) -> Result<(BTreeMap<String, f64>, f64)> {
    let scenario = Scenario::together(bench)?;
    let (results, counted) = (bench.fresh("results")?, bench.fresh("counted")?);
    std::fs::create_dir_all(&counted)?;
    let members = scenario.members(|id| {
        let launch = replica(bench, id, scenario.plans.len());
        let mut strace = Command::new("strace");
        strace.args(["-c", "-f", "-e", METADATA, "-o"]).arg(counted.join(id.to_string()));
        strace.arg(launch.get_program()).args(launch.get_args()).arg(option);
        strace.arg("-i").arg(scenario.folder.join("*")).arg("-o").arg(&results);
        strace.arg("--").arg(bench.program("nap"));
        Ok(strace)
    })?;
    let replicas = members.len() as f64;
    timed::together(bench, members)?;
    is_complete(bench, &results)?;
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(&counted)? {
        for line in std::fs::read_to_string(entry?.path())?.lines() {
            // Percent, seconds, microseconds a call, calls, maybe errors, and the name.
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(count), Some(name)) =
                (words.get(3).and_then(|word| word.parse::<f64>().ok()), words.last())
            else {
                continue;
            };
            if *name != "total" {
                *all.entry((*name).to_owned()).or_default() += count / replicas;
            }
        }
    }
    Ok((all, claims(&results) as f64 / replicas))
}

/// How many claims there are.
fn claims(results: &Path) -> usize {
    let is_claim = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        let numbers = name.split_once('.').map(|(share, generation)| [share, generation]);
        numbers.is_some_and(|numbers| numbers.iter().all(|number| number.parse::<u32>().is_ok()))
    };
    walkdir::WalkDir::new(results.join("claims")).into_iter().flatten().filter(is_claim).count()
}
