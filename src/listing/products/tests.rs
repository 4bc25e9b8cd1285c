//! Runs that made products, as they are when their results files were copied here, and what is listed of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::list;
use crate::discover::EntryType;
use crate::exit_code::ExitCode;
use crate::listing::{ListedInputs, Rules, SizeLookup};
use crate::liveness::heartbeat::HeartbeatTimes;
use crate::model::entries::{Entries, Entry};
use crate::model::outcome::{ProcessEnd, Status, Usage};
use crate::model::product::{Product, ProductKind};
use crate::model::provenance::Process;
use crate::model::shares::Strategy;
use crate::record::inputs::{
    DeclaredProduct, FoundRun, InputList, InputSpec, Origin, Settings, SourceRun, TaskCommand, prepare,
};
use crate::record::task_record::{self, RecordMeta};
use crate::store::layout::Layout;
use crate::text::PathText;

/// A run of six files, `n/0.fits` to `n/5.fits`, of which some are ok and made products of these names.
struct StageOne<'a> {
    root: PathBuf,
    names: &'a [Option<&'a str>],
}

impl StageOne<'_> {
    /// Where a task puts a product.
    fn product(&self, index: u64, name: Option<&str>) -> PathBuf {
        self.root.with_extension("made").join(format!("{index}.{}", name.unwrap_or("fits")))
    }

    /// Writes the run, in which these ended so; products have as many bytes as their index says, and one more.
    fn write(&self, ended: &[(u64, Status)]) {
        let layout = Layout::new(&self.root);
        std::fs::create_dir_all(layout.root()).unwrap();
        std::fs::create_dir_all(self.root.with_extension("made")).unwrap();
        let paths: Vec<String> = (0..6).map(|index| format!("/raw/n/{index}.fits")).collect();
        let entries = Entries::of(paths.iter().map(Entry::of)).unwrap();
        let declared =
            |name: Option<&str>| DeclaredProduct { name: name.map(str::to_owned), path: "x".into() };
        let origin = Origin {
            parent: None,
            source: InputSpec::Patterns {
                patterns: vec!["/raw/**/*.fits".into()],
                cwd: None,
                exclude: Vec::new(),
                entry_type: EntryType::File,
            },
            strategy: Strategy::Even,
            replica_count: 2,
            balance: false,
            command: TaskCommand::Argv(Vec::new()),
            command_files: Vec::new(),
            products: self.names.iter().copied().map(declared).collect(),
            settings: Settings::default(),
        };
        prepare(&layout, origin, &entries, &[], &Process::current(None)).unwrap().publish().unwrap();
        let run = InputList::open(&layout).unwrap().unwrap().header().run.clone();
        let record = |(index, status): &(u64, Status)| self.record(&run, *index, *status);
        let records: Vec<String> = ended.iter().map(record).collect();
        std::fs::write(layout.results(1), format!("[{}]", records.join(",\n"))).unwrap();
    }

    fn record(&self, run: &str, index: u64, status: Status) -> String {
        let is_ok = status == Status::Ok;
        let names = if is_ok { self.names } else { &[] };
        let products = names.iter().map(|name| {
            let path = self.product(index, *name);
            std::fs::write(&path, vec![0; usize::try_from(index).unwrap() + 1]).unwrap();
            Product {
                name: name.map(str::to_owned),
                path: PathText::readable(path.as_os_str()),
                kind: ProductKind::File,
                bytes: index + 1,
                modified: jiff::Timestamp::UNIX_EPOCH,
                sha256: None,
            }
        });
        let meta = RecordMeta {
            run: run.to_owned(),
            index,
            path: PathText::readable("raw".as_ref()),
            status,
            cause: None,
            end: ProcessEnd::default(),
            attempts: 1,
            started_at: None,
            usage: Usage::default(),
            replica_id: 1,
            replica_count: 2,
            launch: 1,
            command: None,
            non_finite: 0,
            products: products.collect(),
            message: None,
            stderr_tail: None,
            log: None,
        };
        String::from_utf8(task_record::build(Entry::of("raw"), None, &meta)).unwrap()
    }
}

fn listed(roots: &[&Path], name: Option<&str>, allow_missing: bool) -> anyhow::Result<ListedInputs> {
    let run = |root: &&Path| SourceRun { results_dir: root.as_os_str().into(), found: None };
    let runs: Vec<SourceRun> = roots.iter().map(run).collect();
    let rules = Rules {
        allow_empty: false,
        allow_missing,
        sizes: SizeLookup::None,
        results_dir: Path::new("/none"),
        heartbeat: HeartbeatTimes::default(),
        makes: None,
        since: None,
    };
    list(&runs, name, rules, &|| true)
}

/// Why it can't be listed, and the exit code.
fn refused(roots: &[&Path], name: Option<&str>) -> (String, ExitCode) {
    let error = listed(roots, name, false).unwrap_err();
    (format!("{error:#}"), ExitCode::of_error(&error))
}

/// How all six ended: those named failed, and those left out have no record.
fn all_but(failed: &[u64], missing: &[u64]) -> Vec<(u64, Status)> {
    let status = |index: u64| if failed.contains(&index) { Status::Failed } else { Status::Ok };
    (0..6).filter(|index| !missing.contains(index)).map(|index| (index, status(index))).collect()
}

