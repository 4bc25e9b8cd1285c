//! Commands that can't be run for any file.

use super::{all_are_refused, case};

#[test]
fn no_command() {
    all_are_refused(&[
        case(&["-i", "data/*.fits", "-o", "out"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell
"),
        case(&["-i", "data/*.fits", "-o", "out", "--"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell
"),
        case(&["-o", "out", "-i", "data/*.fits", "python", "analyze.py"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell
All words after --input are patterns until the next option: put `--` before the command.
"),
        case(&["-i", "data/*.fits", "-o", "out", "--", ""], "
canfar-run: error: the command's first word is empty, so there is no program to run. A launcher such as `canfar create` splits the command at single spaces, so that two spaces in a row make an empty argument: write single spaces, or put the command into a job file (command = [...])
"),
        case(&["-i", "data/*.fits", "-o", "out", "--shell", " "], "
canfar-run: error: in --shell: the shell command is empty: write one, as in --shell 'wc -c {} > {/.}.txt', or leave --shell out
"),
    ]);
}

#[test]
fn commands_that_cannot_be_executed() {
    all_are_refused(&[
        case(&["-i", "data/*.fits", "-o", "out", "--", "analyse-all", "{}"], r#"
canfar-run: error: the command "analyse-all" was not found in PATH (/usr/bin:/bin). Is it installed in this image? Give its whole path otherwise
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "./analyze.sh", "{}"], r#"
canfar-run: error: the command "[DIR]/analyze.sh" does not exist. Is it in this image, or on storage that is mounted here?
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "./analyze.sh", "{}"], r#"
canfar-run: error: the command "[DIR]/analyze.sh" can't be executed: it has no execute permission. Give it one (chmod +x), or put its interpreter before it, as in `python analyze.py`; a file system mounted noexec gives none
"#)
            .given(|dir| _ = dir.write("analyze.sh", "#!/bin/sh\n")),
        case(&["-i", "data/*.fits", "-o", "out", "--", "./data", "{}"], r#"
canfar-run: error: the command "[DIR]/data" can't be executed: it is a directory
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "analyze.sh", "{}"], r#"
canfar-run: error: the command "analyze.sh" was not found in PATH (/usr/bin:/bin), but there is one in the working directory: write ./analyze.sh
"#)
            .given(|dir| _ = dir.write("analyze.sh", "#!/bin/sh\n")),
        case(&["-i", "data/*.fits", "-o", "out", "--", "'python", "analyze.py'", "{}"], "
canfar-run: error: the command's first word is 'python, with a quote in it that no shell removed. Quotes do not survive a launch such as `canfar create`, which splits the command at single spaces: write it without quotes, or put it into a job file (command = [...] or shell = '...')
"),
        case(&["-i", "data/*.fits", "-o", "out", "--", "VAR=1", "cat", "{}"], "
canfar-run: error: the command begins with VAR=1, which only a shell understands: write `-- env VAR=1 cat {}`
"),
        case(&["-i", "data/*.fits", "-o", "out", "--", "cd", "data", "&&", "cat", "{}"], r#"
canfar-run: warning: "&&" is passed to the command as it is; if it is meant for a shell, write --shell 'cd data && cat {}'
canfar-run: error: the command begins with cd, which only a shell understands: write --shell 'cd data && cat {}'
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "cd data && cat {}"], r#"
canfar-run: error: the command is the one word "cd data && cat {}", which only a shell understands: write --shell 'cd data && cat {}'
"#),
        case(&["-i", "data/000.fits", "data/001.fits", "cat", "{}"], "
canfar-run: error: all words after --input are patterns until the next option: put `--` before the command: `-i data/000.fits data/001.fits -- cat {}`
"),
        case(&["-i", "data/*.fits", "-o", "out", "--chdir", "work", "--", "true", "{}"], "
canfar-run: error: --chdir [DIR]/work: there is no such directory. Make it first, or give `task` for a temporary one each
"),
        case(&["-i", "data/*.fits", "-o", "out", "--chdir", "data/000.fits", "--", "true", "{}"], "
canfar-run: error: --chdir [DIR]/data/000.fits: there is no such directory. Make it first, or give `task` for a temporary one each
"),
    ]);
}

#[test]
fn what_a_launch_took_apart_or_kept_together() {
    all_are_refused(&[
        case(&["-i", "data/*.fits", "--jobs", "", "2", "-o", "out", "--", "true"], r#"
canfar-run: error: the argument after "--jobs" is empty: a launcher such as `canfar create` splits the command at every space, so two spaces in a row, or an unset variable, leave an empty argument. Write the command on one line, with single spaces. What arrived:

    canfar-run -i 'data/*.fits' --jobs '' 2 -o out -- true
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "sh", "-c", "wc", "-c", "{}"], r#"
canfar-run: error: sh -c runs only the script "wc", without the words after it: the launcher dropped the quotes. Put the command into a job file and give that with --job-file:

    shell = "wc -c {}"
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "bash", "-lc", "source", "setup.sh", "&&", "analyze", "{}"], r#"
canfar-run: error: bash -lc runs only the script "source", without the words after it: the launcher dropped the quotes. Put the command into a job file and give that with --job-file:

    command = ["bash", "-lc", 'source setup.sh && analyze "$1"', "bash", "{}"]
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "python3", "-c", "import", "sys", "{}"], r#"
canfar-run: error: python3 -c runs only the code "import", without the words after it: the launcher dropped the quotes. Write it into a file, such as /arc/projects/.../task.py, and run that: -- python3 /arc/projects/.../task.py {}
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "sh analyze.sh {}"], r#"
canfar-run: error: the command's first word is "sh analyze.sh {}", a whole command line in one word: it was quoted as one argument. Write it without them, as in `-- sh analyze.sh {}`, or give it to --shell
"#),
        case(&["-i", "data/*.fits", "-o", "out", "--", "sh analyze.sh"], r#"
canfar-run: error: the command's first word is "sh analyze.sh", a whole command line in one word: it was quoted as one argument. Write it without them, as in `-- sh analyze.sh`, or give it to --shell
"#),
        case(&["-i", "data/*.fits", "-o", "/arc/my", "results", "--", "true"], r#"
canfar-run: error: unexpected argument "results" after -o /arc/my, which takes one value. A launcher such as `canfar create` splits at every space; put a value that contains one into a job file, given with --job-file:

    results-dir = "/arc/my results"
"#),
        case(&["-i", "data/*.fits", "--jobs", "2 --results-dir", "out", "--", "true"], r#"
canfar-run: error: unexpected argument 'out' found
The argument "2 --results-dir" contains a blank. It may come from a line break in the launch command, from a non-breaking space copied from a web page, or from quotes around several arguments: write everything on one line, with single spaces.
"#),
        case(&["-i", "data/*.fits", "-o", "out/$(REPLICA_COUNT)", "--", "true"], "
canfar-run: error: --results-dir out/$(REPLICA_COUNT): only a shell expands `~` and variables, and none has seen this: write the full path, such as /arc/projects/... (the platform replaces $(NAME) on a launch line, but only where the container has a variable of that name)
"),
        case(&["-i", "data/*.fits", "-o", "~/results", "--", "true"], "
canfar-run: error: --results-dir ~/results: only a shell expands `~` and variables, and none has seen this: write the full path, such as /arc/projects/... (the platform replaces $(NAME) on a launch line, but only where the container has a variable of that name)
"),
        case(&["-i", "data/*.fits", "-o", "out"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --call or --shell
If it was in --env CANFAR_RUN_SHELL=...: a value with a `=` in it does not arrive at all; put it into a job file (shell = '...').
").env("skaha_sessionid", "abc"),
        case(&["-i", "data/*.fits", "-o", "out"], "
canfar-run: error: CANFAR_RUN_SHELL=grep -c {} 'a b: in --shell: the shell command ends inside single quotes (line 1, column 12 of the shell command: grep -c {} 'a b). Quotes do not survive a launch such as `canfar create`: if that took them away, put the command into a job file (shell = '...')
").env("CANFAR_RUN_SHELL", "grep -c {} 'a b"),
    ]);
}

#[test]
fn scripts_that_are_wrong() {
    all_are_refused(&[
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc", "-c", "{}"],
            r#"
canfar-run: error: --shell takes one string and is followed by more words. Put the whole line in quotes: --shell 'wc -c {}'
A `canfar create` line loses quotes: there, put the command into a job file and give that with --job-file:

    shell = "wc -c {}"
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc", "--", "-c", "{}", "> it's"],
            r#"
canfar-run: error: --shell takes one string and is followed by more words. Put the whole line in quotes: --shell "wc -c {} > it's"
A `canfar create` line loses quotes: there, put the command into a job file and give that with --job-file:

    shell = "wc -c {} > it's"
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc -c '{}'"],
            r#"
canfar-run: error: in --shell: {} can't be used inside single quotes (line 1, column 8 of the shell command: wc -c '{}). Write "$1" there, outside of the quotes; a program in the quotes takes it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc -c \"{/.}.txt\""],
            r#"
canfar-run: error: in --shell: {/.} can't be used inside double quotes (line 1, column 8 of the shell command: wc -c "{/.}). Write b={/.} at the beginning and "$b" there; within these quotes $b is enough. The text {/.} is written {{/.}}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "sh -c {}"],
            r#"
canfar-run: error: in --shell: {} can't be used as the script of sh (line 1, column 7 of the shell command: sh -c {}). A file's name could run commands. Pass it as an argument: sh -c '... "$1" ...' sh {}. The text {} is written {{}}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "echo 'a {}"],
            r#"
canfar-run: error: in --shell: {} can't be used inside single quotes (line 1, column 9 of the shell command: echo 'a {}). Write "$1" there, outside of the quotes; a program in the quotes takes it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}
"#,
        ),
    ]);
}
