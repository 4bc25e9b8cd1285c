//! What the search does beyond Python's glob: what it leaves out, what it refuses, and how it explains an empty answer.

#![expect(clippy::unwrap_used, reason = "what a test needs and can't have is a failure")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use canfar_run::testing::{DiscoverError, EntryType, Found, Note, OsText, Search, find};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

/// A folder with files, and a search in it.
struct Place {
    temporary: TempDir,
    root: PathBuf,
    exclude: Vec<OsText>,
    entry_type: EntryType,
    allow_empty: bool,
}

impl Place {
    fn with(files: &[&str]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        for file in files {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), "").unwrap();
        }
        Self { temporary, root, exclude: Vec::new(), entry_type: EntryType::File, allow_empty: false }
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn exclude(mut self, patterns: &[&str]) -> Self {
        self.exclude = patterns.iter().map(OsText::from).collect();
        self
    }

    fn directories(mut self) -> Self {
        self.entry_type = EntryType::Dir;
        self
    }

    fn allow_empty(mut self) -> Self {
        self.allow_empty = true;
        self
    }

    fn ask(&mut self, patterns: &[&str]) -> Result<Found, DiscoverError> {
        self.ask_while(patterns, &|| true)
    }

    fn ask_while(
        &self,
        patterns: &[&str],
        keep_going: &(dyn Fn() -> bool + Sync),
    ) -> Result<Found, DiscoverError> {
        let patterns: Vec<OsText> = patterns.iter().map(OsText::from).collect();
        let search = Search {
            patterns: &patterns,
            exclude: &self.exclude,
            entry_type: self.entry_type,
            allow_empty: self.allow_empty,
            cwd: &self.root,
            results_dir: Path::new("results"),
        };
        find(&search, keep_going)
    }

    /// The paths found, below the root.
    fn found(&mut self, patterns: &[&str]) -> Vec<String> {
        let found = self.ask(patterns).unwrap();
        let below = |path: &Path| path.strip_prefix(self.root()).unwrap().to_str().unwrap().to_owned();
        found.entries.iter().map(|entry| below(Path::new(entry.path))).collect()
    }

    /// The error's text, with the root shortened.
    fn refused(&mut self, patterns: &[&str]) -> String {
        let text = self.ask(patterns).unwrap_err().to_string();
        text.replace(self.root().to_str().unwrap(), "/data")
    }
}

const NIGHTS: &[&str] =
    &["night1/a.fits", "night1/b.fits", "night2/a.fits", "night2/old/c.fits", "night2/.hidden.fits"];

#[test]
fn overlapping_patterns_give_each_path_once_in_the_order_of_bytes() {
    let mut place = Place::with(&["a/x", "a-b", "a0", "B"]);
    let again = place.root().join("./a//x").into_os_string().into_string().unwrap();
    assert_eq!(place.found(&["a*", "**", "./a/../a0", &again]), ["B", "a-b", "a/../a0", "a/x", "a0"]);
}

#[test]
fn a_plain_directory_means_the_files_below_it_that_are_not_hidden() {
    assert_eq!(Place::with(NIGHTS).found(&["night2/"]), ["night2/a.fits", "night2/old/c.fits"]);
    assert_eq!(Place::with(NIGHTS).directories().found(&["night2/"]), ["night2"]);
}

#[test]
fn an_argument_that_exists_but_would_not_match_itself_is_that_path() {
    let mut place = Place::with(&["obs[1].fits", "obs1.fits", "run[2]/x.fits"]);
    assert_eq!(place.found(&["obs[1].fits", "run[2]"]), ["obs[1].fits", "run[2]/x.fits"]);
    let notes = place.ask(&["obs[1].fits"]).unwrap().notes;
    assert_eq!(notes, [Note::TakenAsPath("obs[1].fits".into())]);
    assert_eq!(place.found(&["obs[1]*"]), ["obs1.fits"]);
}

#[test]
fn the_results_directory_is_never_entered_and_never_an_entry() {
    let files = ["a.fits", "results/b.fits", "results/sub/c.fits", "sub/results/d.fits"];
    let mut place = Place::with(&files);
    symlink("results", place.root().join("link")).unwrap();
    let all = ["a.fits", "sub/results/d.fits"];
    assert_eq!(place.found(&["**"]), all);
    assert_eq!(place.found(&["**/*.fits"]), all);
    assert_eq!(place.found(&["."]), all);
    assert_eq!(place.found(&["*", "*/results/*"]), all);
    let mut place = place.directories();
    assert_eq!(place.found(&["*", "*/"]), ["sub"]);
    let mut place = place.allow_empty();
    for inside in [
        "results",
        "results/",
        "results/*",
        "link/*",
        "link",
        "results/sub/../*",
        "./*/../results/*",
        "l*/sub",
    ] {
        assert_eq!(place.found(&[inside]), [""; 0], "{inside}");
    }
}

