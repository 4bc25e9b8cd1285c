//! Conflicts between the paths of products, found before anything runs: two tasks with the same product, a product that is
//! an input, one product inside another.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::entries::Entries;
use crate::products::declared::{DeclaredProducts, ends_with_name};
use crate::products::real_places::{FolderLinks, RealPlaces};
use crate::text::seen_from;
use crate::units;

/// Why a run with these files and products can't be begun. Files and paths are as people are shown them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProductConflict {
    /// A path without placeholders, and more than one task.
    #[error(
        "--product {product} is the same for all {tasks} tasks, so they would overwrite each other's product: put a placeholder in it, as in --product {example}"
    )]
    Constant { product: String, tasks: usize, example: String },
    /// A path that ends with nothing, as `{rel}` of the root.
    #[error("{file} would make {path}, which does not end in a file name: give another --product")]
    Nameless { file: String, path: String },
    /// Two tasks with one product.
    #[error("{one} and {other} would both make {path}: tell them apart in --product, by {by} or {{index}}")]
    Shared { one: String, other: String, path: String, by: &'static str },
    /// Two products of one task.
    #[error("two products of {file} would both be {path}: give each --product another path")]
    Twice { file: String, path: String },
    /// A product that is an input, or has one in it.
    #[error("{maker} would make {path}, {}: give --product another place", if input == path { "which is an input".to_owned() } else { format!("in which the input {input} lies") })]
    Input { maker: String, path: String, input: String },
    /// A product that lies within another one.
    #[error("{inner} would make {path}, within {around}, which {outer} makes: give --product another place")]
    Within { inner: String, path: String, outer: String, around: String },
    /// A product in the results directory, or around it.
    #[error(
        "{file} would make {path}, and the results directory is {results_dir}: products and results can't be inside each other; give another --product or --results-dir"
    )]
    Results { file: String, path: String, results_dir: String },
}

/// Checks the products of all tasks, using 8 bytes for each.
///
/// # Errors
/// The first conflict.
pub fn check(
    declared: &DeclaredProducts,
    entries: &Entries,
    folder: &Path,
    results_dir: &Path,
) -> Result<(), ProductConflict> {
    if let Some(product) = declared.constant().filter(|_| entries.len() > 1) {
        let (product, example) = (units::path(product), declared.example());
        return Err(ProductConflict::Constant { product, tasks: entries.len(), example });
    }
    let real = RealPlaces::default();
    let tasks = Tasks { declared, entries, folder, real: &real };
    let results = Results::of(results_dir, &real);
    let mut hashes = Vec::with_capacity(entries.len() * declared.names().len());
    for (file, place) in tasks.products() {
        results.check(file, &place)?;
        hashes.push(hash(&place.real));
    }
    if hashes.is_empty() {
        return Ok(());
    }
    hashes.sort_unstable();
    let taken = TakenPlaces { tasks, hashes };
    taken.check_products()?;
    if declared.has_inputs() { taken.check_inputs() } else { Ok(()) }
}

/// A path, by the name that it was given and by its unique real name.
#[derive(Debug, Default)]
struct Place {
    named: PathBuf,
    real: PathBuf,
}

impl Place {
    /// The places that it lies in and the one `before` does not. A link on the way to it is one, too.
    fn new_folders(&self, before: &Self, real: &RealPlaces) -> Vec<PathBuf> {
        let around = new_folders(&self.real, &before.real).map(Path::to_owned);
        let on_the_way = new_folders(&self.named, &before.named).filter(|_| self.named != self.real);
        around.chain(on_the_way.map(|folder| real.place(folder))).collect()
    }
}

/// Where the results go.
struct Results<'a> {
    named: &'a Path,
    real: PathBuf,
    /// This, and all that it lies in.
    with_folders: HashSet<PathBuf>,
}

impl<'a> Results<'a> {
    fn of(named: &'a Path, real: &RealPlaces) -> Self {
        let place = Place { named: named.to_owned(), real: real.folder(named) };
        let around = place.new_folders(&Place::default(), real);
        let with_folders = around.into_iter().chain([real.place(named), place.real.clone()]).collect();
        Self { named, real: place.real, with_folders }
    }

