//! Tables that can't be used, and `--table` and `--tasks` used wrongly.

use super::{Case, all_are_refused, case};
use crate::support::Dir;

/// A run of the rows of `t.csv`, which has this text.
macro_rules! of_table {
    ($text:expr, $said:expr) => {
        case(&["--table", "t.csv", "-o", "out", "--", "true"], $said).given(|dir| table(dir, $text))
    };
}

fn table(dir: &Dir, text: impl AsRef<[u8]>) {
    dir.write("t.csv", text);
}

/// With these arguments, beside a table of three columns, this is said.
fn beside(args: &'static [&'static str], said: &'static str) -> Case {
    case(args, said).given(|dir| table(dir, "name,seed,alpha\na,1,0.5\nb,2,0.5\n"))
}

#[test]
fn tables_that_are_broken() {
    all_are_refused(&[
        of_table!("a,b\n1,2\n3\n", "
canfar-run: error: [DIR]/t.csv:3: this row has 1 field, and the header 2 fields: fill in what is missing (a cell may be empty)
"),
        of_table!("a,b\n1,2,3\n", "
canfar-run: error: [DIR]/t.csv:2: this row has 3 fields, and the header 2 fields: put a cell with the delimiter in it in quotes (\"a,b\")
"),
        of_table!("index,b\n1,2\n", "
canfar-run: error: [DIR]/t.csv:1: column 1 is called `index`, which is a placeholder of every run: give it another name
"),
        of_table!("a,canfar_run\n1,2\n", "
canfar-run: error: [DIR]/t.csv:1: column 2 is called `canfar_run`, which is canfar-run's own key in a record: give it another name
"),
        of_table!("a,b,a\n1,2,3\n", "
canfar-run: error: [DIR]/t.csv:1: columns 1 and 3 are both called `a`: give each its own name
"),
        of_table!("", "
canfar-run: error: the table [DIR]/t.csv is empty: it begins with a line of column names, and has a row for each task
"),
        of_table!("a,b\n", "
canfar-run: error: the table [DIR]/t.csv (--table) has no rows below its column names; give --allow-empty if that is right
"),
        of_table!("a,b\n1,\"2\n3,4\n", "
canfar-run: error: [DIR]/t.csv:2: the quote that begins here is never closed: add the closing one, or write a quote in a cell twice (\"\")
"),
        of_table!(b"a\n\xe9\n", "
canfar-run: error: [DIR]/t.csv:2: this line is not UTF-8: save the table as UTF-8 (`iconv -f latin1 -t UTF-8 FILE > NEW`, if it is Latin-1)
"),
    ]);
}

#[test]
fn tables_that_are_used_wrongly() {
    all_are_refused(&[
        beside(&["--table", "t.csv", "-i", "data/*.fits", "-o", "out", "--", "true"], "
canfar-run: error: --input and --table each say what the tasks are: give one of them
"),
        beside(&["--table", "t.csv", "--tasks", "2", "-o", "out", "--", "true"], "
canfar-run: error: --table and --tasks each say what the tasks are: give one of them
"),
        beside(&["--table", "t.csv", "-o", "out", "--", "echo", "{rel}"], "
canfar-run: error: {rel} is a path below a pattern, and the tasks of --table and --tasks have none: {index}, or a column of the table, tells them apart. The text {rel} is written {{rel}}
"),
        beside(&["--table", "params.txt", "-o", "out", "--", "true"], "
canfar-run: error: --table params.txt: the extension says how a table is written, and this one is none of .csv, .tsv, .ecsv and .jsonl: rename the file, or read it from standard input (--table - < params.txt)
"),
        beside(&["--table", "none.csv", "-o", "out", "--", "true"], "
canfar-run: error: can't read the table [DIR]/none.csv (--table): No such file or directory (os error 2)
"),
        beside(&["--table", "t.csv", "--strategy", "size", "-o", "out", "--", "true"], "
canfar-run: error: --strategy size shares files out by their bytes, and the tasks of --table and --tasks have none: leave it out, or use --strategy stripe where neighbours take equally long
"),
        beside(&["--table", "t.csv", "--product", "sky/{nmae}.fits", "-o", "out", "--", "true"], "
canfar-run: error: --product sky/{nmae}.fits is the same for all 2 tasks, so they would overwrite each other's product: put a placeholder in it, as in --product out/{index}.fits; columns are {name} {seed} {alpha}
"),
        beside(&["--table", "t.csv", "--product", "sky/{alpha}.fits", "-o", "out", "--", "true"], "
canfar-run: error: a and b would both make [DIR]/sky/0.5.fits: tell them apart in --product, by another column or {index}
"),
        beside(&["--table", "t.csv", "--worker", "-o", "out", "--", "cat", "{seed}"], "
canfar-run: error: {seed} is something of one task, and a worker (--worker) is started before it is given any: take it out. The worker reads each task from its standard input, one request a line. {slot} and {replica} can be used
"),
        beside(&["--table", "t.csv", "-o", "out", "--shell", "echo '{seed}'"], "
canfar-run: error: in --shell: {seed} can't be used inside single quotes (line 1, column 7 of the shell command: echo '{seed}). Write b={seed} at the beginning and \"$b\" there, outside of the quotes; a program in the quotes takes it as an argument after them: sh -c '... \"$1\" ...' sh {seed}. The text {seed} is written {{seed}}
"),
    ]);
}

#[test]
fn numbers_of_tasks_that_are_none() {
    all_are_refused(&[
        case(&["--tasks", "0", "-o", "out", "--", "true"], "
canfar-run: error: invalid value '0' for '--tasks <N>': write how many tasks there are to be, from 1 to 100000000

For more information, try '--help'.
"),
        case(&["--tasks", "x", "-o", "out", "--", "true"], "
canfar-run: error: invalid value 'x' for '--tasks <N>': write how many tasks there are to be, from 1 to 100000000

For more information, try '--help'.
"),
        case(&["--tasks", "2", "-i", "data/*.fits", "-o", "out", "--", "true"], "
canfar-run: error: --input and --tasks each say what the tasks are: give one of them
"),
        case(&["--tasks", "2", "--exclude", "1", "-o", "out", "--", "true"], "
canfar-run: error: --exclude needs --input: it leaves out some of what that finds
"),
    ]);
}
