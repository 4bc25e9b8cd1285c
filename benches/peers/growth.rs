//! How each figure grows: seconds and memory at 1, 10 and 100 times the work, and by how much more each takes.

use std::io::Write;

use anyhow::Result;

use crate::bench::Bench;
use crate::data;
use crate::race::median;
use crate::rows::{discovery, dispatch, merge, plan, resume, start, workers};
use crate::timed::Sample;

const FACTORS: [u64; 3] = [1, 10, 100];
const ROUNDS: usize = 3;

/// What grows.
struct Growing {
    name: &'static str,
    /// At once the work; files, folders, records or tasks.
    least: u64,
    unit: &'static str,
    run: fn(&Bench, u64) -> Result<Sample>,
}

pub(crate) fn print(bench: &Bench, out: &mut dyn Write) -> Result<()> {
    all().iter().try_for_each(|growing| row(bench, growing, out))
}

fn all() -> [Growing; 7] {
    [
        Growing {
            name: "dispatch to workers",
            least: 10_000,
            unit: "tasks",
            run: |bench, n| workers::dispatch(bench, n, "0"),
        },
        Growing {
            name: "dispatch",
            least: 500,
            unit: "tasks",
            run: |bench, n| dispatch::ours(bench, n, "true"),
        },
        Growing { name: "discovery", least: 10, unit: "folders", run: discovery::folders },
        Growing { name: "start", least: 10_000, unit: "entries", run: start::ours },
        Growing {
            name: "merge",
            least: 50_000,
            unit: "records",
            run: |bench, n| merge::merge(bench, &data::finished(bench, 100, n)?),
        },
        Growing { name: "resume", least: 10_000, unit: "records", run: resume::ours },
        Growing { name: "plan", least: 10_000, unit: "files", run: plan::found },
    ]
}

fn row(bench: &Bench, growing: &Growing, out: &mut dyn Write) -> Result<()> {
    let mut before: Option<(f64, u64)> = None;
    for factor in FACTORS {
        let work = bench.size(growing.least * factor);
        let samples = (0..=ROUNDS).map(|_| (growing.run)(bench, work)).collect::<Result<Vec<_>>>()?;
        let seconds = median(samples[1..].iter().map(|sample| sample.seconds));
        let peak = samples.iter().map(|sample| sample.peak).max().unwrap_or(0);
        let Growing { name, unit, .. } = growing;
        let mib = peak as f64 / f64::from(1 << 20);
        write!(out, "  {name:<24}{work:>10} {unit:<8}{seconds:>9.3} s{mib:>9.1} MiB")?;
        if let Some((earlier, smaller)) = before {
            write!(
                out,
                "   {:.1} x the time, {:.1} x the memory",
                seconds / earlier,
                peak as f64 / smaller as f64
            )?;
        }
        writeln!(out)?;
        before = Some((seconds, peak));
    }
    Ok(())
}
