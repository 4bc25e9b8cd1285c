//! `--shell`: a template whose script never changes. Names reach the shell as positional parameters alone, so that no
//! name is ever shell text.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::argv::{ArgvWord, Template};
use super::error::TemplateError;
use super::lexer::{self, Lexed};
use super::placeholder::Token;

impl Template {
    /// Reads a shell command line; the template is `/bin/sh -c SCRIPT sh PATH [OTHERS...]`.
    ///
    /// - `$1` is always the path. A placeholder outside of quotes, also within a `$(...)` in double quotes, becomes
    ///   `"${1}"`, and other tokens than `{}` the parameters that follow, in the order of their first use. Nothing is
    ///   appended.
    /// - A doubled placeholder is its text everywhere, `\{}` is the text `{}` because the shell reads it so, and in
    ///   comments everything stays as it is.
    /// - A placeholder in quotes, backticks, a here-document, `${...}` or `$((...))` is an error, as is one that is
    ///   plainly read as code: an operand of `eval`, `trap` or `alias`, the script of `sh -c`, a name for `read`.
    ///   What goes through a variable first (`p={}; eval "$p"`), or into another program's language (awk, ssh, Python),
    ///   can't be seen here: hand names over as arguments. `find -exec` and `xargs -I` have a `{}` of their own: `{{}}`.
    /// - A placeholder after a function definition, `shift` or `set --` is an error, since `$1` may be another there.
    /// - Where shells differ on what is quoted, a script with placeholders is refused; without any it is passed on.
    ///
    /// # Errors
    /// The above; a script that is blank, has a NUL byte, or opens something that it never closes.
    pub fn from_shell(script: &OsStr) -> Result<Template, TemplateError> {
        let lexed = read(script)?;
        Ok(of(lexed, ArgvWord::from(Token::Path)))
    }

    /// Reads the shell command line of a worker, which is started before it is given files: `$1` is empty.
    ///
    /// # Errors
    /// Those of [`Template::from_shell`]; a placeholder that stands for something of a file.
    pub fn of_worker_in_shell(script: &OsStr) -> Result<Template, TemplateError> {
        let lexed = read(script)?;
        let path = lexed.uses_path.then_some(Token::Path);
        match path.into_iter().chain(lexed.parameters.iter().copied()).find(|token| token.is_of_a_file()) {
            Some(token) => Err(TemplateError::FileOfWorker { token }),
            None => Ok(of(lexed, ArgvWord::Literal(OsString::new()))),
        }
    }
}

fn read(script: &OsStr) -> Result<Lexed, TemplateError> {
    let source = script.as_bytes();
    if source.contains(&0) {
        return Err(TemplateError::NulInScript);
    }
    if source.iter().all(u8::is_ascii_whitespace) {
        return Err(TemplateError::EmptyScript);
    }
    lexer::lex(source)
}

