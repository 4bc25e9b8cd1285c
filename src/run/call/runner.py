"""Calls one user function once for each request, for `canfar-run --call`. Python 3.8 or later, nothing to install.

Requests are lines of JSON on the standard input that this process is started with, answers are lines of JSON on its
standard output. Both are moved to other descriptors before any user code runs, and whatever is printed from
then on, by Python or by C, goes to standard error, which is the log. An answer is one of

    {"ok": VALUE}        the function returned this
    {"raised": TEXT}     it raised an exception; the traceback is in the log
    {"unfit": TEXT}      what it returned can't become JSON
    {"refused": TEXT}    it can't be called at all, whatever the file
    {"broken": TEXT}     its module can't be imported; the reason is in the log, too
"""

import os
import sys

# Imports here are Python's own modules, even if the user has a file with the same name.
AT_START = set(sys.modules)
sys.path.insert(0, os.path.dirname(os.__file__))

import ast
import atexit
import base64
import collections.abc
import dataclasses
import datetime
import enum
import faulthandler
import functools
import importlib
import importlib.machinery
import importlib.util
import inspect
import json
import pathlib
import re
import signal
import threading
import traceback

# The C module's functions do not make enums of what they return, which takes longer than a quick task.
import _signal

del sys.path[0]
if sys.path[:1] == [""]:
    del sys.path[0]

OURS = "<canfar-run>"
DEEPEST = 1000
LONGEST_REASON = 500
MOST_SIGNALS = 20
STUBS = []
# Seconds.
LONGEST_END = 3

# Made once, before user code may replace json's functions, for example with ones that write several lines.
to_json = json.JSONEncoder(separators=(",", ":")).encode
from_json = json.JSONDecoder().decode


class Refused(Exception):
    """The function can't be called at all."""

    kind = "refused"
    log = ""


class Broken(Refused):
    """Its module can't be imported: it raised this error."""

    kind = "broken"

    def __init__(self, error, what):
        super().__init__(what)
        self.log = traceback_of(error)


class Unfit(Exception):
    """A value that can't become JSON, with the keys that lead to it, innermost first."""

    def __init__(self, what):
        super().__init__(what)
        self.keys = []


# ---------------------------------------------------------------------------------------------------------------------
# What is printed, and what a function may leave changed
# ---------------------------------------------------------------------------------------------------------------------


def text_stream(descriptor, mode):
    """A stream that accepts every character, and does not close the descriptor when it is closed."""
    return open(descriptor, mode, buffering=1 if mode == "w" else -1, errors="backslashreplace", closefd=False)


def is_usable(stream):
    """Whether it exists and is neither closed nor detached. If so, it has been flushed."""
    try:
        stream.flush()
        return True
    except (AttributeError, ValueError):
        return False


def flush_c():
    """Flushes the separate buffer of C code, which can be reached if ctypes is already in use."""
    if "ctypes" in sys.modules:
        try:
            c_library().fflush(None)
        except Exception:
            pass


@functools.lru_cache(None)
def c_library():
    return sys.modules["ctypes"].CDLL(None)


class Surroundings:
    """The state that every call must find unchanged."""

    def __init__(self):
        self.requests = os.fdopen(os.dup(0), "rb")
        self.answers = os.dup(1)
        self.log = os.dup(2)
        self.nothing = os.open(os.devnull, os.O_RDWR)
        self.streams = {}
        self.restore_streams()
        if "PYTHONFAULTHANDLER" not in os.environ:
            faulthandler.enable(self.log)
            # A process that is stopped by its time limit prints where it was; terminated children print nothing.
            faulthandler.register(signal.SIGTERM, self.log, chain=True)
            os.register_at_fork(after_in_child=lambda: faulthandler.unregister(signal.SIGTERM))

    def remember(self):
        """Saves the current state, after the import of the user's code, to be restored later."""
        try:
            self.folder = os.open(".", os.O_RDONLY)
        except OSError:
            self.folder = None
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.handlers = [(number, _signal.getsignal(number)) for number in range(1, 32)]
        self.hooks = (sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook)

    def restore(self):
        """Restores what a call may have changed. Signal handlers that run meanwhile do not prevent that."""
        for _ in range(MOST_SIGNALS):
            try:
                for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
                    signal.setitimer(timer, 0)
                for number, handler in self.handlers:
                    # A handler that Python did not install can't be read or restored.
                    if handler is not None and _signal.getsignal(number) is not handler:
                        _signal.signal(number, handler)
                _signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
                sys.excepthook, sys.displayhook, sys.unraisablehook, threading.excepthook = self.hooks
                self.restore_streams()
                if self.folder is not None:
                    os.fchdir(self.folder)
                return
            except BaseException:
                continue
        # Nothing works without our descriptors: another process can continue.
        os._exit(1)

    def restore_streams(self):
        os.dup2(self.nothing, 0)
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)
        for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
            # This drops wrappers that the user's code put around it, which may close it.
            setattr(sys, name, self.streams.get(name))
            if not is_usable(getattr(sys, name)):
                self.streams[name] = text_stream(descriptor, mode)
                setattr(sys, name, self.streams[name])
                setattr(sys, "__%s__" % name, self.streams[name])
        flush_c()

    def say(self, text):
        """Adds to the log, whatever happened to the streams."""
        self.restore_streams()
        write_all(self.log, text.encode("utf-8", "backslashreplace"))

    def answer(self, kind, text):
        write_all(self.answers, ('{"%s":%s}\n' % (kind, text)).encode("ascii"))


