//! Commands that can't be run for any file.

use super::{all_are_refused, case};

#[test]
fn no_command() {
    all_are_refused(&[
        case(&["-i", "data/*.fits", "-o", "out"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --shell
"),
        case(&["-i", "data/*.fits", "-o", "out", "--"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --shell
"),
        case(&["-o", "out", "-i", "data/*.fits", "python", "analyze.py"], "
canfar-run: error: no command: say what to run for each file after `--`, such as `-- python analyze.py {}`, or with --shell
All words after --input are patterns until the next option: put `--` before the command.
"),
        case(&["-i", "data/*.fits", "-o", "out", "--", ""], "
canfar-run: error: the command's first word is empty, so there is no program to run. A launch such as `canfar create` splits the command at single spaces, so that two spaces in a row make an empty argument: write single spaces, or put the command into a job file (command = [...])
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
canfar-run: error: the command's first word is 'python, with a quote in it that no shell took away. Quotes do not survive a launch such as `canfar create`, which splits the command at single spaces: write it without quotes, or put it into a job file (command = [...] or shell = '...')
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
fn scripts_that_are_wrong() {
    all_are_refused(&[
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc", "-c", "{}"],
            r#"
canfar-run: error: --shell takes one string and is followed by more words: the launch dropped the quotes. Put the command into a job file and give that with --job-file:

    shell = "wc -c {}"
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc", "--", "-c", "{}", "> it's"],
            r#"
canfar-run: error: --shell takes one string and is followed by more words: the launch dropped the quotes. Put the command into a job file and give that with --job-file:

    shell = "wc -c {} > it's"
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc -c '{}'"],
            r#"
canfar-run: error: in --shell: {} can't stand inside single quotes (line 1, column 8 of the shell command: '{}), because it becomes a quoted parameter by itself. For the path write "$1" where the quotes are closed; a program in the quotes (sh -c, awk) is handed it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "wc -c \"{/.}.txt\""],
            r#"
canfar-run: error: in --shell: {/.} can't stand inside double quotes (line 1, column 8 of the shell command: "{/.}), because it becomes a quoted parameter by itself. Write b={/.} first, outside of all quotes, and then "$b"; within double quotes $b is enough. The text {/.} is written {{/.}}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "sh -c {}"],
            r#"
canfar-run: error: in --shell: {} stands where `sh -c` reads it as a script (line 1, column 7 of the shell command: sh -c {}), so that a file's name could run commands. Hand it over as an argument: sh -c '... "$1" ...' sh {}
"#,
        ),
        case(
            &["-i", "data/*.fits", "-o", "out", "--shell", "echo 'a {}"],
            r#"
canfar-run: error: in --shell: {} can't stand inside single quotes (line 1, column 9 of the shell command: 'a {}), because it becomes a quoted parameter by itself. For the path write "$1" where the quotes are closed; a program in the quotes (sh -c, awk) is handed it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}
"#,
        ),
    ]);
}
