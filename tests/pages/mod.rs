//! The pages that people read: what they say to type is typed here, and what they say comes of it has to come.
//!
//! The blocks of a page run in order, in one folder of their own, which the page calls `/arc/projects/survey` or, on a laptop,
//! `/home/me/survey`. It begins with `data/`: twelve FITS images of which the seventh is cut short.
//!
//! - A block whose first line is a comment with a file name, `# analysis.py`, is saved under that name.
//! - `sh` is run by `sh -e`, and other `python` by `python3`. They have to exit 0, or as `<!-- exit code 1 -->` before them says.
//! - A `text`, `json` or `csv` block that is the next one is all that they print, on standard output and standard error. In it,
//!   `...` as a line is any lines, and `...` within a line any text. Times, memory, percentages, dates, versions, run ids,
//!   CPUs and tasks at a time count as equal, and so do blanks of any number.
//! - `<!-- not run: why -->` before a block leaves it out. Its `canfar create` lines are tried by `launch_path`.
//!
//! `CANFAR_RUN_TEST_UPDATE_PAGES=1` writes what was printed into the blocks that say something else.

mod compare;
mod links;
mod page;
mod reference;
mod world;

pub(crate) use page::{Block, Page};
pub(crate) use world::add_images;

/// A test for each page, and their list.
macro_rules! pages {
    ($($name:ident $path:literal)*) => {
        $(#[test] fn $name() { world::try_out($path); })*
        const TRIED_OUT: &[&str] = &[$($path),*];
    };
}

pages! {
    readme "README.md"
    your_script "docs/how-to/your-script.md"
    canfar "docs/how-to/canfar.md"
    clusters "docs/how-to/clusters.md"
    image "docs/how-to/image.md"
    finish_a_run "docs/how-to/finish-a-run.md"
    results "docs/how-to/results.md"
    check_the_shares "docs/how-to/check-the-shares.md"
    job_file "docs/how-to/job-file.md"
    products "docs/how-to/products.md"
    two_stages "docs/how-to/two-stages.md"
    simulations "docs/how-to/simulations.md"
    command_line "docs/reference/command-line.md"
    placeholders "docs/reference/placeholders.md"
    tables "docs/reference/tables.md"
    environment "docs/reference/environment.md"
    job_files "docs/reference/job-file.md"
    results_directory "docs/reference/results-directory.md"
    merge "docs/reference/merge.md"
    status "docs/reference/status.md"
    workers "docs/reference/workers.md"
    exit_codes "docs/reference/exit-codes.md"
}

/// Pages that say what to do and what comes of it.
pub(crate) fn instructions() -> Vec<Page> {
    TRIED_OUT.iter().map(|path| Page::read(path)).collect()
}

#[test]
fn every_page_of_instructions_is_tried_out() {
    let is_instruction =
        |path: &String| ["docs/how-to/", "docs/reference/"].iter().any(|folder| path.starts_with(folder));
    let forgotten: Vec<String> = Page::paths()
        .into_iter()
        .filter(is_instruction)
        .filter(|path| !TRIED_OUT.contains(&path.as_str()))
        .collect();
    assert!(forgotten.is_empty(), "not in the list of tests/pages/mod.rs: {forgotten:?}");
}

#[test]
fn the_readme_is_read_in_ten_minutes() {
    let words = Page::read("README.md").text.split_whitespace().count();
    assert!(words <= 1500, "README.md has {words} words; docs/ has room for more");
}