def write_all(descriptor, line):
    while line:
        line = line[os.write(descriptor, line) :]


# ---------------------------------------------------------------------------------------------------------------------
# Exceptions
# ---------------------------------------------------------------------------------------------------------------------


def safe_str(value):
    try:
        return str(value)
    except Exception:
        return "(its message can't be shown: %s.__str__ failed)" % type(value).__name__


def in_one_line(text):
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + "..."


def reason(error):
    """An exception in one line, as `Type: message`."""
    return in_one_line("%s: %s" % (type(error).__qualname__, safe_str(error))).rstrip(": ")


def is_ours(frame_file):
    return frame_file == OURS or frame_file.startswith("<frozen importlib") or frame_file == importlib.__file__


def users_part(trace):
    """A traceback from the first user frame on."""
    while trace is not None and is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def traceback_of(error, last_line=None):
    """An exception as Python prints it, without the last line if it equals `last_line`, which is reported elsewhere."""
    try:
        lines = traceback.TracebackException(type(error), error, users_part(error.__traceback__)).format()
        text = "".join(lines)
    except Exception as trouble:
        return "(its traceback can't be shown: %s)\n" % reason(trouble)
    body, _, last = text.rstrip("\n").rpartition("\n")
    # Python names the module of a type, too.
    is_said = last_line is not None and re.sub(r"^[\w.]*\.", "", last) == re.sub(r"^[\w.]*\.", "", last_line)
    return body + "\n" if is_said and body else text


# ---------------------------------------------------------------------------------------------------------------------
# The function
# ---------------------------------------------------------------------------------------------------------------------


def is_of_module(module, name):
    """Whether a missing module is this one or a package around it."""
    return name is not None and (module + ".").startswith(name + ".")


def load(file, name, folder):
    """The user's module: `file`, or else the module of this name, which is looked up in `folder` first."""
    sys.argv = [file or name]
    if file and "." in name:
        name = importable(file, name)
    add_folder(file, folder)
    uncover(sys.path[0])
    try:
        if not file:
            return importlib.import_module(name)
        spec = importlib.util.spec_from_file_location(name, file)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        with open(file, "rb") as opened:
            source = opened.read()
        # Compiled here, so that no compiled file is left beside the user's file, and no old one is used.
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
        return module
    except SyntaxError as error:
        raise bad_syntax(error, file or name) from None
    except SystemExit as error:
        raise Broken(
            error,
            "importing it calls sys.exit(%s)%s: put code that should run only when it is started as a program under"
            ' `if __name__ == "__main__":`' % (exit_code(error), at_line(error, file)),
        ) from None
    except OSError as error:
        if file and error.filename == file:
            raise Refused("it can't be read: %s" % error.strerror) from None
        raise refused_import(error, file) from None
    except ModuleNotFoundError as error:
        if not file and is_of_module(name, error.name):
            raise no_module(error.name, folder) from None
        raise refused_import(error, file, is_it_installed()) from None
    except BaseException as error:
        raise refused_import(error, file) from None


def add_folder(file, folder):
    """Makes Python look for modules beside the user's file first, or where the run was begun."""
    sys.path.insert(0, os.path.dirname(file) if file else folder)


def bad_syntax(error, place):
    where = "%s, line %s" % (error.filename, error.lineno) if error.filename else place
    return Broken(error, "%s: %s: %s" % (where, type(error).__name__, in_one_line(safe_str(error.msg))))


