//! What other runs made, as the entries of a new one (`--input-from`).

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};

use super::{KeepGoing, ListedInputs, Rules};
use crate::discover::DiscoverError;
use crate::exit_code::CannotGoOn;
use crate::json;
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::merge::{Format, MergeDirectory, MergeIndex, survey};
use crate::model::entries::{Entries, Entry};
use crate::model::product::{Product, ProductLook};
use crate::model::row::{self, Column};
use crate::products::look::{LookingStopped, look_at_all};
use crate::record::inputs::{FoundRun, Header, InputList, InputSpec, SourceRun};
use crate::record::rel::RelPaths;
use crate::report::merge::missing_lines;
use crate::template;
use crate::threads::unless_stopped;
use crate::units;

/// What a product without a name is called by `--name`, as by tasks.
const UNNAMED: &str = "out";

/// Lists what the ok tasks of these runs made.
///
/// # Errors
/// When one of them can't be read, is not complete, or has several products and no name says which one; when a product is
/// gone; when there is none.
pub(super) fn list(
    runs: &[SourceRun],
    name: Option<&str>,
    rules: Rules<'_>,
    keep_going: KeepGoing<'_>,
) -> anyhow::Result<ListedInputs> {
    let index = index_of(runs, rules.heartbeat, keep_going)?;
    refuse_incomplete(&index, rules)?;
    let columns = columns_of(&index);
    let notes = index.proof.problems.clone();
    let mut listing = ProductListing { name, columns, notes, ..Default::default() };
    let mut found = Vec::new();
    for (number, run) in runs.iter().enumerate() {
        found.push(SourceRun { found: Some(listing.take(&index, number, keep_going)?), ..run.clone() });
    }
    let gone = listing.look(keep_going)?;
    listing.refuse_gone(&gone, runs, rules)?;
    listing.refuse_none(&found, rules)?;
    let columns = std::mem::take(&mut listing.columns);
    let source = InputSpec::Products { runs: found, name: name.map(str::to_owned), columns };
    Ok(ListedInputs {
        entries: listing.entries()?,
        source,
        known: 0,
        unreadable: Vec::new(),
        notes: listing.notes,
    })
}

/// The columns of the rows that the products of these runs were made of, each once.
fn columns_of(index: &MergeIndex) -> Vec<Column> {
    let mut columns: Vec<Column> = Vec::new();
    let lists = index.directories().iter().filter_map(|directory| directory.list());
    for column in lists.filter_map(|list| list.header().source.columns()).flatten() {
        match columns.iter_mut().find(|known| known.name == column.name) {
            Some(known) => known.numbers &= column.numbers,
            None => columns.push(column.clone()),
        }
    }
    columns
}

/// A row with a member for each of these columns, null where it has none.
fn arranged(row: Option<&[u8]>, columns: &[Column]) -> Vec<u8> {
    let members: Vec<_> = row.into_iter().flat_map(json::members).collect();
    let value = |column: &Column| {
        let found = members.iter().find(|member| json::string_eq(member.key, &column.name));
        found.map_or(&b"null"[..], |member| member.value)
    };
    row::object_of(columns.iter().map(|column| (column.name.as_str(), value(column))))
}

fn stopped() -> anyhow::Error {
    DiscoverError::Stopped.with_exit_code()
}

/// Reads the records of all these runs, which may be long.
fn index_of(
    runs: &[SourceRun],
    times: HeartbeatTimes,
    keep_going: KeepGoing<'_>,
) -> anyhow::Result<MergeIndex> {
    let dirs: Vec<PathBuf> = runs.iter().map(|run| PathBuf::from(&run.results_dir.0)).collect();
    let read = move || {
        let directories = dirs.iter().map(|dir| open(dir, times)).collect::<anyhow::Result<_>>()?;
        survey(directories, Format::Json)
    };
    unless_stopped(&|| keep_going(), read)
        .context("can't start the thread that reads the runs of --input-from")?
        .ok_or_else(stopped)?
}

fn open(dir: &Path, times: HeartbeatTimes) -> anyhow::Result<MergeDirectory> {
    let directory = MergeDirectory::open(dir, times)
        .with_context(|| format!("can't take the products of {} (--input-from)", dir.display()))?;
    if directory.list().is_none() {
        bail!(
            "--input-from {}: it has results, but no list of inputs (inputs.jsonl), so nobody can tell whether they are all: give the results directory of a run",
            dir.display()
        );
    }
    Ok(directory)
}