fn indices(listed: &ListedInputs) -> BTreeSet<u64> {
    let index = |entry: Entry<'_>| Path::new(entry.path).file_stem()?.to_str()?.parse().ok();
    listed.entries.iter().filter_map(index).collect()
}

#[test]
fn entries_are_the_products_of_ok_tasks_in_list_order_with_rel_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let one = StageOne { root: folder.path().join("one"), names: &[None] };
    let mut ended = all_but(&[2], &[]);
    ended.reverse();
    one.write(&ended);
    let listed = listed(&[&one.root], None, false).unwrap();
    let expected =
        [0, 1, 3, 4, 5].map(|index| (one.product(index, None), format!("n/{index}.fits"), index + 1));
    let found: Vec<_> = listed
        .entries
        .iter()
        .map(|entry| {
            (PathBuf::from(entry.path), entry.rel.unwrap().to_str().unwrap().to_owned(), entry.size.unwrap())
        })
        .collect();
    assert_eq!(found, expected);
    let InputSpec::Products { runs, name: None, .. } = &listed.source else { panic!("{:?}", listed.source) };
    let run = runs[0].found.clone().unwrap();
    assert_eq!(run, FoundRun { run: run.run.clone(), products: 5, failed: 1, missing: 0 });
    assert_eq!(run.run.len(), 6);
    assert!(listed.notes[0].contains("of 6 files 1 failed"), "{:?}", listed.notes);
}

#[test]
fn a_run_that_is_not_complete_is_refused_unless_that_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let one = StageOne { root: folder.path().join("one"), names: &[None] };
    one.write(&all_but(&[], &[4, 5]));
    let (error, code) = refused(&[&one.root], None);
    assert_eq!(code, ExitCode::Incomplete);
    for part in
        ["2 files have no record", "/raw/n/4.fits, /raw/n/5.fits", "canfar-run resume", "--allow-missing"]
    {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(indices(&listed(&[&one.root], None, true).unwrap()), [0, 1, 2, 3].into());
}

#[test]
fn of_several_products_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let one = StageOne { root: folder.path().join("one"), names: &[None, Some("cat")] };
    one.write(&all_but(&[], &[]));
    let (error, code) = refused(&[&one.root], None);
    assert!(error.contains("(out, cat): say which one with --name"), "{error}");
    assert_eq!(code, ExitCode::Usage);
    let (error, _) = refused(&[&one.root], Some("dog"));
    assert!(error.contains("no product called dog: there is out, cat"), "{error}");
    for (name, made) in [("cat", Some("cat")), ("out", None)] {
        let listed = listed(&[&one.root], Some(name), false).unwrap();
        let paths: Vec<PathBuf> = listed.entries.iter().map(|entry| entry.path.into()).collect();
        assert_eq!(paths, [0, 1, 2, 3, 4, 5].map(|index| one.product(index, made)));
    }
}

#[test]
fn several_runs_are_joined_as_merge_joins_them() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| StageOne { root: folder.path().join(name), names: &[None] });
    one.write(&all_but(&[1, 2], &[]));
    two.write(&all_but(&[2, 5], &[]));
    let listed = listed(&[&one.root, &two.root], None, false).unwrap();
    let paths: Vec<PathBuf> = listed.entries.iter().map(|entry| entry.path.into()).collect();
    // The later one counts where both are ok, and the one that is ok where the other is not.
    let expected =
        [one.product(5, None)].into_iter().chain([0, 1, 3, 4].map(|index| two.product(index, None)));
    assert_eq!(paths, expected.collect::<Vec<_>>());
}

#[test]
fn a_product_that_is_gone_is_named_with_what_makes_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let one = StageOne { root: folder.path().join("one"), names: &[None] };
    one.write(&all_but(&[], &[]));
    std::fs::remove_file(one.product(3, None)).unwrap();
    let (error, code) = refused(&[&one.root], None);
    assert_eq!(code, ExitCode::Incomplete);
    let named = format!("such as {}", one.product(3, None).display());
    assert!(error.contains(&named) && error.contains("canfar-run resume"), "{error}");
    assert_eq!(indices(&listed(&[&one.root], None, true).unwrap()), [0, 1, 2, 4, 5].into());
    let two = StageOne { root: folder.path().join("two"), names: &[None] };
    // What is ok in both counts as the second one made it.
    two.write(&all_but(&[3], &[]));
    std::fs::remove_file(two.product(1, None)).unwrap();
    let (error, _) = refused(&[&one.root, &two.root], None);
    for run in [&one.root, &two.root] {
        assert!(error.contains(&format!("`canfar-run resume {}`", run.display())), "{error}");
    }
}

#[test]
fn what_has_no_products_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = StageOne { root: folder.path().join("one"), names: &[] };
    one.write(&all_but(&[], &[]));
    assert!(refused(&[&one.root], None).0.contains("begun without --product"));
    let one = StageOne { root: folder.path().join("two"), names: &[None] };
    one.write(&all_but(&[0, 1, 2, 3, 4, 5], &[]));
    assert!(refused(&[&one.root], None).0.contains("no file of"));
    std::fs::remove_file(Layout::new(&one.root).inputs()).unwrap();
    assert!(refused(&[&one.root], None).0.contains("no list of inputs"));
    assert!(refused(&[&folder.path().join("none")], None).0.contains("can't take the products of"));
}