def no_module(name, folder):
    return Refused(
        "there is no module %s in %s (where the run was begun) or installed for %s"
        % (name, folder, sys.executable)
    )


def is_it_installed():
    return ". Is it installed for %s? --python names another Python" % sys.executable


def importable(file, name):
    """Another name for a module if its file name contains a dot, so that process pools can import it, too."""
    import tempfile

    name = name.replace(".", "_") + "_py"
    try:
        folder = tempfile.TemporaryDirectory()
        with open(os.path.join(folder.name, name + ".py"), "w") as stub:
            stub.write('__file__ = %s\nexec(compile(open(__file__, "rb").read(), __file__, "exec"))\n' % ascii(file))
    except OSError as error:
        raise Refused("its name contains a dot, and a temporary folder can't be made (%s): rename it %s.py" % (error, name)) from None
    # It is removed at the end of this process.
    STUBS.append(folder)
    sys.path.append(folder.name)
    return name


def uncover(folder):
    """Makes modules in this folder take precedence, as in any program, even over imported ones of the same name."""
    for name in set(sys.modules) - AT_START:
        found = "." not in name and importlib.machinery.PathFinder.find_spec(name, [folder])
        if found and found.has_location:
            del sys.modules[name]


def exit_code(error):
    """The argument of sys.exit."""
    return "" if error.code is None else in_one_line(repr(error.code))


def refused_import(error, file, hint=""):
    return Broken(error, "importing it fails with %s%s%s" % (reason(error), at_line(error, file), hint))


def at_line(error, file):
    """The line in the user's file, or in code that it calls, that an exception came from."""
    frames = [
        (code.co_filename, trace.tb_lineno)
        for trace, code in walk(error.__traceback__)
        if not is_ours(code.co_filename)
    ]
    own = [frame for frame in frames if frame[0] == file] or frames
    return " (%s, line %d)" % own[-1] if own else ""


def walk(trace):
    while trace is not None:
        yield trace, trace.tb_frame.f_code
        trace = trace.tb_next


def find(module, name, place):
    """The function of this dotted name."""
    found, owner = module, place
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Refused("%s has no `%s`%s" % (owner, part, alternatives(found, module, part))) from None
        owner = "`%s`" % part
    return found


def alternatives(owner, module, missing):
    import difflib

    def is_own(value):
        return callable(value) and getattr(value, "__module__", None) == module.__name__

    names = [name for name, value in vars(owner).items() if not name.startswith("_") and is_own(value)]
    close = difflib.get_close_matches(missing, names, 1)
    if close:
        return "; did you mean `%s`?" % close[0]
    if not names:
        return ", and defines no other function either"
    more = " and %d more" % (len(names) - 8) if len(names) > 8 else ""
    return "; it has %s%s" % (", ".join("`%s`" % name for name in names[:8]), more)


def article(noun):
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


def type_name(value):
    kind = type(value)
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return "%s.%s" % (kind.__module__.partition(".")[0], kind.__qualname__)