/// Refuses to begin a run that would lack what is still to be made.
fn refuse_incomplete(index: &MergeIndex, rules: Rules<'_>) -> anyhow::Result<()> {
    let proof = &index.proof;
    if rules.allow_missing || (proof.missing == 0 && proof.broken.is_empty()) {
        return Ok(());
    }
    let mut text = match proof.missing {
        0 => "not all results of the runs of --input-from can be read:".to_owned(),
        missing => format!(
            "--input-from needs runs that are complete, and {} no record yet:",
            units::plural(missing, "file has", "files have")
        ),
    };
    for line in missing_lines(proof) {
        text.push('\n');
        text.push_str(&line);
    }
    text.push_str(
        "\n--allow-missing goes on with what is there; what is made later is then not part of this run.",
    );
    Err(CannotGoOn(text).into())
}

/// A product that was found in a record.
#[derive(Debug)]
struct TakenProduct {
    path: PathBuf,
    /// Bytes, by the record.
    bytes: u64,
    /// The `{rel}` of the file that it was made of.
    rel: OsString,
    /// The row that it was made of, where that was one.
    row: Option<Vec<u8>>,
    /// Which of the runs it is of.
    run: usize,
    look: ProductLook,
}

/// The products of several runs, in the order of the runs and of their lists.
#[derive(Debug, Default)]
struct ProductListing<'a> {
    name: Option<&'a str>,
    /// Those of all rows.
    columns: Vec<Column>,
    taken: Vec<TakenProduct>,
    notes: Vec<String>,
}