    /// Refuses a product that is invalid by itself.
    fn check(&self, file: &OsStr, place: &Place) -> Result<(), ProductConflict> {
        if !ends_with_name(&place.named) {
            let [file, path] = [file, place.named.as_os_str()].map(units::path);
            return Err(ProductConflict::Nameless { file, path });
        }
        if place.real.starts_with(&self.real) || self.with_folders.contains(&place.real) {
            let [file, path, results_dir] =
                [file, place.real.as_os_str(), self.named.as_os_str()].map(units::path);
            return Err(ProductConflict::Results { file, path, results_dir });
        }
        Ok(())
    }
}

/// All tasks and what they make.
#[derive(Debug, Clone, Copy)]
struct Tasks<'a> {
    declared: &'a DeclaredProducts,
    entries: &'a Entries,
    /// Where the run is begun.
    folder: &'a Path,
    real: &'a RealPlaces,
}

impl<'a> Tasks<'a> {
    /// Every product with the file that it is made of, in the order of the list.
    fn products(self) -> impl Iterator<Item = (&'a OsStr, Place)> {
        self.entries.iter().zip(0..).flat_map(move |(entry, index)| {
            let paths = self.declared.paths(entry, index);
            paths.into_iter().map(move |path| (entry.path, self.place(path)))
        })
    }

    fn place(self, named: PathBuf) -> Place {
        Place { real: self.real.place(&named), named }
    }

    /// The number of the product that has the real place `path`, but for this one, and the file of which it is made.
    fn maker(self, path: &Path, but: Option<usize>) -> Option<(usize, &'a OsStr)> {
        let mut products = self.products().enumerate();
        let found = products.find(|(number, (_, place))| place.real == path && Some(*number) != but);
        found.map(|(number, (file, _))| (number, file))
    }

    /// Why two products can't have one place, each with its number and the file of which it is made.
    fn shared(self, one: (usize, &OsStr), other: (usize, &OsStr), path: &Path) -> ProductConflict {
        let index = |number: usize| number / self.declared.names().len();
        let path = units::path(path);
        if index(one.0) == index(other.0) {
            return ProductConflict::Twice { file: units::path(one.1), path };
        }
        // Rows may be called alike.
        let named = |(number, file): (usize, &OsStr)| match units::path(file) {
            file if one.1 == other.1 => format!("{file} (index {})", index(number)),
            file => file,
        };
        let by = if self.declared.has_inputs() {
            "{rel} (the path below the pattern's fixed part)"
        } else {
            "another column"
        };
        ProductConflict::Shared { one: named(one), other: named(other), path, by }
    }
}

/// Where products go.
#[derive(Debug)]
struct TakenPlaces<'a> {
    tasks: Tasks<'a>,
    /// Of their paths, sorted. Whether a path is among them is found out only where its hash is.
    hashes: Vec<u64>,
}

impl<'a> TakenPlaces<'a> {
    /// The file that this is made from, if it is a product.
    fn maker(&self, path: &Path) -> Option<&'a OsStr> {
        self.hashes
            .binary_search(&hash(path))
            .ok()
            .and_then(|_| self.tasks.maker(path, None))
            .map(|(_, file)| file)
    }

    fn check_products(&self) -> Result<(), ProductConflict> {
        let repeated: HashSet<u64> =
            self.hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        let (tasks, mut before) = (self.tasks, Place::default());
        for (number, (file, place)) in tasks.products().enumerate() {
            let path = &*place.real;
            if repeated.contains(&hash(path))
                && let Some(other) = tasks.maker(path, Some(number))
            {
                return Err(tasks.shared((number, file), other, path));
            }
            for around in place.new_folders(&before, tasks.real) {
                if let Some(outer) = self.maker(&around) {
                    let [inner, path, outer, around] =
                        [file, path.as_os_str(), outer, around.as_os_str()].map(units::path);
                    return Err(ProductConflict::Within { inner, path, outer, around });
                }
            }
            before = place;
        }
        Ok(())
    }

    fn check_inputs(&self) -> Result<(), ProductConflict> {
        let (tasks, mut before, mut links) = (self.tasks, Place::default(), FolderLinks::default());
        for entry in tasks.entries.iter() {
            let input = tasks.place(seen_from(tasks.folder, entry.path).components().collect());
            // A link that is an input leads to another one.
            let target = links.target(&input.real);
            let led_to: Vec<PathBuf> =
                target.iter().flat_map(|target| target.ancestors()).map(Path::to_owned).collect();
            let own = std::iter::once(input.real.clone()).chain(input.new_folders(&before, tasks.real));
            for path in own.chain(led_to) {
                // An entry of a list may be a name that only looks like a path.
                if let Some(maker) = self.maker(&path).filter(|_| input.named.symlink_metadata().is_ok()) {
                    let led_to = target.as_ref().filter(|target| target.starts_with(&path));
                    let input = led_to.unwrap_or(&input.real);
                    let [maker, path, input] = [maker, path.as_os_str(), input.as_os_str()].map(units::path);
                    return Err(ProductConflict::Input { maker, path, input });
                }
            }
            before = input;
        }
        Ok(())
    }
}