def bare_function(function):
    """The function defined with `def`, without its wrappers."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    return type(function).__call__


def check_kind(function, name):
    if not callable(function):
        raise Refused("`%s` is %s, not a function" % (name, article(type_name(function))))
    bare = bare_function(function)
    if inspect.iscoroutinefunction(bare):
        raise Refused("`%s` is an async function: write a `def` that calls it with asyncio.run(...)" % name)
    if inspect.isgeneratorfunction(bare) or inspect.isasyncgenfunction(bare):
        raise Refused("`%s` yields instead of returning: write a function that returns one result" % name)


def signature_of(function):
    try:
        if sys.version_info >= (3, 14):
            import annotationlib

            return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def wants_path(annotation, names):
    """Whether a parameter with this annotation should get a pathlib.Path; `names` are those that it may use."""
    annotation = evaluated(annotation, names)
    if isinstance(annotation, str):
        words = "".join(letter if letter.isalnum() else " " for letter in annotation).split()
        return "Path" in words and "str" not in words
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return issubclass(annotation, pathlib.PurePath)
    choices = getattr(annotation, "__args__", None) or ()
    return str not in choices and any(wants_path(choice, names) for choice in choices)


def caller(function, name, offered):
    """What calls the function for a request. Parameters without a default get what is known by their names, and the one that
    is left the path. Those that are called like a column get its cell, also where they have a default."""
    signature = signature_of(function)
    if signature is None:
        return lambda task: function(value_of(task, "path"))
    kinds = inspect.Parameter
    parameters = signature.parameters.values()
    required = [
        one
        for one in parameters
        if one.default is one.empty and one.kind not in (kinds.VAR_POSITIONAL, kinds.VAR_KEYWORD)
    ]
    known, columns, needs_path = offered["known"], offered["columns"], offered["needs_path"]
    others = [one for one in required if one.name not in known and one.name not in columns]
    takes_any = any(one.kind is kinds.VAR_POSITIONAL for one in parameters)
    also = " or ".join("`%s`" % one for one in known) + (" or like a column" if columns else "")
    if not needs_path:
        refuse_misspelt(name, signature, others, columns)
    if "out" not in known and any(one.name == "out" for one in others):
        raise Refused(
            "%s%s has a parameter `out`, the path to write its product to, but no product is declared:"
            " --product PATH says what each task makes" % (name, signature_text(signature))
        )
    takes_names = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    if "out" in known and not takes_names and not any(one.name == "out" for one in parameters):
        wanted = ", ".join([one.name for one in required] + ["out"])
        raise Refused(
            "%s%s has no parameter `out`, which is where to write what it makes (--product): def %s(%s)"
            % (name, signature_text(signature), name.rpartition(".")[2], wanted)
        )
    if len(others) > 1:
        raise Refused(
            "%s%s needs %s, but there is only one %s: all but one parameter must have a default, or be called %s"
            % (name, signature_text(signature), in_a_row(["`%s`" % one.name for one in others]), "path" if needs_path else "name of the task", also)
            + (". Is it a method? Only those that need no object can be called" if others[0].name == "self" else "")
        )
    if needs_path and not others and not takes_any:
        raise Refused(
            "%s%s has no parameter for the path: one must be without a default, and not be called %s"
            % (name, signature_text(signature), also)
        )
    names = getattr(bare_function(function), "__globals__", {})
    makers = {one.name: functools.partial(value_of, name=one.name) for one in required}
    makers.update((one.name, functools.partial(cell_of, name=one.name)) for one in parameters if one.name in columns)
    for one in required:
        if one.name == "out":
            one_path, many = wants_path(one.annotation, names), wants_paths(one.annotation, names)
            makers["out"] = functools.partial(outs_of, is_path=one_path, are_paths=many)
    for one in others:
        is_path = wants_path(one.annotation, names)
        makers[one.name] = path_of if is_path else functools.partial(value_of, name="path")
    positional = [makers[one.name] for one in required if one.kind is not kinds.KEYWORD_ONLY]
    if needs_path and not others:
        positional.insert(0, functools.partial(value_of, name="path"))
    keywords = {one.name: makers[one.name] for one in required if one.kind is kinds.KEYWORD_ONLY}
    named = (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)
    optional = [one.name for one in parameters if one.default is not one.empty and one.kind in named]
    keywords.update((one, makers[one]) for one in optional if one in columns)
    if not keywords and len(positional) == 1:
        only = positional[0]
        return lambda task: function(only(task))
    return lambda task: function(
        *[make(task) for make in positional], **{name: make(task) for name, make in keywords.items()}
    )


def refuse_misspelt(name, signature, others, columns):
    """Refuses a parameter that is nearly called like a column: it would get the name of the task."""
    import difflib

    for one in others:
        for close in difflib.get_close_matches(one.name, columns, 1, 0.7):
            raise Refused(
                "%s%s has a parameter `%s`, and the table has no such column: is it `%s`?"
                % (name, signature_text(signature), one.name, close)
            )


def in_a_row(texts):
    return "%s and %s" % (", ".join(texts[:-1]), texts[-1])


def signature_text(signature):
    bare = [one.replace(annotation=one.empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=signature.empty))


def wants_paths(annotation, names):
    """Whether the values of a dict with this annotation should be a pathlib.Path."""
    annotation = evaluated(annotation, names)
    if isinstance(annotation, str):
        # Python 3.8 can't evaluate `dict[str, Path]`.
        values = re.search(r"(?:[Dd]ict|Mapping)\[[^,]*,(.*)\]", annotation)
        return values is not None and wants_path(values[1].strip(), names)
    origin = getattr(annotation, "__origin__", None)
    choices = getattr(annotation, "__args__", None) or ()
    if inspect.isclass(origin) and not hasattr(origin, "__args__") and issubclass(origin, collections.abc.Mapping):
        return len(choices) == 2 and wants_path(choices[1], names)
    return any(wants_paths(choice, names) for choice in choices)


def evaluated(annotation, names):
    """The evaluated form of an annotation that was written as a string, unless evaluating fails."""
    annotation = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(annotation, str):
        try:
            return eval(annotation, names)
        except Exception:
            pass
    return annotation


def value_of(task, name):
    exact = task.get(name + "_base64")
    return task[name] if exact is None else os.fsdecode(base64.b64decode(exact))


def cell_of(task, name):
    return task["row"][name]


def path_of(task):
    return pathlib.Path(value_of(task, "path"))


def outs_of(task, is_path, are_paths):
    """Where to write products: a path, or a dict of paths by product name."""
    if isinstance(task["out"], str):
        out = value_of(task, "out")
        return pathlib.Path(out) if is_path else out
    exact = task.get("out_base64", {})
    texts = [(name, {"out": text}) for name, text in task["out"].items()]
    for name, one in texts:
        if name in exact:
            one["out_base64"] = exact[name]
    outs = {name: value_of(one, "out") for name, one in texts}
    return {name: pathlib.Path(out) for name, out in outs.items()} if are_paths else outs


# ---------------------------------------------------------------------------------------------------------------------
# Checking a function without running any user code
# ---------------------------------------------------------------------------------------------------------------------

# If it contains one of these, a module may have names that its text does not show, or find modules elsewhere.
MAKES_NAMES = re.compile(rb"\b(globals|locals|vars|exec|eval|setattr|__dict__|__getattr__|modules)\b|import\s+\*")
MOVES_IMPORTS = re.compile(rb"\bsys\b[^\n]*\bpath\b|addsitedir|importlib|meta_path|path_hooks|\bexec\b|\b__import__\b")


def look(file, module, name, folder, offered):
    """Refuses only what would certainly be refused after importing it."""
    add_folder(file, folder)
    place = file or file_of_module(module, folder)
    if place is None:
        return
    try:
        with open(place, "rb") as opened:
            source = opened.read()
        tree = compile(source, place, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        # Some syntax errors are found only now, such as a `return` outside of a function.
        compile(tree, place, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise bad_syntax(error, place) from None
    except OSError as error:
        raise Refused("it can't be read: %s" % error.strerror) from None
    if not MOVES_IMPORTS.search(source):
        look_for_imports(tree, place)
    if not MAKES_NAMES.search(source):
        look_for_function(tree, module, name, os.path.basename(file) or module, offered)


def file_of_module(module, folder):
    """The source file of a module; `None` if only importing it can tell."""
    root, *parts = module.split(".")
    try:
        spec = importlib.util.find_spec(root)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None:
        raise no_module(root, folder)
    if not parts:
        return spec.origin if spec.has_location and spec.origin.endswith(".py") else None
    places = [os.path.join(place, *parts) for place in spec.submodule_search_locations or ()]
    candidates = [path for place in places for path in (place + ".py", os.path.join(place, "__init__.py"))]
    return next(filter(os.path.isfile, candidates), None)


def look_for_imports(tree, place):
    """Refuses modules that are not installed, as long as only installed ones were imported before."""
    own = os.path.join(os.path.realpath(sys.path[0]), "")
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            names = [one.name for one in statement.names]
        elif isinstance(statement, ast.ImportFrom) and not statement.level:
            names = [statement.module]
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        else:
            return
        for root in [one.partition(".")[0] for one in names]:
            try:
                spec = importlib.util.find_spec(root)
            except (ImportError, AttributeError, ValueError):
                return
            if spec is None:
                raise Refused(
                    "importing it fails with ModuleNotFoundError: No module named %r (%s, line %d)%s"
                    % (root, place, statement.lineno, is_it_installed())
                )
            is_installed = not os.path.realpath(spec.origin).startswith(own) if spec.has_location else spec.origin
            if not is_installed:
                return


def look_for_function(tree, module, name, place, offered):
    names = [one for statement in tree.body for one in names_bound_by(statement)]
    names += [one for node in ast.walk(tree) if isinstance(node, ast.Global) for one in node.names]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    definitions = {node.name: node for node in tree.body if isinstance(node, functions + (ast.ClassDef,))}
    # The effect of a decorator is unknown.
    is_plain = names.count(name) == 1 and name in [
        node.name for node in tree.body if isinstance(node, functions) and not node.decorator_list
    ]
    stubs = type(sys)(module)
    for node in definitions.values():
        is_function = isinstance(node, functions)
        stub = stub_of(node, module) if is_function else type(node.name, (), {"__module__": module})
        setattr(stubs, node.name, stub)
    if name.partition(".")[0] not in names:
        find(stubs, name, place)
    if is_plain:
        check_kind(getattr(stubs, name), name)
        caller(getattr(stubs, name), name, offered)


def names_bound_by(node):
    """The names that a module-level statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, ast.alias):
        return [node.asname or node.name.partition(".")[0]]
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    # For `except`, `match` and statements of later Pythons.
    own = [getattr(node, field, None) for field in ("name", "rest")]
    inner = [one for child in ast.iter_child_nodes(node) for one in names_bound_by(child)]
    return [one for one in own if isinstance(one, str)] + inner