impl ProductListing<'_> {
    /// Takes those of one run.
    fn take(
        &mut self,
        index: &MergeIndex,
        number: usize,
        keep_going: KeepGoing<'_>,
    ) -> anyhow::Result<FoundRun> {
        let list = index.directories()[number].list().context("a run without a list")?;
        let header = list.header();
        let wanted = wanted(header, self.name).map_err(|why| {
            anyhow!("--input-from {}: {why}", units::path(index.directories()[number].root()))
        })?;
        let mut made: Vec<(u64, Product)> = Vec::new();
        index.each_made(number, &mut |task| {
            ensure!(keep_going(), stopped());
            let product = task.products.into_iter().find(|product| product.name.as_deref() == wanted);
            made.extend(task.index.zip(product));
            Ok(())
        })?;
        made.sort_unstable_by_key(|(index, _)| *index);
        let standing = index.standing_of(number);
        let products = made.len() as u64;
        self.note(header, products, standing.failed, standing.missing, index.directories()[number].root());
        self.add(list, number, made)?;
        Ok(FoundRun { run: header.run.clone(), products, failed: standing.failed, missing: standing.missing })
    }

    fn note(&mut self, header: &Header, products: u64, failed: u64, missing: u64, root: &Path) {
        let left_out: Vec<String> = [(failed, "failed"), (missing, "have no record")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if !left_out.is_empty() {
            self.notes.push(format!(
                "{}: of {} {}; this run has the products of the other {products}",
                units::path(root),
                units::count(header.count, "file"),
                left_out.join(" and ")
            ));
        }
    }

    /// Adds products by the index of their tasks, with what their list says of these.
    fn add(&mut self, list: &InputList, run: usize, made: Vec<(u64, Product)>) -> anyhow::Result<()> {
        let rels = RelPaths::of(&list.header().source);
        let indices: Vec<u64> = made.iter().map(|(index, _)| *index).collect();
        let is_as_it_is = list.header().source.columns() == Some(self.columns.as_slice());
        let mut products = made.into_iter();
        list.read(indices.into_iter(), |_, entry| {
            let Some((_, product)) = products.next() else { return Ok(()) };
            let path = product.path.bytes().map_err(|error| anyhow!("a product's path: {error}"))?;
            let rel = entry.rel.unwrap_or_else(|| rels.of_entry(entry.path)).to_owned();
            let look = product.look();
            let row = match entry.row {
                Some(row) if is_as_it_is => Some(row.to_vec()),
                row => (!self.columns.is_empty()).then(|| arranged(row, &self.columns)),
            };
            self.taken.push(TakenProduct { path: path.into(), bytes: product.bytes, rel, row, run, look });
            Ok(())
        })
    }

    /// Looks at each once: how long files are now, and which are gone, by their places.
    fn look(&mut self, keep_going: KeepGoing<'_>) -> anyhow::Result<Vec<usize>> {
        let paths: Vec<&Path> = self.taken.iter().map(|taken| taken.path.as_path()).collect();
        let seen = look_at_all(&paths, &|| keep_going()).map_err(|LookingStopped| stopped())?;
        let mut gone = Vec::new();
        for (place, (taken, seen)) in self.taken.iter_mut().zip(seen).enumerate() {
            let cannot = || CannotGoOn(format!("can't look at the product {}", units::path(&taken.path)));
            match seen.with_context(cannot)? {
                Some(look) => taken.look = look,
                None => gone.push(place),
            }
        }
        Ok(gone)
    }

    /// Refuses products that are no longer there, or leaves them out.
    fn refuse_gone(&mut self, gone: &[usize], runs: &[SourceRun], rules: Rules<'_>) -> anyhow::Result<()> {
        let Some(first) = gone.first().map(|place| &self.taken[*place]) else { return Ok(()) };
        let what = format!(
            "{} no longer there, such as {}",
            units::plural(gone.len() as u64, "product is", "products are"),
            units::path(&first.path)
        );
        if !rules.allow_missing {
            let of_runs: BTreeSet<usize> = gone.iter().map(|place| self.taken[*place].run).collect();
            let resume = |run: usize| {
                format!("`canfar-run resume {}`", template::quoted(&[runs[run].results_dir.0.clone()]))
            };
            let resumes = of_runs.into_iter().map(resume).collect::<Vec<_>>().join(", ");
            return Err(CannotGoOn(format!(
                "{what}. To make them again: {resumes}. --allow-missing leaves them out"
            ))
            .into());
        }
        self.notes.push(format!("{what}: left out"));
        let gone: HashSet<usize> = gone.iter().copied().collect();
        let mut place = 0;
        self.taken.retain(|_| {
            place += 1;
            !gone.contains(&(place - 1))
        });
        Ok(())
    }

    fn refuse_none(&self, found: &[SourceRun], rules: Rules<'_>) -> anyhow::Result<()> {
        if !self.taken.is_empty() || rules.allow_empty {
            return Ok(());
        }
        let dirs: Vec<String> = found.iter().map(|run| units::path(&run.results_dir.0)).collect();
        bail!("no file of {} is ok, so there is no product to begin with (--allow-empty)", dirs.join(" or "))
    }

    /// The entries. What two runs made under one name is one.
    fn entries(&mut self) -> anyhow::Result<Entries> {
        let mut entries = Entries::default();
        let mut known: HashSet<&OsStr> = HashSet::new();
        let mut repeats = 0;
        let may_repeat = self.taken.last().is_some_and(|last| last.run > 0);
        for taken in &self.taken {
            let path = taken.path.as_os_str();
            if may_repeat && !known.insert(path) {
                repeats += 1;
                continue;
            }
            let size = match taken.look {
                ProductLook::File { bytes, .. } => bytes,
                ProductLook::Dir | ProductLook::Other => taken.bytes,
            };
            let rel = (!taken.rel.is_empty()).then_some(taken.rel.as_os_str());
            let row = taken.row.as_deref();
            entries.push(Entry { size: Some(size), rel, row, ..Entry::of(path) })?;
        }
        if repeats > 0 {
            let products = units::count(repeats, "product");
            self.notes.push(format!("{products} made by several of these runs; each counts once"));
        }
        entries.shrink();
        Ok(entries)
    }
}

/// The name, in records, of the product that is meant.
fn wanted<'h>(header: &'h Header, name: Option<&str>) -> Result<Option<&'h str>, String> {
    let names: Vec<Option<&str>> = header.products.iter().map(|product| product.name.as_deref()).collect();
    let shown = || names.iter().map(|name| name.unwrap_or(UNNAMED)).collect::<Vec<_>>().join(", ");
    match (name, names.as_slice()) {
        (_, []) => Err("its tasks make no products (it was begun without --product): give the files that they wrote with --input".to_owned()),
        (None, [only]) => Ok(*only),
        (None, _) => Err(format!("its tasks make several products each ({}): say which one with --name", shown())),
        (Some(name), _) => names
            .iter()
            .find(|known| **known == Some(name))
            .or_else(|| names.iter().find(|known| known.is_none() && name == UNNAMED))
            .copied()
            .ok_or_else(|| format!("its tasks make no product called {name}: there is {}", shown())),
    }
}

#[cfg(test)]
mod tests;
