//! Files that are not there, and lists that are none.

use std::os::unix::fs::PermissionsExt;

use super::{all_are_refused, case};
use crate::support::Dir;

fn mode(dir: &Dir, name: &str, mode: u32) {
    std::fs::set_permissions(dir.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A folder for results that everybody may write to.
fn open(dir: &Dir) {
    std::fs::create_dir(dir.path("open")).unwrap();
    mode(dir, "open", 0o777);
}

#[test]
fn patterns_without_a_match() {
    all_are_refused(&[
        case(&["-i", "data/*.fit", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  data/*.fit
      nearest existing folder: [DIR]/data (3 entries: 000.fits, 001.fits, 002.fits)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "data/*.fits", "data/*.fit", "extra/*", "-o", "out", "--", "true"], "
canfar-run: error: 2 of 3 input patterns matched nothing:
  data/*.fit
      nearest existing folder: [DIR]/data (3 entries: 000.fits, 001.fits, 002.fits)
  extra/*
      nearest existing folder: [DIR] (2 entries: data, out)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "daten/obs/*.fits", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  daten/obs/*.fits
      nearest existing folder: [DIR] (2 entries: data, out)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "data/*.FITS", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  data/*.FITS
      nearest existing folder: [DIR]/data (3 entries: 000.fits, 001.fits, 002.fits)
      upper and lower case differ: there is 000.fits, 001.fits, 002.fits
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "data/003.fits", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  data/003.fits
      nearest existing folder: [DIR]/data (3 entries: 000.fits, 001.fits, 002.fits)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "'data/*.fits'", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  \"'data/*.fits'\"
      the quotes are part of it, since no shell removed them: write data/*.fits, which matches
      nearest existing folder: [DIR] (2 entries: data, out)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "data/000.fits data/00[12].fits", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  \"data/000.fits data/00[12].fits\"
      it is one argument with blanks in it, and parts of it match: quotes, a line break or a variable kept several together. Give them as separate arguments, or as a list in a job file
      nearest existing folder: [DIR]/data (3 entries: 000.fits, 001.fits, 002.fits)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "~/*.fits", "$HOME/*.fits", "-o", "out", "--", "true"], "
canfar-run: error: 2 of 2 input patterns matched nothing:
  ~/*.fits
      only a shell expands `~` and variables, and none has seen this: write the full path
      nearest existing folder: [DIR] (2 entries: data, out)
  $HOME/*.fits
      only a shell expands `~` and variables, and none has seen this: write the full path
      nearest existing folder: [DIR] (2 entries: data, out)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "*", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  *
      [DIR]/out is the results directory, which is never searched: give another --results-dir
      it matches 1 directory ([DIR]/data) and no file: add --type dir if these are the entries, or give */** for the files in them
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "data/*.fits", "--type", "dir", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  data/*.fits
      it matches 3 files (such as [DIR]/data/000.fits) and no directory: leave out --type dir
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"),
        case(&["-i", "my", "obs/*.fits", "-o", "out", "--", "true"], r#"
canfar-run: error: 2 of 2 input patterns matched nothing:
  my
      nearest existing folder: [DIR] (3 entries: data, "my obs", out)
      the launch may have split "my obs/*.fits" at a space: write `?` for the space, or give the path in a job file
  obs/*.fits
      nearest existing folder: [DIR] (3 entries: data, "my obs", out)
      the launch may have split "my obs/*.fits" at a space: write `?` for the space, or give the path in a job file
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
"#)
            .given(|dir| _ = dir.write("my obs/1.fits", "")),
        case(&["-i", "out/*", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  out/*
      [DIR]/out is the results directory, which is never searched: give another --results-dir
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
")
            .given(|dir| _ = dir.write("out/notes.txt", "")),
        case(&["-i", "data", "--exclude", "*.fits", "-o", "out", "--", "true"], "
canfar-run: error: everything that the input patterns matched (3 entries) was left out by --exclude *.fits: nothing is left to run
"),
        case(&["-i", "empty", "-o", "out", "--", "true"], "
canfar-run: error: the input pattern matched nothing:
  empty
      nearest existing folder: [DIR]/empty (it is empty)
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
")
            .given(|dir| std::fs::create_dir(dir.path("empty")).unwrap()),
    ]);
}

#[test]
fn folders_that_may_not_be_read() {
    all_are_refused(&[case(
        &["-i", "closed/*.fits", "-o", "open/out", "--", "true"],
        "
canfar-run: error: the input pattern matched nothing:
  closed/*.fits
      not allowed to read: [DIR]/closed
      nearest existing folder: [DIR]/closed (Permission denied (os error 13))
Every pattern must match something, or files would be missed silently; --allow-empty turns this check off.
",
    )
    .given(|dir| {
        dir.write("closed/1.fits", "");
        mode(dir, "closed", 0o000);
        open(dir);
    })
    .without_rights()]);
}

#[test]
fn no_input_at_all_or_twice() {
    all_are_refused(&[
        case(&["-o", "out", "--", "true"], "
canfar-run: error: no input: [DIR]/out has no list yet, so say which files with --input, --files-from, --table, --tasks or --input-from
"),
        case(&["-i", "data/*.fits", "--files-from", "list.txt", "-o", "out", "--", "true"], "
canfar-run: error: --input and --files-from each say what the tasks are: give one of them
"),
        case(&["-i", "data/*.fits", "--null", "-o", "out", "--", "true"], "
canfar-run: error: --null is for the list of --files-from, which is not given
"),
        case(&["--exclude", "*.tmp", "-o", "out", "--", "true"], "
canfar-run: error: --exclude needs --input: it leaves out some of what that finds
"),
        case(&["--files-from", "list.txt", "--exclude", "*.tmp", "-o", "out", "--", "true"], "
canfar-run: error: --exclude applies to patterns; with --files-from, leave the entries out of the list
"),
        case(&["-i", "data/*.fits", "", "-o", "out", "--", "true"], "
canfar-run: error: the argument after \"data/*.fits\" is empty: a launcher such as `canfar create` splits the command at every space, so two spaces in a row, or an unset variable, leave an empty argument. Write the command on one line, with single spaces. What arrived:

    canfar-run -i 'data/*.fits' '' -o out -- true
"),
        case(&["-i", "-o", "out", "--", "true"], "
canfar-run: error: a value is required for '--input <PATTERN>...' but none was supplied

For more information, try '--help'.
"),
    ]);
}

#[test]
fn lists_that_are_none() {
    let line: &[&str] = &["--files-from", "list.txt", "-o", "out", "--", "true"];
    all_are_refused(&[
        case(line, "
canfar-run: error: can't open the list [DIR]/list.txt (--files-from): No such file or directory (os error 2)
"),
        case(line, "
canfar-run: error: cannot read the list of entries [DIR]/list.txt: Is a directory (os error 21)
").given(|dir| std::fs::create_dir(dir.path("list.txt")).unwrap()),
        case(line, "
canfar-run: error: the list [DIR]/list.txt (--files-from) has no entries; give --allow-empty if that is right
").given(|dir| _ = dir.write("list.txt", "")),
        case(line, "
canfar-run: error: the list [DIR]/list.txt (--files-from) has no entries; give --allow-empty if that is right
").given(|dir| _ = dir.write("list.txt", "\n \n\t\n")),
        case(line, r"
canfar-run: error: line 1 of [DIR]/list.txt ends with a carriage return: the file has Windows line endings, which would become part of every name. Remove them (`tr -d '\r'`), or give --null and NUL-separated entries if they are meant
").given(|dir| _ = dir.write("list.txt", "a.fits\r\nb.fits\r\n")),
        case(line, "
canfar-run: error: line 1 of [DIR]/list.txt holds a NUL byte: give --null if its entries are NUL-separated
").given(|dir| _ = dir.write("list.txt", "a.fits\0b.fits\0")),
        case(&["--files-from", "-", "-o", "out", "--", "true"], "
canfar-run: error: the list standard input (--files-from) has no entries; give --allow-empty if that is right
"),
        case(&["--files-from", "list.txt", "-o", "open/out", "--", "true"], "
canfar-run: error: can't open the list [DIR]/list.txt (--files-from): Permission denied (os error 13)
")
            .given(|dir| {
                dir.write("list.txt", "a.fits\n");
                mode(dir, "list.txt", 0o000);
                open(dir);
            })
            .without_rights(),
        case(&["--files-from", "list.txt", "--strategy", "size", "-o", "out", "--", "true"], r#"
canfar-run: error: cannot tell the size of "HD 209458": No such file or directory (os error 2)
The strategy `size` needs the size of every entry; remove this one from the list or choose another strategy.
"#)
            .given(|dir| _ = dir.write("list.txt", "data/000.fits\nHD 209458\n")),
    ]);
}