def stub_of(node, module):
    """A function with this name and these parameters, and a body that yields only if the original does."""

    def yields(inner):
        is_other = isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda))
        is_yield = isinstance(inner, (ast.Yield, ast.YieldFrom))
        return is_yield or not is_other and any(map(yields, ast.iter_child_nodes(inner)))

    def bare(default):
        return default if default is None or isinstance(default, ast.Constant) else ast.Constant(...)

    parameters = node.args
    for one in ast.walk(parameters):
        if isinstance(one, ast.arg):
            one.annotation = None
    parameters.defaults = [bare(one) for one in parameters.defaults]
    parameters.kw_defaults = [bare(one) for one in parameters.kw_defaults]
    node.body = [ast.Expr(ast.Yield(None))] if any(map(yields, node.body)) else [ast.Pass()]
    node.decorator_list, node.returns, node.type_params = [], None, []
    made = {"__name__": module}
    exec(compile(ast.fix_missing_locations(ast.Module([node], [])), OURS, "exec"), made)
    return made[node.name]


# ---------------------------------------------------------------------------------------------------------------------
# Results
# ---------------------------------------------------------------------------------------------------------------------

PLAIN = frozenset((str, int, float, bool, type(None)))
MICROSECOND = datetime.timedelta(microseconds=1)
FURTHER = ": convert it to numbers, strings, lists or dicts"