fn of(lexed: Lexed, path: ArgvWord) -> Template {
    let Lexed { mut script, parameters, words, .. } = lexed;
    if matches!(script.first(), Some(b'-' | b'+')) {
        // Else the shell would take it for an option.
        script.insert(0, b' ');
    }
    let literal = |text: &str| ArgvWord::Literal(OsString::from(text));
    let mut argv = vec![literal("/bin/sh"), literal("-c"), ArgvWord::Literal(OsString::from_vec(script))];
    argv.extend([literal("sh"), path]);
    argv.extend(parameters.into_iter().map(ArgvWord::from));
    Template::from_parts(argv, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::TaskPlace;
    use crate::template::error::{At, Code, ParameterChange, TemplateDoubt, TokenPlace};

    fn script(source: &str) -> String {
        let place = TaskPlace { path: OsStr::new("p"), rel: OsStr::new("r"), index: 0, slot: 1, replica: 1 };
        let argv = Template::from_shell(OsStr::new(source))
            .unwrap_or_else(|e| panic!("{source:?}: {e}"))
            .render(&place);
        argv[2].to_str().unwrap().to_owned()
    }

    fn error(source: &str) -> TemplateError {
        Template::from_shell(OsStr::new(source)).expect_err(source)
    }

    #[test]
    fn a_workers_script_gets_no_path_and_what_is_of_a_file_is_refused() {
        let of_worker = |script: &str| Template::of_worker_in_shell(OsStr::new(script));
        let place = TaskPlace { path: OsStr::new("p"), rel: OsStr::new("r"), index: 0, slot: 3, replica: 1 };
        let argv = of_worker("exec w {slot}").unwrap().render(&place);
        assert_eq!(argv[2..], ["exec w \"${2}\"", "sh", "", "3"]);
        for script in ["w {}", "w {/}", "w {index}"] {
            assert!(matches!(of_worker(script), Err(TemplateError::FileOfWorker { .. })), "{script}");
        }
    }

    #[test]
    fn a_placeholder_outside_of_quotes_is_a_quoted_parameter() {
        for (source, expected) in [
            ("wc -c {}", r#"wc -c "${1}""#),
            ("{} -x", r#""${1}" -x"#),
            ("f {/} {index} {/} {}", r#"f "${2}" "${3}" "${2}" "${1}""#),
            ("f a{}b{/}.txt > {/.}.log", r#"f a"${1}"b"${2}".txt > "${3}".log"#),
            ("x=$(f {}); g {}", r#"x=$(f "${1}"); g "${1}""#),
            (r#"g "a $(f "$(h {})" {}) b" '$(' {}"#, r#"g "a $(f "$(h "${1}")" "${1}") b" '$(' "${1}""#),
            ("p={}; (f {}) | { g {}; }", r#"p="${1}"; (f "${1}") | { g "${1}"; }"#),
            (
                "case {} in (a) f {};; b) g;; {}) h;; esac",
                r#"case "${1}" in (a) f "${1}";; b) g;; "${1}") h;; esac"#,
            ),
            ("for f in {}; do g \"$f\"; done", "for f in \"${1}\"; do g \"$f\"; done"),
            ("f '{{}}' \"{{/}}\" {{:}} {{{}", "f '{}' \"{/}\" {:} {{\"${1}\""),
            (r"f \{} \\{} \'{}\'", r#"f \{} \\"${1}" \'"${1}"\'"#),
            ("f {} # don't {} it\ng {}", "f \"${1}\" # don't {} it\ng \"${1}\""),
            ("f a#{} $#{} ${#x} {}", r#"f a#"${1}" $#"${1}" ${#x} "${1}""#),
            ("f \"${x:-\"a\"}\" ${y%'.fits'} {}", "f \"${x:-\"a\"}\" ${y%'.fits'} \"${1}\""),
            ("f $(( (1+2) * $x )) `date +%s` {}", "f $(( (1+2) * $x )) `date +%s` \"${1}\""),
            ("f \"`g \"a b\"`\" {}", "f \"`g \"a b\"`\" \"${1}\""),
            ("f \\\n  {}", "f \\\n  \"${1}\""),
            ("f <<E {}\nit's $1 \"\nE\ng {}", "f <<E \"${1}\"\nit's $1 \"\nE\ng \"${1}\""),
            ("f <<-'E' | g {}\n$( `{{}}\n\tE\ng {}", "f <<-'E' | g \"${1}\"\n$( `{}\n\tE\ng \"${1}\""),
            ("f <<A <<\\B {}\n1\nA\n'2\nB", "f <<A <<\\B \"${1}\"\n1\nA\n'2\nB"),
            ("x=$(f <<E\n)\nE\n) && g {}", "x=$(f <<E\n)\nE\n) && g \"${1}\""),
            ("f 2>&1 >{} <{} >>{}", "f 2>&1 >\"${1}\" <\"${1}\" >>\"${1}\""),
            ("set -eu -o pipefail; f {}", "set -eu -o pipefail; f \"${1}\""),
            (
                "while read -r x; do f {} \"$x\"; done < list",
                "while read -r x; do f \"${1}\" \"$x\"; done < list",
            ),
            ("p={}; f() { g \"$p\"; }; f", "p=\"${1}\"; f() { g \"$p\"; }; f"),
            ("set -- {}; f \"$@\"", "set -- \"${1}\"; f \"$@\""),
            ("sh -c 'f \"$1\"' sh {}", "sh -c 'f \"$1\"' sh \"${1}\""),
            (
                "find {} -exec sh -c 'f \"$1\"' sh '{{}}' \\;",
                "find \"${1}\" -exec sh -c 'f \"$1\"' sh '{}' \\;",
            ),
            ("sh run.sh -c {}; bash {}", "sh run.sh -c \"${1}\"; bash \"${1}\""),
            ("export p={}; echo eval {}", "export p=\"${1}\"; echo eval \"${1}\""),
            ("f ${{index}} {}", "f ${index} \"${1}\""),
            ("-x {}", " -x \"${1}\""),
        ] {
            assert_eq!(script(source), expected, "{source:?}");
        }
    }

    #[test]
    fn scripts_without_placeholders_are_passed_on() {
        for source in [
            "f \"$1\"",
            "f $'a\\'b'",
            "x=$(case $1 in a) echo b;; esac); f \"$x\"",
            "f() { shift; g \"$@\"; }; f x \"$1\"",
            "[[ $1 == *.fits ]] && (( x = 1 << 2 ))",
            "a=(1 2 '3)'); f \"${a[@]}\"",
            "eval \"$1\"",
            "f \"${1%\"${1##*/}\"}\"",
        ] {
            assert_eq!(script(source), source);
        }
    }

    #[test]
    fn the_path_is_always_the_first_parameter() {
        let place = TaskPlace {
            path: OsStr::new("/d/a.fits"),
            rel: OsStr::new("a.fits"),
            index: 4,
            slot: 1,
            replica: 2,
        };
        let template = Template::from_shell(OsStr::new("f {/.} {index} {/.}")).unwrap();
        let argv = template.render(&place);
        assert_eq!(argv[..2], ["/bin/sh", "-c"]);
        assert_eq!(argv[3..], ["sh", "/d/a.fits", "a", "4"]);
        assert_eq!(template.program(), Some(OsStr::new("/bin/sh")));
    }

    #[test]
    fn words_of_the_script_are_listed_without_quotes() {
        let source = "python3 'my script.py' --cfg=\"a.toml\" {} < in.txt; f $x \"b$x\" g.sh|h";
        let template = Template::from_shell(OsStr::new(source)).unwrap();
        let words = ["python3", "my script.py", "--cfg=a.toml", "in.txt", "f", "g.sh", "h"];
        assert_eq!(template.words(), words);
    }

    #[test]
    fn a_placeholder_in_quotes_is_an_error() {
        for (source, expected) in [
            ("f 'a {}'", TokenPlace::SingleQuotes),
            ("f \"a {}\"", TokenPlace::DoubleQuotes),
            ("f \"$(g \"{}\")\"", TokenPlace::DoubleQuotes),
            ("f `g {}`", TokenPlace::Backticks),
            ("f `g $(h {})`", TokenPlace::Backticks),
            ("f ${x:-{}}", TokenPlace::Parameter),
            ("f \"${x:-$(g {})}\"", TokenPlace::Parameter),
            ("f $(( {index} + 1 ))", TokenPlace::Arithmetic),
            ("f <<E\n{}\nE\n", TokenPlace::HereDocument),
            ("f <<'E'\nd = {}\nE\n", TokenPlace::HereDocument),
            ("f <<E\n$(g {})\nE\n", TokenPlace::HereDocument),
            ("f <<{}\n{}\n", TokenPlace::HereDocumentEnd),
        ] {
            let TemplateError::Misplaced { place, .. } = error(source) else { panic!("{source:?}") };
            assert_eq!(place, expected, "{source:?}");
        }
    }

    #[test]
    fn an_error_says_where_and_what_to_write() {
        let found = error("f {}\necho \"é {/}\"");
        let at = At { line: 2, column: 9, piece: "\"é {/}".to_owned() };
        let place = TokenPlace::DoubleQuotes;
        assert_eq!(found, TemplateError::Misplaced { token: Token::BaseName, place, at });
        insta::assert_snapshot!(found, @r#"{/} can't stand inside double quotes (line 2, column 9 of the shell command: "é {/}), because it becomes a quoted parameter by itself. Write b={/} first, outside of all quotes, and then "$b"; within double quotes $b is enough. The text {/} is written {{/}}"#);
        insta::assert_snapshot!(error("echo \"file {}\""), @r#"{} can't stand inside double quotes (line 1, column 12 of the shell command: "file {}), because it becomes a quoted parameter by itself. For the path write "$1"; within double quotes $1 is enough. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("awk '/{}/'"), @r#"{} can't stand inside single quotes (line 1, column 7 of the shell command: '/{}), because it becomes a quoted parameter by itself. For the path write "$1" where the quotes are closed; a program in the quotes (sh -c, awk) is handed it as an argument after them: sh -c '... "$1" ...' sh {}. The text {} is written {{}}"#);
        insta::assert_snapshot!(error("echo ${index}"), @r#"${index} (line 1, column 6 of the shell command: ${index}) could be a placeholder or a variable: write {index} for the placeholder, $index for the shell's own variable"#);
        insta::assert_snapshot!(error("sh -c {}"), @r#"{} stands where `sh -c` reads it as a script (line 1, column 7 of the shell command: sh -c {}), so that a file's name could run commands. Hand it over as an argument: sh -c '... "$1" ...' sh {}"#);
        insta::assert_snapshot!(error("f() { g {}; }"), @r#"{} (line 1, column 9 of the shell command: f() { g {}) stands for a positional parameter, and there it may be another: a function has its own, and one is defined before it. Write p={} before that, and then "$p""#);
        insta::assert_snapshot!(error("echo 'a"), @r#"single quotes without an end (line 1, column 6 of the shell command: 'a). Quotes do not survive a launch such as `canfar create`: if that took them away, put the command into a job file (shell = '...')"#);
        insta::assert_snapshot!(error("echo $'a' {}"), @r#"shells differ on $'...' (line 1, column 6 of the shell command: $'a' {}), so that placeholders can't be put in safely. Write "$(printf '\t')" for a tab; or write no placeholders, the path is "$1"; or put it into a script file"#);
    }

    #[test]
    fn a_placeholder_after_a_dollar_sign_is_an_error() {
        for source in ["f ${}", "f \"${/}\"", "f $(g ${index})", "f ${slot}"] {
            assert!(matches!(error(source), TemplateError::AfterDollar { .. }), "{source:?}");
        }
    }

    #[test]
    fn what_is_never_closed_is_an_error() {
        for (source, expected) in [
            ("f 'a", TokenPlace::SingleQuotes),
            ("f \"a", TokenPlace::DoubleQuotes),
            ("f `a", TokenPlace::Backticks),
            ("f $(a {}", TokenPlace::Substitution),
            ("(f", TokenPlace::Parentheses),
            ("f ${a", TokenPlace::Parameter),
            ("f $((1 + 2", TokenPlace::Arithmetic),
            ("f <<E", TokenPlace::HereDocument),
            ("f <<E\na\nE \n", TokenPlace::HereDocument),
        ] {
            match error(source) {
                TemplateError::Unterminated { place, .. } => assert_eq!(place, expected, "{source:?}"),
                other => panic!("{source:?}: {other}"),
            }
        }
    }

    #[test]
    fn a_placeholder_that_is_plainly_read_as_code_is_an_error() {
        for source in [
            "eval echo {}",
            "x=1 command -p eval {}",
            "if true; then \\eval {}; fi",
            "eval \"$(f {})\"",
            "trap {} EXIT",
            "alias a={}",
            "sh -c {}",
            "nice /bin/bash -o pipefail -ec {}",
            "find . -exec sh -c {} \\;",
            "f | xargs sh -c a{}b sh",
            "let {}",
            "[[ {} -eq 1 ]]",
            "[ -v {} ]",
            "printf -v {} a",
            "read {}",
            "export {}",
            "unset {}",
            "a[{}]=1",
            "exec {a[{}]}>f",
            "f >&{}",
            "RANDOM={}",
            "PS4={} f",
        ] {
            assert!(matches!(error(source), TemplateError::Code { .. }), "{source:?}: {}", error(source));
        }
        assert!(
            matches!(error("sh -c {}"), TemplateError::Code { code: Code::Script(name), .. } if name == "sh")
        );
    }

    #[test]
    fn a_placeholder_where_the_parameters_may_have_changed_is_an_error() {
        for (source, expected) in [
            ("f() { g {}; }", ParameterChange::Function),
            ("f () (g {})", ParameterChange::Function),
            ("function f { g {}; }", ParameterChange::Function),
            ("shift; f {}", ParameterChange::Shift),
            ("set -- $x; f {}", ParameterChange::Set),
            ("set -e a; f {}", ParameterChange::Set),
            ("while true; do f {}; shift; done", ParameterChange::Shift),
        ] {
            match error(source) {
                TemplateError::ParametersChanged { change, .. } => assert_eq!(change, expected, "{source:?}"),
                other => panic!("{source:?}: {other}"),
            }
        }
    }

    #[test]
    fn where_shells_differ_a_script_with_placeholders_is_refused() {
        for (source, expected) in [
            ("f $'a\\'b' {}", TemplateDoubt::AnsiQuotes),
            ("f `g '\\`'` {}", TemplateDoubt::Backticks),
            ("f `g # a\n` {}", TemplateDoubt::Backticks),
            ("f `g 'a` '`' {}", TemplateDoubt::Backticks),
            ("f $((g) | (h)) {}", TemplateDoubt::Arithmetic),
            ("((x = 1 << 2)); f {}", TemplateDoubt::BashArithmetic),
            ("f $[1 + 2] {}", TemplateDoubt::BashArithmetic),
            ("x=$(case a in a) f {};; esac)", TemplateDoubt::CaseInParentheses),
            ("a=(1 2); f {}", TemplateDoubt::ParenthesisInWord),
            ("f a) {}", TemplateDoubt::StrayParenthesis),
            ("f \"${x:-'}'}\" {}", TemplateDoubt::Parameter),
            ("f ${x:-{a} {}", TemplateDoubt::Parameter),
            ("f <<E $(g\n) {}\nE\n", TemplateDoubt::HereDocument),
            ("f <<E \"a\nb\" {}\nE\n", TemplateDoubt::HereDocument),
            ("x=$(f <<E) {}\nE\n", TemplateDoubt::HereDocument),
            ("f <<E {}\n$(g\nE\n)\nE\n", TemplateDoubt::HereDocument),
            ("f <<E {}\na\\\nE\nE\n", TemplateDoubt::HereDocument),
            ("f <<\"a$b\" {}\na$b\n", TemplateDoubt::HereDocument),
            ("f <\\\n<E {}\n'\nE\n", TemplateDoubt::Continuation),
            ("f $\\\n{} {}", TemplateDoubt::Continuation),
            ("f {} \\", TemplateDoubt::Continuation),
        ] {
            match error(source) {
                TemplateError::Doubtful { doubt, .. } => assert_eq!(doubt, expected, "{source:?}"),
                other => panic!("{source:?}: {other}"),
            }
        }
        let deep = "$(".repeat(100_000) + " {}";
        assert!(matches!(error(&deep), TemplateError::Doubtful { doubt: TemplateDoubt::Nesting, .. }));
    }

    #[test]
    fn a_script_that_is_blank_or_has_a_nul_byte_is_an_error() {
        assert_eq!(error(" \n"), TemplateError::EmptyScript);
        assert_eq!(error("f \0"), TemplateError::NulInScript);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_to_its_end(source in r#"[ \n{}/'"`\\$()<>#;&=\-Ea1]{0,80}"#) {
            if let Ok(template) = Template::from_shell(OsStr::new(&source)) {
                let place = TaskPlace { path: OsStr::new("p"), rel: OsStr::new("r"), index: 0, slot: 1, replica: 1 };
                let argv = template.render(&place);
                let parameters = (1..argv.len() - 3).filter(|n| argv[2].to_string_lossy().contains(&format!("\"${{{n}}}\"")));
                let unused_path = usize::from(!argv[2].to_string_lossy().contains("\"${1}\""));
                proptest::prop_assert_eq!(parameters.count() + unused_path, argv.len() - 4);
            }
        }
    }
}