#[test]
fn a_pattern_into_the_results_directory_is_refused_with_the_reason() {
    insta::assert_snapshot!(Place::with(&["results/a.json"]).refused(&["results/*.json"]), @r"
    the input pattern matched nothing:
      results/*.json
          /data/results is the results directory, which is never searched: give another --results-dir
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
}

#[test]
fn excluded_names_go_with_all_that_is_below_them() {
    let with = |exclude: &[&str]| Place::with(NIGHTS).exclude(exclude).found(&["**/*.fits"]);
    assert_eq!(with(&["old"]), ["night1/a.fits", "night1/b.fits", "night2/a.fits"]);
    assert_eq!(with(&["old/", "b.*"]), ["night1/a.fits", "night2/a.fits"]);
    assert_eq!(with(&["night2/*.fits"]), ["night1/a.fits", "night1/b.fits", "night2/old/c.fits"]);
    assert_eq!(with(&["**/old/**", "./night1"]), ["night2/a.fits"]);
    assert_eq!(with(&["a.fits/", "night"]).len(), 4);
}

#[test]
fn a_base_name_in_the_fixed_part_excludes_nothing() {
    let mut place = Place::with(NIGHTS).exclude(&["night*"]);
    assert_eq!(place.found(&["night1/*.fits"]), ["night1/a.fits", "night1/b.fits"]);
    assert_eq!(place.found(&["night1/a.fits"]), ["night1/a.fits"]);
    let whole = place.root().join("night1").into_os_string().into_string().unwrap();
    let mut place = place.exclude(&[&whole]);
    assert_eq!(
        place.found(&["night1/*.fits", "night1/a.fits", "night1", "night2/*.fits"]),
        ["night2/a.fits"]
    );
}

#[test]
fn an_excluded_directory_is_not_even_opened() {
    let place = Place::with(NIGHTS).exclude(&["night2"]);
    let asked = AtomicUsize::new(0);
    place.ask_while(&["*/**"], &|| asked.fetch_add(1, Ordering::Relaxed) < 100).unwrap();
    assert_eq!(asked.into_inner(), 3, "the start, the root and night1");
}

#[test]
fn alternatives_exclude_and_what_looks_like_plain_braces_is_told_of() {
    let found = Place::with(NIGHTS).exclude(&["{a,c}.fits"]).ask(&["**/*.fits"]).unwrap();
    assert_eq!((found.entries.len(), found.notes.len()), (1, 0));
    let found = Place::with(NIGHTS).exclude(&["{a}.fits"]).ask(&["**/*.fits"]).unwrap();
    insta::assert_snapshot!(found.notes[0], @r"--exclude {a}.fits: {a,b} means a or b, and a backslash makes the next character literal. Earlier versions took both literally: for that, write [{] and \\");
    let plain = Place::with(NIGHTS).exclude(&["[ac].fits"]).ask(&["**/*.fits"]).unwrap();
    assert_eq!((plain.entries.len(), plain.notes.len()), (1, 0));
}

#[test]
fn what_another_pattern_lists_or_an_exclude_leaves_out_is_no_near_miss() {
    let files = ["data/a.fits", "data/B.FITS", "data/C.FITS"];
    let notes = |exclude: &[&str], patterns: &[&str]| {
        Place::with(&files).exclude(exclude).ask(patterns).unwrap().notes.len()
    };
    assert_eq!(notes(&[], &["data/*.fits"]), 1);
    assert_eq!(notes(&[], &["data/*.fits", "data/*.FITS"]), 0);
    assert_eq!(notes(&[], &["data/./*.fits", "./data/*.FITS"]), 0);
    assert_eq!(notes(&["*.FITS"], &["data/*.fits"]), 0);
    assert_eq!(notes(&["B.*"], &["data/*.fits"]), 1);
}

#[test]
fn a_pattern_whose_matches_were_all_excluded_has_matched() {
    let mut place = Place::with(NIGHTS).exclude(&["old", "b.fits"]);
    assert_eq!(place.found(&["night1/*", "night2/**/c.fits", "*/b.fits"]), ["night1/a.fits"]);
}

#[test]
fn a_pattern_that_would_match_nothing_in_excluded_directories_either_is_refused() {
    let mut place = Place::with(NIGHTS).exclude(&["old"]);
    insta::assert_snapshot!(place.refused(&["night1/*", "night2/**/d.fits"]), @r"
    1 of 2 input patterns matched nothing:
      night2/**/d.fits
          nearest existing folder: /data/night2 (3 entries: a.fits, old, .hidden.fits)
          1 directory was left out by --exclude, but holds no match either
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
}

#[test]
fn a_list_that_is_empty_after_excluding_is_an_error_of_its_own() {
    let mut place = Place::with(NIGHTS).exclude(&["*.fits"]);
    insta::assert_snapshot!(place.refused(&["night*/*.fits"]), @"everything that the input patterns matched (3 entries) was left out by --exclude *.fits: nothing is left to run");
    let found = place.allow_empty().ask(&["night*/*.fits"]).unwrap();
    assert_eq!((found.entries.len(), found.notes), (0, vec![Note::AllExcluded]));
}

#[test]
fn every_pattern_without_a_match_is_named() {
    insta::assert_snapshot!(Place::with(NIGHTS).refused(&["night1/*.fit", "night1/*", "night9/*.fits", "NIGHT1/*.fits"]), @r"
    3 of 4 input patterns matched nothing:
      night1/*.fit
          nearest existing folder: /data/night1 (2 entries: a.fits, b.fits)
      night9/*.fits
          nearest existing folder: /data (2 entries: night1, night2)
      NIGHT1/*.fits
          nearest existing folder: /data (2 entries: night1, night2)
          upper and lower case differ: there is night1
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
}

#[test]
fn a_long_list_of_missing_files_is_cut() {
    let patterns: Vec<String> = (0..500).map(|number| format!("gone{number}.fits")).collect();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let refused = Place::with(NIGHTS).refused(&patterns);
    assert!(refused.starts_with("500 of 500 input patterns matched nothing:\n  gone0.fits\n"), "{refused}");
    assert!(refused.contains("\n  ... and 480 more\n"), "{refused}");
}

#[test]
fn directories_in_place_of_files_are_explained() {
    insta::assert_snapshot!(Place::with(NIGHTS).refused(&["night*"]), @r"
    the input pattern matched nothing:
      night*
          it matches 2 directories (such as /data/night1) and no file: add --type dir if these are the entries, or give night*/** for the files in them
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
    insta::assert_snapshot!(Place::with(NIGHTS).directories().refused(&["night1/*"]), @r"
    the input pattern matched nothing:
      night1/*
          it matches 2 files (such as /data/night1/a.fits) and no directory: leave out --type dir
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
}

#[test]
fn things_that_are_no_files_are_explained() {
    let mut place = Place::with(&[]);
    symlink("nowhere", place.root().join("l.fits")).unwrap();
    mknodat(CWD, place.root().join("p.fits"), FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    insta::assert_snapshot!(place.refused(&["*.fits", "p.fits", "l.fits"]), @r"
    3 of 3 input patterns matched nothing:
      *.fits
          it matches only 2 things of other kinds, such as /data/l.fits, which is a dangling link
      p.fits
          it matches only /data/p.fits, which is a FIFO
      l.fits
          it matches only /data/l.fits, which is a dangling link
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    ");
}

#[test]
fn a_path_that_the_launch_split_at_its_space_is_recognised() {
    let mut place = Place::with(&["my data/x.fits", "two  spaces.fits"]);
    insta::assert_snapshot!(place.refused(&["my", "data/*.fits", "two", "", "spaces.fits"]), @r#"
    5 of 5 input patterns matched nothing:
      my
          nearest existing folder: /data (2 entries: "my data", "two  spaces.fits")
          the launch may have split "my data/*.fits" at a space: write `?` for the space, or give the path in a job file
      data/*.fits
          nearest existing folder: /data (2 entries: "my data", "two  spaces.fits")
          the launch may have split "my data/*.fits" at a space: write `?` for the space, or give the path in a job file
      two
          nearest existing folder: /data (2 entries: "my data", "two  spaces.fits")
          the launch may have split "two  spaces.fits" at a space: write `?` for the space, or give the path in a job file
      ""
          an empty argument: two spaces in a row become one when the launcher splits at every space
          the launch may have split "two  spaces.fits" at a space: write `?` for the space, or give the path in a job file
      spaces.fits
          nearest existing folder: /data (2 entries: "my data", "two  spaces.fits")
          the launch may have split "two  spaces.fits" at a space: write `?` for the space, or give the path in a job file
    Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
    "#);
}

#[test]
fn with_allow_empty_a_pattern_without_a_match_is_a_note() {
    let found = Place::with(NIGHTS).allow_empty().ask(&["night1/*", "gone/*"]).unwrap();
    assert_eq!(found.entries.len(), 2);
    assert_eq!(found.notes, [Note::MatchedNothing("gone/*".into())]);
}

#[test]
fn a_link_back_is_not_entered_but_is_an_entry() {
    let mut place = Place::with(&["a/b/x.fits"]);
    symlink("..", place.root().join("a/b/up")).unwrap();
    symlink(place.root(), place.root().join("a/root")).unwrap();
    assert_eq!(place.found(&["**/*.fits"]), ["a/b/x.fits"]);
    assert_eq!(place.found(&["a/**", "a/b/**"]), ["a/b/x.fits"]);
    assert_eq!(place.directories().found(&["**"]), ["a", "a/b", "a/b/up", "a/root"]);
}

#[test]
fn the_search_stops_when_it_is_told_to() {
    let place = Place::with(NIGHTS);
    let asked = AtomicUsize::new(0);
    let error = place.ask_while(&["**/*.fits"], &|| asked.fetch_add(1, Ordering::Relaxed) < 2).unwrap_err();
    assert!(matches!(error, DiscoverError::Stopped));
    drop(place.temporary);
}