def jsonable(value, around=()):
    """The value in JSON's own types. `around` are the containers that it is in."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, enum.Enum):
        return jsonable(value.value, around)
    if isinstance(value, (str, int, float)):
        return value
    if id(value) in around:
        raise Unfit("is circular: it contains itself")
    if len(around) >= DEEPEST:
        raise Unfit("is nested more than %d deep" % DEEPEST)
    if isinstance(value, collections.abc.Mapping):
        return members(value.items(), around + (id(value),))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return members(fields, around + (id(value),))
    if isinstance(value, (list, tuple)):
        if hasattr(value, "_fields"):
            return members(zip(value._fields, value), around + (id(value),))
        return elements(value, around + (id(value),))
    if isinstance(value, os.PathLike):
        return os.fsdecode(os.fspath(value))
    if isinstance(value, (datetime.date, datetime.time, datetime.timedelta)):
        if value != value:
            # Pandas has NaT, "not a time".
            return None
        return iso_duration(value // MICROSECOND, "us") if isinstance(value, datetime.timedelta) else value.isoformat()
    if kind.__name__ == "NAType":
        return None
    if isinstance(value, type):
        raise Unfit("is " + described(value))
    return of_library(value, around)


def elements(values, around):
    if not set(map(type, values)) - PLAIN:
        return list(values)
    made = []
    for place, value in enumerate(values):
        try:
            made.append(jsonable(value, around))
        except Unfit as unfit:
            unfit.keys.append(place)
            raise
    return made


def members(items, around):
    made = {}
    for key, value in items:
        name = key if type(key) is str else key_text(key)
        if name in made:
            raise Unfit("has two keys that become %s in JSON" % to_json(name))
        try:
            made[name] = jsonable(value, around)
        except Unfit as unfit:
            unfit.keys.append(name)
            raise
    return made


def key_text(key):
    """A key as a JSON string."""
    if isinstance(key, enum.Enum):
        key = key.value
    if isinstance(key, str):
        return str.__str__(key)
    if hasattr(key, "item") and not isinstance(key, type):
        key = key.item()
    if key is None or isinstance(key, (bool, int, float)):
        return to_json(key)
    if isinstance(key, os.PathLike):
        return os.fsdecode(os.fspath(key))
    if isinstance(key, (datetime.date, datetime.time)):
        return key.isoformat()
    raise Unfit("has a key that is %s: %s; keys must be strings" % (article(type_name(key)), in_one_line(repr(key))))


def of_library(value, around):
    """A value with its own conversion to a simple one."""
    unit = None if is_table(value) else getattr(value, "unit", None)
    if unit is not None and hasattr(value, "value"):
        raise Unfit(
            "is %s in %s, and JSON has no units: return .value, or .to_value(...)"
            % (article(type_name(value)), in_one_line(safe_str(unit)) or "no unit")
        )
    try:
        dtype = getattr(value, "dtype", None)
        if getattr(dtype, "kind", "") in ("m", "M") and hasattr(value, "astype"):
            simple = of_times(value, dtype)
        elif getattr(dtype, "names", None):
            simple = of_rows(value, dtype.names)
        elif hasattr(value, "tolist"):
            simple = value.tolist()
        elif hasattr(value, "item"):
            simple = value.item()
        elif hasattr(value, "isoformat"):
            simple = value.isoformat()
        else:
            raise Unfit("is " + described(value))
    except Unfit:
        raise
    except Exception as error:
        raise Unfit("is %s that can't be turned into JSON: %s" % (article(type_name(value)), reason(error))) from None
    if type(simple) is type(value):
        # Some numbers have no simpler form, such as those of more than 64 bits.
        try:
            return float(simple)
        except Exception:
            raise Unfit("is " + described(value)) from None
    return jsonable(simple, around + (id(value),))


def is_table(value):
    """Whether it is a table of pandas or similar, where columns are attributes of any name."""
    return hasattr(value, "to_dict") and hasattr(value, "columns")


def of_rows(value, names):
    """Rows with named columns, as objects."""
    if getattr(value, "shape", ()) == ():
        return {name: value[name] for name in names}
    return [of_rows(row, names) for row in value]


def of_times(value, dtype):
    """numpy's times as ISO strings."""
    if dtype.kind == "M":
        texts = value.astype(str).tolist()
        return without_nat(texts)
    import numpy

    unit, many = numpy.datetime_data(dtype)

    def text(count):
        if count == -(2**63):
            return None
        if unit == "generic":
            raise Unfit("is %s without a unit of time: return .astype(int)" % article(type_name(value)))
        return iso_duration(count * many, unit)

    return each(text, value.astype("int64").tolist())


