//! What is worked on: lists, trees, images and finished runs, made once and kept. What canfar-run can write, it writes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::bench::Bench;
use crate::timed;

/// Under this strategy no replica goes on with what others have left.
pub(crate) const ONLY_ITS_SHARE: [&str; 2] = ["--strategy", "chunk"];

/// What every binary may work on.
fn shared(bench: &Bench, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    kept(bench.data(name), "", make)
}

/// What only the binary that wrote it may read: formats change between versions.
fn written(bench: &Bench, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    kept(bench.own(name), bench.digest(), make)
}

/// Makes what is not there yet; a mark beside it says that it is whole, and who made it.
fn kept(path: PathBuf, maker: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let mark = path.with_added_extension("whole");
    if std::fs::read_to_string(&mark).ok().as_deref() != Some(maker) {
        if mark.exists() {
            std::fs::remove_file(&mark)?;
        }
        if path.is_dir() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
        make(&path).with_context(|| format!("making {}", path.display()))?;
        std::fs::write(&mark, maker)?;
    }
    Ok(path)
}

/// A list of so many paths as of a survey; nothing is there.
pub(crate) fn list(bench: &Bench, entries: u64) -> Result<PathBuf> {
    shared(bench, &format!("list-{entries}.txt"), |path| {
        let mut out = BufWriter::new(File::create(path)?);
        for entry in 0..entries {
            let night = entry / 1000;
            writeln!(out, "/arc/projects/survey/data/night_{night:04}/obs_{entry:08}.fits")?;
        }
        Ok(out.flush()?)
    })
}

/// Folders with so many entries each, every `matching`-th of them a `.fits`, of different sizes without content.
pub(crate) fn tree(bench: &Bench, folders: u64, entries: u64, matching: u64) -> Result<PathBuf> {
    shared(bench, &format!("tree-{folders}-{entries}-{matching}"), |path| {
        for folder in 0..folders {
            let folder = path.join(format!("night_{folder:04}"));
            std::fs::create_dir_all(&folder)?;
            for entry in 0..entries {
                let extension = if entry % matching == 0 { "fits" } else { "txt" };
                let file = File::create(folder.join(format!("obs_{entry:05}.{extension}")))?;
                file.set_len(2880 * (entry % 100))?;
            }
        }
        Ok(())
    })
}

/// So many files of a line each.
pub(crate) fn lines(bench: &Bench, files: u64) -> Result<PathBuf> {
    shared(bench, &format!("lines-{files}"), |path| {
        std::fs::create_dir_all(path)?;
        for number in 0..files {
            std::fs::write(path.join(format!("{number:05}.txt")), format!("{number}\n"))?;
        }
        Ok(())
    })
}

/// Files for `nap`, by name, and how many seconds each takes: most are short, some are long, in no order.
pub(crate) fn naps(bench: &Bench, files: u64) -> Result<(PathBuf, Vec<f64>)> {
    const MEDIAN: f64 = 350.0;
    const SPREAD: f64 = 0.9;
    let mut chance = fastrand::Rng::with_seed(files);
    let mut seconds = || {
        let normal = (-2.0 * (1.0 - chance.f64()).ln()).sqrt() * (std::f64::consts::TAU * chance.f64()).cos();
        (MEDIAN * (SPREAD * normal).exp()).clamp(50.0, 3000.0) / 1000.0
    };
    let naps: Vec<Duration> = (0..files).map(|_| Duration::from_secs_f64(seconds())).collect();
    let folder = shared(bench, &format!("naps-{files}"), |path| {
        std::fs::create_dir_all(path)?;
        for (number, nap) in naps.iter().enumerate() {
            File::create(path.join(format!("{number:05}")))?.set_len(nap.as_millis().try_into()?)?;
        }
        Ok(())
    })?;
    Ok((folder, naps.iter().map(Duration::as_secs_f64).collect()))
}

/// Files for `nap` that all take the same time.
pub(crate) fn equal_naps(bench: &Bench, files: u64, milliseconds: u64) -> Result<PathBuf> {
    shared(bench, &format!("naps-{files}-{milliseconds}"), |path| {
        std::fs::create_dir_all(path)?;
        let make = |number| File::create(path.join(format!("{number:05}")))?.set_len(milliseconds);
        (0..files).try_for_each(make)?;
        Ok(())
    })
}