/// The folders that a path lies in and the one `before` does not, from the innermost outwards.
fn new_folders<'p>(path: &'p Path, before: &Path) -> impl Iterator<Item = &'p Path> {
    let known = before.parent();
    let is_new = move |folder: &&Path| known.is_none_or(|known| !known.starts_with(folder));
    path.ancestors().skip(1).take_while(is_new)
}

fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(path.as_os_str().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::{ProductConflict, check};
    use crate::model::entries::{Entries, Entry};
    use crate::products::declared::DeclaredProducts;
    use crate::record::inputs::{DeclaredProduct, InputSpec};

    /// Looks at a run that was begun in `folder`, with results in /r.
    fn looked_at(products: &[&str], files: &[&str], folder: &Path) -> Result<(), ProductConflict> {
        looked_at_with(products, files, folder, Path::new("/r"))
    }

    fn looked_at_with(
        products: &[&str],
        files: &[&str],
        folder: &Path,
        results_dir: &Path,
    ) -> Result<(), ProductConflict> {
        let declare = |path: &&str| DeclaredProduct { name: None, path: OsStr::new(path).into() };
        let declared: Vec<_> = products.iter().map(declare).collect();
        let source = InputSpec::List { file: "-".into(), null: false };
        let declared = DeclaredProducts::new(&declared, &source, folder).unwrap();
        let entries = Entries::of(files.iter().map(|file| Entry::of(*file))).unwrap();
        check(&declared, &entries, folder, results_dir)
    }

    fn message(products: &[&str], files: &[&str]) -> String {
        looked_at(products, files, Path::new("/w"))
            .map_or_else(|conflict| conflict.to_string(), |()| String::new())
    }

    #[test]
    fn products_that_are_apart_are_fine() {
        assert_eq!(message(&[], &["a", "b"]), "");
        assert_eq!(message(&["all.cat"], &["a.fits"]), "");
        assert_eq!(message(&["c/{/:}.cat", "c/{/:}.png"], &["n/a.fits", "n/b.fits", "n/a.b.fits"]), "");
        assert_eq!(message(&["{/:}/{/:}.cat", "{/:}.png"], &["n/a.fits", "n/b.fits"]), "");
    }

    #[test]
    fn two_files_with_one_product_are_named() {
        let same = message(&["c/{/:}.cat"], &["n1/o.fits", "n2/x.fits", "n2/o.fits.gz"]);
        assert!(same.starts_with("n1/o.fits and n2/o.fits.gz would both make /w/c/o.cat: "), "{same}");
        let same = message(&["./c//{/:}.x", "/w/c/{/:}.x"], &["a.fits"]);
        assert!(same.starts_with("two products of a.fits would both be /w/c/a.x: "), "{same}");
        let all = message(&["all.cat"], &["a.fits", "b.fits"]);
        assert!(all.starts_with("--product all.cat is the same for all 2 tasks"), "{all}");
    }

    #[test]
    fn a_product_within_another_is_an_error_in_whatever_order() {
        for files in [["d/x", "d"], ["d", "d/x"]] {
            let within = message(&["o/{}"], &files);
            assert!(
                within.starts_with("d/x would make /w/o/d/x, within /w/o/d, which d makes: "),
                "{within}"
            );
        }
        let within = message(&["{/:}.ms", "{/:}.ms/t"], &["a.fits", "b.fits"]);
        assert!(within.starts_with("a.fits would make /w/a.ms/t, within /w/a.ms, which a.fits"), "{within}");
    }

    #[test]
    fn a_product_does_not_replace_an_input_or_results() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("n")).unwrap();
        std::fs::write(folder.path().join("n/a.fits"), "x").unwrap();
        let replaces = |product: &str, file: &str| looked_at(&[product], &[file], folder.path());
        assert!(
            matches!(replaces("n/{/}", "n/a.fits"), Err(ProductConflict::Input { path, input, .. }) if path == input)
        );
        let around = replaces("{//}", "n/a.fits");
        assert!(
            matches!(around, Err(ProductConflict::Input { path, input, .. }) if input == format!("{path}/a.fits"))
        );
        assert_eq!(replaces("{}", "M 31"), Ok(()));
        for results in ["/r/{/:}.cat", "/r", "/../r/x", "../r/{/:}.cat"] {
            let told = message(&[results], &["a.fits"]);
            assert!(told.contains("the results directory is /r"), "{told}");
        }
        assert!(message(&["c/{/}"], &[".."]).contains("does not end in a file name"));
        assert!(message(&["c/{/}"], &["."]).contains("does not end in a file name"));
    }

    #[test]
    fn one_place_by_two_names_is_one() {
        let same = message(&["{//}/../cat/{/:}.cat"], &["n1/a.fits", "n2/a.fits"]);
        assert!(same.starts_with("n1/a.fits and n2/a.fits would both make /w/cat/a.cat: "), "{same}");
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("arc/raw")).unwrap();
        std::fs::create_dir(root.join("arc/results")).unwrap();
        std::fs::write(root.join("arc/raw/a.fits"), "x").unwrap();
        symlink("arc", root.join("u")).unwrap();
        let root = root.to_str().unwrap();
        let at = |products: &[&str], files: &[&str]| {
            let results = format!("{root}/u/results");
            looked_at_with(products, files, &Path::new(root).join("arc"), Path::new(&results))
                .map_err(|conflict| conflict.to_string().replace(root, ""))
                .map_or_else(|told| told, |()| String::new())
        };
        let alias = |path: &str| format!("{root}/u/{path}");
        let input = at(&["raw/{/}"], &[&alias("raw/a.fits")]);
        assert!(
            input.starts_with("/u/raw/a.fits would make /arc/raw/a.fits, which is an input: "),
            "{input}"
        );
        let around = at(&["{/:}", &alias("raw")], &[&alias("raw/a.fits")]);
        assert!(around.contains("/arc/raw, in which the input /arc/raw/a.fits lies"), "{around}");
        symlink("raw/a.fits", Path::new(root).join("arc/link.fits")).unwrap();
        let led_to = at(&["raw/a.fits"], &["link.fits"]);
        assert!(led_to.starts_with("link.fits would make /arc/raw/a.fits, which is an input: "), "{led_to}");
        let around = at(&["raw"], &["link.fits"]);
        assert!(around.contains("/arc/raw, in which the input /arc/raw/a.fits lies"), "{around}");
        // The link would be replaced by which the input is reached.
        let link = at(&["../u"], &[&alias("raw/a.fits")]);
        assert!(link.contains("would make /u, "), "{link}");
        let same = at(&["{//}/../c/{/}"], &[&alias("b/a.fits"), "d/a.fits"]);
        assert!(same.starts_with("/u/b/a.fits and d/a.fits would both make /arc/c/a.fits: "), "{same}");
        let twice = at(&["c/{/}", &alias("c/{/}")], &["a.fits"]);
        assert!(twice.starts_with("two products of a.fits would both be /arc/c/a.fits: "), "{twice}");
        let within = at(&["c/{/:}", &alias("c/{/:}/t")], &["a.fits"]);
        assert!(within.starts_with("a.fits would make /arc/c/a/t, within /arc/c/a, which "), "{within}");
        let results = at(&["results/{/}"], &["raw/a.fits"]);
        assert!(
            results.contains("make /arc/results/a.fits, and the results directory is /u/results"),
            "{results}"
        );
        assert_eq!(at(&[&alias("cat/{/:}.cat"), "img/{/:}.png"], &["raw/a.fits", "raw/b.fits"]), "");
    }
}