def without_nat(texts):
    return each(lambda text: None if text == "NaT" else text, texts)


def each(change, values):
    return [each(change, value) for value in values] if isinstance(values, list) else change(values)


PARTS = {"ms": 3, "us": 6, "ns": 9, "ps": 12, "fs": 15, "as": 18}


def iso_duration(count, unit):
    sign = "-" if count < 0 else ""
    count = abs(count)
    if unit in ("Y", "M", "W", "D"):
        return "%sP%d%s" % (sign, count, unit)
    if unit in PARTS:
        whole, part = divmod(count, 10 ** PARTS[unit])
        digits = ("%0*d" % (PARTS[unit], part)).rstrip("0")
        return "%sPT%d%sS" % (sign, whole, "." + digits if digits else "")
    return "%sPT%d%s" % (sign, count, unit.upper())


ADVICE = {
    "astropy.Time": ".isot, .mjd or .jd",
    "astropy.TimeDelta": ".sec or .jd",
    "astropy.SkyCoord": "its numbers, such as .ra.deg and .dec.deg",
}


def described(value):
    """Describes a value that can't become JSON, and what to return in its place."""
    kind = type_name(value)
    if isinstance(value, (set, frozenset)):
        return "a set, which has no order: return sorted(...) or list(...)"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "bytes: return a string (.decode()) or a list of numbers"
    if isinstance(value, complex):
        return "a complex number: return its .real and .imag separately"
    if is_table(value):
        return article(kind) + ": return .to_dict('records')"
    if kind in ADVICE:
        return "%s: return %s" % (article(kind), ADVICE[kind])
    if inspect.iscoroutine(value):
        return "a coroutine: call it with asyncio.run(...)"
    if isinstance(value, (collections.abc.Iterator, range, collections.abc.KeysView, collections.abc.ValuesView)):
        return article(kind) + ": return list(...)"
    if isinstance(value, BaseException):
        return "an exception: raise it, or return str(...)"
    if inspect.isroutine(value) or isinstance(value, type):
        return "the %s `%s` itself: call it" % (
            "class" if isinstance(value, type) else "function",
            getattr(value, "__qualname__", value),
        )
    if type(value).__module__ in ("decimal", "fractions"):
        return article(kind) + ": return float(...) or str(...)"
    if isinstance(value, collections.abc.Iterable) and not hasattr(value, "keys"):
        return article(kind) + ": return list(...)"
    if hasattr(value, "keys"):
        return article(kind) + ": return dict(...)"
    return article(kind) + FURTHER