/// Small FITS images, as the demo draws them.
pub(crate) fn sky(bench: &Bench, files: u64) -> Result<PathBuf> {
    shared(bench, &format!("sky-{files}"), |path| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut make = Command::new(cargo);
        make.args(["run", "--quiet", "--locked", "--profile", "bench", "--example", "make_sky", "--"]);
        make.arg(path).arg(bench.data("truth.json")).arg(files.to_string());
        timed::quiet(bench, &mut make).map(drop)
    })
}

/// A finished run by so many replicas, each task with a small result.
pub(crate) fn finished(bench: &Bench, replicas: u64, tasks: u64) -> Result<PathBuf> {
    written(bench, &format!("run-{replicas}-{tasks}"), |path| {
        for id in 1..=replicas {
            timed::quiet(bench, &mut launch(bench, path, (id, replicas), tasks, &[])?)?;
        }
        Ok(())
    })
}

/// A run by one replica that left so many of its tasks: from there on they failed.
pub(crate) fn unfinished(bench: &Bench, tasks: u64, left: u64) -> Result<PathBuf> {
    written(bench, &format!("run-{tasks}-left-{left}"), |path| {
        let mut launch = launch(bench, path, (1, 1), tasks, &["--max-failures", "1"])?;
        launch.env("ANSWER_UNTIL", (tasks - left).to_string());
        timed::run(bench, &mut launch, [Path::new("/dev/null"); 2], &[3]).map(drop)
    })
}

/// The launch of [`finished`], with more options.
pub(crate) fn launch(
    bench: &Bench,
    results: &Path,
    (id, count): (u64, u64),
    tasks: u64,
    options: &[&str],
) -> Result<Command> {
    let mut launch = bench.replica(id, count);
    launch.arg("--files-from").arg(list(bench, tasks)?).arg("-o").arg(results).arg("--quiet").args(options);
    launch.args(ONLY_ITS_SHARE).args(["--worker", "--"]).arg(bench.program("answer"));
    Ok(launch)
}

/// A list that a launch has frozen for so many replicas and a command, and nothing else; `inputs` are its options.
pub(crate) fn frozen(
    bench: &Bench,
    name: &str,
    replicas: u64,
    inputs: &[&str],
    command: &[&Path],
) -> Result<PathBuf> {
    written(bench, name, |path| {
        let mut launch = bench.replica(replicas, replicas);
        launch.args(inputs).arg("-o").arg(path).args(["--deadline", "0s", "--"]).args(command);
        // Its share is left over, which is 3.
        timed::run(bench, &mut launch, [Path::new("/dev/null"); 2], &[3])?;
        Ok(())
    })
}

/// Results files as Python's `json.dump` writes them, about 340 bytes a record, and what a binary makes of them.
pub(crate) fn foreign(bench: &Bench, files: u64, records: u64) -> Result<PathBuf> {
    kept(bench.own(&format!("foreign-{files}-{records}")), "", |path| {
        std::fs::create_dir_all(path)?;
        for id in 1..=files {
            let mut out = BufWriter::new(File::create(path.join(format!("container_{id}_results.json")))?);
            out.write_all(b"[")?;
            for record in records * (id - 1) / files..records * id / files {
                out.write_all(if record == records * (id - 1) / files { b"" } else { b", " })?;
                foreign_record(&mut out, record)?;
            }
            out.write_all(b"]")?;
            out.flush()?;
        }
        Ok(())
    })
}

fn foreign_record(out: &mut impl Write, record: u64) -> Result<()> {
    let (stars, phase) = (record % 977, record as f64 / 1e7);
    write!(
        out,
        r#"{{"file": "obs_{record:08}.fits", "stars_detected": {stars}, "background": {:.6}, "noise": {:.6}, "#,
        512.25 + phase,
        4.75 + phase
    )?;
    write!(
        out,
        r#""width": 1024, "height": 1024, "ra": {:.9}, "dec": {:.9}, "filter": "r", "#,
        phase, -phase
    )?;
    write!(out, r#""exposure": 60.0, "seeing": [{:.6}, {:.6}, {:.6}], "#, phase, phase + 1.0, phase + 2.0)?;
    write!(
        out,
        r#""flags": {{"saturated": false, "trailed": null}}, "observer": "the survey of the northern sky"}}"#
    )?;
    Ok(())
}

/// The results files in a folder.
pub(crate) fn results_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let named = |path: &PathBuf| path.to_string_lossy().ends_with("_results.json");
    let is_replica = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"container_"))
    };
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| named(path) && is_replica(path)).collect())
}

/// The files in a folder, sorted.
pub(crate) fn images(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut paths: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}
