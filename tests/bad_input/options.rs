//! Values that no option takes, and options that there are not.

use super::{all_are_refused, case};

#[test]
fn values_that_an_option_does_not_take() {
    all_are_refused(&[
        case(&["--strategy", "chunks", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'chunks' for '--strategy <NAME>'
  [possible values: even, chunk, stripe, size]

  tip: a similar value exists: 'chunk'

For more information, try '--help'.
"),
        case(&["--jobs", "0", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '0' for '--jobs <N|auto>': 0 would never run anything; write a number from 1, or auto

For more information, try '--help'.
"),
        case(&["--jobs", "-2", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '-2' for '--jobs <N|auto>': write a number from 1, or auto

For more information, try '--help'.
"),
        case(&["--jobs", "many", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'many' for '--jobs <N|auto>': write a number from 1, or auto

For more information, try '--help'.
"),
        case(&["--jobs", "40960", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '40960' for '--jobs <N|auto>': more than 4096 at a time are not supported

For more information, try '--help'.
"),
        case(&["--threads", "0", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '0' for '--threads <N|auto|inherit>': write a number from 1, auto or inherit

For more information, try '--help'.
"),
        case(&["--memory-per-task", "4", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '4' for '--memory-per-task <SIZE>': that is 4 bytes; give the unit, too, such as 4G

For more information, try '--help'.
"),
        case(&["--timeout", "0", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '0' for '--timeout <DURATION>': 0 would stop every task at once; leave the option out for no limit

For more information, try '--help'.
"),
        case(&["--takeover-after", "900ms", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '900ms' for '--takeover-after <DURATION>': at least 1s: a live replica may miss heartbeats for shorter times

For more information, try '--help'.
"),
        case(&["--timeout", "2 fortnights", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '2 fortnights' for '--timeout <DURATION>': write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms

For more information, try '--help'.
"),
        case(&["--grace=-1", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '-1' for '--grace <DURATION>': write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms

For more information, try '--help'.
"),
        case(&["--retries", "few", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'few' for '--retries <N>': write a whole number from 0

For more information, try '--help'.
"),
        case(&["--max-failures", "101%", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '101%' for '--max-failures <auto|none|N|N%>': write auto, none, a number, or a percentage such as 10%

For more information, try '--help'.
"),
        case(&["--max-failures", "some", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'some' for '--max-failures <auto|none|N|N%>': write auto, none, a number, or a percentage such as 10%

For more information, try '--help'.
"),
        case(&["--max-result", "lots", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'lots' for '--max-result <SIZE>': write a number of bytes, or one with K, M, G or T, such as 4G (4 GiB)

For more information, try '--help'.
"),
        case(&["--max-result", "0", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '0' for '--max-result <SIZE>': 0 leaves no room for any result; write --result none to have none

For more information, try '--help'.
"),
        case(&["--max-result", "2G", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '2G' for '--max-result <SIZE>': at most 1G; write large products to files and return their names

For more information, try '--help'.
"),
        case(&["--memory-per-task", "much", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'much' for '--memory-per-task <SIZE>': write a number of bytes, or one with K, M, G or T, such as 4G (4 GiB)

For more information, try '--help'.
"),
        case(&["--memory-per-task", "0", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '0' for '--memory-per-task <SIZE>': 0 limits nothing; leave the option out to have memory measured

For more information, try '--help'.
"),
        case(&["--rerun", "sometimes", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'sometimes' for '--rerun <WHICH>'
  [possible values: failed, all, changed, never]

For more information, try '--help'.
"),
        case(&["--type", "link", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'link' for '--type <KIND>'
  [possible values: file, dir]

For more information, try '--help'.
"),
        case(&["--verbose=maybe", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value 'maybe' for '--verbose[=<BOOL>]': write true, false, 1 or 0

For more information, try '--help'.
"),
        case(&["-i", "data/*.fits", "-o", "", "--", "true"], "
canfar-run: error: the argument after \"-o\" is empty: a launcher such as `canfar create` splits the command at every space, so two spaces in a row, or an unset variable, leave an empty argument. Write the command on one line, with single spaces. What arrived:

    canfar-run -i 'data/*.fits' -o '' -- true
"),
    ]);
}

#[test]
fn options_that_there_are_not_or_that_do_not_go_together() {
    all_are_refused(&[
        case(&["--job", "4", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: unexpected argument '--job' found

  tip: a similar argument exists: '--jobs'

Usage: canfar-run [OPTIONS] --input PATTERN... --call FILE.py:FUNCTION
       canfar-run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...

For more information, try '--help'.
"),
        case(&["--input-files", "data/*.fits", "--", "true"], "
canfar-run: error: unexpected argument '--input-files' found

  tip: a similar argument exists: '--input'

Usage: canfar-run [OPTIONS] --input PATTERN... --call FILE.py:FUNCTION
       canfar-run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...

For more information, try '--help'.
"),
        case(&["-i", "data/*.fits", "--jobs"], "
canfar-run: error: a value is required for '--jobs <N|auto>' but none was supplied

For more information, try '--help'.
"),
        case(&["--jobs", "1", "--jobs", "2", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: the argument '--jobs <N|auto>' cannot be used multiple times

Usage: canfar-run [OPTIONS] --input PATTERN... --call FILE.py:FUNCTION
       canfar-run [OPTIONS] --input PATTERN... -- COMMAND [ARG]...

For more information, try '--help'.
"),
        case(&["-v", "-q", "-i", "data/*.fits", "-o", "out", "--", "true"], "
canfar-run: error: --verbose and --quiet contradict each other: give one of them
"),
        case(&[], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell
"),
        case(&["--timeout", "1e30", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: invalid value '1e30' for '--timeout <DURATION>': write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms

For more information, try '--help'.
"),
        case(&["merg", "out"], r#"
canfar-run: error: there is no subcommand "merg"; the nearest one is `merge`
"#),
        case(&["python", "analyze.py"], r#"
canfar-run: error: there is no subcommand "python", only run, plan, merge, status, resume, logs, report, reset, completions, man. The command to run for each file goes after `--`, such as `canfar-run -i '*.fits' -- python analyze.py {}`
"#),
        case(&["--jobs", "2", "run", "-i", "data/*.fits", "--", "true"], "
canfar-run: error: `run` must come first: `canfar-run run ...`
"),
        case(&["completions", "cmd"], "
canfar-run: error: invalid value 'cmd' for '<SHELL>'
  [possible values: bash, elvish, fish, powershell, zsh]

For more information, try '--help'.
"),
        case(&["reset", "no/such/dir"], "
canfar-run: error: can't read the results directory [DIR]/no/such/dir: No such file or directory (os error 2)
"),
    ]);
}

#[test]
fn variables_are_judged_as_flags_are_and_named() {
    let line: &[&str] = &["-i", "data/*.fits", "-o", "out", "--", "true"];
    all_are_refused(&[
        case(line, "
canfar-run: error: CANFAR_RUN_JOBS=0: invalid value '0' for '--jobs <N|auto>': 0 would never run anything; write a number from 1, or auto
").env("CANFAR_RUN_JOBS", "0"),
        case(line, "
canfar-run: error: CANFAR_RUN_QUIET=yes: invalid value 'yes' for '--quiet[=<BOOL>]': write true, false, 1 or 0
").env("CANFAR_RUN_QUIET", "yes"),
        case(line, "
canfar-run: error: CANFAR_RUN_STRATEGY=chunks: invalid value 'chunks' for '--strategy <NAME>'
  [possible values: even, chunk, stripe, size]
").env("CANFAR_RUN_STRATEGY", "chunks"),
        case(line, "
canfar-run: error: CANFAR_RUN_TIMEOUT=soon: invalid value 'soon' for '--timeout <DURATION>': write a number with a unit, such as 90s, 10m, 1h30m, 13d or 500ms
").env("CANFAR_RUN_TIMEOUT", "soon"),
    ]);
}

#[test]
fn places_that_cannot_be_written_to() {
    all_are_refused(&[
        case(&["-i", "data/*.fits", "-o", "out", "--tmp-dir", "no/such/dir", "--", "true"], "
canfar-run: error: --tmp-dir [DIR]/no/such/dir: there is no such directory. Make it first, or leave the option out
"),
        case(&["-i", "data/*.fits", "-o", "out", "--tmp-dir", "data/000.fits", "--", "true"], "
canfar-run: error: --tmp-dir [DIR]/data/000.fits: there is no such directory. Make it first, or leave the option out
"),
    ]);
}