def where(keys):
    """The keys that lead to a value, as Python would write them."""
    text = ""
    for key in reversed(keys):
        if isinstance(key, int):
            text += "[%d]" % key
        elif key.isidentifier():
            text += "." + key if text else key
        else:
            text += "[%s]" % to_json(key)
    return text if len(text) <= 200 else text[:100] + "..." + text[-100:]


def as_json(value, name):
    limit = sys.getrecursionlimit()
    try:
        # Nesting is limited above; a level takes several calls.
        sys.setrecursionlimit(limit + 10 * DEEPEST)
        plain = jsonable(value)
        try:
            return to_json(plain)
        except ValueError:
            return with_any_digits(lambda: to_json(plain))
    except Unfit as unfit:
        raise Unfit("%s %s" % (where(unfit.keys) or "what %s returned" % name, unfit)) from None
    finally:
        sys.setrecursionlimit(limit)


def with_any_digits(make):
    """Newer Pythons refuse to write numbers of more than some thousand digits by default."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return make()
    finally:
        sys.set_int_max_str_digits(digits)


# ---------------------------------------------------------------------------------------------------------------------
# Requests
# ---------------------------------------------------------------------------------------------------------------------


class Service:
    def __init__(self, surroundings, call, name, largest):
        self.surroundings, self.call, self.name, self.largest = surroundings, call, name, largest
        self.process = os.getpid()

    def answer_to(self, task):
        """Calls the function. A process that it forked and that returns from it ends here: the request belongs to its parent."""
        try:
            value = self.call(task)
            if os.getpid() != self.process:
                os._exit(0)
            text = as_json(value, self.name)
        except Unfit as unfit:
            return "unfit", to_json(in_one_line(str(unfit)))
        except BaseException as error:
            return self.raised(error)
        if len(text) > self.largest:
            return "unfit", to_json(
                "what %s returned is larger than --max-result (%d bytes of JSON, %d are allowed)"
                % (self.name, len(text), self.largest)
            )
        return "ok", text

    def raised(self, error):
        why = reason(error)
        if isinstance(error, SystemExit):
            why = "SystemExit: %s called sys.exit(%s) instead of returning" % (self.name, exit_code(error))
        if os.getpid() != self.process:
            self.surroundings.say(traceback_of(error))
            os._exit(1)
        self.surroundings.restore()
        self.surroundings.say(traceback_of(error, why))
        return "raised", to_json(why)

    def serve(self):
        for line in self.surroundings.requests:
            task = from_json(line.decode())
            try:
                kind, text = self.answer_to(task)
                self.surroundings.restore()
            except BaseException as error:
                # A signal that the function left pending, with a handler that raises.
                kind, text = self.raised(error)
            try:
                self.surroundings.answer(kind, text)
            except BrokenPipeError:
                # The process that sent the request was killed.
                return


def leave():
    """Ends this process in the normal way, but without waiting for threads that are still running."""
    others = [one for one in threading.enumerate() if one is not threading.main_thread() and not one.daemon]
    if others:
        try:
            # Otherwise process pools, which are waited for, would never end.
            ends = threading.Thread(target=end_pools, daemon=True)
            ends.start()
            ends.join(LONGEST_END)
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(0)


def end_pools():
    """The first thing that Python does at exit, since 3.9. It waits for thread pools."""
    for end in reversed(getattr(threading, "_threading_atexits", ())):
        end()


def main():
    file, module, name, folder, offered, largest, *only_looks = sys.argv[2:]
    offered = from_json(offered)
    if only_looks:
        try:
            look(file, module, name, folder, offered)
        except Refused as refused:
            write_all(1, ('\n{"refused":%s}\n' % to_json(str(refused))).encode("ascii"))
        os._exit(0)
    surroundings = Surroundings()
    try:
        function = find(load(file, module, folder), name, os.path.basename(file) or module)
        check_kind(function, name)
        call = caller(function, name, offered)
    except Refused as refused:
        surroundings.say(refused.log)
        surroundings.requests.readline()
        surroundings.answer(refused.kind, to_json(str(refused)))
        leave()
        return
    surroundings.remember()
    Service(surroundings, call, name, int(largest)).serve()
    leave()


main()
